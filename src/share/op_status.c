/*
 * Reading and changing a file's status: Tgetattr, Tsetattr, Tstatfs. See server.h.
 */
#include "confined.h"
#include "owner.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

/* A multiple of the host's block size near to what one message carries: programs read and write in such pieces. */
static u64 block_bytes(const struct server *server, const struct stat *status)
{
    u64 unit = __atomic_load_n(&server->size_most, __ATOMIC_RELAXED) - P9_DATA_BYTES,
        host = (u64)status->st_blksize;
    return host && host < unit ? unit / host * host : host;
}

static void write_time(struct writer *out, struct timespec time)
{
    write_number(out, 8, (u64)time.tv_sec);
    write_number(out, 8, (u64)time.tv_nsec);
}

int op_getattr(struct call *call)
{
    struct server *server = call->server;
    struct writer *out = &call->out;
    struct stat status;
    struct fid *fid = call_fid(call);
    read64(&call->in); /* the requested fields; the reply has all */
    int failed = call_read(call);
    if (!failed) failed = fid ? server_status(server, fid->node, &status) : -EBADF;
    fid_release(&server->fids, fid);
    if (failed) return failed;
    write_number(out, 8, P9_GETATTR_BASIC);
    server_write_qid(server, out, &status);
    write_number(out, 4, status.st_mode);
    write_number(out, 4, status.st_uid);
    write_number(out, 4, status.st_gid);
    write_number(out, 8, status.st_nlink);
    write_number(out, 8, status.st_rdev);
    write_number(out, 8, (u64)status.st_size);
    write_number(out, 8, block_bytes(server, &status));
    write_number(out, 8, (u64)status.st_blocks);
    write_time(out, status.st_atim);
    write_time(out, status.st_mtim);
    write_time(out, status.st_ctim);
    write_time(out, (struct timespec){0}); /* the file's birth */
    write_number(out, 8, 0);               /* generation */
    write_number(out, 8, 0);               /* version of the data */
    return 0;
}

/* --- Tsetattr --- */

struct change {
    u32 what;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    u64 size;
    struct timespec access, modification;
};

static struct timespec wanted_time(u32 what, u32 now, u32 to, struct timespec time)
{
    if (!(what & now)) return (struct timespec){.tv_nsec = UTIME_OMIT};
    return what & to ? time : (struct timespec){.tv_nsec = UTIME_NOW};
}

static int set_times(const struct node *node, const struct change *change)
{
    struct timespec times[] = {
        wanted_time(change->what, P9_SET_ATIME, P9_SET_ATIME_TO, change->access),
        wanted_time(change->what, P9_SET_MTIME, P9_SET_MTIME_TO, change->modification),
    };
    return utimensat(node->fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* By the descriptor if the fid has been opened: a file may be open for writing although its mode forbids it now. */
static int set_size(struct fid *fid, u64 size)
{
    char link[CONFINED_LINK_BYTES];
    int fd = fid_file(fid);
    if (size > INT64_MAX) return -EFBIG;
    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) return 0;
    if (!S_ISREG(fid->node->type)) return S_ISDIR(fid->node->type) ? -EISDIR : -EINVAL;
    return truncate(confined_link(fid->node->fd, link), (off_t)size) < 0 ? -errno : 0;
}

static int apply(const struct server *server, struct fid *fid, const struct change *change)
{
    u32 what = change->what;
    uid_t uid = what & P9_SET_UID ? change->uid : (uid_t)-1;
    gid_t gid = what & P9_SET_GID ? change->gid : (gid_t)-1;
    int failed = what & P9_SET_MODE ? owner_set_mode(server, fid->node, change->mode) : 0;
    if (!failed && (what & (P9_SET_ATIME | P9_SET_MTIME))) failed = set_times(fid->node, change);
    if (!failed && (what & (P9_SET_UID | P9_SET_GID)))
        failed = owner_set_owner(server, fid->node->fd, uid, gid);
    /* Only the time of change is set: the host sets it with any change. */
    if (!failed && what == P9_SET_CTIME)
        failed = fchownat(fid->node->fd, "", -1u, -1u, AT_EMPTY_PATH) < 0 ? -errno : 0;
    if (!failed && (what & P9_SET_SIZE)) failed = set_size(fid, change->size);
    return failed;
}

static struct timespec read_time(struct reader *in)
{
    struct timespec time = {.tv_sec = (time_t)read64(in)};
    u64 ns = read64(in);
    time.tv_nsec = ns < 1000000000u ? (long)ns : 0;
    return time;
}

int op_setattr(struct call *call)
{
    struct reader *in = &call->in;
    struct fid *fid = call_fid(call);
    struct change change = {.what = read32(in)};
    change.mode = read32(in);
    change.uid = read32(in);
    change.gid = read32(in);
    change.size = read64(in);
    change.access = read_time(in);
    change.modification = read_time(in);
    int failed = call_read(call);
    if (!failed) failed = fid ? apply(call->server, fid, &change) : -EBADF;
    fid_release(&call->server->fids, fid);
    return failed;
}

int op_statfs(struct call *call)
{
    struct writer *out = &call->out;
    struct statfs host;
    struct fid *fid = call_fid(call);
    int failed = call_read(call);
    if (!failed) failed = !fid ? -EBADF : fstatfs(fid->node->fd, &host) < 0 ? -errno : 0;
    fid_release(&call->server->fids, fid);
    if (failed) return failed;
    write_number(out, 4, (u32)host.f_type);
    write_number(out, 4, (u32)host.f_bsize);
    write_number(out, 8, host.f_blocks);
    write_number(out, 8, host.f_bfree);
    write_number(out, 8, host.f_bavail);
    write_number(out, 8, host.f_files);
    write_number(out, 8, host.f_ffree);
    write_number(out, 4, (u32)host.f_fsid.__val[0]);
    write_number(out, 4, (u32)host.f_fsid.__val[1]);
    write_number(out, 4, (u32)host.f_namelen);
    return 0;
}
