/*
 * Windows of 64-bit user code: their segments and pages. See long_window.h for the invariants, long_policy.c for who
 * gets one.
 *
 * All but long_windows_destroy() may run while the guest's FPU state is live.
 */
#include "base/hash.h"
#include "host_memory.h"
#include "shadow_state.h"
#include "tlb.h"
#include "watch.h"

#define SEGMENT_SHIFT 32
#define SEGMENT_BYTES (1ull << SEGMENT_SHIFT)
#define REGION_SHIFT  (PAGE_SHIFT + REGION_BITS)
/* Pages that are looked at when one is mapped. */
#define GROUP       64
#define GROUP_LARGE 128

/* --- the host --- */

static bool map_nothing(u64 at, u64 bytes, int flags)
{
    long where = host_call(SYS_mmap, at, bytes, PROT_NONE,
                           (u64)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags), (u64)-1, 0);
    if (host_failed(where)) return false;
    if ((u64)where == at) return true;
    host_call(SYS_munmap, (u64)where, bytes, 0, 0, 0,
              0); /* the host kernel does not know MAP_FIXED_NOREPLACE */
    return false;
}

/* --- segments --- */

static u64 delta_of(const struct long_window *window, enum long_class class)
{
    return class == LONG_SAME ? 0 : window->delta;
}

static const struct long_segment *find_segment(const struct long_window *window, u64 number)
{
    for (u32 n = 0; n < window->segments; n++)
        if (window->segment[n].number == number) return &window->segment[n];
    return NULL;
}

static bool is_segment(const struct long_window *window, u64 number, enum long_class class)
{
    const struct long_segment *segment = find_segment(window, number);
    return segment && segment->class == class;
}

/* The host addresses of a segment and its guards, without what its neighbours have. */
static u64 reserved_from(const struct long_window *window, u64 number, enum long_class class)
{
    u64 from = (number << SEGMENT_SHIFT) + delta_of(window, class);
    return is_segment(window, number - 1, class) ? from + LONG_GUARD : from - LONG_GUARD;
}

static u64 reserved_end(const struct long_window *window, u64 number, enum long_class class)
{
    u64 end = ((number + 1) << SEGMENT_SHIFT) + delta_of(window, class);
    return is_segment(window, number + 1, class) ? end - LONG_GUARD : end + LONG_GUARD;
}

/* The lowest host segment that may be used: the first ones are those of the low window and its guard. */
#define HOST_SEGMENT_FIRST 4

static bool reserve(const struct long_window *window, u64 number, enum long_class class)
{
    u64 host = (number << SEGMENT_SHIFT) + delta_of(window, class);
    if (host < (u64)HOST_SEGMENT_FIRST << SEGMENT_SHIFT || host >= CANONICAL_LOW_END) return false;
    u64 from = reserved_from(window, number, class);
    return map_nothing(from, reserved_end(window, number, class) - from, MAP_FIXED_NOREPLACE);
}

/* Reserve a segment's host addresses. Returns its class. */
static enum long_class place(struct shadow *shadow, struct long_window *window, u64 number)
{
    if (!number) return long_low_taken(shadow, window) ? LONG_SAME : LONG_NONE;
    if (window->same && number < LONG_STACKS && reserve(window, number, LONG_SAME)) return LONG_SAME;
    return reserve(window, number, LONG_HIGH) ? LONG_HIGH : LONG_NONE;
}

/* Code learns the classes from the table. */
static void publish(struct shadow *shadow, const struct long_window *window, bool visible)
{
    struct tlb_segments *table = &shadow->tlb->segment[state_of(shadow)->long_windows.room].segments;
    for (u32 n = 0; n < window->segments; n++) {
        u16 number = window->segment[n].number;
        u8 class = window->segment[n].class;
        table->class[number] = visible ? class : LONG_NONE;
        table->is[class - LONG_SAME][number] = visible ? TLB_IS_CLASS : 0;
    }
}

static bool add_segment(struct shadow *shadow, struct long_window *window, u16 number)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    if (window->segments == LONG_SEGMENTS) return false;
    enum long_class class = place(shadow, window, number);
    if (!class) return false;
    window->segment[window->segments++] = (struct long_segment){number, class};
    if (all->current && window == &all->window[all->current - 1]) publish(shadow, window, true);
    return true;
}

enum long_class long_window_class(struct shadow *shadow, u64 linear)
{
    struct long_window *window = long_window_current(shadow);
    if (!window || linear >= CANONICAL_LOW_END) return LONG_NONE;
    u16 number = (u16)(linear >> SEGMENT_SHIFT);
    if (!find_segment(window, number) && !add_segment(shadow, window, number)) return LONG_NONE;
    return find_segment(window, number)->class;
}

