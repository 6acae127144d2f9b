/*
 * All access to the host's files. It cannot reach anything outside the shared folder.
 *
 * Invariants
 * 1. A file is looked up by one name in an open directory. The name is neither "." nor ".." and has no '/', so a
 *    lookup never goes up, and never further than one step.
 * 2. A lookup gives an O_PATH descriptor of the file itself. For a symbolic link that is the link, never its target.
 *    The guest resolves links by its own walks.
 * 3. Operations on the file use that descriptor, not the name. So it is harmless if a file is replaced by a link
 *    between two requests, or within one.
 * 4. Only regular files and directories are opened. The type is that of the descriptor, so it cannot change between
 *    the check and the opening. FIFOs and devices of the host are never opened.
 *
 * The file of an O_PATH descriptor is opened by its link in /proc, which leads to that file and no other. System
 * calls that take only names get the name of this link.
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

/* Does the host have what this file needs? If not: false, with one sentence in error. */
bool confined_possible(char *error, size_t error_bytes);

#endif
