/*
 * Address spaces: finding the space of a root, and choosing which space to evict. See space.h.
 *
 * All of it may run while the guest's FPU state is live.
 */
#include "space.h"

#include "base/hash.h"
#include "shadow_state.h"

#include <errno.h>

_Static_assert(1 + SHADOW_SPACES <= UINT16_MAX, "numbers of spaces are u16");

static struct spaces *spaces_of(struct shadow *shadow)
{
    return &state_of(shadow)->spaces;
}

struct space *space_current(struct shadow *shadow)
{
    struct spaces *spaces = spaces_of(shadow);
    return &spaces->space[spaces->current];
}

/* --- the list by use --- */

static void unlist(struct spaces *spaces, u32 n)
{
    struct space *space = &spaces->space[n];
    spaces->space[space->newer].older = space->older;
    spaces->space[space->older].newer = space->newer;
}

/* Number 0 as `newer` makes it the newest. */
static void list_below(struct spaces *spaces, u32 n, u32 newer)
{
    u16 older = spaces->space[newer].older;
    spaces->space[n].newer = (u16)newer;
    spaces->space[n].older = older;
    spaces->space[newer].older = (u16)n;
    spaces->space[older].newer = (u16)n;
}

static void make_newest(struct spaces *spaces, u32 n)
{
    if (spaces->space[n].newer == 0) return;
    unlist(spaces, n);
    list_below(spaces, n, 0);
}

static void make_oldest(struct spaces *spaces, u32 n)
{
    if (spaces->space[n].older == 0) return;
    unlist(spaces, n);
    list_below(spaces, n, spaces->space[0].newer);
}

void space_emptied(struct shadow *shadow, u32 n)
{
    if (n) make_oldest(spaces_of(shadow), n);
}

void space_filled(struct shadow *shadow, u32 n)
{
    if (n) make_newest(spaces_of(shadow), n);
}

/* --- the buckets by CR3 --- */

/* The hash covers the page number, and with PAE the 32-byte position within the page. */
static u16 *bucket_of(struct spaces *spaces, u64 cr3)
{
    u64 mixed = hash_multiply(cr3 >> 5);
    return &spaces->bucket[mixed >> 32 & (SPACE_BUCKETS - 1)];
}

static void set_root(struct spaces *spaces, u32 n, u64 cr3)
{
    struct space *space = &spaces->space[n];
    u16 *at = bucket_of(spaces, cr3);
    space->cr3 = cr3;
    space->next_alike = *at;
    *at = (u16)n;
}

static void clear_root(struct spaces *spaces, u32 n)
{
    struct space *space = &spaces->space[n];
    if (space->cr3 == CR3_NONE) return;
    u16 *at = bucket_of(spaces, space->cr3);
    while (*at != n)
        at = &spaces->space[*at].next_alike;
    *at = space->next_alike;
    space->cr3 = CR3_NONE;
}

static u32 find(struct spaces *spaces, u64 cr3)
{
    u32 n = *bucket_of(spaces, cr3);
    while (n && spaces->space[n].cr3 != cr3)
        n = spaces->space[n].next_alike;
    return n;
}

/* --- choosing --- */

int spaces_init(struct shadow *shadow)
{
    struct spaces *spaces = spaces_of(shadow);
    if (!view_reserve(shadow, 1)) return -ENOMEM;
    spaces->space[1] = (struct space){.patience = 1};
    set_root(spaces, 1, CR3_UNPAGED);
    list_below(spaces, 1, 0);
    spaces->used = spaces->current = 1;
    spaces->sup_cr3 = CR3_UNPAGED;
    return 0;
}

/* Make the space forget its root, entries and window. It stays in the list. */
static void evict(struct shadow *shadow, u32 n)
{
    struct spaces *spaces = spaces_of(shadow);
    if (view_at(shadow, n)->live_pages) {
        shadow->counters->space_evictions++;
        note_event(shadow->counters->events, EVENT_SHADOW_EVICT, spaces->space[n].cr3);
    }
    trace_drop_view(shadow, n);
    window_close(shadow, n);
    clear_root(spaces, n);
}

/* A space that was never used, or 0. */
static u32 add_space(struct shadow *shadow)
{
    struct spaces *spaces = spaces_of(shadow);
    u32 n = spaces->used + 1;
    if (n > shadow->spaces_max || !view_reserve(shadow, n)) return 0;
    spaces->used = n;
    spaces->space[n].cr3 = CR3_NONE;
    list_below(spaces, n, 0);
    return n;
}

static u32 take(struct shadow *shadow, u64 cr3)
{
    struct spaces *spaces = spaces_of(shadow);
    u32 oldest = spaces->space[0].newer;
    u32 n = view_at(shadow, oldest)->live_pages ? add_space(shadow) : 0;
    if (!n) {
        n = oldest;
        evict(shadow, n);
    }
    struct space *space = &spaces->space[n];
    space->patience = 1;
    space->ran = space->cost = 0;
    for (u32 q = 0; q < QUARTERS; q++)
        space->pdpte[q] = 0;
    set_root(spaces, n, cr3);
    return n;
}

