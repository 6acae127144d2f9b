/*
 * Shadow tables, tier 1: flat tables indexed by linear page number. A *view* has the three tables of one privilege of
 * one address space. There is one view for the supervisor, and one for the user privilege of each space that is
 * remembered.
 *
 *   read[page], write[page]   host page address - linear page address, or 0: take the slow path
 *   exec[page]                guest frame number + 1 of the page when it may be fetched, or 0
 *
 * Invariants
 * 1. A read entry exists only where this privilege may read, the page is RAM or ROM, and A is set.
 * 2. A write entry exists only where this privilege may write, D is set, and the page is RAM and not guarded
 *    (phys.h). A page of video memory must be PHYS_DIRTY. So MMIO, ROM, A/D bits, code, read-only pages and
 *    copy-on-write all follow one rule: no entry, no fast path.
 * 3. Every page with an entry is PAGE_LIVE (view.h), so that a flush looks only at pages that were filled, not at 2^20.
 * 4. Every page table that an entry was derived through has a *write trace* and is PHYS_TRACED (trace.c): a
 *    write to it drops the entries derived from the words it changes. So entries are never stale, and they
 *    survive CR3 loads.
 *
 * A space belongs to a *root*: CR3, and with PAE the four PDPTEs, which are registers. Loading a root finds
 * its space (space.c). The supervisor's view keeps those quarters of linear space for which the old root and the new
 * one have the same top-level entries (a kernel's half), and drops the others.
 *
 * Without traces (`untraced`) there are two views, and entries live as long as a TLB entry may: INVLPG drops
 * one page, a CR3 load all but global pages (SDM 3A 4.10.4.1). A page table in device memory cannot be
 * traced. Once one is met, entries live that long too, until everything is flushed.
 *
 * Only the vCPU's thread calls this. All but set-up and destruction may run while the guest's FPU state is
 * live.
 */
#ifndef RINGER_MMU_SHADOW_H
#define RINGER_MMU_SHADOW_H

#include "base/events.h"
#include "walk.h"

/* Pages at and above 64 GB, which a 64-bit CPU reaches in PAE mode, have no exec entries: frame + 1 has 24 bits in the
 * keys of the jump table (cache/cache.h). Their code is interpreted. */
#define SHADOW_EXEC_FRAMES ((1u << 24) - 1)

enum { SHADOW_SUPERVISOR, SHADOW_USER, SHADOW_PRIVILEGES };

/* User address spaces remembered at most. A view of each takes 29 MB of host addresses, and some 100 KB of
 * memory when a small process uses it. */
#define SHADOW_SPACES 1023

/* Host mappings of all windows together; the host allows a process 65530 by default (vm.max_map_count). */
#define WINDOW_MAPPINGS_MAX 40000

/* Which user spaces get a host window (window.h). */
enum windows_policy { WINDOWS_AUTO, WINDOWS_ALWAYS, WINDOWS_NEVER };

/* The write table lies this many bytes behind the read table. */
#define SHADOW_READ_TO_WRITE ((8 << 20) + PAGE_SIZE)

struct shadow_table {
    u64 *read;
    u64 *write;
    u32 *exec;
};

struct tlb;

#define WATCHED_PAGES_MAX 64

