/*
 * The front end of vhost-user: struct vhost (base/vhost.h) over a Unix socket to a program that serves the queues of
 * a device, as virtiofsd, qemu-storage-daemon or a switch do. The program maps the guest's RAM, which is a memfd, and
 * a page for each ring. One eventfd for each queue wakes the program, and another one wakes Ringer.
 *
 * Each front end has a thread (net/loop.h) that waits for these eventfds and for the end of the connection, and sends
 * a letter. The vCPU thread does everything else. When it starts and stops queues, it waits for answers of the back
 * end, at most VHOST_ANSWER_S.
 */
#ifndef RINGER_VHOST_VHOST_USER_H
#define RINGER_VHOST_VHOST_USER_H

#include "base/mailbox.h"
#include "base/vhost.h"

#define VHOST_ANSWER_S 5

/* The guest's RAM: a file, and the addresses of its parts. */
#define VHOST_REGIONS 2
struct vhost_memory {
    int fd;
    unsigned regions;
    struct vhost_region {
        u64 gpa, bytes, offset;
        const u8 *host;
    } region[VHOST_REGIONS];
};

/* Connect to the socket, or, as a server, wait until a back end connects. NULL with one sentence in error. */
struct vhost *vhost_user_open(const char *path, bool server, const struct vhost_memory *memory,
                              struct mailbox *box, char *error, size_t error_bytes);
/* The same over a connected socket, which it owns from now on, also when this fails. */
struct vhost *vhost_user_over(int fd, const char *name, const struct vhost_memory *memory,
                              struct mailbox *box, char *error, size_t error_bytes);
/* Stops the queues, ends the thread and the connection. */
void vhost_user_close(struct vhost *vhost);

#endif
