/*
 * A store that is a file of the host (or a block device).
 *
 * Locking: two machines must not write one image, nor one write what another reads. Open file description
 * locks on single bytes say what a process does (byte 100 + n: it has permission n) and what it cannot bear
 * others to do (byte 200 + n: nobody else may have permission n). Both are shared locks; a conflict is found
 * by asking whether somebody holds the opposite byte. Bytes and numbers are those of QEMU, so the two respect
 * each other.
 *
 * Two things end all writing for good, as nobody could tell any more what is in the file: a sync that failed
 * (the host gives up what it could not write, and the next sync would succeed without it), and somebody who
 * cuts the file off (writing behind the cut would fill the gap with zeros).
 */
#ifndef RINGER_BLOCK_HOST_FILE_H
#define RINGER_BLOCK_HOST_FILE_H

#include "store.h"

#include <pthread.h>

struct host_file {
    struct store store;
    int fd;
    bool is_file; /* not a device */
    char *path;
    pthread_mutex_t syncing;
    /* shared, atomic */
    u64 end; /* it was so long once */
    bool written, broken;
};

/* Open an image that is there, and lock it. -EAGAIN: somebody else has it. NULL with one sentence in error. */
struct store *host_file_open(const char *path, bool read_only, char *error, size_t error_bytes);
/* A file without a name in the directory for temporary files, which is gone when it is closed. */
struct store *host_file_temporary(char *error, size_t error_bytes);
/* Take over a descriptor. NULL: out of memory. */
struct store *host_file_of(int fd, const char *path);

#endif
