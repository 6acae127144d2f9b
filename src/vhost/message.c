#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VERSION = 1, VERSION_MASK = 3, FLAG_ANSWER = 4, FLAG_ANSWER_WANTED = 8 };

static bool trouble(struct vhost_socket *socket, const char *why)
{
    if (!socket->trouble) socket->trouble = why;
    return false;
}

static bool send_message(struct vhost_socket *socket, u32 request, u32 flags, const void *payload, u32 bytes,
                         const int *fds, unsigned fd_count)
{
    u32 head[] = {request, VERSION | flags, bytes};
    struct iovec piece[] = {{head, sizeof(head)}, {(void *)(uintptr_t)payload, bytes}};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(VHOST_MESSAGE_FDS * sizeof(int))];
    } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = piece, .msg_iovlen = 2};
    if (socket->trouble) return false;
    if (fd_count) {
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket->fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    /* Messages are far smaller than a socket's buffer. If one does not fit as a whole, the back end does not read. */
    return sent == (ssize_t)(sizeof(head) + bytes) || trouble(socket, "does not read its messages");
}

static bool receive(struct vhost_socket *socket, void *to, u32 bytes)
{
    u8 *at = to;
    while (bytes) {
        ssize_t got = recv(socket->fd, at, bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) return trouble(socket, "has closed its socket");
        if (got < 0) return trouble(socket, errno == EAGAIN ? "does not answer" : "has a broken socket");
        at += got;
        bytes -= (u32)got;
    }
    return true;
}

/* Descriptors that come with an answer are dropped by the kernel: no room is given for them. */
static bool receive_answer(struct vhost_socket *socket, u32 request, void *answer, u32 bytes)
{
    u32 head[3];
    if (!receive(socket, head, sizeof(head))) return false;
    if (head[0] != request || (head[1] & (VERSION_MASK | FLAG_ANSWER)) != (VERSION | FLAG_ANSWER) ||
        head[2] != bytes)
        return trouble(socket, "sends bad answers");
    return receive(socket, answer, bytes);
}

bool vhost_tell(struct vhost_socket *socket, u32 request, const void *payload, u32 bytes, const int *fds,
                unsigned fd_count)
{
    u64 failed = 0;
    u32 flags = socket->acknowledges ? FLAG_ANSWER_WANTED : 0;
    if (!send_message(socket, request, flags, payload, bytes, fds, fd_count)) return false;
    if (!socket->acknowledges) return true;
    if (!receive_answer(socket, request, &failed, sizeof(failed))) return false;
    return !failed || trouble(socket, "refuses to serve the device");
}

bool vhost_ask(struct vhost_socket *socket, u32 request, const void *payload, u32 bytes, void *answer,
               u32 answer_bytes)
{
    return send_message(socket, request, 0, payload, bytes, NULL, 0) &&
           receive_answer(socket, request, answer, answer_bytes);
}

bool vhost_tell_u64(struct vhost_socket *socket, u32 request, u64 value)
{
    return vhost_tell(socket, request, &value, sizeof(value), NULL, 0);
}

bool vhost_ask_u64(struct vhost_socket *socket, u32 request, u64 *value)
{
    return vhost_ask(socket, request, NULL, 0, value, sizeof(*value));
}

bool vhost_tell_queue(struct vhost_socket *socket, u32 request, u32 queue, u32 value)
{
    u32 payload[] = {queue, value};
    return vhost_tell(socket, request, payload, sizeof(payload), NULL, 0);
}

bool vhost_tell_fd(struct vhost_socket *socket, u32 request, u32 queue, int fd)
{
    u64 payload = queue;
    return vhost_tell(socket, request, &payload, sizeof(payload), &fd, 1);
}
