#include "loop.h"

#include "base/host_time.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int net_poll_add(struct net_poll *poll, int fd, short events)
{
    if (poll->count == poll->capacity) {
        unsigned capacity = poll->capacity ? poll->capacity * 2 : 64;
        struct pollfd *fds = realloc(poll->fds, capacity * sizeof(*fds));
        if (!fds) return -1;
        poll->fds = fds;
        poll->capacity = capacity;
    }
    poll->fds[poll->count] = (struct pollfd){.fd = fd, .events = events};
    return (int)poll->count++;
}

/* --- the thread --- */

static bool work(struct net_loop *loop)
{
    bool any = false;
    for (struct net_source *source = loop->sources; source; source = source->next)
        if (source->work && source->work(source)) any = true;
    return any;
}

static void answer_call(struct net_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    if (loop->call) {
        loop->call(loop->argument);
        loop->call = NULL;
        loop->calls_answered++;
        pthread_cond_broadcast(&loop->answered);
    }
    pthread_mutex_unlock(&loop->lock);
}

static void fill(struct net_loop *loop)
{
    loop->poll.count = 0;
    loop->poll.wake_ns = UINT64_MAX;
    net_poll_add(&loop->poll, loop->wake_fd, POLLIN);
    for (struct net_source *source = loop->sources; source; source = source->next)
        if (source->fill) source->fill(source, &loop->poll);
}

/* Returns the number of descriptors that are ready. */
static int wait_for_events(struct net_loop *loop, bool sleep)
{
    struct timespec timeout = {0}, *wait = &timeout;
    if (sleep && loop->poll.wake_ns == UINT64_MAX) {
        wait = NULL;
    } else if (sleep) {
        u64 now = host_now_ns(), ns = loop->poll.wake_ns > now ? loop->poll.wake_ns - now : 0;
        timeout = (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    }
    int ready = ppoll(loop->poll.fds, loop->poll.count, wait, NULL);
    if (ready <= 0)
        for (unsigned n = 0; n < loop->poll.count; n++)
            loop->poll.fds[n].revents = 0;
    return ready;
}

static void tell(struct net_loop *loop)
{
    u64 wakes;
    if (loop->poll.fds[0].revents &&
        read(loop->wake_fd, &wakes, sizeof(wakes)) < 0) { /* nothing in it: fine */
    }
    for (struct net_source *source = loop->sources; source; source = source->next)
        if (source->ready) source->ready(source, &loop->poll);
}

/* Nothing to do: sleep, unless work came just before the others could see that we do. */
static bool sleep_now(struct net_loop *loop)
{
    for (struct net_source *source = loop->sources; source; source = source->next)
        if (source->rest) source->rest(source);
    __atomic_store_n(&loop->sleeps, 1, __ATOMIC_SEQ_CST);
    bool any = work(loop) || __atomic_load_n(&loop->stop, __ATOMIC_SEQ_CST);
    if (any) __atomic_store_n(&loop->sleeps, 0, __ATOMIC_SEQ_CST);
    return !any;
}

static void *loop_main(void *argument)
{
    struct net_loop *loop = argument;
    u64 quiet_since = host_now_ns();
    confine_thread(loop->role);
    while (!__atomic_load_n(&loop->stop, __ATOMIC_SEQ_CST)) {
        bool any = work(loop);
        answer_call(loop);
        fill(loop);
        u64 now = host_now_ns();
        if (any) quiet_since = now;
        bool sleep = !any && now - quiet_since >= loop->look_out_ns && sleep_now(loop);
        int ready = wait_for_events(loop, sleep);
        confine_thread(loop->role); /* the sandbox may have come after the start */
        __atomic_store_n(&loop->sleeps, 0, __ATOMIC_SEQ_CST);
        if (ready > 0) quiet_since = host_now_ns();
        tell(loop);
    }
    return NULL;
}

/* --- from outside --- */

int net_loop_init(struct net_loop *loop, enum thread_role role)
{
    *loop = (struct net_loop){
        .role = role, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .look_out_ns = LOOP_LOOK_OUT_NS};
    if (loop->wake_fd < 0) return -errno;
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->answered, NULL);
    return 0;
}

void net_loop_add(struct net_loop *loop, struct net_source *source)
{
    struct net_source **end = &loop->sources;
    while (*end)
        end = &(*end)->next;
    source->next = NULL;
    *end = source;
}

void net_loop_remove(struct net_loop *loop, struct net_source *source)
{
    struct net_source **at = &loop->sources;
    while (*at && *at != source)
        at = &(*at)->next;
    if (*at) *at = source->next;
}

int net_loop_start(struct net_loop *loop)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&loop->thread, NULL, loop_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->started = !failed;
    return -failed;
}

static void ring(struct net_loop *loop)
{
    u64 one = 1;
    while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

void net_loop_stop(struct net_loop *loop)
{
    if (!loop->started) return;
    __atomic_store_n(&loop->stop, 1, __ATOMIC_SEQ_CST);
    ring(loop);
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

void net_loop_destroy(struct net_loop *loop)
{
    net_loop_stop(loop);
    close(loop->wake_fd);
    free(loop->poll.fds);
    pthread_mutex_destroy(&loop->lock);
    pthread_cond_destroy(&loop->answered);
}

void net_loop_wake(struct net_loop *loop)
{
    if (__atomic_exchange_n(&loop->sleeps, 0, __ATOMIC_SEQ_CST)) ring(loop);
}

void net_loop_run(struct net_loop *loop, void (*call)(void *argument), void *argument)
{
    if (!loop->started || pthread_equal(loop->thread, pthread_self())) {
        call(argument);
        return;
    }
    pthread_mutex_lock(&loop->lock);
    while (loop->call)
        pthread_cond_wait(&loop->answered, &loop->lock);
    u64 before = loop->calls_answered;
    loop->call = call;
    loop->argument = argument;
    ring(loop);
    while (loop->calls_answered == before)
        pthread_cond_wait(&loop->answered, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
}
