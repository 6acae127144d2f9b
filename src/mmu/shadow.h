/*
 * Shadow tables, tier 1: for supervisor and for user privilege, flat arrays indexed by linear page number.
 *
 *   read[page], write[page]   host page address - linear page address, or 0: take the slow path
 *   exec[page]                guest frame number + 1 of the page when it may be fetched, or 0
 *
 * Invariants
 * 1. A read entry exists only where this privilege may read, the page is RAM or ROM, and A is set.
 * 2. A write entry exists only where this privilege may write, D is set, and the page is RAM without
 * PHYS_CODE and PHYS_TRACED. So MMIO, ROM, A/D bits, code, read-only and copy-on-write all fall out of one
 * rule: no entry, no fast path.
 * 3. Every non-zero entry is in the log, so that a flush costs what was filled, not 2^20.
 *
 * Step one of coherence: entries live as long as a TLB entry may: INVLPG drops one page (large pages: all of
 * them), CR3 loads drop all but global ones, CR0/CR4 changes drop all, a page fault drops those of its page
 * (SDM 3A 4.10.4.1). Filling may drop everything else, to bound memory. Only the vCPU thread calls this; all
 * but set-up and destruction may run while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_SHADOW_H
#define RINGER_MMU_SHADOW_H

#include "base/counters.h"
#include "walk.h"

enum { SHADOW_SUPERVISOR, SHADOW_USER, SHADOW_PRIVILEGES };

struct shadow_table {
    u64 *read;
    u64 *write;
    u32 *exec;
};

struct shadow {
    struct phys *phys;
    struct counters *counters;
    struct shadow_table table[SHADOW_PRIVILEGES];
    void *state;      /* log and reverse map: private to shadow.c */
    bool forced_slow; /* fault injection: never fill read and write entries */
    u64 exec_drops;   /* moves on whenever an exec entry that was there goes or changes */
};

/* Kinds of answer of shadow_access(). */
enum shadow_kind {
    SHADOW_DIRECT, /* host points at the bytes: RAM (read or write) or ROM (read) */
    SHADOW_MMIO,   /* a device, a write to ROM, or nothing at all: use phys_read/phys_write at gpa */
    SHADOW_CODE,  /* a write to a page that holds code (or is traced): host is valid, but after the write call
                     phys->code_written */
    SHADOW_FAULT, /* #PF with the given error code; CR2 = linear */
};

struct shadow_hit {
    enum shadow_kind kind;
    u8 *host;
    u64 gpa;
    u32 error;
};

/* Returns 0 or -errno. */
int shadow_init(struct shadow *shadow, struct phys *phys, struct counters *counters);
void shadow_destroy(struct shadow *shadow);

/* The slow path of one access that does not cross a page (`access` may have ACCESS_IMPLICIT): walk, set A/D,
 * fill what may be filled, say where it is. For ACCESS_FETCH fills exec and gives the host address of the
 * code byte. */
enum shadow_kind shadow_access(struct shadow *shadow, const struct paging *paging, u32 linear,
                               enum access access, bool user, struct shadow_hit *hit);

/* Drop all entries; with keep_global those of global pages stay (a MOV CR3 with CR4.PGE set). */
void shadow_flush(struct shadow *shadow, bool keep_global);
void shadow_invlpg(struct shadow *shadow, u32 linear);
/* Drop every write entry that maps this guest-physical page (it now holds code). */
void shadow_drop_writes(struct shadow *shadow, u64 gpa_page);

#endif
