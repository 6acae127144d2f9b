/*
 * Changing the medium in a drive while the machine runs: diskettes and discs.
 */
#ifndef RINGER_BOARD_MEDIA_H
#define RINGER_BOARD_MEDIA_H

#include "base/types.h"

struct board;
struct chipset;
struct drive;

enum media_outcome {
    MEDIA_CHANGED,
    MEDIA_LOCKED, /* the guest has locked the tray; it was told of the request, and may unlock it */
    MEDIA_FAILED, /* nothing has changed */
};

/* fda, fdb, hda to hdd, cdrom (the first CD drive), the id of a drive, or that of a device with a drive. NULL: there is none. */
struct drive *media_find(const struct board *board, const char *name);

struct media_state {
    bool locked, tray_open;
};
struct media_state media_state(struct chipset *chipset, const struct drive *drive);

/* `drive`: NULL fails. `file`: the new medium, NULL: none. Unless the medium
 * was changed, one sentence is in error. Only the vCPU thread calls this. */
enum media_outcome media_change(struct chipset *chipset, struct drive *drive, const char *file, char *error,
                                size_t error_bytes);

#endif
