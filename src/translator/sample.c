#include "sample.h"

#include "build.h"
#include "cpu/memory.h"

static u64 block_linear(const struct block *block)
{
    u64 rip = block_rip(block);
    return block->mode & MODE_CODE64 ? rip : (u32)(block_key(block).cs_base + rip);
}

static void sample_block(const struct engine *t, u64 pc, struct sample *sample)
{
    u32 offset = (u32)(pc - (u64)(uintptr_t)t->cache.arena.exec);
    const struct block *block = cache_block_at(&t->cache, offset);
    if (!block) return;
    struct site site;
    sample->cpl = block->mode & MODE_CPL;
    sample->tier = block->mode & MODE_WINDOW ? 2 : 1;
    sample->block_linear = sample->eip = block_linear(block);
    if (block_site_at(block, offset, &site)) sample->eip += site.guest;
}

static const void *in_metadata(const struct engine *t, u32 address, u64 bytes)
{
    u32 offset = address - low_pointer(t->cache.meta);
    bool inside = offset < t->cache.meta_bytes && t->cache.meta_bytes - offset >= bytes;
    return inside ? meta_pointer(address) : NULL;
}

static void sample_exit(const struct vcpu *v, const struct engine *t, struct sample *sample)
{
    sample->cause = (u8)v->scratch.exit_cause;
    sample->eip = segment_linear(v, SEG_CS, v->rip);
    bool calls_out =
        sample->cause == THUNK_CALLOUT || sample->cause == THUNK_STRING || sample->cause == THUNK_FAST;
    bool called = calls_out || sample->cause == THUNK_SLOW || sample->cause == THUNK_SEGMENT ||
                  sample->cause == EXIT_HOST_SIGNAL;
    /* The return address itself may belong to the next block. */
    if (called && arena_holds(&t->cache.arena, v->scratch.exit_site))
        sample_block(t, v->scratch.exit_site - 1, sample);
    /* A flush since the exit may have reused the callout's memory. */
    const struct callout *callout = in_metadata(t, v->scratch.exit_argument, sizeof(*callout));
    const struct callee *callee =
        calls_out && callout ? in_metadata(t, callout->callee, sizeof(*callee)) : NULL;
    if (callee) sample->form = (u16)isa_row_number(callee->insn.row);
}

void translator_sample(struct vcpu *v, bool inside, u64 pc, struct sample *sample)
{
    const struct engine *t = v->engine;
    *sample = (struct sample){.cpl = v->cpl};
    if (t && arena_holds(&t->cache.arena, pc)) {
        sample->location = SAMPLE_TRANSLATED;
        sample_block(t, pc, sample);
    } else if (t && inside) {
        sample->location = SAMPLE_EXIT;
        sample_exit(v, t, sample);
    } else {
        sample->location = SAMPLE_OUTSIDE;
        sample->eip = segment_linear(v, SEG_CS, v->rip);
    }
}

const char *translator_exit_name(unsigned cause)
{
    static const char *const names[] = {
        [THUNK_SLOW] = "slow access",          [THUNK_CALLOUT] = "callout",
        [THUNK_LINK] = "unlinked edge",        [THUNK_INDIRECT] = "indirect miss",
        [THUNK_DISPATCH] = "dispatch",         [THUNK_BUDGET] = "budget",
        [THUNK_CROSS] = "second page",         [THUNK_STEP] = "step",
        [THUNK_STRING] = "string instruction", [THUNK_FAST] = "fast routine",
        [THUNK_LINK_PARKED] = "unlinked edge", [THUNK_RETURN_MISS] = "return miss",
        [THUNK_SEGMENT] = "another segment",   [EXIT_HOST_SIGNAL] = "host signal",
    };
    return cause < ARRAY_SIZE(names) ? names[cause] : NULL;
}

extern const u8 sample_stubs[], sample_stubs_end[];

void translator_profile(struct vcpu *v)
{
    u64 bytes = (u64)(sample_stubs_end - sample_stubs) / THUNK_COUNT;
    for (unsigned n = 0; n < THUNK_COUNT; n++)
        v->scratch.thunk[n] = (u64)(uintptr_t)(sample_stubs + n * bytes);
}

static struct block_location location_of(const struct engine *t, const struct block *block)
{
    u32 next = block_frame_next(block);
    return (struct block_location){.host = (u64)(uintptr_t)cache_exec(&t->cache, block->start),
                                   .bytes = block->host_bytes,
                                   .linear = block_linear(block),
                                   .mode = block->mode,
                                   .guest_bytes = block->guest_bytes,
                                   .gpa = block_key(block).gpa,
                                   .gpa_next = next ? (u64)(next - 1) << PAGE_SHIFT : 0};
}

bool translator_block_running(const struct vcpu *v, u64 pc, struct block_location *location)
{
    const struct engine *t = v->engine;
    if (!t || !arena_holds(&t->cache.arena, pc)) return false;
    const struct block *block = cache_block_at(&t->cache, (u32)(pc - (u64)(uintptr_t)t->cache.arena.exec));
    if (block) *location = location_of(t, block);
    return block;
}

const struct block *translator_block_after(const struct vcpu *v, const struct block *block,
                                           struct block_location *location)
{
    const struct engine *t = v->engine;
    block = t ? cache_after(&t->cache, block) : NULL;
    if (block) *location = location_of(t, block);
    return block;
}
