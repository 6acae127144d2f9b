#include "opener.h"

#include "base/log.h"
#include "opener_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The sandbox belongs to the process, so these are global. */
static int channel = -1;
static pid_t child;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int opener_start(const struct opener_files *files, const char *removable)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return -errno;
    child = fork();
    if (child < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    if (!child) opener_serve(ends[1], files, removable);
    close(ends[1]);
    channel = ends[0];
    return 0;
}

void opener_stop(void)
{
    if (channel < 0) return;
    close(channel);
    channel = -1;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Returns the descriptor that came with the reply, or -1. */
static int receive(struct opener_reply *reply)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {reply, sizeof(*reply)};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got;
    int fd = -1;
    do
        got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != sizeof(*reply)) *reply = (struct opener_reply){.error = EIO};
    struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head && head->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    return fd;
}

static int ask(struct opener_request *request, const char *path, const char *to)
{
    struct opener_reply reply = {.error = EIO};
    int fd = -1;
    if (strlen(path) >= PATH_MAX || strlen(to) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(request->path, path);
    strcpy(request->to, to);
    pthread_mutex_lock(&lock);
    if (send(channel, request, sizeof(*request), MSG_NOSIGNAL) == sizeof(*request)) fd = receive(&reply);
    pthread_mutex_unlock(&lock);
    /* The descriptor is lost if this process can have no more. */
    if (!reply.error && request->operation == OPENER_OPEN && fd < 0) reply.error = EMFILE;
    if (reply.refused)
        log_warn("the sandbox does not open, write or remove %s (--sandbox=off does)", *to ? to : path);
    errno = reply.error;
    return reply.error ? -1 : fd >= 0 ? fd : 0;
}

/* Names of this process's own streams, which would be the opener's there. */
static int own_stream(const char *path)
{
    return !strcmp(path, "/dev/stdout") ? STDOUT_FILENO : !strcmp(path, "/dev/stderr") ? STDERR_FILENO : -1;
}

static int ask_open(const char *path, int flags, mode_t mode)
{
    if (own_stream(path) >= 0) return fcntl(own_stream(path), F_DUPFD_CLOEXEC, 0);
    return ask(&(struct opener_request){.operation = OPENER_OPEN, .flags = flags, .mode = mode}, path, "");
}

static int ask_unlink(const char *path)
{
    return ask(&(struct opener_request){.operation = OPENER_UNLINK}, path, "");
}

static int ask_rename(const char *from, const char *to)
{
    return ask(&(struct opener_request){.operation = OPENER_RENAME}, from, to);
}

const struct host_path_ops opener_ops = {.open = ask_open, .unlink = ask_unlink, .rename = ask_rename};
