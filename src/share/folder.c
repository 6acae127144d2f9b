#include "folder.h"

#include "base/confine.h"
#include "base/host_time.h"
#include "confined.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), NULL)

/* How long a thread polls for the next request, and how long a letter may wait before it interrupts the vCPU thread. */
#define LOOK_OUT_NS    30000u
#define HURRY_AFTER_NS 20000u
#define STEP_NS        50000u /* deterministic: guest time that a request takes */
#define OWN_RESERVE    64     /* descriptors of a thread that are not the server's */

enum state { STARTING, READY, FAILED };

struct folder {
    struct share share; /* first */
    struct server server;
    struct share_options options;
    struct mailbox *box;
    int root_fd; /* the first thread takes it over: then it is in that thread's table of descriptors */
    bool own_descriptors; /* invariant 2; set by the first thread */
    struct clock *clock;  /* deterministic; NULL: not */
    struct timer timer;
    struct share_request *later, **later_end; /* deterministic: not yet in the queue */
    bool polls;                               /* constant: the host has enough processors */

    pthread_mutex_t lock; /* of the fields below, except atomic ones */
    pthread_cond_t work;
    pthread_cond_t idle; /* signals: nothing is at work; a barrier is done; the first thread is ready */
    struct share_request *queue, **queue_end;
    u32 queued; /* atomic: in the queue, or a forget */
    struct share_request *at_work;
    unsigned working, waiting;
    bool polling, forget, barrier, stop;
    u64 hurry_at; /* atomic: when to interrupt the vCPU thread for a letter that waits; 0: none waits */
    enum state state;
    int failed; /* -errno */
    pthread_t first_thread;
};

/* --- letters --- */

static void send_letter(struct folder *folder, struct share_request *request)
{
    if (folder->clock) return; /* the vCPU thread waits for it */
    if (mailbox_send_soon(folder->box, &request->letter))
        __atomic_store_n(&folder->hurry_at, host_now_ns() + HURRY_AFTER_NS, __ATOMIC_SEQ_CST);
}

static void hurry(struct folder *folder)
{
    if (__atomic_exchange_n(&folder->hurry_at, 0, __ATOMIC_SEQ_CST)) mailbox_hurry(folder->box);
}

static void hurry_if_due(struct folder *folder)
{
    u64 at = __atomic_load_n(&folder->hurry_at, __ATOMIC_RELAXED);
    if (at && host_now_ns() >= at) hurry(folder);
}

static void run_letter(struct letter *letter)
{
    struct share_request *request = container_of(letter, struct share_request, letter);
    request->done(request);
}

/* --- the queue; lock held --- */

static u8 type_of(const struct share_request *request)
{
    return request->head[4];
}

static u16 tag_of(const struct share_request *request)
{
    return (u16)load_any(request->head + 5, 2);
}

static void put(struct folder *folder, struct share_request *request)
{
    request->next = NULL;
    *folder->queue_end = request;
    folder->queue_end = &request->next;
    __atomic_store_n(&folder->queued, folder->queued + 1, __ATOMIC_SEQ_CST);
}

static struct share_request *find_tag(struct share_request *list, u16 tag,
                                      const struct share_request *not_this)
{
    while (list && (tag_of(list) != tag || list == not_this))
        list = list->next;
    return list;
}

/* A Tflush joins the request that it names, if that is still under way. */
static bool attach_flush(struct folder *folder, struct share_request *request)
{
    u8 bytes[SHARE_HEAD_BYTES + 2];
    if (type_of(request) != P9_TFLUSH ||
        pieces_read(request->in, request->in_count, bytes, sizeof(bytes)) != sizeof(bytes))
        return false;
    u16 tag = (u16)load_any(bytes + SHARE_HEAD_BYTES, 2);
    struct share_request *named = find_tag(folder->at_work, tag, request);
    if (!named) named = find_tag(folder->queue, tag, request);
    if (!named) return false;
    request->flushed = named->flushes;
    named->flushes = request;
    return true;
}

/* The request has its reply, so no Tflush has to wait for it any more. */
static void leave_work(struct folder *folder, struct share_request *request)
{
    struct share_request **at = &folder->at_work;
    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
}

/* The next request that may be served now, or NULL. */
static struct share_request *take(struct folder *folder)
{
    struct share_request *request = folder->queue;
    if (!request || folder->barrier || folder->forget) return NULL;
    bool barrier = type_of(request) == P9_TVERSION;
    if (barrier && folder->working) return NULL;
    folder->barrier = barrier;
    folder->queue = request->next;
    if (!folder->queue) folder->queue_end = &folder->queue;
    __atomic_store_n(&folder->queued, folder->queued - 1, __ATOMIC_SEQ_CST);
    request->next = folder->at_work;
    folder->at_work = request;
    folder->working++;
    return request;
}

/* A thread must see to what is in the queue. */
static void call_another(struct folder *folder)
{
    if (folder->queue && !folder->polling && !folder->barrier && folder->waiting)
        pthread_cond_signal(&folder->work);
}

