/*
 * The functions of a disk (block_disk.c) that the crew (disk_crew.c) calls to do its requests. Any thread may call
 * them. "Lock" means the crew's lock.
 */
#ifndef RINGER_BLOCK_DISK_WORK_H
#define RINGER_BLOCK_DISK_WORK_H

#include "block_disk.h"

static inline struct block_disk *block_disk_of(const struct disk_request *request)
{
    return container_of(request->disk, struct block_disk, disk);
}

/* Do the host's I/O and set request->error. A request that was refused keeps its error. Lock not held. */
void block_disk_perform(struct disk_request *request);

/* The disk's note whether small requests of this kind are quick; NULL: the request is large or of another kind. Lock
 * held. */
bool *block_disk_quickness(const struct disk_request *request);

/* An operation is complete. Returns whether the image now has changes in memory to write back. Lock held. */
bool block_disk_changed(struct block_disk *disk, enum disk_operation operation);

/* Flush if the image was written since the last flush. False when that failed. Lock not held. */
bool block_disk_write_back(struct block_disk *disk);

#endif