bool long_window_has_low(struct shadow *shadow)
{
    return tlb_segment(shadow->tlb, 0) == LONG_SAME || long_window_class(shadow, 0) == LONG_SAME;
}

/* Unmap all pages, and give back the host addresses if the segments end, too. */
static void clear_segments(struct long_window *window, bool end)
{
    for (u32 n = window->segments; n-- > 0;) {
        u64 number = window->segment[n].number;
        enum long_class class = window->segment[n].class;
        if (end) window->segments = n; /* now neighbours count that are left */
        u64 from = number ? (number << SEGMENT_SHIFT) + delta_of(window, class) : LONG_LOW_FIRST;
        u64 bytes = number ? SEGMENT_BYTES : SEGMENT_BYTES - LONG_LOW_FIRST;
        if (end && number) {
            from = reserved_from(window, number, class);
            bytes = reserved_end(window, number, class) - from;
            host_call(SYS_munmap, from, bytes, 0, 0, 0, 0);
        } else if (!map_nothing(from, bytes, MAP_FIXED)) {
            /* At its limit of mappings the host refuses even this. It never refuses to unmap the whole range. */
            host_call(SYS_munmap, from, bytes, 0, 0, 0, 0);
            map_nothing(from, bytes, MAP_FIXED);
        }
    }
}

/* --- regions --- */

static u32 bucket_of(u32 window, u64 number)
{
    return (u32)(hash_multiply(number ^ (u64)window << 24) >> 40) % LONG_BUCKETS;
}

static u32 index_of(const struct long_windows *all, const struct long_window *window)
{
    return (u32)(window - all->window);
}

static struct long_region *find_region(struct long_windows *all, const struct long_window *window, u64 number)
{
    u32 index = index_of(all, window);
    for (u16 n = all->bucket[bucket_of(index, number)]; n; n = all->region[n - 1].next)
        if (all->region[n - 1].number == number && all->region[n - 1].window == index)
            return &all->region[n - 1];
    return NULL;
}

/* The region's pages are not mapped any more. */
static void free_region(struct long_windows *all, struct long_region *region)
{
    u16 *at = &all->bucket[bucket_of(region->window, region->number)], own = (u16)(region - all->region + 1);
    while (*at != own)
        at = &all->region[*at - 1].next;
    *at = region->next;
    if (region->after) all->region[region->after - 1].before = region->before;
    if (region->before)
        all->region[region->before - 1].after = region->after;
    else
        all->window[region->window].first = region->after;
    region->next = all->free;
    region->uppers = 0;
    all->free = own;
}

static void free_regions(struct long_windows *all, const struct long_window *window)
{
    while (window->first)
        free_region(all, &all->region[window->first - 1]);
}

void long_window_empty(struct shadow *shadow, struct long_window *window, bool end)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    if (window->mappings || end) clear_segments(window, end);
    free_regions(all, window);
    all->mappings -= window->mappings;
    window->mappings = 0;
    if (window->segments == 0 && all->low == index_of(all, window) + 1) all->low = 0;
}

void long_window_show(struct shadow *shadow, const struct long_window *window, bool visible)
{
    publish(shadow, window, visible);
}

/* Make room for a region or for mappings: empty the other windows, or this one. */
static void make_room(struct shadow *shadow, struct long_window *window)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    bool others = false;
    for (u32 n = 0; n < LONG_WINDOWS; n++)
        if (&all->window[n] != window && all->window[n].mappings) {
            long_window_empty(shadow, &all->window[n], false);
            others = true;
        }
    if (!others) long_window_empty(shadow, window, false);
}

static struct long_region *new_region(struct shadow *shadow, struct long_window *window, u64 number)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    if (!all->free && all->fresh == LONG_REGIONS) make_room(shadow, window);
    if (!all->free && all->fresh == LONG_REGIONS) return NULL;
    u16 own = all->free ? all->free : (u16)(all->fresh + 1);
    struct long_region *region = &all->region[own - 1];
    if (all->free)
        all->free = region->next;
    else
        all->fresh++;
    u16 *bucket = &all->bucket[bucket_of(index_of(all, window), number)];
    region->number = number;
    region->window = (u8)index_of(all, window);
    region->next = *bucket;
    region->before = 0;
    region->after = window->first;
    if (window->first) all->region[window->first - 1].before = own;
    window->first = own;
    for (u32 n = 0; n < ARRAY_SIZE(region->mapped); n++)
        region->mapped[n] = region->writable[n] = 0;
    *bucket = own;
    return region;
}

