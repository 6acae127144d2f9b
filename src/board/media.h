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

/* fda, fdb, hda to hdd, cdrom (the first CD drive), the id of a drive, or that of a device with a drive. NULL: there is
 * none. */
struct drive *media_find(const struct board *board, const char *name);

struct media_state {
    bool has_tray, locked, tray_open;
};
struct media_state media_state(struct chipset *chipset, const struct drive *drive);

/* Unless the outcome is MEDIA_CHANGED, one sentence is in error. Only the vCPU thread calls these. */

/* Change or (`file` NULL) take out the medium. The tray opens; it closes over a new medium. `drive`: NULL fails.
 * `force`: also if the guest has locked the tray. */
enum media_outcome media_change(struct chipset *chipset, struct drive *drive, const char *file, bool force,
                                char *error, size_t error_bytes);

/* The same in single steps, for a removable drive. A drive without a tray counts as one that is open. */
enum media_outcome media_open_tray(struct chipset *chipset, struct drive *drive, bool force, char *error,
                                   size_t error_bytes);
void media_close_tray(struct chipset *chipset, struct drive *drive);
enum media_outcome media_remove(struct chipset *chipset, struct drive *drive, char *error,
                                size_t error_bytes);
/* The drive is empty. The medium is the image of a node that no other drive has. */
enum media_outcome media_insert(struct chipset *chipset, struct drive *drive, struct drive *node, char *error,
                                size_t error_bytes);

#endif
