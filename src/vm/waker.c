#include "waker.h"

#include "base/confine.h"
#include "cpu/vcpu.h"
#include "translator/translator.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* From the timer, and to end the thread. */
#define WAKER_SIGNAL SIGRTMIN

static struct timespec timespec_of(u64 ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGUSR2);
    sigaddset(set, WAKER_SIGNAL);
}

void waker_block_signals(void)
{
    sigset_t set;
    watched_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* --- the waker thread --- */

/* If the thread has ended, the call fails, which does no harm. The vCPU thread does not kick itself: it tests `pending`
 * when it leaves C code, and a signal costs more than a small disk request. */
static void kick_vcpu(struct waker *waker)
{
    pid_t thread = (pid_t)__atomic_load_n(&waker->vcpu_thread, __ATOMIC_SEQ_CST);
    if (thread && !pthread_equal(pthread_self(), waker->vcpu)) tgkill(waker->process, thread, KICK_SIGNAL);
}

/* Set PENDING_HOST. Returns what the vCPU thread was doing at that moment. */
static enum vcpu_waits set_pending(struct waker *waker)
{
    __atomic_or_fetch(waker->pending, PENDING_HOST, __ATOMIC_SEQ_CST);
    enum vcpu_waits waits = (enum vcpu_waits)__atomic_load_n(&waker->waits, __ATOMIC_SEQ_CST);
    if (waits == VCPU_SLEEPS) syscall(SYS_futex, waker->pending, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return waits;
}

static void raise_event(struct waker *waker, u32 event)
{
    if (event) __atomic_or_fetch(&waker->events, event, __ATOMIC_SEQ_CST);
    if (set_pending(waker) == VCPU_RUNS) kick_vcpu(waker);
}

void waker_notice(struct waker *waker)
{
    set_pending(waker);
}

void waker_wake(struct waker *waker)
{
    raise_event(waker, 0);
}

/* Returns the signal that has come, or -1: none until then, or the wait was interrupted. */
static int wait_for_signal(u64 wake_ns, siginfo_t *info)
{
    sigset_t set;
    struct timespec left, *timeout = NULL;
    watched_signals(&set);
    if (wake_ns != UINT64_MAX) {
        u64 now = host_now_ns();
        left = timespec_of(wake_ns > now ? wake_ns - now : 0);
        timeout = &left;
    }
    return sigtimedwait(&set, info, timeout);
}

static void check_timeout(struct waker *waker)
{
    if (waker->timeout_at_ns == UINT64_MAX || host_now_ns() < waker->timeout_at_ns) return;
    waker->timeout_at_ns = UINT64_MAX;
    __atomic_store_n(&waker->giving_up, 1, __ATOMIC_SEQ_CST);
    raise_event(waker, WAKER_TIMEOUT);
}

/* A deadline has come. If the vCPU thread has set the timer again in the meantime, the timer is marked as expired
 * although it is set. Then the vCPU thread sets it once more. */
static void take_timer(struct waker *waker)
{
    __atomic_store_n(&waker->armed_ns, UINT64_MAX, __ATOMIC_SEQ_CST);
    raise_event(waker, 0);
}

static void take_signal(struct waker *waker, int signal, const siginfo_t *info)
{
    if (signal == WAKER_SIGNAL) {
        if (info->si_code == SI_TIMER) take_timer(waker);
    } else if (signal == SIGUSR1 || signal == SIGUSR2) {
        raise_event(waker, signal == SIGUSR1 ? WAKER_DUMP : WAKER_RETRY);
    } else {
        __atomic_store_n(&waker->giving_up, 1, __ATOMIC_SEQ_CST);
        raise_event(waker, WAKER_QUIT);
    }
}

static void *waker_main(void *argument)
{
    struct waker *waker = argument;
    confine_thread(ROLE_WAKER);
    while (!__atomic_load_n(&waker->stop, __ATOMIC_SEQ_CST)) {
        siginfo_t info;
        int signal = wait_for_signal(waker->timeout_at_ns, &info);
        if (signal > 0) take_signal(waker, signal, &info);
        check_timeout(waker);
    }
    return NULL;
}

/* --- the vCPU thread --- */

/* See waker.h, rule 1. It is a few ticks of an ordinary guest. */
#define LAZY_NS       9500000u
#define LAZY_LEAST_NS 1000000u

int waker_start(struct waker *waker, u32 *pending, u64 timeout_ns)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = WAKER_SIGNAL};
    *waker =
        (struct waker){.pending = pending,
                       .timeout_at_ns = timeout_ns == UINT64_MAX ? UINT64_MAX : host_now_ns() + timeout_ns,
                       .armed_ns = UINT64_MAX};
    if (timer_create(CLOCK_MONOTONIC, &event, &waker->timer) < 0) return -errno;
    return -pthread_create(&waker->thread, NULL, waker_main, waker);
}

