/*
 * A view: filling and dropping entries. See view.h.
 *
 * All of it may run while the guest's FPU state is live.
 */
#include "host_memory.h"
#include "shadow_state.h"
#include "tlb.h"

#include <errno.h>

/* Each table has room behind its end, because an access that begins at FFFFFFFFh may read entry 2^20. It is 0. */
#define TABLE_BYTES(entry) (PAGES * (u64)(entry) + PAGE_SIZE)
#define DATA_TABLE_BYTES   TABLE_BYTES(sizeof(u64))
_Static_assert(DATA_TABLE_BYTES == SHADOW_READ_TO_WRITE, "the write table lies behind the read table");
#define QUARTER_REGIONS (REGIONS / QUARTERS)
_Static_assert(QUARTER_REGIONS % 64 == 0, "a quarter has whole words of bits");

/* Offsets of the parts of a view's reservation. */
enum {
    READ_AT = 0,
    WRITE_AT = READ_AT + DATA_TABLE_BYTES,
    EXEC_AT = WRITE_AT + DATA_TABLE_BYTES,
    LINK_AT = EXEC_AT + TABLE_BYTES(sizeof(u32)),
    FLAGS_AT = LINK_AT + PAGES * sizeof(struct writer_link),
    REGION_AT = FLAGS_AT + PAGES,
    VIEW_BYTES = REGION_AT + REGIONS * sizeof(struct region),
};

int views_init(struct shadow *shadow)
{
    struct views *views = &state_of(shadow)->views;
    views->writers_bytes =
        align_up((shadow->phys->file_bytes >> PAGE_SHIFT) * sizeof *views->writers, PAGE_SIZE);
    views->writers = host_reserve(views->writers_bytes);
    return views->writers && view_reserve(shadow, 0) ? 0 : -ENOMEM;
}

void views_destroy(struct shadow *shadow)
{
    struct views *views = &state_of(shadow)->views;
    for (u32 n = 0; n < VIEWS; n++)
        host_release(views->view[n].reserved, VIEW_BYTES);
    host_release(views->writers, views->writers_bytes);
}

bool view_reserve(struct shadow *shadow, u32 n)
{
    struct view *view = view_at(shadow, n);
    if (view->reserved) return true;
    u8 *at = view->reserved = host_reserve(VIEW_BYTES);
    if (!at) return false;
    view->table = (struct shadow_table){
        .read = (void *)(at + READ_AT), .write = (void *)(at + WRITE_AT), .exec = (void *)(at + EXEC_AT)};
    view->link = (void *)(at + LINK_AT);
    view->flags = at + FLAGS_AT;
    view->region = (void *)(at + REGION_AT);
    return true;
}

void view_shrink(struct shadow *shadow, u32 n)
{
    struct view *view = view_at(shadow, n);
    host_give_back(view->reserved, VIEW_BYTES); /* a refusal only costs memory */
    state_of(shadow)->views.regions_touched -= view->regions_touched;
    view->regions_touched = 0;
    shadow->counters->space_shrinks++;
}

/* --- which pages have entries --- */

static u64 *flags_of_8(const struct view *view, u32 page)
{
    return (u64 *)(void *)&view->flags[page & ~7u];
}

static void set_live(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = view_at(shadow, n);
    if (view->flags[page] & PAGE_LIVE) return;
    u32 region = page >> REGION_BITS;
    view->flags[page] |= PAGE_LIVE;
    view->region[region].groups |= 1ull << page / 8 % 64;
    view->live[region / 64] |= 1ull << region % 64;
    if (!view->live_pages++) space_filled(shadow, n);
}

static void clear_flags(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = view_at(shadow, n);
    u32 region = page >> REGION_BITS;
    u64 *groups = &view->region[region].groups;
    view->flags[page] = 0;
    if (!(*flags_of_8(view, page) & LIVE_8)) {
        *groups &= ~(1ull << page / 8 % 64);
        if (!*groups) view->live[region / 64] &= ~(1ull << region % 64);
    }
    if (!--view->live_pages) space_emptied(shadow, n);
}

