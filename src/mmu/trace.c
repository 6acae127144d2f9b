/*
 * Write traces: which RAM pages serve as page tables of which views, and what a write to one of them means.
 *
 * A *trace* belongs to a RAM page through which entries were filled. Its *uses* say for which view and linear range the
 * page is the leaf table (level 1) or the directory (level 2). A use begins with the first entry filled through the
 * page. It ends when the PDE that refers to the page changes, when the root of its view changes, or when its space is
 * evicted. All uses end in a trace storm: more than WRITES_MAX writes without an entry filled through the page in
 * between. The guest is then filling or clearing the page as a whole, or no longer uses it as a page table. It is
 * cheapest to drop everything derived from the page, and to let writes go unreported until a walk meets the page again.
 * A trace without uses ends at the next write, or when traces run out.
 */
#include "host_memory.h"
#include "shadow_state.h"

#include <assert.h>
#include <errno.h>

/* To drop one entry costs as much as a few tens of untraced writes. A page fault writes one PTE, a fault-around of
 * Linux 16. */
#define WRITES_MAX 32
/* A write of more than this clears or copies a page. */
#define BULK_BYTES 64
#define USES_SEEN  16

static struct traces *traces_of(struct shadow *shadow)
{
    return &state_of(shadow)->traces;
}

int traces_init(struct shadow *shadow)
{
    struct traces *traces = traces_of(shadow);
    traces->trace_of_bytes =
        align_up((shadow->phys->file_bytes >> PAGE_SHIFT) * sizeof *traces->trace_of, PAGE_SIZE);
    traces->trace = host_reserve(TRACES_MAX * sizeof *traces->trace);
    traces->use = host_reserve(USES_MAX * sizeof *traces->use);
    traces->trace_of = host_reserve(traces->trace_of_bytes);
    return traces->trace && traces->use && traces->trace_of ? 0 : -ENOMEM;
}

void traces_destroy(struct shadow *shadow)
{
    struct traces *traces = traces_of(shadow);
    host_release(traces->trace, TRACES_MAX * sizeof *traces->trace);
    host_release(traces->use, USES_MAX * sizeof *traces->use);
    host_release(traces->trace_of, traces->trace_of_bytes);
}

/* --- from here on the guest's FPU state may be live: no libc --- */

/* Index of the RAM page, or UINT32_MAX if it is not RAM. */
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

static void add_use(struct traces *traces, u32 trace, u32 view, u8 level, u32 base)
{
    u32 n = traces->free_use;
    if (n)
        traces->free_use = traces->use[n].next;
    else
        n = ++traces->uses;
    assert(n < USES_MAX);
    traces->use[n] =
        (struct use){.next = traces->trace[trace].use, .base = base, .view = (u16)view, .level = level};
    traces->trace[trace].use = n;
}

static void remove_use(struct traces *traces, u32 trace, u32 view, u8 level, u32 base)
{
    u32 *at = &traces->trace[trace].use;
    while (*at) {
        u32 n = *at;
        struct use *use = &traces->use[n];
        if (use->view == view && use->level == level && use->base == base) {
            *at = use->next;
            use->next = traces->free_use;
            traces->free_use = n;
            return;
        }
        at = &use->next;
    }
}

static void set_table(struct view *view, u32 region, u32 trace)
{
    u64 bit = 1ull << region % 64, *word = &view->tabled[region / 64];
    view->region[region].table = trace;
    *word = trace ? *word | bit : *word & ~bit;
}

/* Drop the entries of the regions that one leaf table serves, and its use for them. */
static void drop_table(struct shadow *shadow, u32 n, u32 page)
{
    struct shadow_state *state = state_of(shadow);
    struct view *view = view_at(shadow, n);
    u32 region = first_region(state, page), count = regions_of_table(state);
    u32 trace = view->region[region].table;
    for (u32 k = 0; k < count; k++) {
        view_drop_region(shadow, n, region + k);
        if (trace) set_table(view, region + k, 0);
    }
    if (trace) remove_use(&state->traces, trace, n, 1, region << REGION_BITS);
}