/* --- the threads --- */

/* Lock held on entry and return. */
static void serve(struct folder *folder, struct share_request *request)
{
    call_another(folder);
    pthread_mutex_unlock(&folder->lock);
    /* Other messages take next to no time. */
    if (type_of(request) == P9_TFSYNC)
        hurry(folder);
    else
        hurry_if_due(folder);
    server_perform(&folder->server, request);
    pthread_mutex_lock(&folder->lock);
    /* Under the lock: a Tflush that comes now finds the request at work, or its letter has been sent before the
     * Tflush's. */
    struct share_request *flush = request->flushes, *next;
    leave_work(folder, request);
    send_letter(folder, request);
    pthread_mutex_unlock(&folder->lock);
    for (; flush; flush = next) {
        next = flush->flushed;
        server_perform(&folder->server, flush);
        send_letter(folder, flush);
    }
    pthread_mutex_lock(&folder->lock);
    folder->barrier = false;
    if (!--folder->working) pthread_cond_broadcast(&folder->idle);
}

/* Called with the lock held, when nothing is at work. */
static void forget_client(struct folder *folder)
{
    struct share_request *request = folder->queue, *next;
    folder->queue = NULL;
    folder->queue_end = &folder->queue;
    server_forget(&folder->server);
    for (; request; request = next) {
        next = request->next;
        for (struct share_request *flush = request->flushes; flush; flush = flush->flushed)
            mailbox_send(folder->box, &flush->letter);
        mailbox_send(folder->box, &request->letter);
    }
    __atomic_store_n(&folder->queued, 0, __ATOMIC_SEQ_CST);
    folder->forget = false;
    pthread_cond_broadcast(&folder->idle);
}

/* Without the lock. */
static void look_out(struct folder *folder)
{
    u64 until = host_now_ns() + LOOK_OUT_NS;
    do {
        for (unsigned n = 0; n < 50; n++) {
            if (__atomic_load_n(&folder->queued, __ATOMIC_RELAXED)) return;
            __builtin_ia32_pause();
        }
        hurry_if_due(folder);
    } while (host_now_ns() < until);
}

/* Lock held on entry and return. */
static void serve_until_stop(struct folder *folder)
{
    bool polled = true;
    for (;;) {
        struct share_request *request = take(folder);
        if (request) {
            if (confine_is_due()) confine_thread_slowly(ROLE_FOLDER, folder->root_fd);
            serve(folder, request);
            polled = false;
        } else if (folder->forget && !folder->working) {
            forget_client(folder);
        } else if (folder->stop) {
            return;
        } else if (folder->polls && !folder->polling && !polled && !folder->queue) {
            folder->polling = polled = true;
            pthread_mutex_unlock(&folder->lock);
            look_out(folder);
            pthread_mutex_lock(&folder->lock);
            folder->polling = false;
        } else if (!folder->polling && __atomic_load_n(&folder->hurry_at, __ATOMIC_RELAXED)) {
            pthread_mutex_unlock(&folder->lock);
            hurry(folder);
            pthread_mutex_lock(&folder->lock);
        } else {
            folder->waiting++;
            pthread_cond_wait(&folder->work, &folder->lock);
            folder->waiting--;
        }
    }
}

/* Invariant 2. Returns how many descriptors the server may open. */
static u32 own_descriptors(struct folder *folder)
{
    struct rlimit limit = {.rlim_cur = 1024};
    unsigned root = (unsigned)folder->root_fd;
    bool own = close_range(root + 1, ~0u, CLOSE_RANGE_UNSHARE) == 0;
    if (own && root > 3) close_range(3, root - 1, 0);
    folder->own_descriptors = own;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (own && limit.rlim_cur < limit.rlim_max) {
        struct rlimit most = {limit.rlim_max, limit.rlim_max};
        if (!setrlimit(RLIMIT_NOFILE, &most)) limit = most;
    }
    u64 may = own && limit.rlim_cur > 2 * OWN_RESERVE ? limit.rlim_cur - OWN_RESERVE : limit.rlim_cur / 2;
    return (u32)(may < UINT32_MAX / 2 ? may : UINT32_MAX / 2);
}

static void *worker(void *argument)
{
    struct folder *folder = argument;
    pthread_mutex_lock(&folder->lock);
    serve_until_stop(folder);
    pthread_mutex_unlock(&folder->lock);
    return NULL;
}

/* The others get its table of descriptors. */
static void *first_worker(void *argument)
{
    struct folder *folder = argument;
    pthread_t other[FOLDER_THREADS - 1];
    unsigned others = 0;
    int failed = server_init(&folder->server, &folder->options, folder->root_fd, own_descriptors(folder));
    while (!failed && others < FOLDER_THREADS - 1 && !pthread_create(&other[others], NULL, worker, folder))
        others++;
    pthread_mutex_lock(&folder->lock);
    folder->state = failed ? FAILED : READY;
    folder->failed = failed;
    pthread_cond_broadcast(&folder->idle);
    if (!failed) serve_until_stop(folder);
    pthread_mutex_unlock(&folder->lock);
    while (others)
        pthread_join(other[--others], NULL);
    if (!failed) server_destroy(&folder->server);
    return NULL;
}

