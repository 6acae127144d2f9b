/*
 * Write traces: which RAM pages serve as page tables of which views, and what a write to one of them means.
 *
 * A *trace* is a RAM page that entries were derived through; its *uses* say for which view and linear range
 * it is the leaf table (level 1) or the directory (level 2). Uses come with the first entry filled through
 * them. They go when the directory's entry above them changes, when the root of their view changes, or when
 * the page is written WRITES_MAX times without an entry filled through it in between: then the guest is
 * filling or clearing it wholesale, or it is no page table any more, and the cheapest is to drop everything
 * derived from it and to let the writes run free until it is walked again. A trace without uses ends at the
 * next write.
 */
#include "view.h"

#include <errno.h>
#include <stdlib.h>

/* Dropping one entry costs as much as a few tens of free writes: a page fault writes one, a fault-around of
 * Linux 16. */
#define WRITES_MAX 32
/* A write of so many bytes is a page being cleared or copied. */
#define BULK_BYTES 64
#define USES_SEEN  16

int traces_init(struct shadow *shadow)
{
    struct shadow_state *state = state_of(shadow);
    state->trace = reserve(TRACES_MAX * sizeof *state->trace);
    state->use = reserve(USES_MAX * sizeof *state->use);
    state->trace_of = reserve(state->chain_bytes);
    return state->trace && state->use && state->trace_of ? 0 : -ENOMEM;
}

void traces_destroy(struct shadow *shadow)
{
    struct shadow_state *state = state_of(shadow);
    release(state->trace, TRACES_MAX * sizeof *state->trace);
    release(state->use, USES_MAX * sizeof *state->use);
    release(state->trace_of, state->chain_bytes);
}

/* --- from here on the guest's FPU state may be live: no libc --- */

/* Index of the RAM page, or UINT32_MAX: device memory, ROM, nothing. */
static u32 ram_frame(struct shadow *shadow, u64 gpa)
{
    struct phys *phys = shadow->phys;
    const struct phys_region *region = phys_find(phys, gpa & phys->a20_mask);
    if (!region || region->kind != PHYS_RAM) return UINT32_MAX;
    u8 *host = region->host + ((gpa & phys->a20_mask) - region->gpa);
    return (u32)((u64)(host - phys->ram) >> PAGE_SHIFT);
}

static u32 pages_of_table(const struct shadow_state *state)
{
    return state->pae ? 512 : 1024;
}

/* The regions that one leaf table serves. */
static u32 first_region(const struct shadow_state *state, u32 page)
{
    u32 region = page >> REGION_BITS;
    return state->pae ? region : region & ~1u;
}
static u32 regions_of_table(const struct shadow_state *state)
{
    return state->pae ? 1 : 2;
}

/* --- uses --- */

static void add_use(struct shadow_state *state, u32 trace, u32 view, u8 level, u32 base)
{
    u32 n = state->free_use;
    if (n)
        state->free_use = state->use[n].next;
    else
        n = ++state->uses;
    state->use[n] =
        (struct use){.next = state->trace[trace].use, .base = base, .view = (u16)view, .level = level};
    state->trace[trace].use = n;
}

static void remove_use(struct shadow_state *state, u32 trace, u32 view, u8 level, u32 base)
{
    u32 *at = &state->trace[trace].use;
    while (*at) {
        u32 n = *at;
        struct use *use = &state->use[n];
        if (use->view == view && use->level == level && use->base == base) {
            *at = use->next;
            use->next = state->free_use;
            state->free_use = n;
            return;
        }
        at = &use->next;
    }
}

static void set_table(struct view *view, u32 region, u32 trace)
{
    u64 bit = 1ull << region % 64, *word = &view->tabled[region / 64];
    view->table_of[region] = trace;
    *word = trace ? *word | bit : *word & ~bit;
}

