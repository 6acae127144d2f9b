/*
 * The TLB of IA-32e mode under random operations. Hazard: an entry that INVLPG, a load of CR3, a write to code or
 * another PCID should have hidden. The model keeps what an architectural TLB of any size could still have; the real one
 * may have less.
 */
#include "mmu/tlb.h"

#include "check.h"

#include <string.h>

enum { PAGES = 24, PCIDS = 20, STEPS = 200000 };

/* What may be found of a page: the guest frame + 1 by which a PCID may reach it, and whether it may be written. */
struct known {
    u32 frame;
    bool global, written;
    unsigned shift; /* the size of the page that it is a piece of */
};
static struct known known[SHADOW_PRIVILEGES][PCIDS][PAGES];
static unsigned pcid;
static u64 state = 1;

static unsigned below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % limit;
}

/* Half of the pages share places with the other half. */
static u64 linear_of(unsigned page)
{
    return (u64)(page / 2) << PAGE_SHIFT | (u64)(page & 1) * TLB_ENTRIES << PAGE_SHIFT;
}

static void forget_pcid(unsigned number)
{
    for (unsigned user = 0; user < SHADOW_PRIVILEGES; user++)
        for (unsigned page = 0; page < PAGES; page++)
            if (!known[user][number][page].global) known[user][number][page].frame = 0;
}

static void fill(struct tlb *tlb)
{
    unsigned page = below(PAGES), user = below(2), frame = below(40);
    bool global = below(4) == 0, written = below(2);
    unsigned shift = (const unsigned[]){PAGE_SHIFT, PAGE_SHIFT, 21, 30}[below(4)];
    struct walk walk = {.gpa = (u64)frame << PAGE_SHIFT, .page_bytes = 1ull << shift, .global = global};
    tlb_fill(tlb, linear_of(page), user, &walk, (u64)(frame + 1) << 40,
             TLB_READ | TLB_FETCH | (written ? TLB_WRITE : 0));
    known[user][pcid][page] = (struct known){frame + 1, global, written, shift};
}

static void check_page(const struct tlb *tlb, unsigned page, bool user)
{
    const struct known *k = &known[user][pcid][page];
    u64 linear = linear_of(page), delta = tlb_entry(tlb, linear, user, false);
    u32 frame = tlb_frame(tlb, linear, user);
    bool foreign = false; /* a global entry that was filled under another PCID */
    for (unsigned n = 0; n < PCIDS; n++)
        foreign |= known[user][n][page].global && known[user][n][page].frame == frame;
    if (frame && !foreign) CHECK_EQ(frame, k->frame);
    if (delta) CHECK_EQ(delta >> 40, frame);
    if (tlb_entry(tlb, linear, user, true) && !foreign) CHECK(k->written);
}

/* A page is dropped: of one PCID, or of all (PCIDS), and if `globals` the global ones of each. */
static void forget_page(unsigned page, unsigned number, bool globals)
{
    for (unsigned user = 0; user < SHADOW_PRIVILEGES; user++)
        for (unsigned n = 0; n < PCIDS; n++)
            for (unsigned other = 0; other < PAGES; other++) {
                struct known *k = &known[user][n][other];
                bool own = number == PCIDS || n == number;
                bool same = k->shift && (linear_of(other) ^ linear_of(page)) >> k->shift == 0;
                if (same && (k->global ? globals : own)) k->frame = 0;
            }
}

static void invlpg(struct tlb *tlb, bool all)
{
    unsigned page = below(PAGES);
    forget_page(page, all ? PCIDS : pcid, true);
    if (all)
        tlb_drop_page(tlb, linear_of(page));
    else
        tlb_invlpg(tlb, linear_of(page));
    CHECK(!tlb_frame(tlb, linear_of(page), false) && !tlb_entry(tlb, linear_of(page), true, false));
}

static void invpcid(struct tlb *tlb)
{
    unsigned page = below(PAGES), number = below(PCIDS);
    switch (below(3)) {
    case 0:
        forget_page(page, number, false);
        tlb_invlpg_of(tlb, number, linear_of(page));
        break;
    case 1:
        forget_pcid(number);
        tlb_drop_pcid(tlb, number);
        break;
    case 2:
        for (unsigned n = 0; n < PCIDS; n++)
            forget_pcid(n);
        tlb_drop_local(tlb);
        break;
    }
}

static void drop_writes(struct tlb *tlb)
{
    unsigned frame = below(40);
    struct known *all = &known[0][0][0];
    for (unsigned n = 0; n < sizeof(known) / sizeof(*all); n++)
        if (all[n].frame == frame + 1) all[n].written = false;
    tlb_drop_writes(tlb, frame);
    for (unsigned table = 0; table < TLB_TABLES; table++)
        for (unsigned place = 0; place < PAGES; place++)
            if (tlb->in_use >> table & 1 && tlb_holds(tlb, table, place) &&
                tlb->info[table][place].frame == frame)
                CHECK_EQ(tlb->slot[table][place].write, TLB_NONE);
}

static void select_pcid(struct tlb *tlb)
{
    bool kept = below(4);
    pcid = below(PCIDS);
    if (!kept) forget_pcid(pcid);
    tlb_select(tlb, pcid, kept);
}

int main(void)
{
    struct tlb *tlb = tlb_new();
    for (unsigned step = 0; step < STEPS; step++) {
        switch (below(16)) {
        case 0:
        case 1:
        case 2: select_pcid(tlb); break;
        case 3: invlpg(tlb, below(8) == 0); break;
        case 4: drop_writes(tlb); break;
        case 15: invpcid(tlb); break;
        case 5:
            if (below(64)) break;
            tlb_flush(tlb);
            memset(known, 0, sizeof known);
            break;
        default: fill(tlb); break;
        }
        check_page(tlb, below(PAGES), below(2));
    }
    /* A page of a process is still there after another one has run. */
    struct walk walk = {.gpa = 5 << PAGE_SHIFT, .page_bytes = PAGE_SIZE};
    tlb_flush(tlb);
    tlb_select(tlb, 1, false);
    tlb_fill(tlb, linear_of(0), true, &walk, 1ull << 40, TLB_READ | TLB_FETCH);
    tlb_select(tlb, 2, false);
    CHECK_EQ(tlb_frame(tlb, linear_of(0), true), 0);
    tlb_select(tlb, 1, true);
    CHECK_EQ(tlb_frame(tlb, linear_of(0), true), 6);
    tlb_destroy(tlb);
    return check_report();
}