void waker_stop(struct waker *waker)
{
    __atomic_store_n(&waker->stop, 1, __ATOMIC_SEQ_CST);
    pthread_kill(waker->thread, WAKER_SIGNAL);
    pthread_join(waker->thread, NULL);
    timer_delete(waker->timer);
}

void waker_kick_me(struct waker *waker)
{
    waker->vcpu = pthread_self();
    waker->process = getpid();
    __atomic_store_n(&waker->vcpu_thread, (u32)gettid(), __ATOMIC_SEQ_CST);
}

void waker_set_deadline(struct waker *waker, u64 deadline_ns)
{
    u64 armed = __atomic_load_n(&waker->armed_ns, __ATOMIC_SEQ_CST);
    if (deadline_ns > UINT64_MAX - LAZY_NS)
        return; /* never: at worst the waker wakes once without a reason */
    if (waker->lazy) {
        if (armed >= deadline_ns + LAZY_LEAST_NS && armed <= deadline_ns + LAZY_NS) return;
        deadline_ns += LAZY_NS;
    } else if (armed <= deadline_ns) {
        return;
    }
    __atomic_store_n(&waker->armed_ns, deadline_ns, __ATOMIC_SEQ_CST);
    struct itimerspec at = {.it_value = timespec_of(deadline_ns)};
    timer_settime(waker->timer, TIMER_ABSTIME, &at, NULL);
}

u32 waker_take_events(struct waker *waker)
{
    waker->lazy = false; /* the waker was needed: the guest is busy */
    return __atomic_exchange_n(&waker->events, 0, __ATOMIC_SEQ_CST);
}

static void set_waits(struct waker *waker, enum vcpu_waits waits)
{
    __atomic_store_n(&waker->waits, waits, __ATOMIC_SEQ_CST);
}

/* After a wait that was over so soon the next one polls for so long: an answer from the network that came quickly is
 * followed by others. The first wait that lasts longer ends the polling, so an idle guest costs nothing. (KVM calls
 * this halt polling.) */
#define LOOK_OUT_MOST_NS 100000u

static bool look_out(const struct waker *waker, u64 until_ns)
{
    do
        for (unsigned n = 0; n < 50; n++) {
            if (__atomic_load_n(waker->pending, __ATOMIC_SEQ_CST)) return true;
            __builtin_ia32_pause();
        }
    while (host_now_ns() < until_ns);
    return false;
}

/* A sample that waits is delivered afterwards, with the number of those that it stands for. So samples do not wake a
 * guest that sleeps. */
static void mask_samples(int how)
{
    sigset_t samples;
    sigemptyset(&samples);
    sigaddset(&samples, SIGPROF);
    pthread_sigmask(how, &samples, NULL);
}

static void sleep_well(struct waker *waker, u64 deadline_ns)
{
    bool sampled = waker->sampled && *waker->sampled;
    struct timespec until, *timeout = NULL;
    if (deadline_ns != UINT64_MAX) {
        until = timespec_of(deadline_ns);
        timeout = &until;
    }
    if (sampled) mask_samples(SIG_BLOCK);
    waker->lazy = true;
    waker_set_deadline(waker, deadline_ns);
    set_waits(waker, VCPU_SLEEPS);
    while (!__atomic_load_n(waker->pending, __ATOMIC_SEQ_CST)) {
        long failed = syscall(SYS_futex, waker->pending, FUTEX_WAIT_BITSET_PRIVATE, 0, timeout, NULL,
                              FUTEX_BITSET_MATCH_ANY);
        if (failed && errno == ETIMEDOUT) break;
    }
    if (sampled) mask_samples(SIG_UNBLOCK);
}

void waker_wait(struct waker *waker, u64 deadline_ns, u64 look_out_ns)
{
    bool seen = false;
    u64 began = host_now_ns();
    if (look_out_ns < waker->look_out_ns) look_out_ns = waker->look_out_ns;
    if (look_out_ns) {
        u64 until = began + look_out_ns;
        set_waits(waker, VCPU_LOOKS_OUT);
        seen = look_out(waker, until < deadline_ns ? until : deadline_ns);
    }
    if (!seen) sleep_well(waker, deadline_ns);
    set_waits(waker, VCPU_LOOKS_OUT);
    waker->look_out_ns = host_now_ns() - began < LOOK_OUT_MOST_NS ? LOOK_OUT_MOST_NS : 0;
}
