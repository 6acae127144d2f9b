/*
 * Shadow tables, tier 1: flat arrays indexed by linear page number, one *view* for supervisor privilege and
 * one for the user half of every address space the guest has used lately.
 *
 *   read[page], write[page]   host page address - linear page address, or 0: take the slow path
 *   exec[page]                guest frame number + 1 of the page when it may be fetched, or 0
 *
 * Invariants
 * 1. A read entry exists only where this privilege may read, the page is RAM or ROM, and A is set.
 * 2. A write entry exists only where this privilege may write, D is set, and the page is RAM without
 * PHYS_CODE and PHYS_TRACED; PHYS_TRACKED pages must be PHYS_DIRTY. So MMIO, ROM, A/D bits, code, read-only
 * and copy-on-write all fall out of one rule: no entry, no fast path.
 * 3. Every non-zero entry is in a log, so that a flush costs what was filled, not 2^20.
 * 4. Every page-table page that an entry was derived through is PHYS_TRACED (trace.c): a write to it drops
 * the entries made of the words it changes. So entries are never stale, and they survive CR3 loads.
 *
 * A view belongs to a *root*: CR3, and with PAE the four PDPTEs, which are registers. Loading a root looks
 * its space up among the SHADOW_SPACES used last; the supervisor's view keeps the quarters of linear space
 * whose top-level entries the two roots have in common (a kernel's half) and drops the others.
 *
 * Without traces (`untraced`) there are two views, and entries live as long as a TLB entry may: INVLPG drops
 * one page, a CR3 load all but global pages (SDM 3A 4.10.4.1). A page table in device memory cannot be
 * traced; once one is met the same happens until everything is flushed.
 *
 * Only the vCPU thread calls this; all but set-up and destruction may run while the guest's FPU state is
 * live.
 */
#ifndef RINGER_MMU_SHADOW_H
#define RINGER_MMU_SHADOW_H

#include "base/counters.h"
#include "walk.h"

enum { SHADOW_SUPERVISOR, SHADOW_USER, SHADOW_PRIVILEGES };

/* User address spaces remembered at most. */
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

struct shadow {
    struct phys *phys;
    struct counters *counters;
    struct shadow_table
        table[SHADOW_PRIVILEGES]; /* of the root loaded last: shadow_load_root() changes them */
    void *state;                  /* views, spaces, traces: private to mmu */
    bool forced_slow;             /* fault injection: never fill read and write entries */
    bool untraced;                /* no write traces: set before the first access */
    bool no_borrowing;            /* the supervisor has entries of its own for all it reaches */
    bool no_prefill;              /* fill only what was asked for */
    enum windows_policy windows;
    u64 window_mappings_max; /* all windows together */
    bool window_unsettled;   /* shadow_window_settle() has something to do */
    bool has_window;         /* the current user space has a host window (window.h), ... */
    u64 window;              /* ... with this base */
    bool no_low_window;      /* fault injection */
    u64 exec_drops;          /* moves on whenever an exec entry that was there goes or changes; */
    u64 data_drops;          /* whenever a read or write entry that was there does */
};

/* Kinds of answer of shadow_access(). */
enum shadow_kind {
    SHADOW_DIRECT,  /* host points at the bytes: RAM (read or write) or ROM (read) */
    SHADOW_MMIO,    /* a device, a write to ROM, or nothing at all: use phys_read/phys_write at gpa */
    SHADOW_WATCHED, /* a write to a page that holds code or a page table: host is valid, but after the write
                       call phys->watched_written */
    SHADOW_FAULT,   /* #PF with the given error code; CR2 = linear */
};

struct shadow_hit {
    enum shadow_kind kind;
    u8 *host;
    u64 gpa; /* of MMIO and WATCHED */
    u32 error;
};

/* Returns 0 or -errno. */
int shadow_init(struct shadow *shadow, struct phys *phys, struct counters *counters);
void shadow_destroy(struct shadow *shadow);

/* The slow path of one access that does not cross a page (`access` may have ACCESS_IMPLICIT): walk, set A/D,
 * fill what may be filled, say where it is. For ACCESS_FETCH fills exec and gives the host address of the
 * code byte. `paging` is what shadow_load_root() saw last. */
enum shadow_kind shadow_access(struct shadow *shadow, const struct paging *paging, u32 linear,
                               enum access access, bool user, struct shadow_hit *hit);

/* CR3, or a bit of CR0, CR4 or EFER that paging depends on, was written: make `table` that of this root. */
void shadow_load_root(struct shadow *shadow, const struct paging *paging);
/* Drop everything: guest-physical memory has changed, or the CPU was reset. */
void shadow_flush(struct shadow *shadow);
void shadow_invlpg(struct shadow *shadow, u32 linear);
/* Drop every write entry that maps this guest-physical page (it is now watched). */
void shadow_drop_writes(struct shadow *shadow, u64 gpa_page);
/* Which pages of video memory were written since the last call? Sets their bits in `pages`, one a page, and
 * listens anew. Not from within a block. */
void shadow_collect_dirty(struct shadow *shadow, u64 *pages);

/* Bytes of a PHYS_TRACED page change or have just changed: drop what was derived from them. Nothing may be
 * filled between this call and the change when it comes before. */
void shadow_table_written(struct shadow *shadow, u64 gpa, u64 bytes);

#endif
