/*
 * Many descriptors, most of them idle: poll() asks each one in each round, and with thousands of connections that is
 * where the network thread's time goes. From MANY_FDS on the kernel is told only of changes (epoll), and tells only of
 * those that are ready. A few descriptors are cheaper by poll().
 *
 *     many_fds_begin()  many_fds_add() for each descriptor  many_fds_end()
 *                                     | the loop waits |
 *     many_fds_collect()  many_fds_seen()
 *
 * A descriptor that closes must be forgotten first: the next one with its number would count as known. All of it is
 * called on the network thread, or before that starts.
 */
#ifndef RINGER_NET_MANY_FDS_H
#define RINGER_NET_MANY_FDS_H

#include "loop.h"

#include <sys/epoll.h>

#define MANY_FDS 64u

struct many_fd {
    u32 told;  /* the epoll of that number knows it; 0: none does */
    u32 round; /* when it was added last */
    short events, seen;
};

struct many_fds {
    int epoll; /* -1: there is none, and poll() is used */
    int index; /* in the loop's poll: of the epoll, or of the first descriptor; the others follow it */
    u32 number;
    u32 round;
    unsigned added, added_before; /* in this round, in the last one */
    bool failed;                  /* the kernel refused: poll() from now on */
    struct many_fd *fd;           /* by its number */
    unsigned fds;
    int *list, *list_before; /* of what was added */
    unsigned capacity;
    struct epoll_event *event; /* of the last wait */
    unsigned events;
};

void many_fds_init(struct many_fds *many);
void many_fds_destroy(struct many_fds *many);
void many_fds_forget(struct many_fds *many, int fd);

void many_fds_begin(struct many_fds *many);
/* Wait for `events` (POLLIN, ...) of fd. Returns an index for many_fds_seen(), or -1. */
int many_fds_add(struct many_fds *many, struct net_poll *poll, int fd, short events);
void many_fds_end(struct many_fds *many, struct net_poll *poll);
/* After the wait. False: none is ready. */
bool many_fds_collect(struct many_fds *many, const struct net_poll *poll);
short many_fds_seen(const struct many_fds *many, const struct net_poll *poll, int index);

#endif
