/*
 * Changing the medium in a drive while the machine runs: diskettes and discs.
 */
#ifndef RINGER_BOARD_MEDIA_H
#define RINGER_BOARD_MEDIA_H

#include "base/types.h"

struct chipset;

enum media_outcome {
    MEDIA_CHANGED,
    MEDIA_LOCKED, /* the guest has locked the tray; it was told of the request, and may unlock it */
    MEDIA_FAILED, /* nothing has changed */
};

/* `drive`: fda, fdb, cdrom, or hda to hdd if that is a CD drive. `file`: the new medium, NULL: none. Unless the medium
 * was changed, one sentence is in error. Only the vCPU thread calls this. */
enum media_outcome media_change(struct chipset *chipset, const char *drive, const char *file, char *error,
                                size_t error_bytes);

#endif
