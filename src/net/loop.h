/*
 * The network thread: one a machine, which runs every back end.
 *
 * A back end is a source of events. In each round the thread asks all sources which descriptors they wait for
 * and until when, waits, and tells them. work() is for what comes from the vCPU thread without a descriptor:
 * frames to be sent.
 *
 * To wake a sleeping thread costs more than most frames do. So the thread polls for look_out_ns after the last event
 * before it sleeps, and net_loop_wake() costs nothing while it is awake.
 */
#ifndef RINGER_NET_LOOP_H
#define RINGER_NET_LOOP_H

#include "base/confine.h"
#include "base/types.h"

#include <poll.h>
#include <pthread.h>

#define LOOP_LOOK_OUT_NS 50000u

struct net_loop;

/* The descriptors of a round. */
struct net_poll {
    struct pollfd *fds;
    unsigned count, capacity;
    u64 wake_ns; /* CLOCK_MONOTONIC: sleep no longer than until then; UINT64_MAX: for ever */
};
/* Wait for `events` of fd. Returns its index in fds, or -1: out of memory. */
int net_poll_add(struct net_poll *poll, int fd, short events);
static inline void net_poll_until(struct net_poll *poll, u64 ns)
{
    if (ns < poll->wake_ns) poll->wake_ns = ns;
}

struct net_source {
    /* Any may be NULL. */
    void (*fill)(struct net_source *source, struct net_poll *poll);
    void (*ready)(struct net_source *source, const struct net_poll *poll);
    bool (*work)(struct net_source *source); /* do what is to be done; true if there was anything */
    void (*rest)(struct net_source *source); /* before the thread sleeps */
    struct net_source *next;
};

struct net_loop {
    pthread_t thread;
    bool started;
    enum thread_role role; /* in the sandbox */
    int wake_fd;
    u32 sleeps; /* atomic */
    u32 stop;   /* atomic */
    u64 look_out_ns;
    struct net_source *sources;
    struct net_poll poll;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t answered;
    u64 calls_answered;
    void (*call)(void *argument);
    void *argument;
};

/* look_out_ns is LOOP_LOOK_OUT_NS; the caller may change it. Returns 0 or -errno. Sources are added before the thread
 * starts, or on it. */
int net_loop_init(struct net_loop *loop, enum thread_role role);
void net_loop_add(struct net_loop *loop, struct net_source *source);
/* On the thread, or before it starts. Does nothing if the source is not there. */
void net_loop_remove(struct net_loop *loop, struct net_source *source);
/* Returns 0 or -errno. All signals are blocked in the thread. */
int net_loop_start(struct net_loop *loop);
/* End the thread, and wait for that. What the sources hold is still there. */
void net_loop_stop(struct net_loop *loop);
void net_loop_destroy(struct net_loop *loop);

/* Any thread: there is work. */
void net_loop_wake(struct net_loop *loop);
/* Any other thread: run call(argument) on the network thread, and wait for its end. Before the start and
 * after the end it runs where it is called. */
void net_loop_run(struct net_loop *loop, void (*call)(void *argument), void *argument);

#endif
