/*
 * The waker: every deadline wakes the vCPU thread, later ones do not kick, and nothing makes the waker spin. Hazards:
 * a guest that hangs in HLT; an idle guest that takes a whole core.
 */
#include "vm/waker.h"

#include "check.h"
#include "cpu/vcpu.h"
#include "events.h"
#include "vm/vm.h"

#include <signal.h>

#define HOUR_NS 3600000000000u

/* Acts as a vCPU thread that runs guest code. */
static void await(const u32 *pending)
{
    while (!__atomic_load_n(pending, __ATOMIC_SEQ_CST))
        sched_yield();
}

static long waker_thread;

static void consume(u32 *pending)
{
    __atomic_and_fetch(pending, ~(u32)PENDING_HOST, __ATOMIC_SEQ_CST);
}

static void test_deadlines(struct waker *waker, u32 *pending)
{
    for (unsigned i = 0; i < 50; i++) {
        u64 deadline = host_now_ns() + 1000000;
        waker_set_deadline(waker, deadline);
        if (i % 2)
            waker_wait(waker, deadline, 0);
        else
            await(pending);
        CHECK(host_now_ns() >= deadline);
        consume(pending);
    }
    /* A later one first, then an earlier one: an hour, if the waker goes by the first. */
    waker_set_deadline(waker, host_now_ns() + HOUR_NS);
    wait_until_asleep(waker_thread);
    waker_set_deadline(waker, host_now_ns() + 2000000);
    await(pending);
    consume(pending);
    /* One that has passed already. */
    waker_set_deadline(waker, 1);
    await(pending);
    consume(pending);
}

/* The waker must keep sleeping. There is no event for which the test could wait, so it lets time pass; it is the only
 * test that does. */
#define STILL_US 50000

static bool stays_asleep(void)
{
    wait_until_asleep(waker_thread);
    u64 before = thread_runs(waker_thread);
    usleep(STILL_US);
    return thread_runs(waker_thread) == before;
}

static void test_no_spin(struct waker *waker, u32 *pending)
{
    /* A deadline that is not consumed. */
    waker_set_deadline(waker, 1);
    await(pending);
    CHECK(stays_asleep());
    consume(pending);
}

static void test_signals(struct waker *waker, u32 *pending)
{
    kill(getpid(), SIGUSR1);
    waker_wait(waker, UINT64_MAX, 0);
    CHECK_EQ(waker_take_events(waker) & WAKER_DUMP, WAKER_DUMP);
    CHECK_EQ(waker->giving_up, 0);
    consume(pending);
    kill(getpid(), SIGTERM);
    waker_wait(waker, UINT64_MAX, 0);
    CHECK_EQ(waker_take_events(waker) & WAKER_QUIT, WAKER_QUIT);
    CHECK_EQ(waker->giving_up, 1);
    consume(pending);
}

static void test_timeout(void)
{
    struct waker waker;
    u32 pending = 0;
    CHECK_EQ(waker_start(&waker, &pending, 50000000), 0);
    waker_wait(&waker, UINT64_MAX, 0);
    CHECK_EQ(waker_take_events(&waker), WAKER_TIMEOUT);
    waker_stop(&waker);
}

static unsigned letters;

static void count_letter(struct letter *letter)
{
    letters++;
}

/* Threads may send letters to a machine that has stopped, whose waker has ended (hazard: a disk that is done while
 * the process ends). */
static void test_letters(void)
{
    struct vm *vm = aligned_alloc(_Alignof(struct vm), sizeof(*vm));
    struct letter letter = {.run = count_letter};
    struct waker waker;
    if (!vm) abort();
    memset(vm, 0, sizeof(*vm));
    vm_time_init(&vm->time, &vm->vcpu, false);
    CHECK_EQ(waker_start(&waker, &vm->vcpu.pending, UINT64_MAX), 0);
    machine_set_waker(vm, &waker);
    mailbox_send(&vm->mailbox, &letter);
    CHECK_EQ(vm->vcpu.pending, PENDING_HOST);
    CHECK(mailbox_run(&vm->mailbox));
    machine_stop_timers(vm);
    waker_stop(&waker);
    mailbox_send(&vm->mailbox, &letter);
    CHECK(mailbox_run(&vm->mailbox));
    CHECK_EQ(letters, 2);
    free(vm);
}

struct notifier {
    struct waker *waker;
    unsigned after_us;
};

static void *notify_later(void *argument)
{
    const struct notifier *notifier = argument;
    usleep(notifier->after_us);
    waker_notice(notifier->waker);
    return NULL;
}

/* A notice reaches a vCPU that waits, whether it is awake, asleep, or on its way from one to the other. */
static void test_notices(struct waker *waker, u32 *pending)
{
    for (unsigned n = 0; n < 300; n++) {
        struct notifier notifier = {waker, n * 7 % 400};
        pthread_t thread;
        CHECK(!pthread_create(&thread, NULL, notify_later, &notifier));
        waker_wait(waker, host_now_ns() + 30000000000u, n % 3 * 100000);
        CHECK(*pending);
        pthread_join(thread, NULL);
        consume(pending);
    }
    u64 start = host_now_ns();
    waker_wait(waker, start + 2000000, HOUR_NS); /* awake no longer than the deadline */
    CHECK(host_now_ns() >= start + 2000000);
    await(pending);
    consume(pending);
}

static volatile sig_atomic_t kicks;

static void count_kick(int signal)
{
    kicks++;
}

static void *wake(void *waker)
{
    waker_wake(waker);
    return NULL;
}

static void wake_from_outside(struct waker *waker, u32 *pending)
{
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, wake, waker));
    pthread_join(thread, NULL);
    CHECK_EQ(*pending, PENDING_HOST);
    consume(pending);
}

/* The vCPU thread is kicked only while it may be in guest code, and a kick does not wake the waker, too (hazard: two
 * switches of threads for each). */
static void test_kicks(struct waker *waker, u32 *pending)
{
    sigaction(SIGURG, &(struct sigaction){.sa_handler = count_kick}, NULL);
    waker_kick_me(waker);
    waker_wait(waker, 1, 0);
    wait_until_asleep(waker_thread); /* it is done with that deadline and those of other tests */
    consume(pending);
    wake_from_outside(waker, pending);
    CHECK_EQ(kicks, 0);
    CHECK(waker_runs(waker));
    CHECK(!waker_runs(waker));
    wait_until_asleep(waker_thread);
    u64 before = thread_runs(waker_thread);
    wake_from_outside(waker, pending);
    CHECK_EQ(kicks, 1);
    CHECK_EQ(thread_runs(waker_thread), before);
}

int main(void)
{
    struct waker waker;
    u32 pending = 0;
    alarm(EVENT_LIMIT_S);
    waker_block_signals();
    CHECK_EQ(waker_start(&waker, &pending, UINT64_MAX), 0);
    waker_thread = other_thread();
    test_deadlines(&waker, &pending);
    test_no_spin(&waker, &pending);
    test_notices(&waker, &pending);
    test_kicks(&waker, &pending);
    test_signals(&waker, &pending);
    waker_stop(&waker);
    test_timeout();
    test_letters();
    return check_report();
}
