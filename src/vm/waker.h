/*
 * The waker: a thread that sleeps until host time or a signal concerns the machine, and then
 * does nothing but set PENDING_HOST and wake the vCPU thread; all device code runs there.
 *
 * These rules keep the waker from spinning, and both threads from unnecessary system calls:
 * 1. Timers: the vCPU thread publishes the next deadline. It sets a timer whose signal the waker waits for; to set it
 *    does not wake the waker. It sets the timer only for a deadline *earlier* than the set one; for a later one the
 *    waker wakes once for nothing. When the timer has expired, the waker marks that in armed_ns, and the vCPU thread
 *    sets the timer again. An idle vCPU thread sleeps until its deadline by itself. After that the waker is needed only
 *    if the guest becomes busy, and then it may be late by LAZY_NS once. So the timer is set later by LAZY_NS, and is
 *    moved every few ticks before it expires. The ticks of an idle guest never wake the waker.
 * 2. Signals (INT TERM HUP QUIT: quit; USR1: dump the screen; USR2: try again; the timer's) are blocked in every
 *    thread, and the waker waits for them: no handler, no global. A thread that polls a signalfd is woken by every
 *    signal of the process, whichever the signalfd is for: by each kick of the vCPU thread.
 *
 * The vCPU thread calls the functions up to waker_runs(). Any thread may call waker_wake() and waker_notice().
 */
#ifndef RINGER_VM_WAKER_H
#define RINGER_VM_WAKER_H

#include "base/host_time.h"

#include <pthread.h>

enum waker_event {
    WAKER_QUIT = 1 << 1,    /* a signal asks to end */
    WAKER_TIMEOUT = 1 << 2, /* --timeout */
    WAKER_DUMP = 1 << 3,    /* SIGUSR1 */
    WAKER_RETRY = 1 << 4,   /* SIGUSR2 */
};

/* What the vCPU thread is doing, and what makes it test `pending`. */
enum vcpu_waits {
    VCPU_RUNS,      /* a kick: it may be in translated code */
    VCPU_LOOKS_OUT, /* nothing: it polls `pending`, or will test it before it runs guest code */
    VCPU_SLEEPS,    /* a futex */
};

struct waker {
    pthread_t thread;
    u32 *pending; /* vcpu.pending */
    timer_t timer;
    u64 timeout_at_ns;   /* CLOCK_MONOTONIC; UINT64_MAX: never */
    bool lazy;           /* the vCPU has idled, and the waker has not been needed since */
    u64 look_out_ns;     /* how long the next wait polls at least */
    const bool *sampled; /* vcpu.sampled; NULL: never */
    /* shared, atomic */
    u64 armed_ns; /* what `timer` is set to, CLOCK_MONOTONIC; UINT64_MAX: it has expired, or was never set */
    u32 events;   /* enum waker_event, for waker_take_events() */
    u32 vcpu_thread; /* the thread to kick, 0: not known yet */
    pthread_t vcpu;  /* the same thread; set before vcpu_thread */
    pid_t process;   /* getpid(), for a kick; set before vcpu_thread */
    u32 waits;       /* enum vcpu_waits */
    u32 run;         /* how often it has gone on after a wait */
    u32 stop;
    u32 giving_up; /* QUIT or TIMEOUT was seen: output must not block */
};

/* Block the signals of rule 2 in this thread and those that it will start. Call it before any other thread exists. */
void waker_block_signals(void);

/* Start the thread. Returns 0 or -errno. `pending` must outlive the waker. */
int waker_start(struct waker *waker, u32 *pending, u64 timeout_ns);
/* The thread ends. Other threads may still call waker_wake() and waker_notice(). */
void waker_stop(struct waker *waker);

/* The calling thread is the vCPU thread: kicks go there. Call it before guest code runs. */
void waker_kick_me(struct waker *waker);
/* The next deadline in CLOCK_MONOTONIC nanoseconds, UINT64_MAX for none. */
void waker_set_deadline(struct waker *waker, u64 deadline_ns);
/* The events since the last call. */
u32 waker_take_events(struct waker *waker);
/* Wait until *pending is not zero or the deadline (CLOCK_MONOTONIC, UINT64_MAX: never) has come. For the first
 * look_out_ns, or for longer if the last wait was short, poll: some events come sooner than a thread sleeps and
 * wakes. */
void waker_wait(struct waker *waker, u64 deadline_ns, u64 look_out_ns);

/* After a wait, before guest code runs: from now on it must be kicked. True: something has changed, so test *pending
 * once more. */
static inline bool waker_runs(struct waker *waker)
{
    if (__atomic_load_n(&waker->waits, __ATOMIC_RELAXED) == VCPU_RUNS) return false;
    __atomic_store_n(&waker->run, (waker->run + 1) & INT32_MAX, __ATOMIC_RELAXED);
    __atomic_store_n(&waker->waits, VCPU_RUNS, __ATOMIC_SEQ_CST);
    return true;
}

/* The number of the guest's run since the last wait; 0: the vCPU thread waits, or is about to test *pending. */
static inline u32 waker_run(const struct waker *waker)
{
    if (__atomic_load_n(&waker->waits, __ATOMIC_RELAXED) != VCPU_RUNS) return 0;
    return __atomic_load_n(&waker->run, __ATOMIC_RELAXED) + 1;
}

/* Any thread: set PENDING_HOST, and kick or wake the vCPU thread. */
void waker_wake(struct waker *waker);
/* The same, but running guest code is not interrupted: the thread looks when it leaves guest code by itself. */
void waker_notice(struct waker *waker);

#endif
