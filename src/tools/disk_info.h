/*
 * ringer disk info: prints the headers of an image file.
 */
#ifndef RINGER_TOOLS_DISK_INFO_H
#define RINGER_TOOLS_DISK_INFO_H

#include "base/types.h"

#include <stdio.h>

/* As lines for people, or as one JSON object with qemu-img's names. Takes no lock: the image may be in use.
 * False with one sentence in error. */
bool disk_info(const char *path, bool json, FILE *out, char *error, size_t error_bytes);

#endif
