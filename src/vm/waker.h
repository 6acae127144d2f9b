/*
 * The waker: the one other thread. It sleeps until host time or host input concerns the machine, and then
 * does nothing but set PENDING_HOST and wake the vCPU thread; all device code runs there.
 *
 * Hand-over, so that it never spins and never costs a system call it need not:
 * 1. Timers: the vCPU publishes the next deadline, by setting a timerfd that the waker polls, which does not
 *    wake it. Only a deadline *earlier* than the one set is worth that; after a later one the waker wakes
 *    once in vain. When the timer has expired the waker says so in armed_ns, and the vCPU publishes another.
 *    An idle vCPU sleeps until its deadline by itself. When it has woken, the waker is only there in case it
 *    gets busy, and may be LAZY_NS late that once: then the timer is set that much later, and again before it
 *    expires, every few ticks. So the ticks of an idle guest never wake the waker.
 * 2. Input: waker_want_input() asks for one readiness report; until it is asked again the descriptor is not
 *    polled. So neither a full FIFO, nor end of file, nor a slow vCPU makes it spin.
 * 3. Signals (INT TERM HUP QUIT: quit; USR1: dump the screen; USR2: try again) are blocked in every thread
 *    and read from a signalfd: no handler, no global.
 *
 * Functions up to waker_wait() are the vCPU thread's; waker_main() is the waker's own; waker_wake() and
 * waker_notice() are anybody's.
 */
#ifndef RINGER_VM_WAKER_H
#define RINGER_VM_WAKER_H

#include "base/host_time.h"

#include <pthread.h>

enum waker_event {
    WAKER_INPUT = 1 << 0,   /* input_fd is readable (or at its end) */
    WAKER_QUIT = 1 << 1,    /* a signal asks to end */
    WAKER_TIMEOUT = 1 << 2, /* --timeout */
    WAKER_DUMP = 1 << 3,    /* SIGUSR1 */
    WAKER_RETRY = 1 << 4,   /* SIGUSR2 */
};

/* What the vCPU's thread is doing, and so what it takes to have it look at `pending`. */
enum vcpu_waits {
    VCPU_RUNS,      /* a kick: it may be in translated code */
    VCPU_LOOKS_OUT, /* nothing */
    VCPU_SLEEPS,    /* a futex */
};

struct waker {
    pthread_t thread;
    u32 *pending; /* vcpu.pending */
    int kick_fd;  /* eventfd */
    int timer_fd;
    int signal_fd;
    int input_fd;      /* -1: none */
    u64 timeout_at_ns; /* CLOCK_MONOTONIC; UINT64_MAX: never */
    bool lazy;         /* the vCPU has idled, and the waker has not been needed since */
    /* shared, atomic */
    u64 armed_ns; /* what timer_fd is set to, CLOCK_MONOTONIC; UINT64_MAX: it has expired, or was never set */
    u32 events;   /* enum waker_event, for waker_take_events() */
    u32 input_wanted;
    u32 vcpu_thread; /* whom to kick; 0: nobody yet */
    pthread_t vcpu;  /* the same, set before */
    u32 waits;       /* enum vcpu_waits */
    u32 stop;
    u32 giving_up; /* QUIT or TIMEOUT was seen: whoever blocks in output must not */
};

/* Block the signals of invariant 3 in this thread and those it will start. Before any other thread exists. */
void waker_block_signals(void);

/* Start the thread. Returns 0 or -errno. `pending` must outlive the waker. */
int waker_start(struct waker *waker, u32 *pending, int input_fd, u64 timeout_ns);
void waker_stop(struct waker *waker);

/* The vCPU thread tells who it is, before it runs guests. */
void waker_kick_me(struct waker *waker);
/* The next deadline in CLOCK_MONOTONIC nanoseconds, UINT64_MAX for none. */
void waker_set_deadline(struct waker *waker, u64 deadline_ns);
/* Ask for one WAKER_INPUT. */
void waker_want_input(struct waker *waker);
/* What happened since last asked. */
u32 waker_take_events(struct waker *waker);
/* Wait until *pending is not zero or the deadline (CLOCK_MONOTONIC, UINT64_MAX: never) has come. The first
 * look_out_ns of it awake, for what will come sooner than a thread sleeps and wakes. */
void waker_wait(struct waker *waker, u64 deadline_ns, u64 look_out_ns);

/* Any thread: make the vCPU thread look at what concerns the host (PENDING_HOST), waking it if it sleeps. */
void waker_wake(struct waker *waker);
/* The same, but guest code that runs is not interrupted: the thread looks when it leaves that by itself. */
void waker_notice(struct waker *waker);

#endif
