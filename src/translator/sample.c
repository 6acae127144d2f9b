#include "sample.h"

#include "build.h"

static void sample_block(const struct engine *t, u64 pc, struct sample *sample)
{
    u32 offset = (u32)(pc - (u64)(uintptr_t)t->cache.arena.exec);
    const struct block *block = cache_block_at(&t->cache, offset);
    if (!block) return;
    const struct site *site = block->sites ? block_site_at(block, offset) : NULL;
    sample->cpl = block->key.mode & MODE_CPL;
    sample->block_linear = sample->eip = block->key.cs_base + block->key.eip;
    if (site) sample->eip += site->guest;
}

static void sample_exit(const struct vcpu *v, const struct engine *t, struct sample *sample)
{
    sample->cause = (u8)v->exit_cause;
    sample->eip = v->seg[SEG_CS].base + (u32)v->rip;
    bool called = sample->cause == THUNK_SLOW || sample->cause == THUNK_CALLOUT;
    /* The address behind a call may be another block's. */
    if (called && arena_holds(&t->cache.arena, v->exit_site)) sample_block(t, v->exit_site - 1, sample);
    if (sample->cause != THUNK_CALLOUT) return;
    const u8 *callout = (const u8 *)(uintptr_t)v->exit_argument;
    if (callout < t->cache.meta || callout >= t->cache.meta + t->cache.meta_bytes) return;
    sample->mnemonic = ((const struct callout *)callout)->insn.mnemonic;
}

void translator_sample(struct vcpu *v, bool inside, u64 pc, struct sample *sample)
{
    const struct engine *t = v->engine;
    *sample = (struct sample){.cpl = v->cpl};
    if (t && arena_holds(&t->cache.arena, pc)) {
        sample->place = SAMPLE_TRANSLATED;
        sample->tier = 1;
        sample_block(t, pc, sample);
    } else if (t && inside) {
        sample->place = SAMPLE_EXIT;
        sample_exit(v, t, sample);
    } else {
        sample->place = SAMPLE_OUTSIDE;
        sample->eip = v->seg[SEG_CS].base + (u32)v->rip;
    }
}

const char *translator_exit_name(unsigned cause)
{
    static const char *const names[THUNK_COUNT] = {
        [THUNK_SLOW] = "slow access",       [THUNK_CALLOUT] = "callout",   [THUNK_LINK] = "unlinked edge",
        [THUNK_INDIRECT] = "indirect miss", [THUNK_DISPATCH] = "dispatch", [THUNK_BUDGET] = "budget",
        [THUNK_CROSS] = "second page",      [THUNK_STEP] = "step",
    };
    return cause < THUNK_COUNT ? names[cause] : NULL;
}

extern const u8 sample_stubs[], sample_stubs_end[];

void translator_profile(struct vcpu *v)
{
    u64 bytes = (u64)(sample_stubs_end - sample_stubs) / THUNK_COUNT;
    for (unsigned n = 0; n < THUNK_COUNT; n++)
        v->thunk[n] = (u64)(uintptr_t)(sample_stubs + n * bytes);
}

bool translator_block_place(const struct vcpu *v, unsigned index, struct block_place *place)
{
    const struct engine *t = v->engine;
    if (!t || index >= t->cache.block_count) return false;
    const struct block *block = t->cache.by_address[index];
    *place = (struct block_place){.host = (u64)(uintptr_t)cache_exec(&t->cache, block->start),
                                  .bytes = block->end - block->start,
                                  .linear = block->key.cs_base + block->key.eip,
                                  .mode = block->key.mode};
    return true;
}
