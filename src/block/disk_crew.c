#include "disk_crew.h"

#include "base/confine.h"
#include "base/host_time.h"
#include "disk_work.h"

#include <assert.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Deterministic: guest time from a submission or completion to the next completion. */
#define STEP_NS 50000u

/* --- letters --- */

/* The vCPU thread is interrupted for a letter only after this time. Unless the guest only computes, it leaves
 * translated code earlier and then finds this letter together with later ones. */
#define HURRY_AFTER_NS 20000u

static void send_letter(struct disk_crew *crew, struct letter *letter)
{
    if (mailbox_send_soon(crew->box, letter))
        __atomic_store_n(&crew->hurry_at, host_now_ns() + HURRY_AFTER_NS, __ATOMIC_SEQ_CST);
}

static void hurry(struct disk_crew *crew)
{
    if (__atomic_exchange_n(&crew->hurry_at, 0, __ATOMIC_SEQ_CST)) mailbox_hurry(crew->box);
}

static void hurry_if_due(struct disk_crew *crew)
{
    u64 at = __atomic_load_n(&crew->hurry_at, __ATOMIC_RELAXED);
    if (at && host_now_ns() >= at) hurry(crew);
}

/* --- polling --- */

/* A thread polls the queue for this time before it sleeps, because one small request is often soon followed by
 * another. */
#define POLL_NS 30000u
static_assert(POLL_NS > HURRY_AFTER_NS,
              "the polling thread interrupts the guest for letters that wait too long");

/* Lock not held. Returns early if there is a request; another thread may take it before the caller does. */
static void poll_for_work(struct disk_crew *crew)
{
    u64 until = host_now_ns() + POLL_NS;
    do {
        for (unsigned n = 0; n < 50; n++) {
            if (request_queue_any(&crew->queue)) return;
            __builtin_ia32_pause();
        }
        hurry_if_due(crew);
    } while (host_now_ns() < until);
}

/* --- write-backs: flushes that the guest did not request --- */

/* Lock held. */
static void plan_write_back(struct disk_crew *crew)
{
    if (crew->write_back_at == UINT64_MAX) crew->write_back_at = host_now_ns() + crew->write_back_ns;
}

/* Lock held: a thread has finished a request or a write-back. */
static void at_rest(struct disk_crew *crew)
{
    if (!--crew->working && !crew->queue.first) pthread_cond_signal(&crew->idle);
}

/* Lock held on entry and return. A failed write-back is tried again later. The guest learns of the failure from its own
 * flush. */
static void write_back_if_due(struct disk_crew *crew)
{
    bool again = false;
    if (crew->write_back_at == UINT64_MAX || host_now_ns() < crew->write_back_at) return;
    crew->write_back_at = UINT64_MAX;
    crew->working++;
    struct block_disk *disk = crew->disks;
    pthread_mutex_unlock(&crew->lock);
    hurry(crew);
    for (; disk; disk = disk->next)
        if (!block_disk_write_back(disk)) again = true;
    pthread_mutex_lock(&crew->lock);
    if (again) plan_write_back(crew);
    at_rest(crew);
}

/* --- the threads --- */

/* Lock held on entry and return: sleep until there is work. */
static void wait_for_work(struct disk_crew *crew)
{
    u64 until = crew->write_back_at;
    struct timespec at = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    crew->waiting++;
    if (until == UINT64_MAX)
        pthread_cond_wait(&crew->work, &crew->lock);
    else
        pthread_cond_timedwait(&crew->work, &crew->lock, &at);
    crew->waiting--;
}

/* No other thread is woken while a thread does quick requests and the queue is shorter than this. */
#define QUICK_QUEUE 8

/* A small request that took less than this was copied between memory and the host's page cache, because no disk reads
 * that fast. The next request is likely to be quick too. A write also goes to the page cache, but file systems take
 * longer to make a clean page dirty, and they do so for one thread at a time. */
#define QUICK_READ_NS  30000u
#define QUICK_WRITE_NS 100000u

static void *worker(void *argument);

/* Lock held. */
static bool start_thread(struct disk_crew *crew)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals go to other threads */
    int failed = pthread_create(&crew->thread[crew->threads], NULL, worker, crew);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) crew->threads++;
    return !failed;
}

/* Lock held. The caller begins a request that may take long: another thread must serve the rest of the queue. */
static void call_another(struct disk_crew *crew)
{
    if (!crew->queue.count || crew->polling || crew->quick) return;
    if (crew->waiting)
        pthread_cond_signal(&crew->work);
    else if (crew->threads < DISK_CREW_THREADS && !crew->stop)
        start_thread(crew);
}

/* Lock held on entry and return. */
static void serve(struct disk_crew *crew, struct disk_request *request)
{
    struct block_disk *disk = block_disk_of(request);
    enum disk_operation operation = request->operation;
    u64 start = host_now_ns();
    bool *quick = block_disk_quickness(request),
         expected_quick = quick && *quick && start < crew->write_back_at;
    crew->working++;
    crew->quick += expected_quick;
    if (!expected_quick) call_another(crew);
    pthread_mutex_unlock(&crew->lock);
    if (expected_quick)
        hurry_if_due(crew);
    else
        hurry(crew);
    block_disk_perform(request);
    bool was_quick = host_now_ns() - start < (operation == DISK_READ ? QUICK_READ_NS : QUICK_WRITE_NS);
    send_letter(crew, &request->letter);
    pthread_mutex_lock(&crew->lock);
    crew->quick -= expected_quick;
    if (quick) *quick = was_quick;
    if (block_disk_changed(disk, operation)) plan_write_back(crew);
    at_rest(crew);
    if (!expected_quick) write_back_if_due(crew);
}

