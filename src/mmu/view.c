/*
 * A view: filling and dropping entries. See view.h.
 */
#include "view.h"

#include "host_call.h"

#include <errno.h>

/* Past the end of a table code may look at the entry of page 2^20 (an access at FFFFFFFFh that goes on): it
 * reads 0. */
#define TABLE_BYTES(entry) (PAGES * (u64)(entry) + PAGE_SIZE)
#define DATA_TABLE_BYTES   TABLE_BYTES(sizeof(u64))
_Static_assert(DATA_TABLE_BYTES == SHADOW_READ_TO_WRITE, "the write table lies behind the read table");
#define QUARTER_PAGES (PAGES / QUARTERS)

/* --- set-up and destruction --- */

void *reserve(u64 bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    /* Filled sparsely: one huge page a touched entry would cost more than the guest. */
    madvise(at, bytes, MADV_NOHUGEPAGE);
    return at;
}

void release(void *at, u64 bytes)
{
    if (at) munmap(at, bytes);
}

int view_reserve(struct view *view)
{
    struct shadow_table *table = &view->table;
    bool complete = true;
    complete &= (table->read = reserve(2 * DATA_TABLE_BYTES)) != NULL;
    table->write = table->read ? table->read + SHADOW_READ_TO_WRITE / sizeof *table->read : NULL;
    complete &= (table->exec = reserve(TABLE_BYTES(sizeof *table->exec))) != NULL;
    complete &= (view->flags = reserve(PAGES)) != NULL;
    complete &= (view->link = reserve(PAGES * sizeof *view->link)) != NULL;
    for (unsigned q = 0; q < QUARTERS; q++)
        complete &= (view->log[q].page = reserve(QUARTER_PAGES * sizeof(u32))) != NULL;
    if (complete) return 0;
    view_release(view);
    return -ENOMEM;
}

void view_release(struct view *view)
{
    struct shadow_table *table = &view->table;
    release(table->read, 2 * DATA_TABLE_BYTES);
    release(table->exec, TABLE_BYTES(sizeof *table->exec));
    release(view->flags, PAGES);
    release(view->link, PAGES * sizeof *view->link);
    for (unsigned q = 0; q < QUARTERS; q++)
        release(view->log[q].page, QUARTER_PAGES * sizeof(u32));
    *table = (struct shadow_table){.read = NULL};
    view->flags = NULL;
    view->link = NULL;
    for (unsigned q = 0; q < QUARTERS; q++)
        view->log[q] = (struct page_log){.page = NULL};
}

/* --- from here on the guest's FPU state may be live: no libc --- */

/* Failure costs memory, nothing else. */
void give_back(void *at, u64 bytes)
{
    host_call(SYS_madvise, (u64)(uintptr_t)at, bytes, MADV_DONTNEED, 0, 0, 0);
}

void view_shrink(struct view *view)
{
    struct shadow_table *table = &view->table;
    give_back(table->read, 2 * DATA_TABLE_BYTES);
    give_back(table->exec, TABLE_BYTES(sizeof *table->exec));
    give_back(view->flags, PAGES);
    give_back(view->link, PAGES * sizeof *view->link);
    for (unsigned n = 0; n < REGIONS; n++)
        view->touched[n] = 0;
}

/* The RAM page that a write entry maps. */
static u32 *chain_of(struct shadow *shadow, u32 page, u64 entry)
{
    u64 host = entry + ((u64)page << PAGE_SHIFT);
    return &state_of(shadow)->chain[(host - (u64)(uintptr_t)shadow->phys->ram) >> PAGE_SHIFT];
}

static struct chain_link *link_of(struct shadow_state *state, u32 id_plus_1)
{
    u32 id = id_plus_1 - 1;
    return &state->view[id / PAGES].link[id % PAGES];
}

void view_set_write(struct shadow *shadow, u32 view, u32 page, u64 entry)
{
    struct shadow_state *state = state_of(shadow);
    u32 *head = chain_of(shadow, page, entry), id = view * PAGES + page;
    state->view[view].link[page] = (struct chain_link){.next = *head, .previous = 0};
    if (*head) link_of(state, *head)->previous = id + 1;
    *head = id + 1;
    state->view[view].table.write[page] = entry;
}

static void clear_write(struct shadow *shadow, u32 view, u32 page)
{
    struct shadow_state *state = state_of(shadow);
    u64 *entry = &state->view[view].table.write[page];
    if (!*entry) return;
    shadow->data_drops++;
    if (state->view[view].flags[page] & PAGE_WINDOW_WRITE) window_stale(shadow, view, page);
    struct chain_link link = state->view[view].link[page];
    if (link.next) link_of(state, link.next)->previous = link.previous;
    if (link.previous)
        link_of(state, link.previous)->next = link.next;
    else
        *chain_of(shadow, page, *entry) = link.next;
    *entry = 0;
}

/* `page` counts from the start of the memory file. */
static void drop_writes(struct shadow *shadow, u64 page)
{
    u32 *head = &state_of(shadow)->chain[page];
    while (*head)
        clear_write(shadow, (*head - 1) / PAGES, (*head - 1) % PAGES);
}

void shadow_drop_writes(struct shadow *shadow, u64 gpa_page)
{
    const u8 *host = phys_host(shadow->phys, gpa_page);
    u64 offset = (u64)(uintptr_t)host - (u64)(uintptr_t)shadow->phys->ram;
    if (host && offset < shadow->phys->file_bytes) /* ROM has no write entries */
        drop_writes(shadow, offset >> PAGE_SHIFT);
}

