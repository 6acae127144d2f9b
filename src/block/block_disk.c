#include "block_disk.h"

#include "base/host_time.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Deterministic: guest time from one completion (or submission) to the next. */
#define STEP_NS 50000u

/* --- queues --- */

static void queue_init(struct request_queue *queue)
{
    *queue = (struct request_queue){.end = &queue->first};
}

static void queue_put(struct request_queue *queue, struct disk_request *request)
{
    request->letter.next = NULL;
    *queue->end = &request->letter;
    queue->end = &request->letter.next;
    queue->count++;
}

static struct disk_request *queue_take(struct request_queue *queue)
{
    struct letter *first = queue->first;
    if (!first) return NULL;
    queue->first = first->next;
    if (!queue->first) queue->end = &queue->first;
    queue->count--;
    return container_of(first, struct disk_request, letter);
}

static struct block_disk *disk_of(const struct disk_request *request)
{
    return container_of(request->disk, struct block_disk, disk);
}

/* --- doing: any thread --- */

static int flush(struct block_disk *disk)
{
    if (disk->never_flush || disk->image->read_only) return 0;
    bool written = __atomic_exchange_n(&disk->written, false, __ATOMIC_SEQ_CST);
    int failed = disk->image->ops->flush(disk->image);
    if (failed && written) __atomic_store_n(&disk->written, true, __ATOMIC_SEQ_CST);
    return failed;
}

static struct span span_of_request(const struct disk_request *request)
{
    struct span whole = {request->part, request->part_count, 0, request->bytes};
    return span_slice(whole, 0, request->bytes); /* past parts at the front that are empty */
}

static int perform_write(struct block_disk *disk, struct disk_request *request)
{
    struct disk_image *image = disk->image;
    struct span span = span_of_request(request);
    bool zero =
        request->operation == DISK_ZERO || (disk->detect_zeroes != DETECT_ZEROES_OFF && span_is_zero(span));
    int failed = zero ? image->ops->zero(image, request->offset, request->bytes)
                      : image->ops->write(image, request->offset, span);
    return failed || !disk->write_through ? failed : flush(disk);
}

static int perform(struct disk_request *request)
{
    struct block_disk *disk = disk_of(request);
    struct disk_image *image = disk->image;
    if (!request->bytes && request->operation != DISK_FLUSH) return 0;
    switch (request->operation) {
    case DISK_READ: return image->ops->read(image, request->offset, span_of_request(request));
    case DISK_ZERO:
    case DISK_WRITE: return perform_write(disk, request);
    case DISK_FLUSH: return flush(disk);
    case DISK_DISCARD: return disk->discard ? image->ops->discard(image, request->offset, request->bytes) : 0;
    }
    return -EINVAL;
}

/* --- letters --- */

/* The vCPU thread is not interrupted for a letter at once: a guest that does more than compute comes by for
 * it, and for those that follow, long before. */
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

/* --- looking out --- */

/* To wake a sleeping thread takes many times as long as a small request, and who has had one often has
 * another soon: before a thread sleeps it looks out for so long. One does at a time. */
#define POLL_NS 30000u
static_assert(POLL_NS > HURRY_AFTER_NS, "who looks out sees to the letters");

static void poll_for_work(struct disk_crew *crew)
{
    u64 until = host_now_ns() + POLL_NS;
    do {
        for (unsigned n = 0; n < 50; n++) {
            if (__atomic_load_n(&crew->queue.first, __ATOMIC_RELAXED)) return;
            __builtin_ia32_pause();
        }
        hurry_if_due(crew);
    } while (host_now_ns() < until);
}

/* --- flushes nobody asked for --- */

/* Lock held. */
static void plan_write_back(struct disk_crew *crew)
{
    if (crew->write_back_at == UINT64_MAX) crew->write_back_at = host_now_ns() + crew->write_back_ns;
}

/* Lock held; a request is done. */
static void note_done(struct disk_crew *crew, struct block_disk *disk, enum disk_operation operation)
{
    bool changes = operation != DISK_READ && operation != DISK_FLUSH;
    if (!changes || !disk->image->ops->keeps_tables) return;
    __atomic_store_n(&disk->written, true, __ATOMIC_SEQ_CST);
    plan_write_back(crew);
}

