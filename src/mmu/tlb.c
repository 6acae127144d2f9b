/*
 * The TLB of IA-32e mode: see tlb.h.
 */
#include "tlb.h"

#include "base/huge_pages.h"

#include <sys/mman.h>

static void clear(struct tlb *tlb, unsigned number)
{
    struct tlb_slot *slot = &tlb->slot[0][0] + number;
    struct tlb_info *info = &tlb->info[0][0] + number;
    slot->read = slot->write = slot->exec = TLB_NONE;
    info->page = TLB_NONE;
}

static void use(struct tlb *tlb, unsigned table)
{
    tlb->in_use |= (u16)(1u << table);
    /* Zeroed tags name page 0. It belongs at place 0, and the check of an access that wraps compares it with the last
     * one. */
    clear(tlb, table * TLB_ENTRIES);
    clear(tlb, table * TLB_ENTRIES + TLB_ENTRIES - 1);
}

/* The bit of tlb_info.listed for the list of the entry's table, or of global entries. */
static unsigned list_bit(bool global)
{
    return 1u << global;
}

struct tlb *tlb_new(void)
{
    struct tlb *tlb = huge_pages_map(sizeof(*tlb));
    if (!tlb) return NULL;
    madvise(tlb->segment, sizeof(tlb->segment), MADV_NOHUGEPAGE); /* a small part of it is used */
    for (unsigned n = 0; n < TLB_LISTS; n++)
        tlb->list[n].number = tlb->numbers + n * TLB_ENTRIES;
    use(tlb, 0);
    use(tlb, tlb->user = 1);
    return tlb;
}
_Static_assert(TLB_GLOBAL == TLB_TABLES,
               "the list of global entries lies behind those of the tables and may have all of them");

void tlb_destroy(struct tlb *tlb)
{
    huge_pages_unmap(tlb, sizeof(*tlb));
}

/* --- from here on the guest's FPU state may be live --- */

static void empty_list(struct tlb *tlb, unsigned number)
{
    struct tlb_list *list = &tlb->list[number];
    bool global = number == TLB_GLOBAL;
    for (unsigned n = 0; n < list->count; n++) {
        struct tlb_info *info = &tlb->info[0][0] + list->number[n];
        info->listed &= (u8)~list_bit(global);
        if (info->global == global) clear(tlb, list->number[n]);
    }
    list->count = 0;
}

void tlb_flush(struct tlb *tlb)
{
    for (unsigned n = 0; n < TLB_LISTS; n++)
        empty_list(tlb, n);
    for (unsigned half = 0; half < 2; half++)
        for (unsigned n = 0; n < ARRAY_SIZE(tlb->large[half].of_2m); n++)
            tlb->large[half].of_2m[n] = tlb->large[half].of_1g[n] = 0;
}

static unsigned room_of(unsigned pcid)
{
    return 1 + pcid % TLB_ROOMS;
}

void tlb_drop_pcid(struct tlb *tlb, unsigned pcid)
{
    unsigned room = room_of(pcid);
    if (tlb->pcid[room] != pcid) return;
    empty_list(tlb, room);
    if (room == tlb->user) empty_list(tlb, 0);
}

void tlb_drop_local(struct tlb *tlb)
{
    for (unsigned table = 0; table < TLB_TABLES; table++)
        empty_list(tlb, table);
}

void tlb_select(struct tlb *tlb, unsigned pcid, bool kept)
{
    unsigned room = room_of(pcid);
    if (!(tlb->in_use >> room & 1)) use(tlb, room);
    if (!kept || tlb->pcid[room] != pcid) empty_list(tlb, room);
    empty_list(tlb, 0);
    tlb->pcid[room] = (u16)pcid;
    tlb->user = room;
}

enum { SHIFT_2M = 21, SHIFT_1G = 30 };

