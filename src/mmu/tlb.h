/*
 * What stands for the shadow's tables in IA-32e mode: a TLB, as a CPU has one, for the interpreter. The flat tables
 * of a view reach 4 GB; those of a 64-bit space are to be a list of such views (docs/LONGMODE.md).
 *
 * Invariants
 * 1. An entry holds for one page of 4 KB, also where the guest's page is larger. A right is there only where the
 *    privilege has it. TLB_WRITE is there only while D is set and the page is RAM that is neither guarded
 *    (phys.h) nor video memory.
 * 2. Entries live as long as the architecture lets them (SDM 3A 4.10.4): INVLPG drops what maps the page, a load
 *    of CR3 all but global pages, a change of what paging depends on drops all.
 * 3. Pages whose addresses are not canonical have no entries.
 * 4. `filled` names every entry in use once, so that a flush costs what was filled.
 *
 * Only the vCPU's thread calls this. All but set-up and destruction may run while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_TLB_H
#define RINGER_MMU_TLB_H

#include "shadow.h"

#define TLB_ENTRIES 4096 /* of a privilege; a page has one place */

enum tlb_right { TLB_READ = 1, TLB_WRITE = 2, TLB_FETCH = 4 };

struct tlb_entry {
    u64 page;  /* linear page number, or TLB_EMPTY */
    u64 delta; /* host address - linear address */
    u32 frame; /* guest frame number */
    u8 rights; /* enum tlb_right */
    u8 shift;  /* size of the guest's page, as a power of 2 */
    bool global;
};
#define TLB_EMPTY UINT64_MAX

struct tlb {
    struct tlb_entry entry[SHADOW_PRIVILEGES][TLB_ENTRIES];
    u16 filled[SHADOW_PRIVILEGES * TLB_ENTRIES]; /* privilege * TLB_ENTRIES + place */
    u32 filled_count;
    /* A bit for each 2 MB (1 GB), by the low bits of its number, from which a large page was filled since the last
     * flush of everything: INVLPG elsewhere need not look for pieces of large pages. */
    u64 large[2][64];
};

static inline const struct tlb_entry *tlb_find(const struct tlb *tlb, u64 linear, bool user,
                                               enum tlb_right right)
{
    u64 page = linear >> PAGE_SHIFT;
    const struct tlb_entry *e = &tlb->entry[user ? SHADOW_USER : SHADOW_SUPERVISOR][page % TLB_ENTRIES];
    return likely(e->page == page && (e->rights & right)) ? e : NULL;
}
/* Host address - linear address, or 0: take the slow path. */
static inline u64 tlb_entry(const struct tlb *tlb, u64 linear, bool user, enum tlb_right right)
{
    const struct tlb_entry *e = tlb_find(tlb, linear, user, right);
    return e ? e->delta : 0;
}
/* The page's guest frame number + 1 if it may be fetched, or 0. */
static inline u32 tlb_frame(const struct tlb *tlb, u64 linear, bool user)
{
    const struct tlb_entry *e = tlb_find(tlb, linear, user, TLB_FETCH);
    return e ? e->frame + 1 : 0;
}

/* Returns NULL when there is no memory. */
struct tlb *tlb_new(void);
void tlb_destroy(struct tlb *tlb);

void tlb_flush(struct tlb *tlb);
/* All but global pages. */
void tlb_flush_local(struct tlb *tlb);
void tlb_invlpg(struct tlb *tlb, u64 linear);
/* No entry lets this guest frame be written. */
void tlb_drop_writes(struct tlb *tlb, u64 frame);

/* An allowed access was walked: fill the page's entry. delta 0: its bytes are not in host memory. */
void tlb_fill(struct tlb *tlb, u64 linear, bool user, const struct walk *walk, u64 delta, u8 rights);

#endif
