/*
 * What the crew (disk_crew.c) asks of a disk (block_disk.c) to have its requests done. Any thread may call
 * these; "lock" is the crew's.
 */
#ifndef RINGER_BLOCK_DISK_WORK_H
#define RINGER_BLOCK_DISK_WORK_H

#include "block_disk.h"

static inline struct block_disk *block_disk_of(const struct disk_request *request)
{
    return container_of(request->disk, struct block_disk, disk);
}

/* Do the host's I/O and set request->error. A request that was refused keeps its error. No lock. */
void block_disk_perform(struct disk_request *request);

/* Lock held. Where the disk remembers whether small requests of this kind take next to no time; NULL: the
 * request is not of such a kind. */
bool *block_disk_quickness(const struct disk_request *request);

/* Lock held; an operation is done. Whether the image now keeps something in memory that must be written back. */
bool block_disk_changed(struct block_disk *disk, enum disk_operation operation);

/* Flush, if anything was written since the last flush. False when that failed. No lock. */
bool block_disk_write_back(struct block_disk *disk);

#endif