/* Lock held; a thread has done what it had counted as work. */
static void at_rest(struct disk_crew *crew)
{
    if (!--crew->working && !crew->queue.first) pthread_cond_signal(&crew->idle);
}

/* Lock held on entry and return. What fails is tried again later; the guest is told by a flush of its own. */
static void write_back_if_due(struct disk_crew *crew)
{
    bool again = false;
    if (crew->write_back_at == UINT64_MAX || host_now_ns() < crew->write_back_at) return;
    crew->write_back_at = UINT64_MAX;
    crew->working++;
    pthread_mutex_unlock(&crew->lock);
    hurry(crew);
    for (struct block_disk *disk = crew->disks; disk; disk = disk->next)
        if (__atomic_load_n(&disk->written, __ATOMIC_SEQ_CST) && flush(disk)) again = true;
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

/* What lies in the host's memory is copied at once: that takes less time than to wake a thread, which costs
 * more than anything else about a small request. Larger ones are better done beside the guest; a guest that
 * reads files through its own cache asks for so much. */
#define NOW_BYTES 131072u

/* So many quick requests one thread does before another has woken. */
#define QUICK_QUEUE 8

/* A request of that size that took less was copied from or to the host's memory: the next one will be, too.
 * (No disk reads in that time. A write goes into memory, but file systems take a while over a clean page, and
 * one thread at a time.) */
#define QUICK_READ_NS  30000u
#define QUICK_WRITE_NS 100000u

/* Lock held. Where the disk's memory of such requests is; NULL: there are no quick ones of this kind. */
static bool *quickness(const struct disk_request *request)
{
    bool moves = request->operation == DISK_READ || request->operation == DISK_WRITE;
    return moves && request->bytes <= NOW_BYTES ? &disk_of(request)->quick[request->operation == DISK_WRITE]
                                                : NULL;
}

static void *worker(void *argument);

/* Lock held. */
static bool start_thread(struct disk_crew *crew)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the other threads' business */
    int failed = pthread_create(&crew->thread[crew->threads], NULL, worker, crew);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) crew->threads++;
    return !failed;
}

/* Lock held: for what is left in the queue by a thread that may be long. */
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
    struct block_disk *disk = disk_of(request);
    enum disk_operation operation = request->operation;
    u64 start = host_now_ns();
    bool *quick = quickness(request), expected_quick = quick && *quick && start < crew->write_back_at;
    crew->working++;
    crew->quick += expected_quick;
    if (!expected_quick) call_another(crew);
    pthread_mutex_unlock(&crew->lock);
    if (expected_quick)
        hurry_if_due(crew);
    else
        hurry(crew);
    request->error = perform(request);
    bool was_quick = host_now_ns() - start < (operation == DISK_READ ? QUICK_READ_NS : QUICK_WRITE_NS);
    send_letter(crew, &request->letter);
    pthread_mutex_lock(&crew->lock);
    crew->quick -= expected_quick;
    if (quick) *quick = was_quick;
    note_done(crew, disk, operation);
    at_rest(crew);
    if (!expected_quick) write_back_if_due(crew);
}

