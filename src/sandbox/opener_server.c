/*
 * The opener's process. See opener.h.
 *
 * Between the look at a name and its use the name may come to mean another file: the guest may own a shared folder and
 * make links in it. So the directory is opened first, the rules judge where that descriptor is, and the last name is
 * used below it without following a link.
 */
#include "filter.h"
#include "opener_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 8

/* Files that the opener has made. The newest replaces the oldest, which then cannot be removed by name any more. */
#define MADE_MAX 64

struct opener {
    const struct opener_files *files;
    const char *removable;
    struct {
        dev_t device;
        ino_t inode;
    } made[MADE_MAX];
    unsigned next;
    bool refused;
};

/* A name below an open directory. */
struct spot {
    int directory;
    char name[NAME_MAX + 1];
    char real[PATH_MAX]; /* the whole path, without links in directories */
};

static int open_directory(struct spot *spot, const char *path)
{
    char link[64];
    spot->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (spot->directory < 0) return -errno;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", spot->directory);
    ssize_t length = readlink(link, spot->real, sizeof(spot->real) - 1);
    int failed = length < 0 ? -errno : length == sizeof(spot->real) - 1 ? -ENAMETOOLONG : 0;
    if (failed) close(spot->directory);
    if (!failed) spot->real[length] = 0;
    return failed;
}

/* The caller closes spot->directory. */
static int find(struct spot *spot, const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*name || !strcmp(name, ".") || !strcmp(name, "..")) return -EISDIR;
    if (strlen(name) > NAME_MAX) return -ENAMETOOLONG;
    snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int failed = open_directory(spot, directory);
    if (failed) return failed;
    strcpy(spot->name, name);
    size_t length = strlen(spot->real);
    if (length > 1) spot->real[length++] = '/';
    if (length + strlen(name) < sizeof(spot->real)) {
        strcpy(spot->real + length, name);
        return 0;
    }
    close(spot->directory);
    return -ENAMETOOLONG;
}

/* Follow links in the last name. */
static int find_target(struct spot *spot, const char *path)
{
    char at[PATH_MAX], target[PATH_MAX];
    snprintf(at, sizeof(at), "%s", path);
    for (unsigned links = 0; links < LINKS_MAX; links++) {
        int failed = find(spot, at);
        if (failed) return failed;
        ssize_t length = readlinkat(spot->directory, spot->name, target, sizeof(target) - 1);
        if (length < 0) return 0; /* no link, or nothing */
        close(spot->directory);
        target[length] = 0;
        size_t parent = (size_t)(strrchr(spot->real, '/') - spot->real) + 1;
        if (target[0] == '/') parent = 0;
        if (parent + (size_t)length >= sizeof(at)) return -ENAMETOOLONG;
        memcpy(at, spot->real, parent);
        strcpy(at + parent, target);
    }
    return -ELOOP;
}

static void remember(struct opener *o, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) return;
    o->made[o->next].device = status.st_dev;
    o->made[o->next].inode = status.st_ino;
    o->next = (o->next + 1) % MADE_MAX;
}

static bool has_made(const struct opener *o, const struct stat *status)
{
    for (unsigned n = 0; n < MADE_MAX; n++)
        if (status->st_ino && o->made[n].inode == status->st_ino && o->made[n].device == status->st_dev)
            return true;
    return false;
}

static int refuse(struct opener *o)
{
    o->refused = true;
    return -EACCES;
}

/* Returns 0 or -errno. */
static int judge(struct opener *o, const struct spot *spot, bool to_write)
{
    struct stat status;
    if (!opener_allows(o->files, spot->real, to_write)) return refuse(o);
    bool is_there = !fstatat(spot->directory, spot->name, &status, AT_SYMLINK_NOFOLLOW);
    bool is_program = is_there && S_ISREG(status.st_mode) && status.st_mode & 0111;
    return to_write && is_program && !opener_is_named(o->files, spot->real) ? refuse(o) : 0;
}

