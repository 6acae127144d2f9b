/*
 * The translator as an engine: initialization, execution, invalidation.
 */
#include "translator.h"

#include "build.h"
#include "cpu/cpuid.h"
#include "signal_frame.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct translator_config translator_defaults(void)
{
    return (struct translator_config){.block_limit = BLOCK_MAX_INSNS};
}

/* 64-bit code is longer, and a compiler's is translated twice: with and without a window. More would not fit into the
 * peaks that are promised: the guest's memory and 128 MB, or 192 MB with a 64-bit CPU. */
static u64 default_cache_bytes(const struct cpu_model *model)
{
    return (u64)(cpu_model_has_long_mode(model) ? CACHE_MB64 : CACHE_MB) << 20;
}

/* The arena must hold a few of the longest blocks. */
#define MIN_CACHE_BYTES (8 * MAX_BLOCK_BYTES)

_Static_assert(offsetof(struct segment, comparable) == offsetof(struct segment, selector) + 2,
               "load_segment() compares both as one dword");
_Static_assert(FRAME_THUNK_COUNT >= THUNK_COUNT, "room for the thunks");
_Static_assert(FRAME_GPR_HIGH >= -128 && FRAME_HOISTED <= 127,
               "an 8-bit displacement reaches R8 to R15, the thunks, the tables and the first holder");

static bool host_has_bmi2(void)
{
    u32 a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & F7B_BMI2);
}

int translator_init(struct vcpu *v, const struct translator_config *config)
{
    struct engine *t = aligned_alloc(_Alignof(struct engine), sizeof(*t));
    if (!t) return -ENOMEM;
    memset(t, 0, sizeof(*t));
    t->config = *config;
    if (!t->config.block_limit || t->config.block_limit > BLOCK_MAX_INSNS)
        t->config.block_limit = BLOCK_MAX_INSNS;
    if (!t->config.cache_bytes) t->config.cache_bytes = default_cache_bytes(v->model);
    if (t->config.cache_bytes < MIN_CACHE_BYTES) t->config.cache_bytes = MIN_CACHE_BYTES;
    t->build = malloc(sizeof(*t->build));
    t->memo = calloc(1, sizeof(*t->memo));
    t->peek = calloc(1, sizeof(*t->peek));
    if (t->memo) t->memo->off = t->config.no_decode_memo;
    t->checked.off = t->config.no_checked_sites;
    const struct cache_shape shape = {.bytes = t->config.cache_bytes,
                                      .policy = t->config.cache_policy,
                                      .segments = t->config.cache_segments,
                                      .checks = t->config.check_cache};
    int error = t->build && t->memo && t->peek ? cache_init(&t->cache, &shape, v->counters) : -ENOMEM;
    if (!error) error = returns_init(&t->returns);
    if (error) {
        cache_destroy(&t->cache);
        free(t->build);
        free(t->memo);
        free(t->peek);
        free(t);
        return error;
    }
    t->has_bmi2 = host_has_bmi2();
    v->engine = t;
    v->instruments.code_point_set = translator_code_point_set;
    v->scratch.jump_table = (u64)(uintptr_t)t->cache.jump;
    returns_select(v, &t->returns, &t->cache);
    v->shadow->forced_slow = t->config.forced_slow;
    translator_set_thunks(v);
    return 0;
}

void translator_destroy(struct vcpu *v)
{
    struct engine *t = v->engine;
    if (!t) return;
    cache_destroy(&t->cache);
    returns_destroy(&t->returns);
    free(t->build);
    free(t->memo);
    free(t->peek);
    free(t);
    v->engine = NULL;
}

enum exit_reason translator_run(struct vcpu *v)
{
    struct engine *t = v->engine;
    t->first = true;
    v->shadow->window_unsettled = true; /* this thread may have run another machine */
    /* This precedes translator_next(), which tests v->pending: a kick that comes after the test must find v. */
    struct vcpu *outer = signal_frame_set_vcpu(v);
    u64 code = translator_next(v);
    if (code != (u64)(uintptr_t)translator_leave) {
        v->counters->engine_entries++;
        translator_enter(v, (const void *)(uintptr_t)code);
    }
    signal_frame_set_vcpu(outer);
    return t->reason;
}

bool translator_code_written(struct vcpu *v, u64 gpa, u64 bytes)
{
    struct engine *t = v->engine;
    if (!t) return false;
    v->counters->code_writes++;
    u64 before = t->cache.generation;
    bool left = cache_code_written(&t->cache, gpa, bytes);
    if (t->cache.generation == before) v->counters->code_writes_harmless++;
    return left;
}

void translator_code_point_set(struct vcpu *v, u64 linear)
{
    struct engine *t = v->engine;
    cache_kill_linear(&t->cache, linear);
}

void translator_flush(struct vcpu *v)
{
    struct engine *t = v->engine;
    if (t) cache_flush(&t->cache);
}

void translator_cache_fill(const struct vcpu *v, u64 *used, u64 *budget)
{
    const struct engine *t = v->engine;
    *used = t ? cache_used(&t->cache) : 0;
    *budget = t ? cache_budget(&t->cache) : 0;
}

void block_log_drain(struct vcpu *v)
{
    struct engine *t = v->engine;
    u64 buffer = (u64)(uintptr_t)t->log->buffer;
    fpu_park(v);
    t->log->ran(t->log, t->log->buffer, (v->instruments.log_at - buffer) / sizeof(u32));
    v->instruments.log_at = buffer;
}

void translator_attach_log(struct vcpu *v, struct block_log *log)
{
    struct engine *t = v->engine;
    if (!t) return;
    if (t->log) block_log_drain(v);
    t->log = log;
    if (!log) return;
    v->instruments.log_at = (u64)(uintptr_t)log->buffer;
    v->instruments.log_end = (u64)(uintptr_t)(log->buffer + log->words);
}

u32 translator_most_block_bytes(void)
{
    return MAX_BLOCK_BYTES;
}

void translator_before_flush(struct vcpu *v, void (*call)(void *owner), void *owner)
{
    struct engine *t = v->engine;
    if (!t) return;
    t->cache.before_flush = call;
    t->cache.flush_owner = owner;
}
