/*
 * Names: Tsymlink, Tmknod, Tmkdir, Tlink, Trename, Trenameat, Tunlinkat, Treadlink. See server.h.
 */
#include "confined.h"
#include "owner.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* --- new files --- */

/* A file to be made in a directory. */
struct birth {
    struct fid *directory;
    char name[NAME_MAX + 1];
    mode_t mode; /* with the type */
    gid_t gid;
    dev_t device;
    const char *target; /* of a symbolic link */
};

/* A regular file in place of a file that the host's process cannot make (owner.h). */
static int make_mapped(const struct server *server, const struct birth *birth)
{
    int fd = confined_create(birth->directory->node->fd, birth->name, O_WRONLY,
                             owner_host_mode(server, birth->mode));
    if (fd < 0) return fd;
    size_t length = birth->target ? strlen(birth->target) : 0;
    ssize_t written = length ? write(fd, birth->target, length) : 0;
    int failed = written < 0 ? -errno : (size_t)written != length ? -ENOSPC : 0;
    close(fd);
    return failed;
}

static int make(const struct server *server, const struct birth *birth)
{
    int directory = birth->directory->node->fd, failed;
    bool mapped = server->options.security == SHARE_MAPPED;
    if (S_ISDIR(birth->mode))
        failed = mkdirat(directory, birth->name, owner_host_mode(server, birth->mode));
    else if (mapped)
        return make_mapped(server, birth);
    else if (S_ISLNK(birth->mode))
        failed = symlinkat(birth->target, directory, birth->name);
    else
        failed = mknodat(directory, birth->name, birth->mode, birth->device);
    return failed < 0 ? -errno : 0;
}

/* Makes it, sets its owner, and writes its qid. */
static int give_birth(struct call *call, const struct birth *birth)
{
    struct server *server = call->server;
    struct node *node;
    struct stat status;
    int failed = make(server, birth);
    if (failed) return failed;
    failed = server_find(server, birth->directory->node, birth->name, &node);
    if (failed) return failed;
    failed = owner_give(server, node->fd, birth->directory->uid, birth->gid, birth->mode, birth->device);
    if (failed)
        unlinkat(birth->directory->node->fd, birth->name, S_ISDIR(birth->mode) ? AT_REMOVEDIR : 0);
    else
        failed = server_status(server, node, &status);
    if (!failed) server_write_qid(server, &call->out, &status);
    node_release(&server->fids, node);
    return failed;
}

static int end_birth(struct call *call, const struct birth *birth, int failed)
{
    if (!failed) failed = call_read(call);
    if (!failed && !birth->directory) failed = -EBADF;
    if (!failed) failed = give_birth(call, birth);
    fid_release(&call->server->fids, birth->directory);
    return failed;
}

int op_symlink(struct call *call)
{
    char target[PATH_MAX];
    struct birth birth = {.directory = call_fid(call), .mode = S_IFLNK | 0777, .target = target};
    int failed = call_name(call, birth.name);
    read_string(&call->in, target, sizeof(target));
    birth.gid = read32(&call->in);
    if (!failed && !target[0]) failed = -ENOENT;
    return end_birth(call, &birth, failed);
}

int op_mknod(struct call *call)
{
    struct birth birth = {.directory = call_fid(call)};
    int failed = call_name(call, birth.name);
    birth.mode = read32(&call->in);
    u32 major = read32(&call->in), minor = read32(&call->in);
    birth.device = makedev(major, minor);
    birth.gid = read32(&call->in);
    if (!(birth.mode & S_IFMT)) birth.mode |= S_IFREG;
    if (!failed && (S_ISDIR(birth.mode) || S_ISLNK(birth.mode))) failed = -EINVAL;
    return end_birth(call, &birth, failed);
}

int op_mkdir(struct call *call)
{
    struct birth birth = {.directory = call_fid(call)};
    int failed = call_name(call, birth.name);
    birth.mode = (read32(&call->in) & 07777) | S_IFDIR;
    birth.gid = read32(&call->in);
    return end_birth(call, &birth, failed);
}

/* --- names of existing files --- */

