/*
 * Finding the files of SeaBIOS: the firmware and the video BIOS, of Debian's package seabios.
 */
#ifndef RINGER_BOARD_FIRMWARE_FILE_H
#define RINGER_BOARD_FIRMWARE_FILE_H

#include "base/types.h"

#define FIRMWARE_PATH_BYTES 4096

/* Find a file in `directory`, or (NULL) in the directories of distributions. False: not found, and `path` is where it
 * should be. */
bool firmware_find(const char *directory, const char *name, char path[FIRMWARE_PATH_BYTES]);

#endif
