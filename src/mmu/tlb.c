/*
 * The TLB of IA-32e mode: see tlb.h.
 */
#include "tlb.h"

#include <stdlib.h>

struct tlb *tlb_new(void)
{
    struct tlb *tlb = calloc(1, sizeof *tlb);
    if (!tlb) return NULL;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++)
        for (unsigned n = 0; n < TLB_ENTRIES; n++)
            tlb->entry[p][n].page = TLB_EMPTY;
    return tlb;
}

void tlb_destroy(struct tlb *tlb)
{
    free(tlb);
}

/* --- from here on the guest's FPU state may be live --- */

static struct tlb_entry *numbered(struct tlb *tlb, unsigned number)
{
    return &tlb->entry[number / TLB_ENTRIES][number % TLB_ENTRIES];
}

static void clear(struct tlb_entry *e)
{
    e->page = TLB_EMPTY;
    e->rights = 0;
}

void tlb_flush(struct tlb *tlb)
{
    for (unsigned n = 0; n < tlb->filled_count; n++)
        clear(numbered(tlb, tlb->filled[n]));
    tlb->filled_count = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(tlb->large[0]); n++)
        tlb->large[0][n] = tlb->large[1][n] = 0;
}

void tlb_flush_local(struct tlb *tlb)
{
    unsigned kept = 0;
    for (unsigned n = 0; n < tlb->filled_count; n++) {
        struct tlb_entry *e = numbered(tlb, tlb->filled[n]);
        if (e->global && e->rights)
            tlb->filled[kept++] = tlb->filled[n];
        else
            clear(e);
    }
    tlb->filled_count = kept;
}

/* Bit and word of a large page in `large`. */
static u64 *large_word(struct tlb *tlb, u64 linear, unsigned shift, u64 *bit)
{
    u64 number = linear >> shift;
    *bit = 1ull << number % 64;
    return &tlb->large[shift == 30][number / 64 % ARRAY_SIZE(tlb->large[0])];
}

static bool may_be_large(struct tlb *tlb, u64 linear, unsigned shift)
{
    u64 bit, *word = large_word(tlb, linear, shift, &bit);
    return *word & bit;
}

void tlb_invlpg(struct tlb *tlb, u64 linear)
{
    u64 page = linear >> PAGE_SHIFT;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++) {
        struct tlb_entry *e = &tlb->entry[p][page % TLB_ENTRIES];
        if (e->page == page) e->rights = 0; /* it stays in `filled` */
    }
    if (!may_be_large(tlb, linear, 21) && !may_be_large(tlb, linear, 30)) return;
    for (unsigned n = 0; n < tlb->filled_count; n++) {
        struct tlb_entry *e = numbered(tlb, tlb->filled[n]);
        if (((e->page ^ page) << PAGE_SHIFT) >> e->shift == 0) e->rights = 0;
    }
}

void tlb_drop_writes(struct tlb *tlb, u64 frame)
{
    for (unsigned n = 0; n < tlb->filled_count; n++) {
        struct tlb_entry *e = numbered(tlb, tlb->filled[n]);
        if (e->frame == frame) e->rights &= (u8)~TLB_WRITE;
    }
}

void tlb_fill(struct tlb *tlb, u64 linear, bool user, const struct walk *walk, u64 delta, u8 rights)
{
    u64 page = linear >> PAGE_SHIFT;
    unsigned privilege = user ? SHADOW_USER : SHADOW_SUPERVISOR, place = page % TLB_ENTRIES;
    struct tlb_entry *e = &tlb->entry[privilege][place];
    if (e->page == TLB_EMPTY) tlb->filled[tlb->filled_count++] = (u16)(privilege * TLB_ENTRIES + place);
    *e = (struct tlb_entry){.page = page,
                            .delta = delta,
                            .frame = (u32)(walk->gpa >> PAGE_SHIFT),
                            .rights = rights,
                            .shift = (u8)__builtin_ctzll(walk->page_bytes),
                            .global = walk->global};
    if (e->shift > PAGE_SHIFT) {
        u64 bit, *word = large_word(tlb, linear, e->shift, &bit);
        *word |= bit;
    }
}
