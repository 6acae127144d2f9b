/*
 * What stands for the shadow's views in IA-32e mode: a TLB, as a CPU has one. Interpreter and translated code read it.
 * A view is flat arrays for 4 GB and cannot hold a 64-bit address space (docs/LONGMODE.md).
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
 * 6. An entry is in use only if its page belongs at its place. Zeroed memory is empty but for the first and the last
 *    place (tlb.c: use()), so what was never filled costs no memory.
 * 7. The supervisor's entries that are not global belong to the current PCID: a load of CR3 drops them. User entries
 *    are in rooms, a room for each of a few PCIDs (SDM 3A 4.10.1), so those of a process outlive the run of another
 *    one. Linux uses six PCIDs. Without CR4.PCIDE there is PCID 0 alone.
 *
 * Only the vCPU's thread calls this. All but set-up and destruction may run while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_TLB_H
#define RINGER_MMU_TLB_H

#include "shadow.h"

/* Of a table; a page has one place. 128 MB of pages: programs that are not larger find all of their heap, and the
 * chance that two pages that a loop uses by turns share a place is small. */
#define TLB_ENTRIES 32768

/* Table 0 is the supervisor's, the others are the rooms. */
#define TLB_ROOMS  8u /* a PCID has one place */
#define TLB_TABLES (1 + TLB_ROOMS)

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

/* Linear page number and guest frame number in one word, so that one comparison tells whether a page still maps the
 * frame that code was translated from. 36 bits tell the pages of canonical addresses apart; 28 are left for frames (40
 * address lines). */
static inline u64 tlb_exec_word(u64 linear, u32 frame)
{
    return linear >> PAGE_SHIFT << 28 | frame;
}

#define TLB_TABLE_BYTES sizeof(struct tlb_slot[TLB_ENTRIES])

/* Of each 4 GB of 48 bits of linear address: its enum long_class (long_window.h). And for translated code, which tests
 * for one class with fewer micro-operations than it compares: is it LONG_SAME, is it LONG_HIGH? 0 or TLB_IS_CLASS. */
#define TLB_SEGMENTS 65536u
#define TLB_IS_CLASS 0xff
struct tlb_segments {
    u8 class[TLB_SEGMENTS];
    u8 is[2][TLB_SEGMENTS];
};
_Static_assert(TLB_TABLE_BYTES >= sizeof(struct tlb_segments), "they find room");

/* What only C code reads of an entry. */
struct tlb_info {
    u64 page;  /* linear page number, or TLB_NONE */
    u32 frame; /* guest frame number */
    u8 shift;  /* size of the guest's page, as a power of 2 */
    bool global;
    u8 listed; /* bit 0: named in the list of its table; bit 1: in that of global entries */
    u16 chain; /* number of the chain that it is in + 1; 0: none */
    u32 next;  /* the next entry of the chain + 1, or 0 */
};

#define TLB_CHAINS 32768u /* by the low bits of the guest frame number */

/* The entries of a table that are not global, and the global ones of all tables. */
enum { TLB_GLOBAL = (int)TLB_TABLES, TLB_LISTS };

struct tlb_list {
    u32 count;
    u32 *number; /* table * TLB_ENTRIES + place */
};

struct tlb {
    struct tlb_slot slot[TLB_TABLES][TLB_ENTRIES];
    /* Of each room. The current window is in the current room, the others have none. Tables are as far apart as in
     * `slot`, so that one register serves both. */
    union {
        struct tlb_segments segments;
        u8 bytes[TLB_TABLE_BYTES];
    } segment[TLB_TABLES];
    struct tlb_info info[TLB_TABLES][TLB_ENTRIES];
    unsigned user;        /* the table of the current PCID's user entries */
    u16 pcid[TLB_TABLES]; /* of a room */
    u16 in_use;           /* bit n: table n has been used */
    struct tlb_list list[TLB_LISTS];
    u32 numbers[2 * TLB_TABLES * TLB_ENTRIES]; /* of the lists */
    u32 chain[TLB_CHAINS];                     /* the first entry + 1, or 0 */
    /* Of each half of linear space, a bit for each 2 MB (1 GB), by the low bits of its number, from which a large page
     * was filled since the last flush of everything: INVLPG elsewhere need not look for pieces of large pages. The
     * halves are apart because kernels map all memory by large pages, and the processor drops the page of each page
     * fault. */
    struct {
        u64 of_2m[64], of_1g[64];
    } large[2];
};

static inline unsigned tlb_place(u64 linear)
{
    return (linear >> PAGE_SHIFT) % TLB_ENTRIES;
}
/* Is the entry at this place in use? */
static inline bool tlb_holds(const struct tlb *tlb, unsigned table, unsigned place)
{
    return tlb->info[table][place].page % TLB_ENTRIES == place && tlb->info[table][place].page != TLB_NONE;
}
/* The table of a privilege for the current PCID. */
static inline unsigned tlb_table(const struct tlb *tlb, bool user)
{
    return user ? tlb->user : 0;
}
/* The enum long_class of the segment of an address in the lower half (long_window.h). */
static inline u8 tlb_segment(const struct tlb *tlb, u64 linear)
{
    return tlb->segment[tlb->user].segments.class[linear >> 32];
}
/* Host address - linear address, or 0: take the slow path. */
static inline u64 tlb_entry(const struct tlb *tlb, u64 linear, bool user, bool write)
{
    const struct tlb_slot *slot = &tlb->slot[tlb_table(tlb, user)][tlb_place(linear)];
    return likely((write ? slot->write : slot->read) == (linear & ~(u64)PAGE_MASK)) ? slot->delta : 0;
}
/* The page's guest frame number + 1 if it may be fetched, or 0. */
static inline u32 tlb_frame(const struct tlb *tlb, u64 linear, bool user)
{
    unsigned table = tlb_table(tlb, user), place = tlb_place(linear);
    const struct tlb_info *info = &tlb->info[table][place];
    return likely(info->page == linear >> PAGE_SHIFT && tlb->slot[table][place].exec != TLB_NONE)
               ? info->frame + 1
               : 0;
}

/* Returns NULL when there is no memory. */
struct tlb *tlb_new(void);
void tlb_destroy(struct tlb *tlb);

/* Entries of all PCIDs. */
void tlb_flush(struct tlb *tlb);
/* Make this PCID current, and drop its entries but global ones unless they are kept. */
void tlb_select(struct tlb *tlb, unsigned pcid, bool kept);
/* The page of the current PCID, and global ones of all. Returns whether a page that may be fetched was dropped. */
bool tlb_invlpg(struct tlb *tlb, u64 linear);
/* The same of a PCID that need not be current. */
bool tlb_invlpg_of(struct tlb *tlb, unsigned pcid, u64 linear);
/* The entries of this PCID but global ones. */
void tlb_drop_pcid(struct tlb *tlb, unsigned pcid);
/* Those of all PCIDs but global ones. */
void tlb_drop_local(struct tlb *tlb);
/* The page of all PCIDs. */
bool tlb_drop_page(struct tlb *tlb, u64 linear);
/* No entry lets this guest frame be written. Returns whether one did. */
bool tlb_drop_writes(struct tlb *tlb, u64 frame);

/* An allowed access was walked: fill the page's entry. delta 0: its bytes are not in host memory. */
void tlb_fill(struct tlb *tlb, u64 linear, bool user, const struct walk *walk, u64 delta, unsigned rights);

#endif