/* --- the vCPU thread --- */

static void enqueue(struct folder *folder, struct share_request *request)
{
    pthread_mutex_lock(&folder->lock);
    if (!attach_flush(folder, request)) {
        put(folder, request);
        call_another(folder);
    }
    pthread_mutex_unlock(&folder->lock);
}

static void submit(struct share *share, struct share_request *request)
{
    struct folder *folder = container_of(share, struct folder, share);
    request->letter.run = run_letter;
    request->flushes = request->flushed = NULL;
    request->written = 0;
    request->broken = false;
    memset(request->head, 0, sizeof(request->head));
    pieces_read(request->in, request->in_count, request->head, sizeof(request->head));
    if (!folder->clock) {
        enqueue(folder, request);
        return;
    }
    if (!folder->later) timer_arm(&folder->timer, clock_now(folder->clock) + STEP_NS);
    request->next = NULL;
    *folder->later_end = request;
    folder->later_end = &request->next;
}

static void wait_until_idle(struct folder *folder)
{
    pthread_mutex_lock(&folder->lock);
    while (folder->working || folder->queue || folder->forget)
        pthread_cond_wait(&folder->idle, &folder->lock);
    pthread_mutex_unlock(&folder->lock);
}

/* Deterministic: the time of the oldest request has come. */
static void fire(void *device)
{
    struct folder *folder = device;
    struct share_request *request = folder->later;
    folder->later = request->next;
    if (folder->later)
        timer_arm(&folder->timer, clock_now(folder->clock) + STEP_NS);
    else
        folder->later_end = &folder->later;
    enqueue(folder, request);
    wait_until_idle(folder);
    request->done(request);
}

static void forget(struct share *share)
{
    struct folder *folder = container_of(share, struct folder, share);
    if (folder->clock) timer_cancel(&folder->timer);
    pthread_mutex_lock(&folder->lock);
    while (folder->later) {
        struct share_request *request = folder->later;
        folder->later = request->next;
        put(folder, request);
    }
    folder->later_end = &folder->later;
    folder->forget = true;
    __atomic_add_fetch(&folder->queued, 1, __ATOMIC_SEQ_CST); /* so that a thread that looks out sees it */
    pthread_cond_broadcast(&folder->work);
    while (folder->forget)
        pthread_cond_wait(&folder->idle, &folder->lock);
    pthread_mutex_unlock(&folder->lock);
}

/* --- set-up --- */

static void free_folder(struct folder *folder)
{
    pthread_mutex_destroy(&folder->lock);
    pthread_cond_destroy(&folder->work);
    pthread_cond_destroy(&folder->idle);
    free(folder);
}

static int start(struct folder *folder)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = -pthread_create(&folder->first_thread, NULL, first_worker, folder);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        close(folder->root_fd);
        return failed;
    }
    pthread_mutex_lock(&folder->lock);
    while (folder->state == STARTING)
        pthread_cond_wait(&folder->idle, &folder->lock);
    failed = folder->failed;
    pthread_mutex_unlock(&folder->lock);
    if (failed) pthread_join(folder->first_thread, NULL);
    if (folder->own_descriptors) close(folder->root_fd);
    return failed;
}

struct folder *folder_open(const struct share_options *options, struct mailbox *box,
                           struct clock *deterministic, char *error, size_t error_bytes)
{
    if (!confined_possible(error, error_bytes)) return NULL;
    int root = open(options->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return SAY("cannot share the folder %s: %s", options->path, strerror(errno));
    struct folder *folder = calloc(1, sizeof(*folder));
    int failed = folder ? 0 : -ENOMEM;
    if (folder) {
        folder->share = (struct share){.submit = submit, .forget = forget};
        folder->options = *options;
        folder->box = box;
        folder->clock = deterministic;
        folder->root_fd = root;
        folder->queue_end = &folder->queue;
        folder->later_end = &folder->later;
        folder->polls = sysconf(_SC_NPROCESSORS_ONLN) > 1;
        pthread_mutex_init(&folder->lock, NULL);
        pthread_cond_init(&folder->work, NULL);
        pthread_cond_init(&folder->idle, NULL);
        if (deterministic) timer_init(&folder->timer, deterministic, fire, folder);
        failed = start(folder);
    }
    if (!failed) return folder;
    if (folder)
        free_folder(folder);
    else
        close(root);
    return SAY("cannot share the folder %s: %s", options->path, strerror(-failed));
}

void folder_close(struct folder *folder)
{
    if (folder->clock) timer_cancel(&folder->timer);
    pthread_mutex_lock(&folder->lock);
    folder->stop = true;
    pthread_cond_broadcast(&folder->work);
    pthread_mutex_unlock(&folder->lock);
    pthread_join(folder->first_thread, NULL);
    free_folder(folder);
}

struct share *folder_share(struct folder *folder)
{
    return &folder->share;
}
