/*
 * Write traces: which RAM pages serve as page tables of which views. Private to mmu; trace.c describes when they begin
 * and end.
 */
#ifndef RINGER_MMU_TRACE_H
#define RINGER_MMU_TRACE_H

#include "view.h"

struct trace {
    u32 frame; /* index of the RAM page */
    u32 use;   /* first struct use, 0: none */
    u32 next_free;
    u32 writes; /* number of writes since an entry was filled through it */
};

/* A page table serves a range of a view: as a leaf table (level 1) or as a directory (level 2). */
struct use {
    u32 next;
    u32 base; /* first linear page */
    u16 view;
    u8 level;
};

/* Each use of a leaf table belongs to a touched region, and each use of a directory to a quarter of a view. */
#define USES_MAX (1 + REGIONS_MAX + VIEWS * QUARTERS)
/* Up to half of the traces may have no uses; they end at the next write. */
#define TRACES_MAX (2 * USES_MAX)

struct traces {
    struct trace *trace; /* TRACES_MAX, number 0 is not used */
    struct use *use;     /* USES_MAX, number 0 is not used */
    u32 *trace_of;       /* one for each RAM page: the number of its trace, or 0 */
    u64 trace_of_bytes;
    u32 traces, free_trace; /* numbers given out so far; the first free one among them, or 0 */
    u32 uses, free_use;     /* the same for uses */
};

int traces_init(struct shadow *shadow);
void traces_destroy(struct shadow *shadow);

/* Trace the page tables of this walk for a view, before entries are filled from the walk. */
void trace_walk(struct shadow *shadow, u32 view, u32 linear, const struct walk *walk);

/* Drop the entries of a quarter, and the uses of its leaf tables. */
void trace_drop_quarter(struct shadow *shadow, u32 view, u32 quarter);
/* Drop all entries of a view, and all uses. */
void trace_drop_view(struct shadow *shadow, u32 view);
/* Remove the use of the directory for this quarter of the view (32-bit paging: quarter 0 stands for all). */
void trace_forget_directory(struct shadow *shadow, u32 view, u32 quarter);
/* 32-bit paging: the remaining entries now depend on the directory at cr3, which is in RAM, instead of the old one. */
void trace_move_directory(struct shadow *shadow, u32 view, u64 cr3);
/* All views are empty: end all traces. */
void trace_forget_all(struct shadow *shadow);

#endif
