/*
 * The TLB of IA-32e mode: see tlb.h.
 */
#include "tlb.h"

#include <stdlib.h>

static void clear(struct tlb *tlb, unsigned number)
{
    struct tlb_slot *slot = &tlb->slot[0][0] + number;
    struct tlb_info *info = &tlb->info[0][0] + number;
    slot->read = slot->write = slot->exec = TLB_NONE;
    info->page = TLB_NONE;
}

struct tlb *tlb_new(void)
{
    struct tlb *tlb = aligned_alloc(64, align_up(sizeof *tlb, 64));
    if (!tlb) return NULL;
    *tlb = (struct tlb){.listed = {0}};
    for (unsigned n = 0; n < SHADOW_PRIVILEGES * TLB_ENTRIES; n++)
        clear(tlb, n);
    return tlb;
}

void tlb_destroy(struct tlb *tlb)
{
    free(tlb);
}

/* --- from here on the guest's FPU state may be live --- */

static void empty_list(struct tlb *tlb, enum tlb_list list)
{
    bool global = list == TLB_GLOBAL;
    for (unsigned n = 0; n < tlb->listed[list]; n++) {
        unsigned number = tlb->list[list][n];
        struct tlb_info *info = &tlb->info[0][0] + number;
        info->listed &= (u8) ~(1u << list);
        if (info->global == global) clear(tlb, number);
    }
    tlb->listed[list] = 0;
}

void tlb_flush(struct tlb *tlb)
{
    empty_list(tlb, TLB_LOCAL);
    empty_list(tlb, TLB_GLOBAL);
    for (unsigned n = 0; n < ARRAY_SIZE(tlb->large[0]); n++)
        tlb->large[0][n] = tlb->large[1][n] = 0;
}

void tlb_flush_local(struct tlb *tlb)
{
    empty_list(tlb, TLB_LOCAL);
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

static bool drop(struct tlb *tlb, unsigned number)
{
    bool fetched = (&tlb->slot[0][0])[number].exec != TLB_NONE;
    clear(tlb, number);
    return fetched;
}

/* Drop all pieces of large pages around this one. */
static bool drop_pieces(struct tlb *tlb, u64 page)
{
    bool fetched = false;
    for (unsigned list = 0; list < TLB_LISTS; list++)
        for (unsigned n = 0; n < tlb->listed[list]; n++) {
            const struct tlb_info *info = &tlb->info[0][0] + tlb->list[list][n];
            if (((info->page ^ page) << PAGE_SHIFT) >> info->shift == 0)
                fetched |= drop(tlb, tlb->list[list][n]);
        }
    return fetched;
}

bool tlb_invlpg(struct tlb *tlb, u64 linear)
{
    u64 page = linear >> PAGE_SHIFT;
    unsigned place = tlb_place(linear);
    bool fetched = false;
    for (unsigned p = 0; p < SHADOW_PRIVILEGES; p++)
        if (tlb->info[p][place].page == page) fetched |= drop(tlb, p * TLB_ENTRIES + place);
    if (may_be_large(tlb, linear, 21) || may_be_large(tlb, linear, 30)) fetched |= drop_pieces(tlb, page);
    return fetched;
}

bool tlb_drop_writes(struct tlb *tlb, u64 frame)
{
    bool dropped = false;
    unsigned next;
    for (unsigned n = tlb->chain[frame % TLB_CHAINS]; n; n = next) {
        struct tlb_slot *slot = &tlb->slot[0][0] + n - 1;
        const struct tlb_info *info = &tlb->info[0][0] + n - 1;
        next = info->next;
        if (info->frame != frame || slot->write == TLB_NONE) continue;
        slot->write = TLB_NONE;
        dropped = true;
    }
    return dropped;
}

/* Put the entry into the chain of its frame, and take it out of the one that it is in from an earlier use. */
static void enchain(struct tlb *tlb, unsigned number)
{
    struct tlb_info *first = &tlb->info[0][0], *info = first + number;
    unsigned chain = info->frame % TLB_CHAINS;
    if (info->chain == chain + 1) return;
    if (info->chain) {
        u16 *at = &tlb->chain[info->chain - 1];
        while (*at != number + 1)
            at = &first[*at - 1].next;
        *at = info->next;
    }
    info->chain = (u16)(chain + 1);
    info->next = tlb->chain[chain];
    tlb->chain[chain] = (u16)(number + 1);
}

/* Name the entry in the list of its kind. It may be in the other one, too, from an earlier use. */
static void enlist(struct tlb *tlb, unsigned number, bool global)
{
    enum tlb_list list = global ? TLB_GLOBAL : TLB_LOCAL;
    struct tlb_info *info = &tlb->info[0][0] + number;
    if (info->listed >> list & 1) return;
    info->listed |= (u8)(1u << list);
    tlb->list[list][tlb->listed[list]++] = (u16)number;
}

void tlb_fill(struct tlb *tlb, u64 linear, bool user, const struct walk *walk, u64 delta, unsigned rights)
{
    unsigned number = (user ? SHADOW_USER : SHADOW_SUPERVISOR) * TLB_ENTRIES + tlb_place(linear);
    struct tlb_info *info = &tlb->info[0][0] + number;
    u64 tag = linear & ~(u64)PAGE_MASK;
    info->page = linear >> PAGE_SHIFT;
    info->frame = (u32)(walk->gpa >> PAGE_SHIFT);
    info->shift = (u8)__builtin_ctzll(walk->page_bytes);
    info->global = walk->global;
    (&tlb->slot[0][0])[number] = (struct tlb_slot){
        .read = rights & TLB_READ ? tag : TLB_NONE,
        .write = rights & TLB_WRITE ? tag : TLB_NONE,
        .exec = rights & TLB_FETCH ? tlb_exec_word(linear, info->frame) : TLB_NONE,
        .delta = delta,
    };
    enlist(tlb, number, walk->global);
    if (rights & TLB_WRITE) enchain(tlb, number);
    if (info->shift > PAGE_SHIFT) {
        u64 bit, *word = large_word(tlb, linear, info->shift, &bit);
        *word |= bit;
    }
}
