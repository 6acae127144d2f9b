/*
 * Open files: Tlopen, Tlcreate, Tread, Twrite, Tfsync, Tlock, Tgetlock. See server.h.
 */
#include "confined.h"
#include "owner.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The protocol's flags of open() are Linux's on x86 (P9_DOTL_*). The others matter only in the guest, or would change
 * how the server works. */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC | O_DIRECTORY)
_Static_assert(O_TRUNC == 01000 && O_APPEND == 02000 && O_DSYNC == 010000 && O_SYNC == 04010000 &&
                   O_DIRECTORY == 0200000 && O_EXCL == 0200,
               "the flags of the protocol");

static bool opens_for_change(u32 flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_APPEND));
}

/* The bytes of one Tread or Twrite: whole pages, so that the guest's page cache is filled without remainders. */
static u32 unit_bytes(const struct server *server)
{
    return (__atomic_load_n(&server->size_most, __ATOMIC_RELAXED) - P9_DATA_BYTES) & ~(u32)PAGE_MASK;
}

/* A reply's fields, the same for opening and creating. */
static int write_opened(struct call *call, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    owner_read(call->server, fd, &status);
    server_write_qid(call->server, &call->out, &status);
    write_number(&call->out, 4, unit_bytes(call->server));
    return 0;
}

/* Fid locked. */
static int open_fid(struct call *call, struct fid *fid, u32 flags)
{
    struct fid_table *fids = &call->server->fids;
    if (fid->kind != FID_PATH) return -EBUSY;
    if (!fid_table_claim(fids)) return -EMFILE;
    int fd = fid_table_claimed(fids, confined_open(fid->node->fd, (int)(flags & OPEN_FLAGS)));
    if (fd < 0) return fd;
    int failed = write_opened(call, fd);
    if (failed) {
        fid_table_close(fids, fd);
        return failed;
    }
    fid->fd = fd;
    fid->kind = S_ISDIR(fid->node->type) ? FID_DIRECTORY : FID_FILE;
    return 0;
}

int op_open(struct call *call)
{
    struct server *server = call->server;
    struct fid *fid = call_fid(call);
    u32 flags = read32(&call->in);
    int failed = call_read(call);
    if (!failed) failed = !fid ? -EBADF : server->options.read_only && opens_for_change(flags) ? -EROFS : 0;
    if (!failed) {
        pthread_mutex_lock(&fid->lock);
        failed = open_fid(call, fid, flags);
        pthread_mutex_unlock(&fid->lock);
    }
    fid_release(&server->fids, fid);
    return failed;
}

/* --- Tlcreate --- */

/* Opens a new file or, unless the guest demands a new one, the existing file. The descriptor is claimed already. */
static int create_or_open(struct server *server, const struct fid *fid, const char *name, u32 flags,
                          mode_t mode, gid_t gid)
{
    struct fid_table *fids = &server->fids;
    int open_flags = (int)(flags & OPEN_FLAGS & ~(u32)O_DIRECTORY);
    mode_t host_mode = owner_host_mode(server, mode | S_IFREG);
    int fd = confined_create(fid->node->fd, name, open_flags, host_mode);
    if (fd >= 0) {
        int failed = owner_give(server, fd, fid->uid, gid, mode | S_IFREG, 0);
        if (!failed) return fd;
        unlinkat(fid->node->fd, name, 0);
        close(fd);
        return failed;
    }
    if (fd != -EEXIST || (flags & O_EXCL)) return fd;
    struct node *node;
    int failed = server_find(server, fid->node, name, &node);
    if (failed) return failed;
    fd = S_ISDIR(node->type) ? -EISDIR : confined_open(node->fd, open_flags);
    node_release(fids, node);
    return fd;
}