/* Bit and word of a large page in `large`. */
static u64 *large_word(struct tlb *tlb, u64 linear, unsigned shift, u64 *bit)
{
    u64 number = linear >> shift, half = linear >> 63;
    u64 *words = shift == SHIFT_1G ? tlb->large[half].of_1g : tlb->large[half].of_2m;
    *bit = 1ull << number % 64;
    return &words[number / 64 % ARRAY_SIZE(tlb->large[0].of_2m)];
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

/* Drop the pieces of the 2 MB around this page that are in a table: all, if the table is `own`, or the global ones. */
static bool drop_2m(struct tlb *tlb, unsigned table, u64 page, bool own)
{
    enum { PIECES = 1 << (SHIFT_2M - PAGE_SHIFT) };
    _Static_assert(TLB_ENTRIES % PIECES == 0, "their places follow each other");
    u64 first = page & ~(u64)(PIECES - 1);
    unsigned number = table * TLB_ENTRIES + (unsigned)(first % TLB_ENTRIES);
    bool fetched = false;
    for (unsigned n = 0; n < PIECES; n++) {
        const struct tlb_info *info = &tlb->info[0][0] + number + n;
        if (info->page == first + n && info->shift == SHIFT_2M && (own || info->global))
            fetched |= drop(tlb, number + n);
    }
    return fetched;
}

/* Drop all pieces of the 1 GB around this page that are in a list. */
static bool drop_1g(struct tlb *tlb, unsigned number, u64 page)
{
    const struct tlb_list *list = &tlb->list[number];
    bool fetched = false;
    for (unsigned n = 0; n < list->count; n++) {
        const struct tlb_info *info = &tlb->info[0][0] + list->number[n];
        if (((info->page ^ page) << PAGE_SHIFT) >> info->shift == 0) fetched |= drop(tlb, list->number[n]);
    }
    return fetched;
}

/* The page's entries in these tables (bit n: table n), and its global ones in all. */
static bool drop_page(struct tlb *tlb, u64 linear, unsigned tables)
{
    u64 page = linear >> PAGE_SHIFT;
    unsigned place = tlb_place(linear);
    bool fetched = false, in_2m = may_be_large(tlb, linear, SHIFT_2M),
         in_1g = may_be_large(tlb, linear, SHIFT_1G);
    for (unsigned table = 0; table < TLB_TABLES; table++) {
        if (!(tlb->in_use >> table & 1)) continue;
        const struct tlb_info *info = &tlb->info[table][place];
        bool own = tables >> table & 1;
        if (info->page == page && (own || info->global)) fetched |= drop(tlb, table * TLB_ENTRIES + place);
        if (in_2m) fetched |= drop_2m(tlb, table, page, own);
        if (in_1g && own) fetched |= drop_1g(tlb, table, page);
    }
    if (in_1g) fetched |= drop_1g(tlb, TLB_GLOBAL, page);
    return fetched;
}

bool tlb_invlpg_of(struct tlb *tlb, unsigned pcid, u64 linear)
{
    unsigned room = room_of(pcid);
    if (tlb->pcid[room] != pcid) return false;
    return drop_page(tlb, linear, 1u << room | (room == tlb->user));
}

bool tlb_invlpg(struct tlb *tlb, u64 linear)
{
    return tlb_invlpg_of(tlb, tlb->pcid[tlb->user], linear);
}

bool tlb_drop_page(struct tlb *tlb, u64 linear)
{
    return drop_page(tlb, linear, ~0u);
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
        u32 *at = &tlb->chain[info->chain - 1];
        while (*at != number + 1)
            at = &first[*at - 1].next;
        *at = info->next;
    }
    info->chain = (u16)(chain + 1);
    info->next = tlb->chain[chain];
    tlb->chain[chain] = number + 1;
}

/* Name the entry in the list of its kind. It may be in the other one, too, from an earlier use. */
static void enlist(struct tlb *tlb, unsigned number, bool global)
{
    struct tlb_list *list = &tlb->list[global ? TLB_GLOBAL : number / TLB_ENTRIES];
    struct tlb_info *info = &tlb->info[0][0] + number;
    if (info->listed & list_bit(global)) return;
    info->listed |= (u8)list_bit(global);
    list->number[list->count++] = number;
}

void tlb_fill(struct tlb *tlb, u64 linear, bool user, const struct walk *walk, u64 delta, unsigned rights)
{
    unsigned number = tlb_table(tlb, user) * TLB_ENTRIES + tlb_place(linear);
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