u32 view_next_live(const struct view *view, u32 page)
{
    for (; page < PAGES; page = (page | 7) + 1) {
        u32 region = page >> REGION_BITS;
        if (!(page % REGION_PAGES)) {
            u64 regions = view->live[region / 64] >> region % 64;
            if (!regions) {
                page = ((region | 63) + 1) * REGION_PAGES - 1;
                continue;
            }
            region += (u32)__builtin_ctzll(regions);
            page = region << REGION_BITS;
        }
        u64 groups = view->region[region].groups >> page / 8 % 64;
        if (!groups) {
            page |= REGION_PAGES - 1;
            continue;
        }
        if (!(groups & 1)) page = (page & ~7u) + 8 * (u32)__builtin_ctzll(groups);
        u64 live = (*flags_of_8(view, page) & LIVE_8) >> 8 * (page % 8);
        if (live) return page + (u32)__builtin_ctzll(live) / 8;
    }
    return PAGES;
}

/* --- the reverse map: which write entries map a RAM page --- */

static u32 *writers_of(struct shadow *shadow, u32 page, u64 entry)
{
    u64 host = entry + ((u64)page << PAGE_SHIFT);
    return &state_of(shadow)->views.writers[(host - (u64)(uintptr_t)shadow->phys->ram) >> PAGE_SHIFT];
}

static struct writer_link *link_of(struct shadow *shadow, u32 id_plus_1)
{
    u32 id = id_plus_1 - 1;
    return &view_at(shadow, id / PAGES)->link[id % PAGES];
}

void view_set_write(struct shadow *shadow, u32 n, u32 page, u64 entry)
{
    struct view *view = view_at(shadow, n);
    u32 *head = writers_of(shadow, page, entry), id = n * PAGES + page;
    view->link[page] = (struct writer_link){.next = *head, .previous = 0};
    if (*head) link_of(shadow, *head)->previous = id + 1;
    *head = id + 1;
    view->table.write[page] = entry;
}

static void clear_write(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = view_at(shadow, n);
    u64 *entry = &view->table.write[page];
    if (!*entry) return;
    shadow->data_drops++;
    if (view->flags[page] & PAGE_WINDOW_WRITE) window_stale(shadow, n, page);
    struct writer_link link = view->link[page];
    if (link.next) link_of(shadow, link.next)->previous = link.previous;
    if (link.previous)
        link_of(shadow, link.previous)->next = link.next;
    else
        *writers_of(shadow, page, *entry) = link.next;
    *entry = 0;
}

/* `page` is a page number in the memory file. */
static void drop_writes(struct shadow *shadow, u64 page)
{
    const u32 *head = &state_of(shadow)->views.writers[page];
    while (*head)
        clear_write(shadow, (*head - 1) / PAGES, (*head - 1) % PAGES);
}

