#include "hot_blocks.h"

#include "base/hash.h"
#include "base/host_time.h"
#include "base/json.h"
#include "cpu/mode.h"
#include "translator/sample.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES 8192u
/* Beyond this probing gets slow. */
#define FULL (ENTRIES / 4 * 3)

struct hot_block {
    struct block_location location;
    u64 count; /* 0: free */
};

struct counts {
    u64 translated, windowed, outside, halted, lost;
    u64 since_ns;
};

struct hot_blocks {
    struct sampler sampler; /* first: the signal's argument */
    struct vcpu *vcpu;
    struct counts counts;
    u32 used;
    bool has_timer;
    timer_t timer;
    u64 until_ns; /* UINT64_MAX: for ever */
    struct hot_block block[ENTRIES];
};

/* --- the handler --- */

static int set_period(struct hot_blocks *hot, long period_ns)
{
    struct itimerspec every = {.it_interval.tv_nsec = period_ns, .it_value.tv_nsec = period_ns};
    return timer_settime(hot->timer, 0, &every, NULL) < 0 ? -errno : 0;
}

static void count(struct hot_blocks *hot, const struct block_location *at)
{
    u32 n = (u32)(hash_multiply(at->linear ^ at->gpa << 20 ^ at->mode) >> 40) % ENTRIES;
    for (; hot->block[n].count; n = (n + 1) % ENTRIES) {
        const struct block_location *other = &hot->block[n].location;
        if (other->linear == at->linear && other->gpa == at->gpa && other->mode == at->mode) break;
    }
    if (!hot->block[n].count) {
        if (hot->used >= FULL) {
            hot->counts.lost++;
            return;
        }
        hot->used++;
        hot->block[n].location = *at;
    }
    hot->block[n].count++;
}

static void take(struct sampler *sampler, struct vcpu *current, u64 pc, u64 sp, unsigned missed)
{
    struct hot_blocks *hot = (struct hot_blocks *)sampler;
    struct block_location location;
    if (translator_block_running(hot->vcpu, pc, &location)) {
        hot->counts.translated++;
        if (location.mode & MODE_WINDOW) hot->counts.windowed++;
        count(hot, &location);
    } else if (hot->vcpu->halted) {
        hot->counts.halted += 1 + missed; /* the signal waited for the end of the sleep */
    } else {
        hot->counts.outside++;
    }
    if (host_now_ns() > hot->until_ns) { /* all readers have gone */
        hot->vcpu->sampled = false;
        set_period(hot, 0);
    }
}

/* --- start and stop --- */

struct hot_blocks *hot_blocks_open(struct vcpu *v)
{
    struct hot_blocks *hot = calloc(1, sizeof(*hot));
    if (!hot) return NULL;
    hot->sampler.take = take;
    hot->vcpu = v;
    hot->counts.since_ns = host_now_ns();
    return hot;
}

void hot_blocks_close(struct hot_blocks *hot)
{
    if (!hot) return;
    hot_blocks_stop(hot);
    free(hot);
}

int hot_blocks_start(struct hot_blocks *hot, u64 patience_ns, long period_ns)
{
    int failed = translator_install_sampler(SIGPROF);
    if (failed) return failed;
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF, .sigev_value.sival_ptr = &hot->sampler};
    event._sigev_un._tid = (int)syscall(SYS_gettid);
    if (!hot->has_timer && timer_create(CLOCK_MONOTONIC, &event, &hot->timer) < 0) return -errno;
    hot->has_timer = true;
    hot->until_ns = patience_ns ? host_now_ns() + patience_ns : UINT64_MAX;
    hot->vcpu->sampled = true;
    return set_period(hot, period_ns);
}

void hot_blocks_stop(struct hot_blocks *hot)
{
    if (!hot->has_timer) return;
    hot->vcpu->sampled = false;
    timer_delete(hot->timer); /* and a signal of it that is pending */
    hot->has_timer = false;
}

/* --- the report --- */

static int hottest_first(const void *a, const void *b)
{
    const struct hot_block *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->location.linear < y->location.linear ? -1 : x->location.linear > y->location.linear;
}

/* The bytes as they are now. A block covers two pages at most. */
static void add_code(struct json_object *object, struct phys *phys, const struct block_location *at)
{
    char digits[2 * PAGE_SIZE + 1] = "";
    for (u32 n = 0; n < at->guest_bytes && n < PAGE_SIZE; n++) {
        u64 offset = (at->gpa & PAGE_MASK) + n;
        u64 gpa = offset < PAGE_SIZE ? at->gpa + n : at->gpa_next + (offset - PAGE_SIZE);
        const u8 *byte = phys_host(phys, gpa);
        if (!byte) break;
        snprintf(digits + 2 * n, 3, "%02x", *byte);
    }
    json_add_text(object, "code", digits);
}

static struct json_object *describe(struct phys *phys, const struct hot_block *block)
{
    const struct block_location *at = &block->location;
    static const int bits[] = {16, 32, 64};
    struct json_object *object = json_object_new_object();
    json_add_hex(object, "address", at->linear);
    json_add_hex(object, "gpa", at->gpa);
    json_add_number(object, "cpl", at->mode & MODE_CPL);
    json_object_object_add(object, "bits", json_object_new_int(bits[mode_code_size(at->mode)]));
    json_add_flag(object, "vm86", at->mode & MODE_VM86);
    json_add_flag(object, "window", at->mode & MODE_WINDOW);
    json_add_number(object, "samples", block->count);
    add_code(object, phys, at);
    return object;
}

static u32 move(struct hot_blocks *hot, struct counts *counts, struct hot_block *list)
{
    u32 used = 0;
    for (u32 n = 0; n < ENTRIES && used < hot->used; n++)
        if (hot->block[n].count) list[used++] = hot->block[n];
    if (used) memset(hot->block, 0, sizeof(hot->block));
    *counts = hot->counts;
    hot->counts = (struct counts){.since_ns = host_now_ns()};
    hot->used = 0;
    return used;
}

/* Moves all that was counted to *counts and to a list of *used blocks, which the caller frees. NULL: out of memory. */
static struct hot_block *drain(struct hot_blocks *hot, struct counts *counts, u32 *used)
{
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    struct hot_block *list = malloc((hot->used + 1) * sizeof(*list));
    if (list) *used = move(hot, counts, list);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return list;
}

struct json_object *hot_blocks_take(struct hot_blocks *hot, unsigned most)
{
    struct counts c;
    u32 used;
    struct hot_block *list = drain(hot, &c, &used);
    if (!list) return NULL;
    qsort(list, used, sizeof(*list), hottest_first);
    struct json_object *object = json_object_new_object(), *blocks = json_object_new_array();
    json_object_object_add(object, "seconds",
                           json_object_new_double((double)(hot->counts.since_ns - c.since_ns) / 1e9));
    json_add_number(object, "samples", c.translated + c.outside + c.halted);
    json_add_number(object, "translated", c.translated);
    json_add_number(object, "windowed", c.windowed);
    json_add_number(object, "outside", c.outside);
    json_add_number(object, "halted", c.halted);
    json_add_number(object, "lost", c.lost);
    for (u32 n = 0; n < used && n < most; n++)
        json_object_array_add(blocks, describe(hot->vcpu->phys, &list[n]));
    json_object_object_add(object, "blocks", blocks);
    free(list);
    return object;
}
