/*
 * A store that is a file of the host (or a block device).
 *
 * Locking: two machines must not write to one image, and one must not write to an image that another reads. Open file
 * description locks on single bytes announce what a process does (byte 100 + n: it uses permission n) and what it
 * excludes (byte 200 + n: no other process may use permission n). Both are shared locks. A process finds a conflict by
 * testing whether another process holds the opposite byte. Bytes and numbers are QEMU's, so QEMU and Ringer respect
 * each other's locks.
 *
 * Two events end all writing for good, because afterwards the contents of the file are unknown:
 * - A sync failed. The host discards what it could not write, and the next sync would succeed without it.
 * - Another process truncated the file. A write beyond the new end would fill the gap with zeros.
 */
#ifndef RINGER_BLOCK_HOST_FILE_H
#define RINGER_BLOCK_HOST_FILE_H

#include "store.h"

#include <pthread.h>

struct host_file {
    struct store store;
    int fd;
    bool is_file; /* a regular file, not a block device */
    char *path;
    pthread_mutex_t syncing;
    /* Atomic: any thread may use these. */
    u64 end; /* the file has had at least this length */
    bool written, broken;
};

/* Open and lock an existing image. Fails with one sentence in error, for example when another process has the
 * image. */
struct store *host_file_open(const char *path, bool read_only, char *error, size_t error_bytes);
/* A file without a name in the directory for temporary files. It disappears when it is closed. */
struct store *host_file_temporary(char *error, size_t error_bytes);
/* Take ownership of a descriptor. NULL: out of memory. */
struct store *host_file_of(int fd, const char *path);

#endif