static bool is_mapped(const u64 *bits, u32 page)
{
    return bits[page / 64] >> page % 64 & 1;
}

static u64 region_linear(const struct long_region *region, u32 page)
{
    return region->number << REGION_SHIFT | (u64)page << PAGE_SHIFT;
}

static u64 host_of(const struct long_window *window, u64 linear)
{
    return linear + delta_of(window, find_segment(window, linear >> SEGMENT_SHIFT)->class);
}

static void forget_page(struct long_region *region, u32 page)
{
    region->mapped[page / 64] &= ~(1ull << page % 64);
    region->writable[page / 64] &= ~(1ull << page % 64);
}

/* Unmap pages from `first` on that were mapped. */
static void unmap_pages(struct shadow *shadow, struct long_window *window, struct long_region *region,
                        u32 first, u32 pages)
{
    u64 linear = region_linear(region, first);
    for (u32 n = 0; n < pages; n++)
        forget_page(region, first + n);
    shadow->counters->window_unmaps++;
    long_window_charge(shadow, LONG_UNMAP_CYCLES);
    /* A hole splits a mapping in two and is a mapping itself. */
    window->mappings += 2;
    state_of(shadow)->long_windows.mappings += 2;
    if (!map_nothing(host_of(window, linear), (u64)pages << PAGE_SHIFT, MAP_FIXED))
        long_window_empty(shadow, window, false);
}

/* Unmap the pages of the region whose bit is set. */
static void unmap_set(struct shadow *shadow, struct long_window *window, struct long_region *region,
                      const u64 *gone)
{
    for (u32 page = 0; page < REGION_PAGES;) {
        u32 first = page;
        while (page < REGION_PAGES && is_mapped(gone, page) && region->uppers)
            page++;
        if (page > first)
            unmap_pages(shadow, window, region, first, page - first);
        else if (gone[page / 64] >> page % 64)
            page++;
        else
            page = (page | 63) + 1;
    }
}

static void unmap_region(struct shadow *shadow, struct long_window *window, struct long_region *region)
{
    u64 gone[ARRAY_SIZE(region->mapped)];
    for (u32 n = 0; n < ARRAY_SIZE(gone); n++)
        gone[n] = region->mapped[n];
    unmap_set(shadow, window, region, gone);
    if (region->uppers) free_region(&state_of(shadow)->long_windows, region);
}

/* --- comparing with the guest's tables --- */

static bool read_entry(struct shadow *shadow, u64 gpa, u64 *entry)
{
    const u8 *host = phys_host(shadow->phys, gpa);
    if (!host) return false;
    *entry = *(const volatile u64 *)(const void *)host;
    return true;
}

/* Does an entry still say what it said when it was used? A page that was clean may have become dirty. */
static bool same_entry(u64 old, u64 now)
{
    return old == now || (old | ENTRY_D) == now;
}

/* Are the region's entries above the PTEs the same? *table: the PTEs, unless it is large. */
static bool same_uppers(struct shadow *shadow, const struct long_region *region, u64 cr3, const u64 **table)
{
    u64 linear = region_linear(region, 0), at = cr3 & ENTRY_ADDRESS;
    for (u32 n = 0; n < region->uppers; n++) {
        u64 entry;
        if (!read_entry(shadow, at | (linear >> (39 - 9 * n) & 0x1ff) << 3, &entry)) return false;
        if (!same_entry(region->upper[n], entry)) return false;
        at = entry & ENTRY_ADDRESS;
    }
    *table = region->large ? NULL : (const u64 *)(const void *)phys_host(shadow->phys, at);
    return region->large || *table;
}

static void compare_region(struct shadow *shadow, struct long_window *window, struct long_region *region,
                           u64 cr3)
{
    const u64 *table;
    u64 gone[ARRAY_SIZE(region->mapped)], any = 0;
    if (!same_uppers(shadow, region, cr3, &table)) {
        unmap_region(shadow, window, region);
        return;
    }
    if (region->large) return;
    u64 all = 0;
    for (u32 word = 0; word < ARRAY_SIZE(gone); word++) {
        gone[word] = 0;
        for (u64 left = region->mapped[word]; left; left &= left - 1) {
            u32 page = word * 64 + (u32)__builtin_ctzll(left);
            if (!same_entry(region->entry[page], table[page])) gone[word] |= left & -left;
        }
        any |= gone[word];
        all |= region->mapped[word];
    }
    if (!all)
        unmap_region(shadow, window, region);
    else if (any)
        unmap_set(shadow, window, region, gone);
}

