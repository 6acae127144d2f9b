/*
 * Shadow tables: the slow path, which fills entries. shadow.h has the invariants, view.h the tables, space.h the
 * address spaces, trace.c the write traces that keep entries true.
 */
#include "shadow_state.h"
#include "tlb.h"
#include "watch.h"

#include <errno.h>
#include <stdlib.h>

int shadow_init(struct shadow *shadow, struct phys *phys, struct counters *counters)
{
    *shadow = (struct shadow){.phys = phys,
                              .counters = counters,
                              .spaces_max = SHADOW_SPACES,
                              .window_mappings_max = WINDOW_MAPPINGS_MAX};
    struct shadow_state *state = shadow->state = calloc(1, sizeof *state);
    if (!state) return -ENOMEM;
    shadow->tlb = tlb_new();
    int error = shadow->tlb ? views_init(shadow) : -ENOMEM;
    if (!error) error = spaces_init(shadow);
    if (!error) error = traces_init(shadow);
    if (error) {
        shadow_destroy(shadow);
        return error;
    }
    windows_init(shadow);
    shadow->table[SHADOW_SUPERVISOR] = view_at(shadow, 0)->table;
    shadow->table[SHADOW_USER] = view_at(shadow, state->spaces.current)->table;
    return 0;
}

void shadow_destroy(struct shadow *shadow)
{
    if (!shadow->state) return;
    long_windows_destroy(shadow);
    windows_destroy(shadow);
    traces_destroy(shadow);
    views_destroy(shadow);
    free(shadow->state);
    tlb_destroy(shadow->tlb);
    *shadow = (struct shadow){.phys = NULL};
}

/* --- from here on the guest's FPU state may be live: no libc --- */

void shadow_flush(struct shadow *shadow)
{
    struct shadow_state *state = state_of(shadow);
    shadow->counters->shadow_flushes++;
    note_event(shadow->counters->events, EVENT_SHADOW_FLUSH);
    for (u32 n = 0; n <= state->spaces.used; n++)
        for (u32 q = 0; q < QUARTERS; q++)
            view_drop_quarter(shadow, n, q);
    trace_forget_all(shadow);
    tlb_flush(shadow->tlb);
    long_windows_empty(shadow);
    shadow->data_drops++;
    shadow->exec_drops++;
    spaces_forget(shadow);
    state->untraceable = false;
}

/* --- roots --- */

/* In IA-32e mode no view has entries, and the TLB is told of changes when they happen. */
#define FORMAT_LONG UINT32_MAX

/* The bits that entries depend on. Entries of different formats cannot be kept side by side. Without traces a
 * root load spares global pages, so PGE matters then. */
static u32 format_of(const struct shadow *shadow, const struct paging *paging)
{
    if (!(paging->cr0 & CR0_PG)) return 0;
    if (paging->efer & EFER_LMA) return FORMAT_LONG;
    u32 cr4 = CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP | (shadow->untraced ? CR4_PGE : 0);
    return (paging->cr0 & (CR0_PG | CR0_WP)) | (paging->cr4 & cr4) | ((u32)paging->efer & EFER_NXE);
}

/* The views are left empty, so the next root of another format flushes nothing but what is there. A load of CR3 spares
 * global pages, entries of other PCIDs, and if `kept` the new PCID's. */
static void load_long_root(struct shadow *shadow, const struct paging *paging, bool kept)
{
    struct shadow_state *state = state_of(shadow);
    u32 rights = (paging->cr0 & CR0_WP) | (paging->cr4 & (CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PCIDE)) |
                 ((u32)paging->efer & EFER_NXE);
    if (state->format != FORMAT_LONG) {
        shadow_flush(shadow);
        state->format = FORMAT_LONG;
    } else if (state->long_rights != rights) {
        tlb_flush(shadow->tlb);
        long_windows_empty(shadow);
    }
    tlb_select(shadow->tlb, pcid_of(paging), kept);
    long_windows_load(shadow, paging);
    shadow->data_drops++;
    shadow->exec_drops++;
    state->long_rights = rights;
}

void shadow_switch_root(struct shadow *shadow, const struct paging *paging)
{
    load_long_root(shadow, paging, true);
}

static void drop_long_page(struct shadow *shadow, u64 linear)
{
    shadow->data_drops++;
    shadow->exec_drops += tlb_invlpg(shadow->tlb, linear);
    long_windows_invlpg(shadow, linear);
}

