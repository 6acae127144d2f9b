/*
 * Extended attributes. Txattrwalk makes a fid from which a value, or the list of names, is read. Txattrcreate makes a
 * fid for a value that is written to it and set when the fid is clunked. See server.h.
 */
#include "confined.h"
#include "owner.h"
#include "server.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

/* Drops the names that the guest must not know, and replaces those that it knows by other names. Returns the new
 * length. */
static ssize_t filter_list(const struct server *server, char *list, ssize_t bytes)
{
    char *to = list;
    for (char *name = list, *next; name < list + bytes; name = next) {
        const char *seen = owner_attribute_seen(server, name);
        next = name + strlen(name) + 1;
        if (!seen) continue;
        size_t length = strlen(seen) + 1;
        memmove(to, seen, length);
        to += length;
    }
    return to - list;
}

/* The value of an attribute, or the list of all. Returns its length, or -errno. */
static ssize_t load(const struct server *server, const struct node *node, const char *name, u8 *value)
{
    char link[CONFINED_LINK_BYTES], buffer[XATTR_NAME_MAX + 1];
    confined_link(node->fd, link);
    ssize_t bytes;
    if (!*name) {
        bytes = listxattr(link, (char *)value, XATTR_LIST_MAX);
        return bytes < 0 ? -errno : filter_list(server, (char *)value, bytes);
    }
    name = owner_attribute(server, name, buffer, sizeof(buffer));
    if (!name) return -ENODATA;
    bytes = getxattr(link, name, value, XATTR_SIZE_MAX);
    return bytes < 0 ? -errno : bytes;
}

int op_attribute_walk(struct call *call)
{
    struct server *server = call->server;
    struct fid_table *fids = &server->fids;
    char name[XATTR_NAME_MAX + 1];
    struct fid *fid = call_fid(call), *new = NULL;
    u32 number = read32(&call->in);
    read_string(&call->in, name, sizeof(name));
    int failed = call_read(call);
    if (!failed && !fid) failed = -EBADF;
    u8 *value = failed ? NULL : malloc(XATTR_SIZE_MAX);
    if (!failed && !value) failed = -ENOMEM;
    ssize_t bytes = failed ? failed : load(server, fid->node, name, value);
    if (!failed && bytes < 0) failed = (int)bytes;
    if (!failed) {
        new = fid_new(fids, number, fid->uid, node_keep(fids, fid->node), NULL, NULL);
        if (!new) failed = -ENOMEM;
    }
    if (failed) {
        free(value);
    } else {
        u8 *fitting = realloc(value, bytes ? (size_t)bytes : 1);
        new->kind = FID_ATTRIBUTE_READ;
        new->value = fitting ? fitting : value;
        new->value_bytes = (u64)bytes;
        write_number(&call->out, 8, (u64)bytes);
        failed = fid_enter(fids, new, number == fid->number ? fid : NULL);
    }
    fid_release(fids, fid);
    return failed;
}

/* Fid locked. */
static int prepare(struct fid *fid, const char *name, u64 bytes, u32 flags)
{
    if (fid->kind != FID_PATH) return -EBUSY;
    if (bytes > XATTR_SIZE_MAX) return -E2BIG;
    free(fid->attribute);
    free(fid->value);
    fid->attribute = strdup(name);
    fid->value = calloc(1, bytes ? bytes : 1);
    if (!fid->attribute || !fid->value) return -ENOMEM; /* freed with the fid */
    fid->kind = FID_ATTRIBUTE_WRITE;
    fid->value_bytes = bytes;
    fid->attribute_flags = flags;
    return 0;
}

int op_attribute_create(struct call *call)
{
    const struct server *server = call->server;
    char name[XATTR_NAME_MAX + 1], buffer[XATTR_NAME_MAX + 1];
    struct fid *fid = call_fid(call);
    read_string(&call->in, name, sizeof(name));
    u64 bytes = read64(&call->in);
    u32 flags = read32(&call->in);
    int failed = call_read(call);
    if (!failed) failed = !fid ? -EBADF : !*name ? -EINVAL : 0;
    const char *host_name = failed ? NULL : owner_attribute(server, name, buffer, sizeof(buffer));
    if (!failed && !host_name) failed = -EACCES;
    if (!failed) {
        pthread_mutex_lock(&fid->lock);
        failed = prepare(fid, host_name, bytes, flags);
        pthread_mutex_unlock(&fid->lock);
    }
    fid_release(&call->server->fids, fid);
    return failed;
}

int attribute_store(struct server *server, struct fid *fid)
{
    char link[CONFINED_LINK_BYTES];
    int failed = 0;
    pthread_mutex_lock(&fid->lock);
    if (fid->kind == FID_ATTRIBUTE_WRITE) {
        confined_link(fid->node->fd, link);
        /* Without a value the attribute is removed (Linux's v9fs_xattr_set()). */
        if (!fid->value_bytes)
            failed = removexattr(link, fid->attribute);
        else if (fid->value_filled != fid->value_bytes)
            failed = -1, errno = EINVAL;
        else
            failed = setxattr(link, fid->attribute, fid->value, fid->value_bytes, (int)fid->attribute_flags);
        if (failed) failed = -errno;
    }
    pthread_mutex_unlock(&fid->lock);
    return failed;
}
