/*
 * Files that appear complete or not at all. They are written under another name in the same directory, and renamed when
 * they are complete and stable.
 */
#ifndef RINGER_BLOCK_NEW_FILE_H
#define RINGER_BLOCK_NEW_FILE_H

#include "store.h"

struct new_file {
    char path[4096], temporary[4120];
    int fd;
    struct store *old; /* the file to be replaced, locked; or NULL */
    bool replace;
};

/* Begin a file. An existing file is replaced only if `replace` is set; it stays locked until the end. False with one
 * sentence in error. */
bool new_file_begin(struct new_file *file, const char *path, bool replace, char *error, size_t error_bytes);
/* A store to write to; the caller closes it. NULL: out of memory. */
struct store *new_file_store(struct new_file *file);
/* Give the file its name or, if `good` is false, delete it. */
bool new_file_end(struct new_file *file, bool good, char *error, size_t error_bytes);

#endif