/* The leaf table of these regions serves them no more; their entries are dropped. */
static void drop_table(struct shadow *shadow, u32 n, u32 page)
{
    struct shadow_state *state = state_of(shadow);
    struct view *view = &state->view[n];
    u32 region = first_region(state, page), count = regions_of_table(state);
    u32 trace = view->table_of[region];
    for (u32 k = 0; k < count; k++) {
        view_drop_region(shadow, n, region + k);
        set_table(view, region + k, 0);
    }
    if (trace) remove_use(state, trace, n, 1, region << REGION_BITS);
}

void trace_drop_quarter(struct shadow *shadow, u32 n, u32 quarter)
{
    const struct view *view = &state_of(shadow)->view[n];
    u32 words = REGIONS / QUARTERS / 64;
    for (u32 word = quarter * words; word < (quarter + 1) * words; word++)
        while (view->tabled[word])
            drop_table(shadow, n, (word * 64 + (u32)__builtin_ctzll(view->tabled[word])) << REGION_BITS);
    view_drop_quarter(shadow, n, quarter);
}

void trace_forget_directory(struct shadow *shadow, u32 n, u32 quarter)
{
    struct shadow_state *state = state_of(shadow);
    u32 *directory = &state->view[n].directory_of[quarter];
    if (*directory) remove_use(state, *directory, n, 2, quarter * (PAGES / QUARTERS));
    *directory = 0;
}

void trace_drop_view(struct shadow *shadow, u32 n)
{
    for (u32 q = 0; q < QUARTERS; q++) {
        trace_drop_quarter(shadow, n, q);
        trace_forget_directory(shadow, n, q);
    }
}

/* --- traces --- */

static u32 begin_trace(struct shadow *shadow, u32 frame, u64 gpa)
{
    struct shadow_state *state = state_of(shadow);
    u32 n = state->trace_of[frame];
    if (n) return n;
    n = state->free_trace;
    if (n)
        state->free_trace = state->trace[n].next_free;
    else
        n = ++state->traces;
    state->trace[n] = (struct trace){.frame = frame};
    state->trace_of[frame] = n;
    shadow->counters->traces_begun++;
    phys_watch(shadow->phys, gpa, PHYS_TRACED);
    return n;
}

static void end_trace(struct shadow *shadow, u32 n)
{
    struct shadow_state *state = state_of(shadow);
    struct trace *trace = &state->trace[n];
    shadow->phys->ram_flags[trace->frame] &= ~PHYS_TRACED;
    state->trace_of[trace->frame] = 0;
    trace->next_free = state->free_trace;
    state->free_trace = n;
}

/* The directory of 32-bit paging serves all quarters and stands with the first. */
static void drop_directory(struct shadow *shadow, u32 n, u32 quarter)
{
    for (u32 q = 0; q < (state_of(shadow)->pae ? 1 : QUARTERS); q++)
        trace_drop_quarter(shadow, n, quarter + q);
    trace_forget_directory(shadow, n, quarter);
}

/* Drop all that was derived through this page. */
static void drop_trace(struct shadow *shadow, u32 n)
{
    struct shadow_state *state = state_of(shadow);
    while (state->trace[n].use) {
        struct use use = state->use[state->trace[n].use];
        if (use.level == 1)
            drop_table(shadow, use.view, use.base);
        else
            drop_directory(shadow, use.view, use.base / (PAGES / QUARTERS));
    }
    end_trace(shadow, n);
}

void trace_forget_all(struct shadow *shadow)
{
    struct shadow_state *state = state_of(shadow);
    for (u32 n = 1; n <= state->traces; n++) {
        u32 frame = state->trace[n].frame;
        if (state->trace_of[frame] != n) continue; /* in the free list */
        state->trace_of[frame] = 0;
        shadow->phys->ram_flags[frame] &= ~PHYS_TRACED;
    }
    state->traces = state->uses = state->free_trace = state->free_use = 0;
    for (u32 n = 0; n < VIEWS; n++) {
        struct view *view = &state->view[n];
        for (u32 k = 0; k < REGIONS; k++)
            set_table(view, k, 0);
        for (u32 k = 0; k < QUARTERS; k++)
            view->directory_of[k] = 0;
    }
}

