/*
 * Messages of the vhost-user protocol (QEMU's docs/interop/vhost-user.rst): the front end sends requests and reads
 * answers.
 *
 *   message   +0 request, 32 bits | +4 flags: version 1, answer, an answer is wanted | +8 bytes of the payload |
 *             payload, and descriptors beside it (SCM_RIGHTS)
 *
 * The back end is another program, so an answer counts only if it is to this request, has the right length, and comes
 * in time.
 */
#ifndef RINGER_VHOST_MESSAGE_H
#define RINGER_VHOST_MESSAGE_H

#include "base/types.h"

enum vhost_request {
    VHOST_GET_FEATURES = 1,
    VHOST_SET_FEATURES = 2,
    VHOST_SET_OWNER = 3,
    VHOST_SET_MEM_TABLE = 5,
    VHOST_SET_VRING_NUM = 8,
    VHOST_SET_VRING_ADDR = 9,
    VHOST_SET_VRING_BASE = 10,
    VHOST_GET_VRING_BASE = 11,
    VHOST_SET_VRING_KICK = 12,
    VHOST_SET_VRING_CALL = 13,
    VHOST_GET_PROTOCOL_FEATURES = 15,
    VHOST_SET_PROTOCOL_FEATURES = 16,
    VHOST_GET_QUEUE_NUM = 17,
    VHOST_SET_VRING_ENABLE = 18,
    VHOST_GET_CONFIG = 24,
    VHOST_SET_CONFIG = 25,
};

#define VHOST_F_PROTOCOL_FEATURES (1ull << 30)

#define VHOST_PROTOCOL_MQ        (1ull << 0)
#define VHOST_PROTOCOL_REPLY_ACK (1ull << 3)
#define VHOST_PROTOCOL_CONFIG    (1ull << 9)

#define VHOST_MESSAGE_HEAD_BYTES 12
#define VHOST_PAYLOAD_BYTES      512
#define VHOST_MESSAGE_FDS        8

struct vhost_socket {
    int fd;
    bool acknowledges;   /* the back end answers every request on demand */
    const char *trouble; /* why the back end is lost; NULL: it is not */
};

/* Each returns false when the back end is lost; `trouble` then says why. */

/* Sends a request, with descriptors, and waits for its acknowledgement if the back end sends one. */
bool vhost_tell(struct vhost_socket *socket, u32 request, const void *payload, u32 bytes, const int *fds,
                unsigned fd_count);
/* Sends a request with a payload, and reads its answer of exactly that size. */
bool vhost_ask(struct vhost_socket *socket, u32 request, const void *payload, u32 bytes, void *answer,
               u32 answer_bytes);

/* Requests with one number, or with a queue's number and a value. */
bool vhost_tell_u64(struct vhost_socket *socket, u32 request, u64 value);
bool vhost_ask_u64(struct vhost_socket *socket, u32 request, u64 *value);
bool vhost_tell_queue(struct vhost_socket *socket, u32 request, u32 queue, u32 value);
/* A descriptor for a queue. */
bool vhost_tell_fd(struct vhost_socket *socket, u32 request, u32 queue, int fd);

#endif