int op_link(struct call *call)
{
    struct fid_table *fids = &call->server->fids;
    char name[NAME_MAX + 1], link[CONFINED_LINK_BYTES];
    struct fid *directory = call_fid(call), *fid = call_fid(call);
    int failed = call_name(call, name);
    if (!failed) failed = call_read(call);
    if (!failed && (!directory || !fid)) failed = -EBADF;
    /* By the link in /proc, which is followed to the file itself and no further, so a symbolic link can get another
     * name too. */
    if (!failed && linkat(AT_FDCWD, confined_link(fid->node->fd, link), directory->node->fd, name,
                          AT_SYMLINK_FOLLOW) < 0)
        failed = -errno;
    fid_release(fids, directory);
    fid_release(fids, fid);
    return failed;
}

static int rename_in(const struct node *from, const char *old_name, const struct node *to, const char *name)
{
    return renameat(from->fd, old_name, to->fd, name) < 0 ? -errno : 0;
}

int op_rename(struct call *call)
{
    struct fid_table *fids = &call->server->fids;
    char name[NAME_MAX + 1], *old_name = NULL;
    struct node *parent = NULL;
    struct fid *fid = call_fid(call), *directory = call_fid(call);
    struct stat status;
    int failed = call_name(call, name);
    if (!failed) failed = call_read(call);
    if (!failed && (!directory || !fid)) failed = -EBADF;
    if (!failed) failed = fid_origin(fids, fid, &parent, &old_name);
    if (!failed && fstatat(parent->fd, old_name, &status, AT_SYMLINK_NOFOLLOW) < 0) failed = -errno;
    if (!failed && (status.st_ino != fid->node->inode || status.st_dev != fid->node->device))
        failed = -ESTALE;
    if (!failed) failed = rename_in(parent, old_name, directory->node, name);
    if (!failed) failed = fid_moved(fids, fid, directory->node, name);
    node_release(fids, parent);
    free(old_name);
    fid_release(fids, fid);
    fid_release(fids, directory);
    return failed;
}

int op_rename_at(struct call *call)
{
    struct fid_table *fids = &call->server->fids;
    char old_name[NAME_MAX + 1], name[NAME_MAX + 1];
    struct fid *from = call_fid(call);
    int failed = call_name(call, old_name);
    struct fid *to = call_fid(call);
    int bad_name = call_name(call, name);
    if (!failed) failed = bad_name;
    if (!failed && (!from || !to)) failed = -EBADF;
    if (!failed) failed = rename_in(from->node, old_name, to->node, name);
    fid_release(fids, from);
    fid_release(fids, to);
    return failed;
}

int op_unlink_at(struct call *call)
{
    char name[NAME_MAX + 1];
    struct fid *directory = call_fid(call);
    int failed = call_name(call, name);
    u32 flags = read32(&call->in);
    if (!failed) failed = call_read(call);
    if (!failed && !directory) failed = -EBADF;
    if (!failed && unlinkat(directory->node->fd, name, flags & P9_REMOVE_DIRECTORY ? AT_REMOVEDIR : 0) < 0)
        failed = -errno;
    fid_release(&call->server->fids, directory);
    return failed;
}

/* --- Treadlink --- */

/* A link of SHARE_MAPPED is a regular file that contains the target. */
static int read_mapped(const struct server *server, const struct node *node, char *target, size_t bytes)
{
    struct stat status;
    int failed = server_status(server, node, &status);
    if (!failed && !S_ISLNK(status.st_mode)) failed = -EINVAL;
    if (failed) return failed;
    int fd = confined_open(node->fd, O_RDONLY);
    if (fd < 0) return fd;
    ssize_t length = read(fd, target, bytes - 1);
    failed = length < 0 ? -errno : 0;
    close(fd);
    if (!failed) target[length] = 0;
    return failed;
}

static int read_target(const struct server *server, const struct node *node, char *target, size_t bytes)
{
    if (S_ISREG(node->type) && server->options.security == SHARE_MAPPED)
        return read_mapped(server, node, target, bytes);
    ssize_t length = readlinkat(node->fd, "", target, bytes - 1);
    if (length < 0) return errno == ENOENT ? -EINVAL : -errno; /* the call's error for other files */
    target[length] = 0;
    return 0;
}

int op_readlink(struct call *call)
{
    char target[PATH_MAX];
    struct fid *fid = call_fid(call);
    int failed = call_read(call);
    if (!failed) failed = fid ? read_target(call->server, fid->node, target, sizeof(target)) : -EBADF;
    if (!failed) write_string(&call->out, target);
    fid_release(&call->server->fids, fid);
    return failed;
}