void trace_walk(struct shadow *shadow, u32 n, u32 linear, const struct walk *walk)
{
    struct shadow_state *state = state_of(shadow);
    struct view *view = &state->view[n];
    u32 frame[2];
    for (unsigned level = 0; level < walk->levels; level++) {
        frame[level] = ram_frame(shadow, walk->entry[level]);
        if (frame[level] == UINT32_MAX) {
            state->untraceable = true;
            return;
        }
    }
    /* Room for what may be added below. */
    if (state->traces + 2 >= TRACES_MAX || state->uses + 2 >= USES_MAX) shadow_flush(shadow);

    u32 quarter = state->pae ? linear >> 30 : 0, trace = begin_trace(shadow, frame[0], walk->entry[0]);
    if (view->directory_of[quarter] != trace) {
        if (view->directory_of[quarter]) drop_directory(shadow, n, quarter);
        add_use(state, trace, n, 2, quarter * (PAGES / QUARTERS));
        view->directory_of[quarter] = trace;
    }
    state->trace[trace].hits = 0;
    if (walk->levels < 2) return;
    u32 page = linear >> PAGE_SHIFT, region = first_region(state, page);
    trace = begin_trace(shadow, frame[1], walk->entry[1]);
    if (view->table_of[region] != trace) {
        drop_table(shadow, n, page);
        add_use(state, trace, n, 1, region << REGION_BITS);
        for (u32 k = 0; k < regions_of_table(state); k++)
            set_table(view, region + k, trace);
    }
    state->trace[trace].hits = 0;
}

void trace_move_directory(struct shadow *shadow, u32 n, u64 cr3)
{
    struct shadow_state *state = state_of(shadow);
    if (!state->view[n].directory_of[0]) return;
    trace_forget_directory(shadow, n, 0);
    u64 gpa = cr3 & 0xfffff000u;
    u32 trace = begin_trace(shadow, ram_frame(shadow, gpa), gpa);
    add_use(state, trace, n, 2, 0);
    state->view[n].directory_of[0] = trace;
}

/* One entry of a page table changes. */
static void entry_written(struct shadow *shadow, const struct use *use, u32 index)
{
    struct shadow_state *state = state_of(shadow);
    if (use->level == 1)
        shadow->counters->trace_drops += view_drop(shadow, use->view, use->base + index);
    else
        drop_table(shadow, use->view, use->base + index * pages_of_table(state));
}

void shadow_table_written(struct shadow *shadow, u64 gpa, u64 bytes)
{
    struct shadow_state *state = state_of(shadow);
    u32 frame = ram_frame(shadow, gpa);
    u32 n = frame == UINT32_MAX ? 0 : state->trace_of[frame];
    if (!n) return;
    struct trace *trace = &state->trace[n];
    shadow->counters->trace_writes++;
    if (!trace->use) {
        end_trace(shadow, n);
        return;
    }
    if (++trace->hits > WRITES_MAX || bytes > BULK_BYTES) {
        shadow->counters->trace_storms++;
        drop_trace(shadow, n);
        return;
    }
    /* Dropping a leaf table changes lists of uses, of this page too when it maps itself: work on a copy. */
    struct use seen[USES_SEEN];
    u32 count = 0;
    for (u32 at = trace->use; at; at = state->use[at].next) {
        if (count == USES_SEEN) {
            drop_trace(shadow, n);
            return;
        }
        seen[count++] = state->use[at];
    }
    u32 entry_bytes = state->pae ? 8 : 4, offset = gpa & PAGE_MASK;
    for (u32 index = offset / entry_bytes; index <= (offset + bytes - 1) / entry_bytes; index++)
        for (u32 k = 0; k < count; k++)
            entry_written(shadow, &seen[k], index);
}
