/*
 * The host's files, reached in such a way that nothing outside the shared folder is.
 *
 * Invariants
 * 1. A file is looked up by one name in an open directory, and the name is neither "." nor "..", nor has it a '/'. So no
 *    lookup goes up, or further than one step.
 * 2. A lookup gives an O_PATH descriptor of what is there: a symbolic link itself, never what it points to. The guest
 *    resolves links, by walks.
 * 3. What is then done to the file is done to that descriptor, not to its name. So a file that is replaced by a link
 *    between two requests, or within one, leads nowhere.
 * 4. Only regular files and directories are opened. The type is that of the descriptor, so it cannot change between
 *    the check and the opening. FIFOs and devices of the host are never opened.
 *
 * An O_PATH descriptor's file is opened, or named for system calls that only take names, by its link in /proc, which leads to
 * that file and no other.
 */
#ifndef RINGER_SHARE_CONFINED_H
#define RINGER_SHARE_CONFINED_H

#include "base/types.h"

#include <sys/stat.h>
#include <sys/types.h>

/* Invariant 1. */
bool confined_name_is_good(const char *name);

/* All of these return -errno for a failure. `directory` may be an O_PATH descriptor. */

/* An O_PATH descriptor of what has this name. */
int confined_find(int directory, const char *name);
/* Create a regular file, which must not exist, and open it. */
int confined_create(int directory, const char *name, int flags, mode_t mode);
/* Open the file of an O_PATH descriptor. -ENXIO: it is neither a regular file nor a directory. */
int confined_open(int fd, int flags);

/* The name by which a descriptor's file is reached. */
#define CONFINED_LINK_BYTES 40
const char *confined_link(int fd, char link[CONFINED_LINK_BYTES]);

/* Whether the host has what this file needs. False with one sentence in error. */
bool confined_possible(char *error, size_t error_bytes);

#endif
