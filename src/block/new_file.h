/*
 * Files that come into being whole or not at all: written under another name beside their place, and moved
 * there when they are complete and stable.
 */
#ifndef RINGER_BLOCK_NEW_FILE_H
#define RINGER_BLOCK_NEW_FILE_H

#include "store.h"

struct new_file {
    char path[4096], temporary[4120];
    int fd;
    struct store *old; /* what is there until then, locked; or NULL */
    bool replace;
};

/* Begin. What is there already is only replaced if `replace`, and then must be in nobody's use until the end.
 * False with one sentence in error. */
bool new_file_begin(struct new_file *file, const char *path, bool replace, char *error, size_t error_bytes);
/* A store to write to, to be closed by the caller. NULL: out of memory. */
struct store *new_file_store(struct new_file *file);
/* Move it to its place, or (good: false) forget it. */
bool new_file_end(struct new_file *file, bool good, char *error, size_t error_bytes);

#endif