void shadow_load_root(struct shadow *shadow, const struct paging *paging)
{
    struct shadow_state *state = state_of(shadow);
    u32 format = format_of(shadow, paging);
    if (format == FORMAT_LONG) {
        load_long_root(shadow, paging, false);
        return;
    }
    if (format != state->format || state->untraceable) {
        if (state->format == FORMAT_LONG) long_windows_close(shadow);
        shadow_flush(shadow);
        state->format = format;
        state->paged = format;
        state->pae = format && (paging->cr4 & CR4_PAE);
    } else if (shadow->untraced) {
        shadow->counters->shadow_flushes++;
        note_event(shadow->counters->events, EVENT_SHADOW_FLUSH);
        view_drop_local(shadow, 0);
        view_drop_local(shadow, state->spaces.current);
    }
    if (shadow->untraced) return;
    u64 cr3 = state->paged ? paging->cr3 : CR3_UNPAGED;
    space_load_supervisor(shadow, paging, cr3);
    space_load(shadow, paging, cr3);
}

static bool keeps_coherent(struct shadow *shadow)
{
    return !shadow->untraced && !state_of(shadow)->untraceable;
}

static u32 drop_translation(struct shadow *shadow, u32 linear)
{
    u32 page = linear >> PAGE_SHIFT;
    return view_drop_translation(shadow, 0, page) +
           view_drop_translation(shadow, state_of(shadow)->spaces.current, page);
}

void shadow_invlpg(struct shadow *shadow, u64 linear)
{
    note_event(shadow->counters->events, EVENT_SHADOW_INVLPG, linear);
    if (state_of(shadow)->format == FORMAT_LONG) {
        drop_long_page(shadow, linear);
        shadow->exec_drops++; /* another page may have taken the entry's place meanwhile */
        shadow->counters->shadow_invlpgs++;
        return;
    }
    if (keeps_coherent(shadow)) return; /* traces have dropped the changed entries already */
    shadow->counters->shadow_invlpgs += drop_translation(shadow, (u32)linear);
}

static void invpcid_long(struct shadow *shadow, const struct paging *paging, enum invpcid type, unsigned pcid,
                         u64 linear)
{
    if (type == INVPCID_PAGE)
        tlb_invlpg_of(shadow->tlb, pcid, linear);
    else if (type == INVPCID_ONE)
        tlb_drop_pcid(shadow->tlb, pcid);
    else if (type == INVPCID_ALL)
        tlb_flush(shadow->tlb);
    else
        tlb_drop_local(shadow->tlb);
    shadow->data_drops++;
    shadow->exec_drops++;
    /* A window that is not current is compared when its CR3 is loaded. */
    if (pcid == pcid_of(paging) || type > INVPCID_ONE) load_long_root(shadow, paging, false);
}

void shadow_invpcid(struct shadow *shadow, const struct paging *paging, enum invpcid type, unsigned pcid,
                    u64 linear)
{
    if (type == INVPCID_PAGE && pcid == pcid_of(paging)) {
        shadow_invlpg(shadow, linear);
        return;
    }
    note_event(shadow->counters->events, EVENT_SHADOW_INVPCID, type, pcid);
    shadow->counters->shadow_flushes++;
    if (state_of(shadow)->format == FORMAT_LONG) {
        invpcid_long(shadow, paging, type, pcid, linear);
    } else if (!keeps_coherent(shadow)) {
        if (type == INVPCID_ALL) shadow_flush(shadow);
        shadow_load_root(shadow, paging);
    }
}

/* --- filling --- */

/* The host memory behind a guest page. */
struct backing {
    u8 *host;
    u8 *flags;
    bool ram;
};

static bool find_backing(struct shadow *shadow, u64 gpa, struct backing *backing)
{
    const struct phys_region *region = phys_find(shadow->phys, gpa);
    if (!region || region->kind == PHYS_MMIO) return false;
    u64 in_region = gpa - region->gpa;
    *backing = (struct backing){.host = region->host + in_region,
                                .flags = &region->page_flags[in_region >> PAGE_SHIFT],
                                .ram = region->kind == PHYS_RAM};
    return true;
}