/* The fid, which was a directory's, becomes the new file's. */
static int create_in(struct call *call, struct fid *fid, const char *name, u32 flags, mode_t mode, gid_t gid)
{
    struct server *server = call->server;
    struct fid_table *fids = &server->fids;
    struct node *node = NULL;
    if (!fid_table_claim(fids)) return -EMFILE;
    int fd = fid_table_claimed(fids, create_or_open(server, fid, name, flags, mode, gid));
    if (fd < 0) return fd;
    int failed = write_opened(call, fd);
    if (!failed && !fid_table_claim(fids)) failed = -EMFILE;
    if (!failed) {
        /* Not by its name, which another file may have by now. */
        char link[CONFINED_LINK_BYTES];
        int path = open(confined_link(fd, link), O_PATH | O_CLOEXEC);
        if (path < 0) failed = -errno;
        if (fid_table_claimed(fids, path) >= 0) failed = node_new(fids, path, &node);
    }
    struct fid *new =
        failed ? NULL : fid_new(fids, fid->number, fid->uid, node, node_keep(fids, fid->node), name);
    if (!failed && !new) failed = -ENOMEM;
    if (failed) {
        fid_table_close(fids, fd);
        return failed;
    }
    new->kind = FID_FILE;
    new->fd = fd;
    return fid_enter(fids, new, fid);
}

int op_create(struct call *call)
{
    struct fid *fid = call_fid(call);
    char name[NAME_MAX + 1];
    int failed = call_name(call, name);
    u32 flags = read32(&call->in), mode = read32(&call->in), gid = read32(&call->in);
    if (!failed) failed = call_read(call);
    if (!failed) failed = !fid ? -EBADF : fid->kind != FID_PATH ? -EBUSY : 0;
    if (!failed) failed = create_in(call, fid, name, flags, mode & 07777, gid);
    fid_release(&call->server->fids, fid);
    return failed;
}

/* --- data --- */

/* Reads from the kept value of an attribute. */
static int read_value(struct call *call, struct fid *fid, u64 offset, u32 count)
{
    u64 left = offset < fid->value_bytes ? fid->value_bytes - offset : 0;
    u64 room = (u64)(call->out.end - call->out.at) - 4;
    if (count > left) count = (u32)left;
    if (count > room) count = (u32)room;
    write_number(&call->out, 4, count);
    write_bytes(&call->out, fid->value + offset, count);
    return 0;
}

/* Straight into the guest's buffers. */
static int read_file(struct call *call, struct fid *fid, u64 offset, u32 count)
{
    const struct share_request *request = call->request;
    u32 most = __atomic_load_n(&call->server->size_most, __ATOMIC_RELAXED) - P9_READ_BYTES;
    struct iovec piece[request->out_count];
    int fd = fid_file(fid);
    if (fd < 0) return fd;
    if (count > most) count = most;
    unsigned pieces = pieces_slice(request->out, request->out_count, P9_READ_BYTES, count, piece);
    ssize_t done = pieces ? preadv(fd, piece, (int)pieces, (off_t)offset) : 0;
    if (done < 0) return -errno;
    write_number(&call->out, 4, (u64)done);
    call->data_bytes = (u32)done;
    return 0;
}

int op_read(struct call *call)
{
    struct fid *fid = call_fid(call);
    u64 offset = read64(&call->in);
    u32 count = read32(&call->in);
    int failed = call_read(call);
    if (!failed && !fid) failed = -EBADF;
    if (!failed && fid->kind == FID_ATTRIBUTE_READ)
        failed = read_value(call, fid, offset, count);
    else if (!failed)
        failed = read_file(call, fid, offset, count);
    fid_release(&call->server->fids, fid);
    return failed;
}

/* Fid locked: a piece of an attribute's new value. */
static int write_value(struct fid *fid, const struct iovec *piece, unsigned pieces, u64 offset, u32 count)
{
    if (offset > fid->value_bytes || count > fid->value_bytes - offset) return -ENOSPC;
    pieces_read(piece, pieces, fid->value + offset, count);
    if (fid->value_filled < offset + count) fid->value_filled = offset + count;
    return 0;
}