static void *worker(void *argument)
{
    struct disk_crew *crew = argument;
    bool polled = true;
    confine_thread(ROLE_DISK);
    pthread_mutex_lock(&crew->lock);
    for (;;) {
        struct disk_request *request = request_queue_take(&crew->queue);
        if (request) {
            serve(crew, request);
            polled = false;
        } else if (crew->stop) {
            break;
        } else if (crew->polls && !crew->polling && !polled) {
            crew->polling = polled = true;
            pthread_mutex_unlock(&crew->lock);
            poll_for_work(crew);
            pthread_mutex_lock(&crew->lock);
            crew->polling = false;
        } else if (!crew->polling && __atomic_load_n(&crew->hurry_at, __ATOMIC_RELAXED)) {
            pthread_mutex_unlock(&crew->lock);
            hurry(crew);
            pthread_mutex_lock(&crew->lock);
        } else {
            wait_for_work(crew);
            write_back_if_due(crew);
        }
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* --- without threads --- */

static void perform_next(struct disk_crew *crew)
{
    struct disk_request *request = request_queue_take(&crew->later);
    block_disk_perform(request);
    request->letter.run(&request->letter);
}

static void fire(void *device)
{
    struct disk_crew *crew = device;
    if (crew->later.count > 1) timer_arm(&crew->timer, clock_now(crew->clock) + STEP_NS);
    perform_next(crew);
}

/* --- submission --- */

void disk_crew_enqueue(struct disk_crew *crew, struct disk_request *request)
{
    if (crew->clock) {
        if (!crew->later.first) timer_arm(&crew->timer, clock_now(crew->clock) + STEP_NS);
        request_queue_put(&crew->later, request);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    /* Will a thread that does not sleep take it soon? */
    bool expected = (crew->polling && !crew->queue.count) || (crew->quick && crew->queue.count < QUICK_QUEUE);
    request_queue_put(&crew->queue, request);
    bool wake = crew->waiting && !expected;
    bool more = !crew->waiting && !expected && crew->threads < DISK_CREW_THREADS;
    bool alone = more && !start_thread(crew) && !crew->threads;
    if (alone) request_queue_take(&crew->queue);
    pthread_mutex_unlock(&crew->lock);
    if (wake) pthread_cond_signal(&crew->work);
    if (alone) { /* the host refuses to start even one thread */
        block_disk_perform(request);
        mailbox_send(crew->box, &request->letter);
    }
}

void disk_crew_drain(struct disk_crew *crew)
{
    if (crew->clock) {
        while (crew->later.first)
            perform_next(crew);
        timer_cancel(&crew->timer);
        return;
    }
    do {
        pthread_mutex_lock(&crew->lock);
        while (crew->working || crew->queue.first)
            pthread_cond_wait(&crew->idle, &crew->lock);
        pthread_mutex_unlock(&crew->lock);
    } while (mailbox_run(crew->box));
}

void disk_crew_lock_idle(struct disk_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (crew->working)
        pthread_cond_wait(&crew->idle, &crew->lock);
}

void disk_crew_unlock(struct disk_crew *crew)
{
    pthread_mutex_unlock(&crew->lock);
}

void disk_crew_add(struct disk_crew *crew, struct block_disk *disk)
{
    pthread_mutex_lock(&crew->lock);
    disk->next = crew->disks;
    crew->disks = disk;
    pthread_mutex_unlock(&crew->lock);
}

void disk_crew_remove(struct disk_crew *crew, struct block_disk *disk)
{
    disk_crew_lock_idle(crew);
    struct block_disk **at = &crew->disks;
    while (*at != disk)
        at = &(*at)->next;
    *at = disk->next;
    disk_crew_unlock(crew);
}

/* --- set-up --- */

void disk_crew_init(struct disk_crew *crew, struct mailbox *box, struct clock *deterministic)
{
    *crew = (struct disk_crew){.box = box, .clock = deterministic};
    request_queue_init(&crew->later);
    request_queue_init(&crew->held);
    request_queue_init(&crew->queue);
    /* The lock is held so briefly that spinning for it is cheaper than sleeping. */
    pthread_mutexattr_t adaptive;
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&crew->lock, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->work, &monotonic);
    pthread_cond_init(&crew->idle, NULL);
    pthread_condattr_destroy(&monotonic);
    crew->write_back_ns = WRITE_BACK_NS;
    crew->write_back_at = UINT64_MAX;
    crew->polls = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    if (deterministic) timer_init(&crew->timer, deterministic, fire, crew);
}

void disk_crew_destroy(struct disk_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->stop = true;
    pthread_mutex_unlock(&crew->lock);
    pthread_cond_broadcast(&crew->work);
    for (unsigned n = 0; n < crew->threads; n++)
        pthread_join(crew->thread[n], NULL);
    if (crew->clock) {
        timer_cancel(&crew->timer);
        for (struct disk_request *request; (request = request_queue_take(&crew->later));)
            block_disk_perform(request);
    }
    pthread_cond_destroy(&crew->work);
    pthread_cond_destroy(&crew->idle);
    pthread_mutex_destroy(&crew->lock);
}