void long_window_compare(struct shadow *shadow, struct long_window *window, u64 cr3)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    for (u16 n = window->first, next; n && window->first; n = next) {
        next = all->region[n - 1].after;
        long_window_charge(shadow, LONG_REGION_CYCLES);
        compare_region(shadow, window, &all->region[n - 1], cr3);
    }
}

/* --- dropping --- */

void long_windows_invlpg(struct shadow *shadow, u64 linear)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    struct long_window *window = long_window_current(shadow);
    if (!window || !window->mappings || linear >= CANONICAL_LOW_END) return;
    struct long_region *region = find_region(all, window, linear >> REGION_SHIFT);
    u32 page = linear >> PAGE_SHIFT & (REGION_PAGES - 1);
    if (region && region->large && region->uppers == 2) { /* 1 GB: other regions have pieces of it */
        long_window_empty(shadow, window, false);
    } else if (region && region->large) {
        unmap_region(shadow, window, region);
    } else if (region && is_mapped(region->mapped, page)) {
        unmap_pages(shadow, window, region, page, 1);
    }
}

/* The guest-physical address that a page of a region was mapped from. */
static u64 page_gpa(const struct long_region *region, u32 page)
{
    if (!region->large) return region->entry[page] & ENTRY_ADDRESS;
    u64 bytes = region->uppers == 2 ? 1ull << 30 : 1ull << REGION_SHIFT;
    return (region->upper[region->uppers - 1] & ENTRY_ADDRESS & ~(bytes - 1)) |
           (region_linear(region, page) & (bytes - 1));
}

void long_windows_drop_writes(struct shadow *shadow, u64 gpa_page)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    for (u32 n = 0; n < all->fresh; n++) {
        struct long_region *region = &all->region[n]; /* uppers 0: free */
        for (u32 word = 0; region->uppers && word < ARRAY_SIZE(region->writable); word++)
            for (u64 left = region->writable[word]; left && region->uppers; left &= left - 1) {
                u32 page = word * 64 + (u32)__builtin_ctzll(left);
                if (page_gpa(region, page) == (gpa_page & ENTRY_ADDRESS))
                    unmap_pages(shadow, &all->window[region->window], region, page, 1);
            }
    }
}

/* --- mapping --- */

/* What may be mapped for a page. */
struct right {
    bool read, write;
    u64 offset; /* in the memory file */
    u64 entry;  /* that maps it */
};

/* Never sets A or D: a page that the guest has not used is not mapped. */
static struct right right_to(struct shadow *shadow, const struct paging *paging, u64 linear,
                             struct walk *walk)
{
    struct right right = {.read = false};
    struct phys *phys = shadow->phys;
    u32 error;
    if (!mmu_walk(phys, paging, linear, ACCESS_READ, true, false, walk, &error)) return right;
    for (unsigned n = 0; n < walk->levels; n++)
        if (!read_entry(shadow, walk->entry[n], &right.entry) || !(right.entry & ENTRY_A)) return right;
    const struct phys_region *region = phys_find(phys, walk->gpa);
    if (!region || region->kind != PHYS_RAM || shadow_watched(shadow, linear)) return right;
    right.offset = (u64)(region->host + (walk->gpa - region->gpa) - phys->ram) & ~(u64)PAGE_MASK;
    u8 *flags = &phys->ram_flags[right.offset >> PAGE_SHIFT];
    right.read = walk->readable && right.offset < phys->ram_bytes && linear >= LONG_LOW_FIRST;
    right.write = right.read && walk->writable && !(*flags & PHYS_GUARDED);
    if (right.write) *flags |= PHYS_DIRTY | PHYS_WINDOW;
    return right;
}

/* The region of a page that was walked, with its upper entries. */
static struct long_region *region_for(struct shadow *shadow, struct long_window *window, u64 linear, u64 cr3,
                                      const struct walk *walk)
{
    const u64 *table;
    struct long_region *region = find_region(&state_of(shadow)->long_windows, window, linear >> REGION_SHIFT);
    if (region && same_uppers(shadow, region, cr3, &table)) return region;
    if (region) unmap_region(shadow, window, region);
    region = new_region(shadow, window, linear >> REGION_SHIFT);
    if (!region) return NULL;
    region->large = walk->page_bytes > PAGE_SIZE;
    region->uppers = (u8)(walk->levels - !region->large);
    for (u32 n = 0; n < region->uppers; n++)
        read_entry(shadow, walk->entry[n], &region->upper[n]);
    return region;
}