int op_write(struct call *call)
{
    const struct share_request *request = call->request;
    struct fid *fid = call_fid(call);
    u64 offset = read64(&call->in);
    u32 count = read32(&call->in);
    struct iovec piece[request->in_count];
    int failed = call_read(call);
    if (!failed && !fid) failed = -EBADF;
    if (!failed && count > request->in_bytes - P9_WRITE_BYTES) failed = -EPROTO;
    unsigned pieces = failed ? 0 : pieces_slice(request->in, request->in_count, P9_WRITE_BYTES, count, piece);
    if (!failed) {
        pthread_mutex_lock(&fid->lock);
        bool attribute = fid->kind == FID_ATTRIBUTE_WRITE;
        int fd = fid->kind == FID_FILE ? fid->fd : -EBADF;
        if (attribute) failed = write_value(fid, piece, pieces, offset, count);
        pthread_mutex_unlock(&fid->lock);
        ssize_t done = attribute ? count
                       : fd < 0  ? -1
                       : pieces  ? pwritev(fd, piece, (int)pieces, (off_t)offset)
                                 : 0;
        if (!failed && done < 0) failed = fd < 0 ? fd : -errno;
        write_number(&call->out, 4, (u64)done);
    }
    fid_release(&call->server->fids, fid);
    return failed;
}

int op_fsync(struct call *call)
{
    struct fid *fid = call_fid(call);
    u32 data_only = call->in.at < call->in.end ? read32(&call->in) : 0; /* old clients do not send it */
    int failed = call_read(call);
    if (!failed && !fid) failed = -EBADF;
    if (!failed) {
        pthread_mutex_lock(&fid->lock);
        int fd = fid->kind == FID_FILE || fid->kind == FID_DIRECTORY ? fid->fd : -1;
        pthread_mutex_unlock(&fid->lock);
        failed = fd < 0 ? -EBADF : (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
    }
    fid_release(&call->server->fids, fid);
    return failed;
}

/* --- locks --- */

/* A lock belongs to the opened file (fcntl(2), "Open file description locks"), so it excludes other guests and programs
 * of the host, too. The guest asks again until it gets one: no thread waits. */
static int read_lock(struct call *call, struct flock *lock)
{
    static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    u64 start = read64(&call->in), length = read64(&call->in);
    u8 type = (u8)lock->l_type;
    if (type > P9_LOCK_NONE || start > INT64_MAX || length > INT64_MAX) return -EINVAL;
    *lock = (struct flock){
        .l_type = types[type], .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)length};
    return 0;
}

int op_lock(struct call *call)
{
    char client[NAME_MAX + 1];
    struct fid *fid = call_fid(call);
    struct flock lock = {.l_type = read8(&call->in)};
    read32(&call->in); /* whether the guest waits, which it does by itself */
    int failed = read_lock(call, &lock);
    read32(&call->in); /* the guest's process */
    read_string(&call->in, client, sizeof(client));
    if (!failed) failed = call_read(call);
    int fd = failed ? failed : fid ? fid_file(fid) : -EBADF;
    failed = fd < 0 ? fd : fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
    bool blocked = failed == -EAGAIN || failed == -EACCES;
    write_number(&call->out, 1, blocked ? P9_LOCK_BLOCKED : P9_LOCKED);
    fid_release(&call->server->fids, fid);
    return blocked ? 0 : failed;
}

int op_getlock(struct call *call)
{
    char client[NAME_MAX + 1];
    struct fid *fid = call_fid(call);
    struct flock lock = {.l_type = read8(&call->in)};
    int failed = read_lock(call, &lock);
    u32 process = read32(&call->in);
    read_string(&call->in, client, sizeof(client));
    if (!failed) failed = call_read(call);
    int fd = failed ? failed : fid ? fid_file(fid) : -EBADF;
    failed = fd < 0 ? fd : fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : 0;
    if (!failed) {
        write_number(&call->out, 1,
                     lock.l_type == F_UNLCK   ? P9_LOCK_NONE
                     : lock.l_type == F_RDLCK ? P9_LOCK_READ
                                              : P9_LOCK_WRITE);
        write_number(&call->out, 8, (u64)lock.l_start);
        write_number(&call->out, 8, (u64)lock.l_len);
        write_number(&call->out, 4, process);
        write_string(&call->out, client);
    }
    fid_release(&call->server->fids, fid);
    return failed;
}