static void *worker(void *argument)
{
    struct disk_crew *crew = argument;
    bool polled = true;
    pthread_mutex_lock(&crew->lock);
    for (;;) {
        struct disk_request *request = queue_take(&crew->queue);
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

/* --- completion: the vCPU thread --- */

static const char *const verbs[] = {[DISK_READ] = "read",
                                    [DISK_WRITE] = "write",
                                    [DISK_FLUSH] = "flush",
                                    [DISK_DISCARD] = "discard",
                                    [DISK_ZERO] = "zero"};

static enum error_policy policy_of(const struct block_disk *disk, const struct disk_request *request)
{
    enum error_policy policy = request->operation == DISK_READ ? disk->on_read_error : disk->on_write_error;
    bool full = request->error == -ENOSPC || request->error == -EDQUOT;
    if (policy == ON_ERROR_ENOSPC) return full ? ON_ERROR_STOP : ON_ERROR_REPORT;
    return policy;
}

static void hold(struct disk_crew *crew, struct disk_request *request)
{
    struct block_disk *disk = disk_of(request);
    bool first = !crew->held.first && !crew->retrying;
    queue_put(&crew->held, request);
    if (!first || !crew->stalled) return;
    char message[512];
    snprintf(message, sizeof(message), "%s: cannot %s at byte %" PRIu64 ": %s", disk->name,
             verbs[request->operation], request->offset, strerror(-request->error));
    crew->stalled(crew->machine, message);
}

/* The first, the second, the fourth, ...: a guest can make as many as it likes. */
static void tell(struct block_disk *disk, const struct disk_request *request)
{
    if (!request->error) return;
    disk->failures++;
    if (disk->failures & (disk->failures - 1)) return;
    log_warn("%s: cannot %s at byte %" PRIu64 ": %s (failure %" PRIu64 ")", disk->name,
             verbs[request->operation], request->offset, strerror(-request->error), disk->failures);
}

static void finish(struct letter *letter)
{
    struct disk_request *request = container_of(letter, struct disk_request, letter);
    struct block_disk *disk = disk_of(request);
    disk->crew->under_way--;
    enum error_policy policy = request->error ? policy_of(disk, request) : ON_ERROR_REPORT;
    if (policy == ON_ERROR_STOP) {
        hold(disk->crew, request);
        return;
    }
    tell(disk, request);
    if (policy == ON_ERROR_IGNORE) request->error = 0;
    request->done(request);
}

/* One that was held has come back. */
static void finish_retry(struct letter *letter)
{
    struct disk_request *request = container_of(letter, struct disk_request, letter);
    struct disk_crew *crew = disk_of(request)->crew;
    request->letter.run = finish;
    finish(letter); /* perhaps to be held again, in silence: it still counts as retrying */
    if (--crew->retrying || crew->held.first) return;
    if (crew->resumed) crew->resumed(crew->machine);
}

/* Refused at once: told like everything else, but never from within submit(). */
static void finish_refused(struct letter *letter)
{
    struct disk_request *request = container_of(letter, struct disk_request, letter);
    request->done(request);
}

static void perform_next(struct disk_crew *crew)
{
    struct disk_request *request = queue_take(&crew->later);
    if (request->letter.run != finish_refused) request->error = perform(request);
    request->letter.run(&request->letter);
}

static void fire(void *device)
{
    struct disk_crew *crew = device;
    if (crew->later.first->next) timer_arm(&crew->timer, clock_now(crew->clock) + STEP_NS);
    perform_next(crew);
}

/* --- submission --- */

static void enqueue(struct disk_crew *crew, struct disk_request *request)
{
    if (crew->clock) {
        if (!crew->later.first) timer_arm(&crew->timer, clock_now(crew->clock) + STEP_NS);
        queue_put(&crew->later, request);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    /* By one who is awake: to wake more would take longer than all that he has to do. */
    bool expected = (crew->polling && !crew->queue.count) || (crew->quick && crew->queue.count < QUICK_QUEUE);
    queue_put(&crew->queue, request);
    bool wake = crew->waiting && !expected;
    bool more = !crew->waiting && !expected && crew->threads < DISK_CREW_THREADS;
    bool alone = more && !start_thread(crew) && !crew->threads;
    if (alone) queue_take(&crew->queue);
    pthread_mutex_unlock(&crew->lock);
    if (wake) pthread_cond_signal(&crew->work);
    if (alone) { /* a host without room for one thread */
        request->error = perform(request);
        mailbox_send(crew->box, &request->letter);
    }
}

static int refusal(const struct block_disk *disk, const struct disk_request *request)
{
    u64 memory = 0, sector = DISK_SECTOR_BYTES - 1;
    if (!disk->image) return -ENOMEDIUM;
    if (request->operation == DISK_FLUSH) return 0;
    if ((request->offset | request->bytes) & sector || request->offset > disk->disk.bytes ||
        request->bytes > disk->disk.bytes - request->offset)
        return -EINVAL;
    if (request->operation != DISK_READ && disk->disk.read_only) return -EROFS;
    if (request->operation != DISK_READ && request->operation != DISK_WRITE) return 0;
    for (unsigned n = 0; n < request->part_count; n++)
        memory += request->part[n].iov_len;
    return memory < request->bytes ? -EINVAL : 0;
}

static bool read_now(const struct block_disk *disk, struct disk_request *request)
{
    const struct disk_image *image = disk->image;
    return request->operation == DISK_READ && request->bytes <= NOW_BYTES && !disk->crew->clock &&
           !image->ops->read_now(disk->image, request->offset, span_of_request(request));
}

static void submit(struct disk *seen, struct disk_request *request)
{
    struct block_disk *disk = container_of(seen, struct block_disk, disk);
    request->disk = seen;
    request->error = refusal(disk, request);
    request->letter.run = request->error ? finish_refused : finish;
    if (!request->error) disk->crew->under_way++;
    if (request->error ? !disk->crew->clock : read_now(disk, request))
        mailbox_send(disk->crew->box, &request->letter);
    else
        enqueue(disk->crew, request);
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

void disk_crew_retry(struct disk_crew *crew)
{
    struct request_queue again = crew->held;
    if (crew->retrying || !again.count) return;
    queue_init(&crew->held);
    crew->retrying = again.count;
    for (struct disk_request *request; (request = queue_take(&again));) {
        request->letter.run = finish_retry;
        crew->under_way++;
        if (crew->clock) {
            request->error = perform(request);
            finish_retry(&request->letter);
        } else {
            enqueue(crew, request);
        }
    }
}

/* --- set-up --- */

void disk_crew_init(struct disk_crew *crew, struct mailbox *box, struct clock *deterministic)
{
    *crew = (struct disk_crew){.box = box, .clock = deterministic};
    queue_init(&crew->later);
    queue_init(&crew->held);
    queue_init(&crew->queue);
    /* It is held for next to no time, and to sleep for it would take long. */
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
        for (struct disk_request *request; (request = queue_take(&crew->later));)
            if (request->letter.run != finish_refused) perform(request);
    }
    pthread_cond_destroy(&crew->work);
    pthread_cond_destroy(&crew->idle);
    pthread_mutex_destroy(&crew->lock);
}

static void put_in(struct block_disk *disk, struct disk_image *image)
{
    disk->image = image;
    disk->disk.bytes = image ? image->bytes : 0;
    disk->disk.read_only = image && image->read_only;
    disk->disk.can_discard = image && !image->read_only;
    disk->written = false;
    disk->failures = 0;
}

/* Not every device has a command to flush, nor every guest the time for it. */
static void take_out(struct block_disk *disk)
{
    int failed = disk->image ? flush(disk) : 0;
    if (failed) log_warn("%s: cannot flush: %s", disk->name, strerror(-failed));
    disk_image_close(disk->image);
}

void block_disk_init(struct block_disk *disk, struct disk_crew *crew, struct disk_image *image,
                     const char *name)
{
    *disk = (struct block_disk){.disk = {.submit = submit},
                                .crew = crew,
                                .name = strdup(name),
                                .on_write_error = ON_ERROR_ENOSPC,
                                .discard = true};
    put_in(disk, image);
    pthread_mutex_lock(&crew->lock);
    disk->next = crew->disks;
    crew->disks = disk;
    pthread_mutex_unlock(&crew->lock);
}

bool block_disk_change(struct block_disk *disk, struct disk_image *image, const char *name)
{
    struct disk_crew *crew = disk->crew;
    char *new_name = strdup(name);
    if (!new_name) return false;
    disk_crew_drain(crew);
    pthread_mutex_lock(&crew->lock);
    while (crew->working) /* a flush that nobody asked for */
        pthread_cond_wait(&crew->idle, &crew->lock);
    take_out(disk);
    put_in(disk, image);
    pthread_mutex_unlock(&crew->lock);
    free(disk->name);
    disk->name = new_name;
    return true;
}

void block_disk_destroy(struct block_disk *disk)
{
    take_out(disk);
    free(disk->name);
}
