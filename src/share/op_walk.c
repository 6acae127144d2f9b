/*
 * The session and its fids: Tversion, Tattach, Twalk, Tclunk, Tremove. See server.h.
 */
#include "confined.h"
#include "owner.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int op_version(struct call *call)
{
    char version[32];
    u32 size = read32(&call->in);
    read_string(&call->in, version, sizeof(version));
    if (call->in.bad) {
        version[0] = 0; /* a long name of a version that we do not know */
        call->in.bad = false;
    }
    server_forget(call->server);
    if (size < P9_SIZE_LEAST) return -EMSGSIZE;
    if (size > P9_SIZE_MOST) size = P9_SIZE_MOST;
    __atomic_store_n(&call->server->size_most, size, __ATOMIC_RELAXED);
    write_number(&call->out, 4, size);
    write_string(&call->out, strcmp(version, "9P2000.L") ? "unknown" : version);
    return 0;
}

int op_attach(struct call *call)
{
    struct server *server = call->server;
    char ignored[PATH_MAX];
    struct stat status;
    u32 number = read32(&call->in), authentication = read32(&call->in);
    read_string(&call->in, ignored, sizeof(ignored)); /* a user's name: the number counts */
    read_string(&call->in, ignored, sizeof(ignored)); /* the folder's name: there is one folder only */
    u32 uid = read32(&call->in);
    int failed = call_read(call);
    if (!failed && authentication != P9_NO_FID) failed = -EINVAL;
    if (!failed) failed = server_status(server, server->root, &status);
    if (failed) return failed;
    server_write_qid(server, &call->out, &status);
    struct fid *fid = fid_new(&server->fids, number, uid, node_keep(&server->fids, server->root), NULL, NULL);
    return fid ? fid_enter(&server->fids, fid, NULL) : -ENOMEM;
}

/* --- Twalk --- */

struct walk {
    struct node *node, *parent; /* references of the walk */
    char name[NAME_MAX + 1];    /* of the node in its parent */
};

static int step(struct call *call, struct walk *walk)
{
    struct server *server = call->server;
    struct node *next;
    struct stat status;
    int failed = server_find(server, walk->node, walk->name, &next);
    if (failed) return failed;
    node_release(&server->fids, walk->parent);
    walk->parent = walk->node;
    walk->node = next;
    failed = server_status(server, next, &status);
    if (!failed) server_write_qid(server, &call->out, &status);
    return failed;
}

/* Returns how many names were walked, or -errno if the first fails. */
static int walk_names(struct call *call, struct walk *walk, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        int failed = call_name(call, walk->name);
        if (!failed) failed = step(call, walk);
        if (failed) return n ? (int)n : failed;
    }
    return (int)count;
}

/* A fid for the same node, with the same parent and name. */
static struct fid *clone_fid(struct server *server, struct fid *fid, u32 number)
{
    struct fid_table *fids = &server->fids;
    struct node *parent = NULL;
    char *name = NULL;
    int failed = fid_origin(fids, fid, &parent, &name);
    if (failed && failed != -EBUSY) return NULL;
    struct fid *clone = fid_new(fids, number, fid->uid, node_keep(fids, fid->node), parent, name);
    free(name);
    return clone;
}

static int walk_from(struct call *call, struct fid *fid, u32 new_number, unsigned count)
{
    struct server *server = call->server;
    struct fid_table *fids = &server->fids;
    struct walk walk = {.node = node_keep(fids, fid->node)};
    struct fid *instead_of = new_number == fid->number ? fid : NULL, *new;
    u8 *count_at = call->out.at;
    write_number(&call->out, 2, 0);
    int walked = walk_names(call, &walk, count);
    if (walked != (int)count) {
        node_release(fids, walk.node);
        node_release(fids, walk.parent);
        store_any(count_at, 2, (u16)walked);
        return walked < 0 ? walked : 0; /* fewer names than asked for: no fid */
    }
    store_any(count_at, 2, (u16)count);
    if (count) {
        new = fid_new(fids, new_number, fid->uid, walk.node, walk.parent, walk.name);
    } else {
        node_release(fids, walk.node);
        if (instead_of) return 0;
        new = clone_fid(server, fid, new_number);
    }
    return new ? fid_enter(fids, new, instead_of) : -ENOMEM;
}

int op_walk(struct call *call)
{
    struct fid *fid = call_fid(call);
    u32 new_number = read32(&call->in);
    unsigned count = read16(&call->in);
    int failed = call_read(call);
    if (!failed) failed = !fid ? -EBADF : count > P9_WALK_NAMES ? -EINVAL : 0;
    if (!failed && new_number == fid->number && fid->kind != FID_PATH) failed = -EBUSY;
    if (!failed) failed = walk_from(call, fid, new_number, count);
    fid_release(&call->server->fids, fid);
    return failed;
}

/* --- the end of a fid --- */

int op_clunk(struct call *call)
{
    struct server *server = call->server;
    struct fid *fid = call_fid(call);
    int failed = call_read(call);
    if (!failed && (!fid || !fid_remove(&server->fids, fid))) failed = -EBADF;
    if (!failed) failed = attribute_store(server, fid);
    fid_release(&server->fids, fid);
    return failed;
}

/* Does this file still have the name? Otherwise another file would be removed. */
static int remove_named(const struct node *parent, const char *name, const struct node *node)
{
    struct stat status;
    if (fstatat(parent->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
    if (status.st_dev != node->device || status.st_ino != node->inode) return -ESTALE;
    return unlinkat(parent->fd, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

int op_remove(struct call *call)
{
    struct server *server = call->server;
    struct fid *fid = call_fid(call);
    struct node *parent = NULL;
    char *name = NULL;
    int failed = call_read(call);
    if (!failed && (!fid || !fid_remove(&server->fids, fid))) failed = -EBADF;
    if (!failed && server->options.read_only) failed = -EROFS;
    if (!failed) failed = fid_origin(&server->fids, fid, &parent, &name);
    if (!failed) failed = remove_named(parent, name, fid->node);
    node_release(&server->fids, parent);
    free(name);
    fid_release(&server->fids, fid);
    return failed;
}
