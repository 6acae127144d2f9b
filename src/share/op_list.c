/*
 * Treaddir. See server.h.
 *
 *   entry   qid, 13 bytes | offset of the next entry, 64 bits | type as in dirent, 8 bits | name
 *
 * The offsets are the host's own (getdents64(2)), so they stay valid while files come and go.
 */
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRY_BYTES (13 + 8 + 1 + 2) /* without the name */
#define HOST_BYTES  16384            /* of the host's entries at a time */

struct host_entry {
    u64 inode;
    s64 next;
    u16 bytes;
    u8 type;
    char name[];
};

/* Returns false when there is no room for it. */
static bool write_entry(struct call *call, const struct node *directory, const struct host_entry *entry,
                        u64 room)
{
    struct server *server = call->server;
    size_t length = strlen(entry->name);
    u8 type = entry->type;
    u64 inode = entry->inode;
    if (ENTRY_BYTES + length > room) return false;
    /* The guest must not learn the parent of the shared folder. */
    if (directory->inode == server->root->inode && directory->device == server->root->device &&
        !strcmp(entry->name, ".."))
        inode = directory->inode;
    /* A regular file of the host may be of any type for the guest. */
    if (server->options.security == SHARE_MAPPED && type != DT_DIR) type = DT_UNKNOWN;
    write_number(&call->out, 1,
                 type == DT_DIR   ? P9_QID_DIRECTORY
                 : type == DT_LNK ? P9_QID_LINK
                                  : P9_QID_FILE);
    write_number(&call->out, 4, 0);
    write_number(&call->out, 8, server_inode(server, directory->device, inode));
    write_number(&call->out, 8, (u64)entry->next);
    write_number(&call->out, 1, type);
    write_string(&call->out, entry->name);
    return true;
}

/* Fid locked. Returns the bytes of entries, or -errno. */
static long list(struct call *call, struct fid *fid, u64 offset, u32 count)
{
    u8 host[HOST_BYTES] __attribute__((aligned(8)));
    u8 *start = call->out.at;
    for (;;) {
        if (fid->position != offset && lseek(fid->fd, (off_t)offset, SEEK_SET) < 0) return -errno;
        fid->position = UINT64_MAX; /* unknown until these entries are used up */
        u64 room = count - (u64)(call->out.at - start);
        long there =
            syscall(SYS_getdents64, fid->fd, host, room + 512 < HOST_BYTES ? room + 512 : HOST_BYTES);
        if (there < 0) return -errno;
        if (!there) break;
        for (long at = 0; at < there;) {
            const struct host_entry *entry = (const struct host_entry *)(host + at);
            room = count - (u64)(call->out.at - start);
            if (!write_entry(call, fid->node, entry, room))
                return call->out.at == start ? -EINVAL : call->out.at - start;
            offset = (u64)entry->next;
            at += entry->bytes;
        }
        fid->position = offset;
    }
    fid->position = offset;
    return call->out.at - start;
}

int op_readdir(struct call *call)
{
    struct fid *fid = call_fid(call);
    u64 offset = read64(&call->in);
    u32 count = read32(&call->in);
    u8 *count_at = call->out.at;
    int failed = call_read(call);
    write_number(&call->out, 4, 0);
    u64 room = (u64)(call->out.end - call->out.at);
    if (count > room) count = (u32)room;
    if (!failed && !fid) failed = -EBADF;
    if (!failed) {
        pthread_mutex_lock(&fid->lock);
        long bytes = fid->kind == FID_DIRECTORY ? list(call, fid, offset, count) : -EBADF;
        pthread_mutex_unlock(&fid->lock);
        if (bytes < 0)
            failed = (int)bytes;
        else
            store_any(count_at, 4, (u64)bytes);
    }
    fid_release(&call->server->fids, fid);
    return failed;
}