struct shadow {
    struct phys *phys;
    struct counters *counters;
    struct shadow_table
        table[SHADOW_PRIVILEGES]; /* of the root loaded last: shadow_load_root() changes them */
    struct tlb *tlb;              /* the same for IA-32e mode (tlb.h) */
    void *state;                  /* struct shadow_state, private to mmu */
    bool forced_slow;             /* fault injection: never fill read and write entries */
    bool untraced;                /* no write traces; set before the first access */
    bool no_borrowing;            /* the supervisor never uses the user view's entries */
    bool no_prefill;              /* fill only the entry of the accessed page */
    u32 spaces_max;               /* user address spaces remembered, 1 to SHADOW_SPACES */
    enum windows_policy windows;
    bool deterministic;      /* no host's clock decides who gets a window of 64-bit code */
    u64 window_mappings_max; /* all windows together */
    bool window_unsettled;   /* shadow_window_settle() has something to do; not in IA-32e mode */
    bool has_window;         /* the current user space has a host window (window.h, long_window.h) */
    bool window_same;        /* it is one of IA-32e mode in which most addresses are LONG_SAME */
    bool window_due;         /* long_window_map_due() has something to do */
    u64 window;              /* its base; in IA-32e mode its delta */
    bool no_low_window;      /* fault injection */
    u64 exec_drops;          /* number of exec entries dropped so far */
    u64 data_drops;          /* number of read and write entries dropped so far */
    struct watched_page {    /* pages that a debugger watches (watch.h) */
        u64 page;
        bool reads;
    } watched[WATCHED_PAGES_MAX];
    u32 watched_count;
};

/* Results of shadow_access(). */
enum shadow_kind {
    SHADOW_DIRECT,  /* host points at the bytes: RAM (read or write) or ROM (read) */
    SHADOW_MMIO,    /* a device, a write to ROM, or no region: use phys_read() or phys_write() at gpa */
    SHADOW_GUARDED, /* a write to a page that holds code or a page table: host is valid, but after the write
                       call phys->guarded_written */
    SHADOW_FAULT,   /* #PF with the given error code; CR2 = linear */
};

struct shadow_hit {
    enum shadow_kind kind;
    u8 *host;
    u64 gpa; /* of SHADOW_MMIO and SHADOW_GUARDED */
    u32 error;
};

/* Returns 0 or -errno. */
int shadow_init(struct shadow *shadow, struct phys *phys, struct counters *counters);
void shadow_destroy(struct shadow *shadow);

/* The slow path of one access that does not cross a page (`access` may have ACCESS_IMPLICIT): walk, set A and D, fill
 * the entries that are allowed, and return the location of the bytes. ACCESS_FETCH fills exec and returns the host
 * address of the code byte. `paging` must be that of the last shadow_load_root(). */
enum shadow_kind shadow_access(struct shadow *shadow, const struct paging *paging, u64 linear,
                               enum access access, bool user, struct shadow_hit *hit);

/* CR3, or a bit of CR0, CR4 or EFER that paging depends on, was written: make `table` that of this root. */
void shadow_load_root(struct shadow *shadow, const struct paging *paging);
/* The same in IA-32e mode by a load of CR3 that keeps the entries of the new PCID (bit 63 of its source). */
void shadow_switch_root(struct shadow *shadow, const struct paging *paging);
/* Drop everything: guest-physical memory has changed, or the CPU was reset. */
void shadow_flush(struct shadow *shadow);
void shadow_invlpg(struct shadow *shadow, u64 linear);
/* The types of INVPCID (SDM 2A INVPCID): what it drops. */
enum invpcid {
    INVPCID_PAGE,  /* a page of one PCID */
    INVPCID_ONE,   /* one PCID's entries but global ones */
    INVPCID_ALL,   /* everything */
    INVPCID_LOCAL, /* everything but global entries */
    INVPCID_TYPES
};
/* `pcid` and `linear` are used by the types that they mean something to. */
void shadow_invpcid(struct shadow *shadow, const struct paging *paging, enum invpcid type, unsigned pcid,
                    u64 linear);
/* Drop every write entry that maps this guest-physical page. */
void shadow_drop_writes(struct shadow *shadow, u64 gpa_page);
/* Sets the bits of those pages of video memory that were written since the last call, one bit a page, and
 * makes the pages clean. Must not be called from within a block. */
void shadow_collect_dirty(struct shadow *shadow, u64 *pages);

/* Bytes of a PHYS_TRACED page have changed, or are about to: drop the entries derived from them. If the change follows
 * this call, no entry may be filled in between. */
void shadow_table_written(struct shadow *shadow, u64 gpa, u64 bytes);

#endif
