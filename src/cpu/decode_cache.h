/*
 * The interpreter's decoded instructions, by guest-physical address and width of code: a direct-mapped table.
 *
 * Invariants
 * 1. An entry's bytes are in one page, which is PHYS_CODE. An instruction that crosses a page, cannot be
 *    decoded or comes from a device is decoded each time, into `scratch`.
 * 2. page_count[frame] is the number of entries from that frame.
 * 3. A dropped entry keeps its contents until a later fetch fills it, because it may be the one being
 *    executed.
 */
#ifndef RINGER_CPU_DECODE_CACHE_H
#define RINGER_CPU_DECODE_CACHE_H

#include "insn.h"
#include "mmu/tlb.h"
#include "mode.h"

#define DECODE_ENTRIES (1u << 15)
#define DECODE_FRAMES  (1u << 25) /* all of RAM and ROM: at most 64 GB, of which the last ends at 65 GB */

struct decoded {
    u64 tag; /* gpa << 3 | enum code_size << 1 | 1; 0: empty */
    /* The routine needs no checks: the CPU model has the instruction, and it is without LOCK, FPU and VEX. */
    bool plain;
    struct insn insn;
};

struct decode_cache {
    struct decoded *entries;
    u16 *page_count;
    struct decoded scratch;
};

/* Returns 0 or -errno. */
int decode_cache_init(struct decode_cache *cache);
void decode_cache_destroy(struct decode_cache *cache);
/* Drop the entries that overlap [gpa, gpa + bytes). Returns whether the (last) page has entries left. */
bool decode_cache_written(struct decode_cache *cache, u64 gpa, u64 bytes);
/* The general case, with misses. Raises the #GP and #PF of a fetch. */
const struct decoded *decode_slow(struct vcpu *v, u64 rip);

static inline struct decoded *decode_slot(const struct decode_cache *cache, u64 gpa)
{
    return &cache->entries[(gpa ^ gpa >> 16) % DECODE_ENTRIES];
}
static inline u64 decode_tag(u64 gpa, u32 mode)
{
    return gpa << 3 | mode_code_size(mode) << 1 | 1;
}
static inline u64 decode_gpa(u64 tag)
{
    return tag >> 3;
}

/* The frame of a page of code + 1, or 0. */
static inline u32 decode_frame(const struct vcpu *v, u64 linear)
{
    if (unlikely(v->mode & MODE_LONG)) return tlb_frame(v->shadow->tlb, linear, v->cpl == 3);
    return v->exec_table[(u32)linear >> PAGE_SHIFT];
}

/* The instruction at CS:rip if the table has it, else NULL. Raises nothing. */
static inline const struct decoded *decode_known(const struct vcpu *v, u64 rip)
{
    const struct segment *cs = &v->seg[SEG_CS];
    bool code64 = v->mode & MODE_CODE64;
    u64 linear = code64 ? rip : (u32)(cs->base + rip);
    u32 frame = decode_frame(v, linear);
    u64 gpa = (u64)(frame - 1) << PAGE_SHIFT | (linear & PAGE_MASK);
    const struct decoded *d = decode_slot(v->decode_cache, gpa);
    if (likely(frame && d->tag == decode_tag(gpa, v->mode) &&
               (code64 || rip + d->insn.length - 1 <= cs->limit)))
        return d;
    return NULL;
}

/* The instruction at CS:rip. */
static inline const struct decoded *decode_fetch(struct vcpu *v, u64 rip)
{
    const struct decoded *d = decode_known(v, rip);
    return likely(d != NULL) ? d : decode_slow(v, rip);
}

#endif