void shadow_collect_dirty(struct shadow *shadow, u64 *pages)
{
    struct phys *phys = shadow->phys;
    u64 first = phys->ram_bytes >> PAGE_SHIFT, count = phys->video_bytes >> PAGE_SHIFT;
    for (u64 page = 0; page < count; page++) {
        u8 *flags = &phys->ram_flags[first + page];
        if (!(*flags & PHYS_DIRTY)) continue;
        *flags &= (u8)~PHYS_DIRTY;
        pages[page / 64] |= 1ull << page % 64;
        drop_writes(shadow, first + page);
    }
}

/* Never touches a page of the tables that was not touched before. */
bool view_drop(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = &state_of(shadow)->view[n];
    if (!(view->flags[page] & PAGE_LIVE)) return false;
    bool had = view->table.read[page] || view->table.write[page] || view->table.exec[page];
    clear_write(shadow, n, page);
    if (view->flags[page] & PAGE_IN_WINDOW) window_stale(shadow, n, page);
    if (view->table.exec[page]) shadow->exec_drops++;
    if (view->table.read[page]) shadow->data_drops++;
    view->table.read[page] = 0;
    view->table.exec[page] = 0;
    view->flags[page] &= PAGE_LOGGED;
    return had;
}

u32 view_drop_region(struct shadow *shadow, u32 n, u32 region)
{
    struct view *view = &state_of(shadow)->view[n];
    view->large[region] = 0;
    if (!view->touched[region]) return 0;
    u32 first = region << REGION_BITS, dropped = 0;
    for (u32 page = first; page < first + (1u << REGION_BITS); page += 8) {
        if (!(*(const u64 *)(const void *)&view->flags[page] & LIVE_8)) continue;
        for (u32 k = 0; k < 8; k++)
            dropped += view_drop(shadow, n, page + k);
    }
    return dropped;
}

void view_drop_quarter(struct shadow *shadow, u32 n, u32 quarter)
{
    struct view *view = &state_of(shadow)->view[n];
    struct page_log *log = &view->log[quarter];
    for (u32 k = 0; k < log->count; k++) {
        u32 page = log->page[k];
        view_drop(shadow, n, page);
        view->flags[page] = 0;
        view->large[page >> REGION_BITS] = 0;
    }
    log->count = 0;
}

void view_drop_local(struct shadow *shadow, u32 n)
{
    struct view *view = &state_of(shadow)->view[n];
    for (u32 q = 0; q < QUARTERS; q++) {
        struct page_log *log = &view->log[q];
        u32 kept = 0;
        for (u32 k = 0; k < log->count; k++) {
            u32 page = log->page[k];
            if (view->flags[page] & PAGE_GLOBAL) {
                log->page[kept++] = page;
            } else {
                view_drop(shadow, n, page);
                view->flags[page] = 0;
            }
        }
        log->count = kept;
    }
}

u32 view_drop_translation(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = &state_of(shadow)->view[n];
    u32 region = page >> REGION_BITS, kind = view->large[region];
    u32 dropped = view_drop(shadow, n, page);
    if (likely(!kind)) return dropped;
    u32 first = kind & LARGE_4M ? region & ~1u : region, last = kind & LARGE_4M ? region | 1u : region;
    for (region = first; region <= last; region++)
        dropped += view_drop_region(shadow, n, region);
    return dropped;
}

/* The guest has roamed too far. */
static void shrink(struct shadow *shadow)
{
    struct shadow_state *state = state_of(shadow);
    shadow_flush(shadow);
    for (u32 n = 0; n < VIEWS; n++)
        view_shrink(&state->view[n]);
    state->regions_touched = 0;
}

void view_touch(struct shadow *shadow, u32 n, u32 page)
{
    struct shadow_state *state = state_of(shadow);
    u8 *touched = &state->view[n].touched[page >> REGION_BITS];
    if (likely(*touched)) return;
    if (state->regions_touched == REGIONS_MAX) shrink(shadow);
    state->regions_touched++;
    *touched = 1;
}

void view_prepare(struct shadow *shadow, u32 n, u32 page, const struct walk *walk, u64 entry,
                  u32 frame_plus_1)
{
    struct view *view = &state_of(shadow)->view[n];
    struct shadow_table *table = &view->table;
    u32 region = page >> REGION_BITS;
    u64 read = table->read[page], write = table->write[page];
    u32 exec = table->exec[page];
    if ((read && read != entry) || (write && write != entry) || (exec && exec != frame_plus_1))
        view_drop(shadow, n, page);
    u8 *flags = &view->flags[page];
    bool empty = !table->read[page] && !table->write[page] && !table->exec[page];
    if (walk->global && (empty || (*flags & PAGE_GLOBAL)))
        *flags |= PAGE_GLOBAL;
    else
        *flags &= ~PAGE_GLOBAL;
    *flags |= PAGE_LIVE;
    if (!(*flags & PAGE_LOGGED)) {
        struct page_log *log = &view->log[page / QUARTER_PAGES];
        log->page[log->count++] = page;
        *flags |= PAGE_LOGGED;
    }
    if (walk->page_bytes == 2u << 20) {
        view->large[region] |= LARGE_2M;
    } else if (walk->page_bytes == 4u << 20) {
        view->large[region & ~1u] |= LARGE_4M;
        view->large[region | 1u] |= LARGE_4M;
    }
}
