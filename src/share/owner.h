/*
 * Owners, modes and device numbers of shared files, by the folder's security model (base/share_options.h).
 *
 * SHARE_MAPPED keeps them in extended attributes of the host's file, little-endian, as QEMU's mapped-xattr does:
 *
 *   user.virtfs.uid, user.virtfs.gid   32 bits     user.virtfs.rdev   64 bits
 *   user.virtfs.mode                   32 bits, with the type: links, FIFOs, sockets and devices are regular files
 *
 * All of these take an O_PATH descriptor, or any other.
 */
#ifndef RINGER_SHARE_OWNER_H
#define RINGER_SHARE_OWNER_H

#include "server.h"

/* The host's status of a file becomes the guest's. */
void owner_read(const struct server *server, int fd, struct stat *status);

/* With what mode the host's file is made. */
mode_t owner_host_mode(const struct server *server, mode_t mode);
/* A file was made: give it the owner that the guest names. Returns 0 or -errno. */
int owner_give(const struct server *server, int fd, uid_t uid, gid_t gid, mode_t mode, dev_t device);

/* Returns 0 or -errno. An id of -1 stays as it is. */
int owner_set_mode(const struct server *server, const struct node *node, mode_t mode);
int owner_set_owner(const struct server *server, int fd, uid_t uid, gid_t gid);

/* The host's name of an extended attribute; NULL: the guest must not know it. */
const char *owner_attribute(const struct server *server, const char *name, char *buffer, size_t bytes);
/* The guest's name of one of the host's. */
const char *owner_attribute_seen(const struct server *server, const char *name);

#endif
