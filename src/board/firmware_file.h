/*
 * Finding the files of SeaBIOS: the firmware and the video BIOS, of Debian's package seabios.
 */
#ifndef RINGER_BOARD_FIRMWARE_FILE_H
#define RINGER_BOARD_FIRMWARE_FILE_H

#include "base/types.h"

#define FIRMWARE_PATH_BYTES 4096

/* Find a file in `directory`, or (NULL) where distributions put it. False: not found; path is then where it should
 * be. */
bool firmware_find(const char *directory, const char *name, char path[FIRMWARE_PATH_BYTES]);

#endif