/* A temporary file has no name, only a directory. */
static int open_nameless(struct opener *o, const struct opener_request *request)
{
    struct spot spot;
    int failed = open_directory(&spot, request->path);
    if (failed) return failed;
    strcpy(spot.name, ".");
    int fd = opener_allows(o->files, spot.real, true)
                 ? openat(spot.directory, ".", request->flags | O_CLOEXEC, request->mode & 0666)
                 : refuse(o);
    failed = fd == -1 ? -errno : fd;
    close(spot.directory);
    return failed;
}

static int do_open(struct opener *o, const struct opener_request *request)
{
    struct spot spot;
    struct stat status;
    int flags = request->flags | O_CLOEXEC | O_NOCTTY;
    bool to_write = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (flags & O_PATH) return -EINVAL;
    if ((flags & O_TMPFILE) == O_TMPFILE) return open_nameless(o, request);
    int failed = flags & O_EXCL ? find(&spot, request->path) : find_target(&spot, request->path);
    if (failed) return failed;
    bool was_there = !fstatat(spot.directory, spot.name, &status, AT_SYMLINK_NOFOLLOW);
    failed = judge(o, &spot, to_write);
    int fd = failed ? -1 : openat(spot.directory, spot.name, flags | O_NOFOLLOW, request->mode & 0666);
    if (!failed && fd < 0) failed = -errno;
    close(spot.directory);
    if (!failed && !was_there) remember(o, fd);
    return failed ? failed : fd;
}

static int do_unlink(struct opener *o, const struct opener_request *request)
{
    struct spot spot;
    struct stat status;
    int failed = find(&spot, request->path);
    if (failed) return failed;
    if (fstatat(spot.directory, spot.name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        failed = -errno;
    else if (!has_made(o, &status) && !S_ISSOCK(status.st_mode) &&
             !(o->removable && !strcmp(o->removable, request->path)))
        failed = refuse(o);
    else if (unlinkat(spot.directory, spot.name, 0) < 0)
        failed = -errno;
    close(spot.directory);
    return failed;
}

static int do_rename(struct opener *o, const struct opener_request *request)
{
    struct spot from, to;
    struct stat status;
    int failed = find(&from, request->path);
    if (failed) return failed;
    failed = find(&to, request->to);
    if (!failed) {
        bool own = !fstatat(from.directory, from.name, &status, AT_SYMLINK_NOFOLLOW) && has_made(o, &status);
        failed = own ? judge(o, &to, true) : refuse(o);
        if (!failed && renameat(from.directory, from.name, to.directory, to.name) < 0) failed = -errno;
        close(to.directory);
    }
    close(from.directory);
    return failed;
}

static void reply(int socket, const struct opener_reply *reply, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec piece = {(void *)reply, sizeof(*reply)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN(sizeof(int));
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) _exit(0);
    if (fd >= 0) close(fd);
}

static void serve(struct opener *o, int socket, struct opener_request *request)
{
    int result = -EINVAL, fd = -1;
    o->refused = false;
    request->path[PATH_MAX - 1] = request->to[PATH_MAX - 1] = 0;
    switch (request->operation) {
    case OPENER_OPEN:
        fd = do_open(o, request);
        result = fd < 0 ? fd : 0;
        break;
    case OPENER_UNLINK: result = do_unlink(o, request); break;
    case OPENER_RENAME: result = do_rename(o, request); break;
    }
    reply(socket, &(struct opener_reply){.error = -result, .refused = o->refused}, fd);
}

/* Signals from the terminal are for the parent. */
static void become_opener(int *socket)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "ringer-opener");
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    *socket = dup2(*socket, 3);
    close_range(4, ~0u, 0);
    filter_enter_common(false);
}

_Noreturn void opener_serve(int socket, const struct opener_files *files, const char *removable)
{
    static struct opener_request request;
    struct opener opener = {.files = files, .removable = removable};
    become_opener(&socket);
    while (socket >= 0) {
        ssize_t got = recv(socket, &request, sizeof(request), 0);
        if (got == sizeof(request))
            serve(&opener, socket, &request);
        else if (got >= 0 || errno != EINTR)
            break;
    }
    _exit(0);
}