/* Map `pages` pages that continue each other in linear memory and in the file. */
static bool map_pages(struct shadow *shadow, struct long_window *window, struct long_region *region,
                      u32 first, u32 pages, const struct right *rights)
{
    u64 at = host_of(window, region_linear(region, first));
    int protection = rights->write ? PROT_READ | PROT_WRITE : PROT_READ;
    if (rights->write) phys_populate(shadow->phys, shadow->phys->ram + rights->offset);
    long mapped = host_call(SYS_mmap, at, (u64)pages << PAGE_SHIFT, (u64)protection,
                            MAP_SHARED | MAP_FIXED | MAP_POPULATE, (u64)shadow->phys->ram_fd, rights->offset);
    if (host_failed(mapped)) return false;
    for (u32 n = 0; n < pages; n++) {
        u32 page = first + n;
        forget_page(region, page);
        region->mapped[page / 64] |= 1ull << page % 64;
        if (rights->write) region->writable[page / 64] |= 1ull << page % 64;
        region->entry[page] = rights[n].entry;
    }
    window->mappings++;
    state_of(shadow)->long_windows.mappings++;
    window_mapped_twice(shadow, pages);
    shadow->counters->window_pages += pages;
    shadow->counters->window_mappings++;
    long_window_charge(shadow, LONG_MAP_CYCLES);
    return true;
}

static bool continues(const struct right *a, const struct right *b)
{
    return b->read && a->write == b->write && b->offset == a->offset + PAGE_SIZE;
}

/* Map the page, and its neighbours that may be mapped. */
static bool map_around(struct shadow *shadow, struct long_window *window, const struct paging *paging,
                       u64 linear, bool write)
{
    struct walk walk;
    struct right rights[GROUP_LARGE];
    struct right own = right_to(shadow, paging, linear, &walk);
    if (!(write ? own.write : own.read)) return false;
    if (state_of(shadow)->long_windows.mappings >= shadow->window_mappings_max) make_room(shadow, window);
    struct long_region *region = region_for(shadow, window, linear, paging->cr3, &walk);
    if (!region) return false;
    u32 count = region->large ? GROUP_LARGE : GROUP, page = linear >> PAGE_SHIFT & (REGION_PAGES - 1);
    u32 first = page & ~(count - 1);
    for (u32 n = 0; n < count; n++) {
        bool done = first + n != page && is_mapped(region->mapped, first + n);
        rights[n] = done ? (struct right){.read = false}
                         : right_to(shadow, paging, region_linear(region, first + n), &walk);
    }
    for (u32 n = 0, run; n < count; n += run) {
        run = 1;
        if (!rights[n].read) continue;
        while (n + run < count && continues(&rights[n + run - 1], &rights[n + run]))
            run++;
        if (!map_pages(shadow, window, region, first + n, run, &rights[n])) break;
    }
    return is_mapped(write ? region->writable : region->mapped, page);
}

/* --- faults --- */

bool long_window_holds(struct shadow *shadow, u64 host_address)
{
    const struct long_window *window = long_window_current(shadow);
    if (!window) return false;
    for (u32 n = 0; n < window->segments; n++) {
        const struct long_segment *segment = &window->segment[n];
        u64 from = ((u64)segment->number << SEGMENT_SHIFT) + delta_of(window, segment->class);
        if (host_address - (from - LONG_GUARD) < SEGMENT_BYTES + 2 * LONG_GUARD) return true;
    }
    return false;
}

bool long_window_fault(struct shadow *shadow, const struct paging *paging, u64 host_address, bool write)
{
    struct long_window *window = long_window_current(shadow);
    struct shadow_hit hit;
    if (!window) return false;
    u64 linear = host_address;
    if (!is_segment(window, linear >> SEGMENT_SHIFT, LONG_SAME)) {
        linear -= window->delta;
        if (linear >= CANONICAL_LOW_END || !is_segment(window, linear >> SEGMENT_SHIFT, LONG_HIGH))
            return false;
    }
    shadow->counters->window_faults++;
    long_window_charge(shadow, LONG_FAULT_CYCLES);
    if (shadow_access(shadow, paging, linear, write ? ACCESS_WRITE : ACCESS_READ, true, &hit) !=
        SHADOW_DIRECT)
        return false;
    return map_around(shadow, window, paging, linear, write);
}

void long_window_map_due(struct shadow *shadow, const struct paging *paging)
{
    struct long_windows *all = &state_of(shadow)->long_windows;
    struct long_window *window = long_window_current(shadow);
    shadow->window_due = false;
    if (!window || !find_segment(window, all->due >> SEGMENT_SHIFT)) return;
    map_around(shadow, window, paging, all->due, all->due_write);
}