void shadow_drop_writes(struct shadow *shadow, u64 gpa_page)
{
    const u8 *host = phys_host(shadow->phys, gpa_page);
    u64 offset = (u64)(uintptr_t)host - (u64)(uintptr_t)shadow->phys->ram;
    shadow->data_drops += tlb_drop_writes(shadow->tlb, gpa_page >> PAGE_SHIFT);
    u8 *flags = phys_flags(shadow->phys, gpa_page);
    if (flags && *flags & PHYS_WINDOW) {
        *flags &= (u8)~PHYS_WINDOW;
        long_windows_drop_writes(shadow, gpa_page);
    }
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

/* --- dropping --- */

/* Never makes the host back another page of the tables. */
bool view_drop(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = view_at(shadow, n);
    if (!(view->flags[page] & PAGE_LIVE)) return false;
    bool had = view->table.read[page] || view->table.write[page] || view->table.exec[page];
    clear_write(shadow, n, page);
    if (view->flags[page] & PAGE_IN_WINDOW) window_stale(shadow, n, page);
    if (view->table.exec[page]) shadow->exec_drops++;
    if (view->table.read[page]) shadow->data_drops++;
    view->table.read[page] = 0;
    view->table.exec[page] = 0;
    clear_flags(shadow, n, page);
    return had;
}

u32 view_drop_region(struct shadow *shadow, u32 n, u32 region)
{
    struct view *view = view_at(shadow, n);
    u32 dropped = 0;
    if (!(view->live[region / 64] & 1ull << region % 64)) return 0;
    view->region[region].large = 0;
    for (u64 groups = view->region[region].groups; groups; groups &= groups - 1) {
        u32 page = (region << REGION_BITS) + 8 * (u32)__builtin_ctzll(groups);
        for (u32 k = 0; k < 8; k++)
            dropped += view_drop(shadow, n, page + k);
    }
    return dropped;
}

u32 view_drop_quarter(struct shadow *shadow, u32 n, u32 quarter)
{
    const struct view *view = view_at(shadow, n);
    u32 words = QUARTER_REGIONS / 64, dropped = 0;
    for (u32 word = quarter * words; word < (quarter + 1) * words; word++)
        while (view->live[word])
            dropped += view_drop_region(shadow, n, word * 64 + (u32)__builtin_ctzll(view->live[word]));
    return dropped;
}

void view_drop_local(struct shadow *shadow, u32 n)
{
    const struct view *view = view_at(shadow, n);
    for (u32 page = 0; (page = view_next_live(view, page)) < PAGES; page++)
        if (!(view->flags[page] & PAGE_GLOBAL)) view_drop(shadow, n, page);
}

u32 view_drop_translation(struct shadow *shadow, u32 n, u32 page)
{
    const struct view *view = view_at(shadow, n);
    u32 region = page >> REGION_BITS, kind = view->region[region].large;
    u32 dropped = view_drop(shadow, n, page);
    if (likely(!kind)) return dropped;
    u32 first = kind & LARGE_4M ? region & ~1u : region, last = kind & LARGE_4M ? region | 1u : region;
    for (region = first; region <= last; region++)
        dropped += view_drop_region(shadow, n, region);
    return dropped;
}

/* --- filling --- */

void view_touch(struct shadow *shadow, u32 n, u32 page)
{
    struct views *views = &state_of(shadow)->views;
    struct view *view = &views->view[n];
    struct region *region = &view->region[page >> REGION_BITS];
    if (likely(region->touched)) return;
    while (views->regions_touched >= REGIONS_MAX)
        space_shrink_oldest(shadow);
    views->regions_touched++;
    view->regions_touched++;
    region->touched = true;
}

void view_prepare(struct shadow *shadow, u32 n, u32 page, const struct walk *walk, u64 entry,
                  u32 frame_plus_1)
{
    struct view *view = view_at(shadow, n);
    struct shadow_table *table = &view->table;
    u32 region = page >> REGION_BITS;
    u64 read = table->read[page], write = table->write[page];
    u32 exec = table->exec[page];
    if ((read && read != entry) || (write && write != entry) || (exec && exec != frame_plus_1))
        view_drop(shadow, n, page);
    bool empty = !table->read[page] && !table->write[page] && !table->exec[page];
    set_live(shadow, n, page);
    u8 *flags = &view->flags[page];
    if (walk->global && (empty || (*flags & PAGE_GLOBAL)))
        *flags |= PAGE_GLOBAL;
    else
        *flags &= (u8)~PAGE_GLOBAL;
    if (walk->page_bytes == 2u << 20) {
        view->region[region].large |= LARGE_2M;
    } else if (walk->page_bytes == 4u << 20) {
        view->region[region & ~1u].large |= LARGE_4M;
        view->region[region | 1u].large |= LARGE_4M;
    }
}
