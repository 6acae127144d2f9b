#include "waker.h"

#include "cpu/vcpu.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

u64 host_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGUSR1);
}

void waker_block_signals(void)
{
    sigset_t set;
    watched_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* --- the waker thread --- */

static void raise_event(struct waker *waker, u32 event)
{
    if (event) __atomic_or_fetch(&waker->events, event, __ATOMIC_SEQ_CST);
    __atomic_or_fetch(waker->pending, PENDING_HOST, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&waker->waiting, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, waker->pending, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void take_signal(struct waker *waker)
{
    struct signalfd_siginfo info;
    if (read(waker->signal_fd, &info, sizeof(info)) != sizeof(info)) return;
    if (info.ssi_signo == SIGUSR1) {
        raise_event(waker, WAKER_DUMP);
        return;
    }
    __atomic_store_n(&waker->signal, info.ssi_signo, __ATOMIC_SEQ_CST);
    __atomic_store_n(&waker->giving_up, 1, __ATOMIC_SEQ_CST);
    raise_event(waker, WAKER_QUIT);
}

/* Settle what to sleep for: publish it, then look again, because the vCPU publishes its deadline and then
 * looks here. One of the two sees the other's store. */
static u64 settle_deadline(struct waker *waker)
{
    u64 deadline = __atomic_load_n(&waker->deadline_ns, __ATOMIC_SEQ_CST);
    for (;;) {
        __atomic_store_n(&waker->sleeping_until_ns, deadline, __ATOMIC_SEQ_CST);
        u64 again = __atomic_load_n(&waker->deadline_ns, __ATOMIC_SEQ_CST);
        if (again >= deadline) return deadline;
        deadline = again;
    }
}

static void sleep_until(u64 wake_ns, struct pollfd *fds, unsigned count)
{
    struct timespec left, *timeout = NULL;
    if (wake_ns != UINT64_MAX) {
        u64 now = host_now_ns();
        u64 ns = wake_ns > now ? wake_ns - now : 0;
        left = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
        timeout = &left;
    }
    if (ppoll(fds, count, timeout, NULL) <= 0)
        for (unsigned i = 0; i < count; i++)
            fds[i].revents = 0;
}

static void check_time(struct waker *waker)
{
    u64 now = host_now_ns();
    if (now >= waker->timeout_at_ns) {
        waker->timeout_at_ns = UINT64_MAX;
        __atomic_store_n(&waker->giving_up, 1, __ATOMIC_SEQ_CST);
        raise_event(waker, WAKER_TIMEOUT);
    }
    u64 deadline = __atomic_load_n(&waker->deadline_ns, __ATOMIC_SEQ_CST);
    if (now >= deadline && __atomic_compare_exchange_n(&waker->deadline_ns, &deadline, UINT64_MAX, false,
                                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        raise_event(waker, 0);
}

static void *waker_main(void *argument)
{
    struct waker *waker = argument;
    /* The default slack of 50 us would make every guest tick late by that. */
    prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
    while (!__atomic_load_n(&waker->stop, __ATOMIC_SEQ_CST)) {
        u64 wake = settle_deadline(waker);
        if (waker->timeout_at_ns < wake) wake = waker->timeout_at_ns;
        bool input = __atomic_load_n(&waker->input_wanted, __ATOMIC_SEQ_CST);
        struct pollfd fds[3] = {{.fd = waker->kick_fd, .events = POLLIN},
                                {.fd = waker->signal_fd, .events = POLLIN},
                                {.fd = waker->input_fd, .events = POLLIN}};
        sleep_until(wake, fds, input ? 3 : 2);
        if (fds[0].revents) {
            u64 kicks;
            if (read(waker->kick_fd, &kicks, sizeof(kicks)) < 0) { /* another pass empties it */
            }
        }
        if (fds[1].revents) take_signal(waker);
        if (input && fds[2].revents) {
            __atomic_store_n(&waker->input_wanted, 0, __ATOMIC_SEQ_CST);
            raise_event(waker, WAKER_INPUT);
        }
        check_time(waker);
    }
    return NULL;
}

/* --- the vCPU thread --- */

/* See waker.h, invariant 1. Some ticks of a usual guest, but no multiple of a tick: the two threads would
 * wake at the same moment. */
#define LAZY_NS 9500000u

static void kick(struct waker *waker)
{
    u64 one = 1;
    ssize_t done;
    do
        done = write(waker->kick_fd, &one, sizeof(one));
    while (done < 0 && errno == EINTR);
}

int waker_start(struct waker *waker, u32 *pending, int input_fd, u64 timeout_ns)
{
    sigset_t set;
    watched_signals(&set);
    *waker =
        (struct waker){.pending = pending,
                       .input_fd = input_fd,
                       .kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                       .signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                       .timeout_at_ns = timeout_ns == UINT64_MAX ? UINT64_MAX : host_now_ns() + timeout_ns,
                       .deadline_ns = UINT64_MAX,
                       .sleeping_until_ns = UINT64_MAX,
                       .input_wanted = input_fd >= 0};
    if (waker->kick_fd < 0 || waker->signal_fd < 0) return -errno;
    return -pthread_create(&waker->thread, NULL, waker_main, waker);
}

void waker_stop(struct waker *waker)
{
    __atomic_store_n(&waker->stop, 1, __ATOMIC_SEQ_CST);
    kick(waker);
    pthread_join(waker->thread, NULL);
    close(waker->kick_fd);
    close(waker->signal_fd);
}

void waker_set_deadline(struct waker *waker, u64 deadline_ns)
{
    if (waker->lazy && deadline_ns < UINT64_MAX - LAZY_NS) deadline_ns += LAZY_NS;
    __atomic_store_n(&waker->deadline_ns, deadline_ns, __ATOMIC_SEQ_CST);
    if (deadline_ns < __atomic_load_n(&waker->sleeping_until_ns, __ATOMIC_SEQ_CST)) kick(waker);
}

void waker_want_input(struct waker *waker)
{
    if (waker->input_fd < 0 || __atomic_exchange_n(&waker->input_wanted, 1, __ATOMIC_SEQ_CST)) return;
    kick(waker);
}

u32 waker_take_events(struct waker *waker)
{
    waker->lazy = false; /* it was needed: the guest is busy */
    return __atomic_exchange_n(&waker->events, 0, __ATOMIC_SEQ_CST);
}

void waker_wait(struct waker *waker, u64 deadline_ns)
{
    struct timespec until, *timeout = NULL;
    if (deadline_ns != UINT64_MAX) {
        until = (struct timespec){.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                  .tv_nsec = (long)(deadline_ns % 1000000000u)};
        timeout = &until;
    }
    waker->lazy = true;
    __atomic_store_n(&waker->waiting, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(waker->pending, __ATOMIC_SEQ_CST)) {
        long failed = syscall(SYS_futex, waker->pending, FUTEX_WAIT_BITSET_PRIVATE, 0, timeout, NULL,
                              FUTEX_BITSET_MATCH_ANY);
        if (failed && errno == ETIMEDOUT) break;
    }
    __atomic_store_n(&waker->waiting, 0, __ATOMIC_SEQ_CST);
}
