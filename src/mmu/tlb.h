/*
 * What stands for the shadow's views in IA-32e mode: a TLB, as a CPU has one. Interpreter and translated code read it. A view is
 * flat arrays for 4 GB and cannot hold a 64-bit address space (docs/LONGMODE.md).
 *
 * Invariants
 * 1. An entry holds for one page of 4 KB, also where the guest's page is larger. A right is there only where the
 *    privilege has it. TLB_WRITE is there only while D is set and the page is RAM that is neither guarded
 *    (phys.h) nor video memory.
 * 2. Entries live as long as the architecture lets them (SDM 3A 4.10.4): INVLPG drops what maps the page, a load
 *    of CR3 all but global pages, a change of what paging depends on drops all.
 * 3. Pages at addresses that are not canonical have no entries.
 * 4. The lists name every entry in use, so that a flush costs what was filled.
 * 5. An entry with TLB_WRITE is in the chain of its guest frame, so that a page that becomes guarded costs a few
 *    comparisons. Chains keep entries that were dropped.
 *
 * Only the vCPU's thread calls this. All but set-up and destruction may run while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_TLB_H
#define RINGER_MMU_TLB_H

#include "shadow.h"

#define TLB_ENTRIES 4096 /* of a privilege; a page has one place */

enum tlb_right { TLB_READ = 1, TLB_WRITE = 2, TLB_FETCH = 4 };

/* An entry as translated code reads it (translator/access.c). A tag is the linear address of the page if this
 * privilege has the right, else TLB_NONE. */
struct tlb_slot {
    u64 read, write; /* tags */
    u64 exec;        /* tlb_exec_word() if the page may be fetched, else TLB_NONE */
    u64 delta;       /* host address - linear address */
};
#define TLB_SLOT_LOG 5
#define TLB_NONE     UINT64_MAX
_Static_assert(sizeof(struct tlb_slot) == 1 << TLB_SLOT_LOG, "translated code shifts by it");

/* Linear page number and guest frame number in one word, so that one comparison tells whether a page still maps the frame
 * that code was translated from. Canonical addresses with the same 40 bits of page number are equal. */
static inline u64 tlb_exec_word(u64 linear, u32 frame)
{
    return linear >> PAGE_SHIFT << 24 | frame;
}

/* What only C code reads of an entry. */
struct tlb_info {
    u64 page;  /* linear page number, or TLB_NONE */
    u32 frame; /* guest frame number */
    u8 shift;  /* size of the guest's page, as a power of 2 */
    bool global;
    u8 listed; /* bit n: named in list n */
    u16 chain; /* number of the chain that it is in + 1; 0: none */
    u16 next;  /* the next entry of the chain + 1, or 0 */
};

#define TLB_SEGMENTS 65536

#define TLB_CHAINS 4096u /* by the low bits of the guest frame number */

/* Entries that a load of CR3 drops, and global ones. */
enum tlb_list { TLB_LOCAL, TLB_GLOBAL, TLB_LISTS };

struct tlb {
    struct tlb_slot slot[SHADOW_PRIVILEGES][TLB_ENTRIES];
    struct tlb_info info[SHADOW_PRIVILEGES][TLB_ENTRIES];
    u16 list[TLB_LISTS][SHADOW_PRIVILEGES * TLB_ENTRIES]; /* privilege * TLB_ENTRIES + place */
    u32 listed[TLB_LISTS];
    u16 chain[TLB_CHAINS];    /* the first entry + 1, or 0 */
    u8 segment[TLB_SEGMENTS]; /* enum long_class of each 4 GB of 48 bits of linear address (long_window.h) */
    /* A bit for each 2 MB (1 GB), by the low bits of its number, from which a large page was filled since the last
     * flush of everything: INVLPG elsewhere need not look for pieces of large pages. */
    u64 large[2][64];
};

static inline unsigned tlb_place(u64 linear)
{
    return (linear >> PAGE_SHIFT) % TLB_ENTRIES;
}
/* Host address - linear address, or 0: take the slow path. */
static inline u64 tlb_entry(const struct tlb *tlb, u64 linear, bool user, bool write)
{
    const struct tlb_slot *slot = &tlb->slot[user ? SHADOW_USER : SHADOW_SUPERVISOR][tlb_place(linear)];
    return likely((write ? slot->write : slot->read) == (linear & ~(u64)PAGE_MASK)) ? slot->delta : 0;
}
/* The page's guest frame number + 1 if it may be fetched, or 0. */
static inline u32 tlb_frame(const struct tlb *tlb, u64 linear, bool user)
{
    unsigned privilege = user ? SHADOW_USER : SHADOW_SUPERVISOR, place = tlb_place(linear);
    const struct tlb_info *info = &tlb->info[privilege][place];
    return likely(info->page == linear >> PAGE_SHIFT && tlb->slot[privilege][place].exec != TLB_NONE)
               ? info->frame + 1
               : 0;
}

/* Returns NULL when there is no memory. */
struct tlb *tlb_new(void);
void tlb_destroy(struct tlb *tlb);

void tlb_flush(struct tlb *tlb);
/* All but global pages. */
void tlb_flush_local(struct tlb *tlb);
/* Returns whether a page that may be fetched was dropped. */
bool tlb_invlpg(struct tlb *tlb, u64 linear);
/* No entry lets this guest frame be written. Returns whether one did. */
bool tlb_drop_writes(struct tlb *tlb, u64 frame);

/* An allowed access was walked: fill the page's entry. delta 0: its bytes are not in host memory. */
void tlb_fill(struct tlb *tlb, u64 linear, bool user, const struct walk *walk, u64 delta, unsigned rights);

#endif