void space_shrink_oldest(struct shadow *shadow)
{
    struct spaces *spaces = spaces_of(shadow);
    u32 n = spaces->space[0].newer;
    while (n == spaces->current || !view_at(shadow, n)->regions_touched)
        n = spaces->space[n].newer;
    evict(shadow, n);
    view_shrink(shadow, n);
}

void spaces_forget(struct shadow *shadow)
{
    struct spaces *spaces = spaces_of(shadow);
    for (u32 n = 1; n <= spaces->used; n++) {
        if (n == spaces->current) continue;
        window_close(shadow, n);
        clear_root(spaces, n);
    }
}

/* --- loading --- */

static bool same_top(const u64 *a, const u64 *b)
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* PAE: another process has the same CR3. What the shadow measured of the old process no longer holds. */
static void change_pdptes(struct shadow *shadow, u32 n, const u64 *pdpte)
{
    struct space *space = &spaces_of(shadow)->space[n];
    window_close(shadow, n);
    space->ran = space->cost = 0;
    space->patience = 1;
    for (u32 q = 0; q < QUARTERS; q++) {
        if (space->pdpte[q] == pdpte[q]) continue;
        trace_drop_quarter(shadow, n, q);
        trace_forget_directory(shadow, n, q);
        space->pdpte[q] = pdpte[q];
    }
}

void space_load(struct shadow *shadow, const struct paging *paging, u64 cr3)
{
    struct shadow_state *state = state_of(shadow);
    struct spaces *spaces = &state->spaces;
    u32 n = spaces->current;
    if (spaces->space[n].cr3 != cr3) {
        shadow->counters->space_switches++;
        n = find(spaces, cr3);
        note_event(shadow->counters->events, EVENT_SHADOW_SPACE, cr3, n != 0);
        if (n)
            shadow->counters->space_hits++;
        else
            n = take(shadow, cr3);
        spaces->current = n;
    }
    if (state->pae && !same_top(spaces->space[n].pdpte, paging->pdpte))
        change_pdptes(shadow, n, paging->pdpte);
    make_newest(spaces, n);
    const struct view *view = view_at(shadow, n);
    shadow->table[SHADOW_USER] = view->table;
    shadow->has_window = view->window;
    shadow->window = view->window ? state->windows.window[view->window - 1].base : 0;
    shadow->window_unsettled = true;
}

/* Do the two directories of 32-bit paging, both in RAM, agree on this quarter? */
static bool same_quarter(struct shadow *shadow, u64 a, u64 b, u32 quarter)
{
    const u64 *at[2] = {(const u64 *)(const void *)phys_host(shadow->phys, a & 0xfffff000u),
                        (const u64 *)(const void *)phys_host(shadow->phys, b & 0xfffff000u)};
    for (u32 n = quarter * 128; n < quarter * 128 + 128; n++)
        if (at[0][n] != at[1][n]) return false;
    return true;
}

static bool in_ram(struct shadow *shadow, u64 cr3)
{
    const struct phys_region *region = phys_find(shadow->phys, cr3 & 0xfffff000u & shadow->phys->a20_mask);
    return region && region->kind == PHYS_RAM;
}

static bool quarter_is_empty(const struct view *view, u32 quarter)
{
    u64 any = 0;
    for (u32 word = quarter * (REGIONS / QUARTERS / 64), n = 0; n < REGIONS / QUARTERS / 64; n++)
        any |= view->live[word + n];
    return !any;
}

static void load_supervisor_32bit(struct shadow *shadow, u64 cr3)
{
    struct spaces *spaces = spaces_of(shadow);
    if (spaces->sup_cr3 == cr3) return;
    const struct view *view = view_at(shadow, 0);
    bool comparable = view->directory[0] && in_ram(shadow, cr3);
    for (u32 q = 0; q < QUARTERS; q++)
        if (!quarter_is_empty(view, q) && !(comparable && same_quarter(shadow, spaces->sup_cr3, cr3, q)))
            trace_drop_quarter(shadow, 0, q);
    if (comparable)
        trace_move_directory(shadow, 0, cr3);
    else
        trace_forget_directory(shadow, 0, 0);
    spaces->sup_cr3 = cr3;
}

void space_load_supervisor(struct shadow *shadow, const struct paging *paging, u64 cr3)
{
    struct spaces *spaces = spaces_of(shadow);
    if (!state_of(shadow)->pae) {
        load_supervisor_32bit(shadow, cr3);
        return;
    }
    for (u32 q = 0; q < QUARTERS; q++) {
        if (spaces->sup_pdpte[q] == paging->pdpte[q]) continue;
        trace_drop_quarter(shadow, 0, q);
        trace_forget_directory(shadow, 0, q);
        spaces->sup_pdpte[q] = paging->pdpte[q];
    }
}