static void fill(struct shadow *shadow, u32 view, u32 linear, const struct walk *walk,
                 const struct backing *backing, bool data, bool fetch)
{
    u64 frame = walk->gpa >> PAGE_SHIFT;
    bool fill_read = data && walk->readable;
    bool fill_write = data && walk->writable && backing->ram && !(*backing->flags & PHYS_GUARDED) &&
                      (*backing->flags & (PHYS_VIDEO | PHYS_DIRTY)) != PHYS_VIDEO;
    enum watch_rights watched = shadow_watched(shadow, linear);
    if (unlikely(watched)) {
        fill_write = false;
        fill_read &= watched == WATCH_WRITES;
    }
    fetch &= frame < SHADOW_EXEC_FRAMES;
    if (!fill_read && !fill_write && !fetch) return;
    u64 entry = (u64)(uintptr_t)backing->host - linear;
    u32 page = linear >> PAGE_SHIFT, frame_plus_1 = (u32)frame + 1;
    view_prepare(shadow, view, page, walk, entry, frame_plus_1);
    struct shadow_table *table = &view_at(shadow, view)->table;
    if (fill_read || fill_write)
        note_event(shadow->counters->events, EVENT_SHADOW_FILL, linear, walk->gpa, fill_read, fill_write);
    if (fetch) note_event(shadow->counters->events, EVENT_SHADOW_FILL_EXEC, linear, walk->gpa);
    if (fill_read && !table->read[page]) {
        table->read[page] = entry;
        shadow->counters->shadow_fills++;
    }
    if (fill_write && !table->write[page]) {
        phys_populate(shadow->phys, backing->host);
        view_set_write(shadow, view, page, entry);
        *backing->flags |= PHYS_DIRTY; /* writes through the entry will not be seen */
        shadow->counters->shadow_fills++;
    }
    if (fetch && !table->exec[page]) {
        table->exec[page] = frame_plus_1;
        shadow->counters->shadow_fills++;
    }
}

/* Prefill the pages in the same group of 8 PTEs that have the same rights. The guest is likely to use them, and each
 * costs a tenth of a walk. The write entries of video memory are dropped for every picture, so there the group has
 * PHYS_VIDEO_MOST pages. */
static void fill_neighbours(struct shadow *shadow, u32 view, u32 linear, const struct walk *walk, bool data,
                            bool fetch, bool video)
{
    struct shadow_state *state = state_of(shadow);
    const u64 frame_bits = state->pae ? ENTRY_ADDRESS : 0xfffff000u;
    u32 entry_bytes = state->pae ? 8 : 4, page = linear >> PAGE_SHIFT;
    u32 count = video ? PHYS_VIDEO_MOST : 8, own = page & (count - 1);
    u64 group = 0, own_entry = 0;
    if (walk->levels == 2) {
        group = walk->entry[1] & ~(u64)(count * entry_bytes - 1);
        own_entry = phys_read(shadow->phys, walk->entry[1], entry_bytes);
    }
    for (u32 n = 0; n < count; n++) {
        u32 near = page - own + n;
        bool complete = view_at(shadow, view)->flags[near] & PAGE_LIVE;
        if (video) complete = view_at(shadow, view)->table.write[near];
        if (n == own || complete) continue;
        struct walk there = *walk;
        u64 offset = linear & PAGE_MASK;
        if (walk->levels == 2) {
            u64 entry = phys_read(shadow->phys, group + n * entry_bytes, entry_bytes);
            if ((entry ^ own_entry) & ~frame_bits) continue;
            there.gpa = ((entry & frame_bits) | offset) & shadow->phys->a20_mask;
        } else {
            there.gpa = walk->gpa + ((u64)near << PAGE_SHIFT) - ((u64)page << PAGE_SHIFT);
        }
        struct backing backing;
        if (!find_backing(shadow, there.gpa, &backing)) continue;
        fill(shadow, view, near << PAGE_SHIFT | (u32)offset, &there, &backing, data, fetch);
        shadow->counters->shadow_prefills++;
    }
}

#define BORROWS 4

/* A supervisor access to a page for which the user view has an entry. A change of the root would drop a supervisor
 * entry for such a page, so the user's entry is borrowed. The fifth access in a row to the same page fills a supervisor
 * entry. */
static bool borrow(struct shadow *shadow, const struct paging *paging, u32 linear, enum access kind,
                   struct shadow_hit *hit)
{
    struct shadow_state *state = state_of(shadow);
    const struct shadow_table *user = &shadow->table[SHADOW_USER];
    u32 page = linear >> PAGE_SHIFT;
    u64 entry = kind == ACCESS_WRITE ? user->write[page] : user->read[page];
    if (!entry || shadow->no_borrowing || kind == ACCESS_FETCH || (paging->cr4 & CR4_SMAP) ||
        !keeps_coherent(shadow))
        return false;
    if (page != state->borrowed) state->borrows = 0;
    state->borrowed = page;
    if (++state->borrows > BORROWS) return false;
    *hit = (struct shadow_hit){.kind = SHADOW_DIRECT, .host = (u8 *)(uintptr_t)(linear + entry)};
    shadow->counters->shadow_borrowed++;
    return true;
}

