/*
 * The translator as an engine: set up, run, invalidate.
 */
#include "translator.h"

#include "build.h"
#include "signal_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct translator_config translator_defaults(void)
{
    return (struct translator_config){.cache_bytes = 96u << 20, .block_limit = BLOCK_MAX_INSNS};
}

/* The arena must hold a few of the longest blocks. */
#define MIN_CACHE_BYTES (8 * MAX_BLOCK_BYTES)

static void check_offsets(void)
{
    /* Translated code addresses these by the constants of frame.h. */
#define AT(field, offset) _Static_assert(offsetof(struct vcpu, field) == (offset) + FRAME_BIAS, #field)
    AT(gpr, FRAME_GPR);
    AT(rip, FRAME_RIP);
    AT(eflags, FRAME_EFLAGS);
    AT(pending, FRAME_PENDING);
    AT(icount, FRAME_ICOUNT);
    AT(icount_limit, FRAME_ICOUNT_LIMIT);
    AT(read_table, FRAME_READ_TABLE);
    AT(write_table, FRAME_WRITE_TABLE);
    AT(exec_table, FRAME_EXEC_TABLE);
    AT(seg, FRAME_SEG);
    AT(thunk, FRAME_THUNK);
    AT(jump_table, FRAME_JUMP_TABLE);
    AT(jump_tag, FRAME_JUMP_TAG);
    AT(remaining, FRAME_REMAINING);
    AT(slow_scratch, FRAME_SLOW_SCRATCH);
    AT(parked_flags, FRAME_PARKED);
    AT(interrupt_line, FRAME_INTERRUPT);
    AT(c_stack, FRAME_C_STACK);
    AT(return_top, FRAME_RETURN_TOP);
    AT(return_base, FRAME_RETURN_BASE);
    AT(return_misses, FRAME_RETURN_MISS);
    AT(exit_cause, FRAME_EXIT_CAUSE);
    AT(exit_argument, FRAME_EXIT_ARG);
    AT(exit_site, FRAME_EXIT_SITE);
    AT(hoisted, FRAME_HOISTED);
#undef AT
    _Static_assert(ARRAY_SIZE(((struct vcpu *)0)->hoisted) == FRAME_HOISTED_COUNT, "room for groups");
    _Static_assert(sizeof(struct segment) == FRAME_SEG_BYTES, "segments are indexed");
    _Static_assert(offsetof(struct segment, base) == FRAME_SEG_BASE, "segment base");
    _Static_assert(offsetof(struct segment, raw) == FRAME_SEG_RAW, "segment raw");
    _Static_assert(offsetof(struct segment, comparable) == FRAME_SEG_SELECTOR + 2, "compared as one dword");
    _Static_assert(offsetof(struct segment, selector) == FRAME_SEG_SELECTOR, "segment selector");
    _Static_assert(offsetof(struct segment, limit) == FRAME_SEG_LIMIT, "segment limit");
    _Static_assert(sizeof(((struct vcpu *)0)->thunk) >= 8 * THUNK_COUNT, "room for the thunks");
}

int translator_init(struct vcpu *v, const struct translator_config *config)
{
    check_offsets();
    struct engine *t = aligned_alloc(_Alignof(struct engine), sizeof(*t));
    if (!t) return -ENOMEM;
    memset(t, 0, sizeof(*t));
    t->config = *config;
    if (!t->config.block_limit || t->config.block_limit > BLOCK_MAX_INSNS)
        t->config.block_limit = BLOCK_MAX_INSNS;
    if (t->config.cache_bytes < MIN_CACHE_BYTES) t->config.cache_bytes = MIN_CACHE_BYTES;
    t->build = malloc(sizeof(*t->build));
    t->memo = calloc(1, sizeof(*t->memo));
    t->peek = calloc(1, sizeof(*t->peek));
    if (t->memo) t->memo->off = t->config.no_decode_memo;
    t->checked.off = t->config.no_checked_sites;
    int error =
        t->build && t->memo && t->peek ? cache_init(&t->cache, t->config.cache_bytes, v->counters) : -ENOMEM;
    if (!error) error = returns_init(&t->returns);
    if (error) {
        cache_destroy(&t->cache);
        free(t->build);
        free(t->memo);
        free(t->peek);
        free(t);
        return error;
    }
    v->engine = t;
    v->jump_table = (u64)(uintptr_t)t->cache.jump;
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
    /* Before translator_next() looks at v->pending: a kick between there and the code must not be lost. */
    struct vcpu *outer = signal_frame_watch(v);
    u64 code = translator_next(v);
    if (code != (u64)(uintptr_t)translator_leave) {
        v->counters->engine_entries++;
        translator_enter(v, (const void *)(uintptr_t)code);
    }
    signal_frame_watch(outer);
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

void translator_flush(struct vcpu *v)
{
    struct engine *t = v->engine;
    if (t) cache_flush(&t->cache);
}

void translator_before_flush(struct vcpu *v, void (*call)(void *owner), void *owner)
{
    struct engine *t = v->engine;
    if (!t) return;
    t->cache.before_flush = call;
    t->cache.flush_owner = owner;
}