void trace_drop_quarter(struct shadow *shadow, u32 n, u32 quarter)
{
    const struct view *view = view_at(shadow, n);
    u32 words = REGIONS / QUARTERS / 64;
    for (u32 word = quarter * words; word < (quarter + 1) * words; word++)
        while (view->tabled[word])
            drop_table(shadow, n, (word * 64 + (u32)__builtin_ctzll(view->tabled[word])) << REGION_BITS);
    view_drop_quarter(shadow, n, quarter);
}

void trace_forget_directory(struct shadow *shadow, u32 n, u32 quarter)
{
    u32 *directory = &view_at(shadow, n)->directory[quarter];
    if (*directory) remove_use(traces_of(shadow), *directory, n, 2, quarter * (PAGES / QUARTERS));
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

static void end_trace(struct shadow *shadow, u32 n)
{
    struct traces *traces = traces_of(shadow);
    struct trace *trace = &traces->trace[n];
    note_event(shadow->counters->events, EVENT_TRACE_END, (u64)trace->frame << PAGE_SHIFT);
    shadow->phys->ram_flags[trace->frame] &= (u8)~PHYS_TRACED;
    traces->trace_of[trace->frame] = 0;
    trace->next_free = traces->free_trace;
    traces->free_trace = n;
}

static bool is_free(const struct traces *traces, u32 n)
{
    return traces->trace_of[traces->trace[n].frame] != n;
}

/* No more than USES_MAX traces have a use, so this always makes room. */
static void end_unused(struct shadow *shadow)
{
    struct traces *traces = traces_of(shadow);
    for (u32 n = 1; n <= traces->traces; n++)
        if (!is_free(traces, n) && !traces->trace[n].use) end_trace(shadow, n);
}

static u32 begin_trace(struct shadow *shadow, u32 frame, u64 gpa)
{
    struct traces *traces = traces_of(shadow);
    u32 n = traces->trace_of[frame];
    if (n) return n;
    if (unlikely(!traces->free_trace && traces->traces == TRACES_MAX - 1)) end_unused(shadow);
    n = traces->free_trace;
    if (n)
        traces->free_trace = traces->trace[n].next_free;
    else
        n = ++traces->traces;
    assert(n < TRACES_MAX);
    traces->trace[n] = (struct trace){.frame = frame};
    traces->trace_of[frame] = n;
    shadow->counters->traces_begun++;
    note_event(shadow->counters->events, EVENT_TRACE_BEGIN, gpa & ~(u64)PAGE_MASK);
    phys_guard(shadow->phys, gpa, PHYS_TRACED);
    return n;
}

/* Drop all entries below a directory, and its use. With 32-bit paging it serves all quarters, and `quarter` is 0. */
static void drop_directory(struct shadow *shadow, u32 n, u32 quarter)
{
    for (u32 q = 0; q < (state_of(shadow)->pae ? 1 : QUARTERS); q++)
        trace_drop_quarter(shadow, n, quarter + q);
    trace_forget_directory(shadow, n, quarter);
}

/* Drop all entries that were filled through this page, and end its trace. */
static void drop_trace(struct shadow *shadow, u32 n)
{
    struct traces *traces = traces_of(shadow);
    while (traces->trace[n].use) {
        struct use use = traces->use[traces->trace[n].use];
        if (use.level == 1)
            drop_table(shadow, use.view, use.base);
        else
            drop_directory(shadow, use.view, use.base / (PAGES / QUARTERS));
    }
    end_trace(shadow, n);
}

static void forget_tables(struct view *view)
{
    for (u32 word = 0; word < REGIONS / 64; word++)
        while (view->tabled[word])
            set_table(view, word * 64 + (u32)__builtin_ctzll(view->tabled[word]), 0);
    for (u32 q = 0; q < QUARTERS; q++)
        view->directory[q] = 0;
}

void trace_forget_all(struct shadow *shadow)
{
    struct shadow_state *state = state_of(shadow);
    struct traces *traces = &state->traces;
    for (u32 n = 1; n <= traces->traces; n++)
        if (!is_free(traces, n)) end_trace(shadow, n);
    traces->traces = traces->free_trace = 0;
    traces->uses = traces->free_use = 0;
    for (u32 n = 0; n <= state->spaces.used; n++)
        forget_tables(view_at(shadow, n));
}

/* Make this trace the directory of a quarter. */
static void set_directory(struct shadow *shadow, u32 n, u32 quarter, u32 trace)
{
    u32 *directory = &view_at(shadow, n)->directory[quarter];
    if (*directory == trace) return;
    if (*directory) drop_directory(shadow, n, quarter);
    add_use(traces_of(shadow), trace, n, 2, quarter * (PAGES / QUARTERS));
    *directory = trace;
}

/* Make this trace the leaf table of the page's regions. */
static void set_leaf(struct shadow *shadow, u32 n, u32 page, u32 trace)
{
    struct shadow_state *state = state_of(shadow);
    struct view *view = view_at(shadow, n);
    u32 region = first_region(state, page);
    if (view->region[region].table == trace) return;
    drop_table(shadow, n, page);
    add_use(&state->traces, trace, n, 1, region << REGION_BITS);
    for (u32 k = 0; k < regions_of_table(state); k++)
        set_table(view, region + k, trace);
}

void trace_walk(struct shadow *shadow, u32 n, u32 linear, const struct walk *walk)
{
    struct shadow_state *state = state_of(shadow);
    struct traces *traces = &state->traces;
    u32 frame[2];
    for (unsigned level = 0; level < walk->levels; level++) {
        frame[level] = ram_frame(shadow, walk->entry[level]);
        if (frame[level] == UINT32_MAX) {
            state->untraceable = true;
            return;
        }
    }
    u32 trace = begin_trace(shadow, frame[0], walk->entry[0]);
    set_directory(shadow, n, state->pae ? linear >> 30 : 0, trace);
    traces->trace[trace].writes = 0;
    if (walk->levels < 2) return;
    trace = begin_trace(shadow, frame[1], walk->entry[1]);
    set_leaf(shadow, n, linear >> PAGE_SHIFT, trace);
    traces->trace[trace].writes = 0;
}

void trace_move_directory(struct shadow *shadow, u32 n, u64 cr3)
{
    struct view *view = view_at(shadow, n);
    if (!view->directory[0]) return;
    trace_forget_directory(shadow, n, 0);
    u64 gpa = cr3 & 0xfffff000u;
    u32 trace = begin_trace(shadow, ram_frame(shadow, gpa), gpa);
    add_use(traces_of(shadow), trace, n, 2, 0);
    view->directory[0] = trace;
}

/* The PDE or PTE at `index` of a page table changes. */
static void entry_written(struct shadow *shadow, const struct use *use, u32 index)
{
    if (use->level == 1)
        shadow->counters->trace_drops += view_drop(shadow, use->view, use->base + index);
    else
        drop_table(shadow, use->view, use->base + index * pages_of_table(state_of(shadow)));
}

void shadow_table_written(struct shadow *shadow, u64 gpa, u64 bytes)
{
    struct shadow_state *state = state_of(shadow);
    struct traces *traces = &state->traces;
    u32 frame = ram_frame(shadow, gpa);
    u32 n = frame == UINT32_MAX ? 0 : traces->trace_of[frame];
    if (!n) return;
    struct trace *trace = &traces->trace[n];
    shadow->counters->trace_writes++;
    note_event(shadow->counters->events, EVENT_TRACE_WRITE, gpa, bytes);
    if (!trace->use) {
        end_trace(shadow, n);
        return;
    }
    if (++trace->writes > WRITES_MAX || bytes > BULK_BYTES) {
        shadow->counters->trace_storms++;
        note_event(shadow->counters->events, EVENT_TRACE_STORM, gpa & ~(u64)PAGE_MASK);
        drop_trace(shadow, n);
        return;
    }
    /* drop_table() changes lists of uses, even this page's own if the page maps itself: work on a copy. */
    struct use seen[USES_SEEN];
    u32 count = 0;
    for (u32 at = trace->use; at; at = traces->use[at].next) {
        if (count == USES_SEEN) {
            drop_trace(shadow, n);
            return;
        }
        seen[count++] = traces->use[at];
    }
    u32 entry_bytes = state->pae ? 8 : 4, offset = gpa & PAGE_MASK;
    for (u32 index = offset / entry_bytes; index <= (offset + bytes - 1) / entry_bytes; index++)
        for (u32 k = 0; k < count; k++)
            entry_written(shadow, &seen[k], index);
}