/* shadow_access() in IA-32e mode. */
static enum shadow_kind long_access(struct shadow *shadow, const struct paging *paging, u64 linear,
                                    enum access access, bool user, struct shadow_hit *hit)
{
    enum access kind = access & ~ACCESS_IMPLICIT;
    struct walk walk;
    struct backing backing;
    *hit = (struct shadow_hit){.kind = SHADOW_FAULT};
    shadow->counters->page_walks++;
    if (!mmu_walk(shadow->phys, paging, linear, access, user, true, &walk, &hit->error)) {
        drop_long_page(shadow, linear); /* SDM 3A 4.10.4.1 */
        long_windows_page_fault(shadow, linear, kind == ACCESS_WRITE);
        return hit->kind;
    }
    hit->gpa = walk.gpa;
    if (!find_backing(shadow, walk.gpa, &backing)) return hit->kind = SHADOW_MMIO;
    if (kind == ACCESS_WRITE && backing.ram) phys_mark_dirty(shadow->phys, backing.flags);
    unsigned rights = walk.executable ? TLB_FETCH : 0;
    bool data = !shadow->forced_slow && !walk.ac_decides;
    if (data && walk.readable) rights |= TLB_READ;
    if (data && walk.writable && backing.ram && !(*backing.flags & (PHYS_GUARDED | PHYS_VIDEO))) {
        phys_populate(shadow->phys, backing.host);
        *backing.flags |= PHYS_DIRTY; /* writes through the entry will not be seen */
        rights |= TLB_WRITE;
    }
    enum watch_rights watched = shadow_watched(shadow, linear);
    if (unlikely(watched)) rights &= (u8)(watched == WATCH_WRITES ? ~TLB_WRITE : ~(TLB_WRITE | TLB_READ));
    tlb_fill(shadow->tlb, linear, user, &walk, (u64)(uintptr_t)backing.host - linear, rights);
    shadow->counters->shadow_fills++;
    if (user) long_windows_filled(shadow);
    if (rights & (TLB_READ | TLB_WRITE))
        note_event(shadow->counters->events, EVENT_SHADOW_FILL, linear, walk.gpa, !!(rights & TLB_READ),
                   !!(rights & TLB_WRITE));
    if (rights & TLB_FETCH) note_event(shadow->counters->events, EVENT_SHADOW_FILL_EXEC, linear, walk.gpa);
    if (kind == ACCESS_WRITE && !backing.ram) return hit->kind = SHADOW_MMIO;
    hit->host = backing.host;
    if (kind != ACCESS_WRITE) return hit->kind = SHADOW_DIRECT;
    return hit->kind = *backing.flags & PHYS_GUARDED ? SHADOW_GUARDED : SHADOW_DIRECT;
}

enum shadow_kind shadow_access(struct shadow *shadow, const struct paging *paging, u64 address,
                               enum access access, bool user, struct shadow_hit *hit)
{
    struct shadow_state *state = state_of(shadow);
    if (unlikely(state->format == FORMAT_LONG))
        return long_access(shadow, paging, address, access, user, hit);
    u32 linear = (u32)address;
    enum access kind = access & ~ACCESS_IMPLICIT;
    struct walk walk;
    struct backing backing;
    u32 view = user ? state->spaces.current : 0;
    if (!user && borrow(shadow, paging, linear, kind, hit)) return hit->kind;
    *hit = (struct shadow_hit){.kind = SHADOW_FAULT};
    shadow->counters->page_walks++;
    if (!mmu_walk(shadow->phys, paging, linear, access, user, true, &walk, &hit->error)) {
        /* A page fault invalidates the entries of its address (SDM 3A 4.10.4.1). */
        if (!keeps_coherent(shadow)) drop_translation(shadow, linear);
        return hit->kind;
    }
    hit->gpa = walk.gpa;
    if (!find_backing(shadow, walk.gpa, &backing)) return hit->kind = SHADOW_MMIO;
    if (kind == ACCESS_WRITE && backing.ram) phys_mark_dirty(shadow->phys, backing.flags);
    bool fetch = kind == ACCESS_FETCH;
    bool data = !fetch && !shadow->forced_slow && !walk.ac_decides;
    if (data || fetch) {
        view_touch(shadow, view, linear >> PAGE_SHIFT);
        if (!shadow->untraced && walk.levels) trace_walk(shadow, view, linear, &walk);
        fill(shadow, view, linear, &walk, &backing, data, fetch);
        if (!shadow->no_prefill && walk.levels)
            fill_neighbours(shadow, view, linear, &walk, data, fetch, data && (*backing.flags & PHYS_VIDEO));
    }
    if (kind == ACCESS_WRITE && !backing.ram) return hit->kind = SHADOW_MMIO;
    hit->host = backing.host;
    if (kind != ACCESS_WRITE) return hit->kind = SHADOW_DIRECT;
    return hit->kind = *backing.flags & PHYS_GUARDED ? SHADOW_GUARDED : SHADOW_DIRECT;
}
