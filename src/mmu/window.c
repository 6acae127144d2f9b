/*
 * Host windows: mapping pages, unmapping stale pages, and the policy that promotes and demotes spaces. See window.h for
 * the invariants.
 *
 * All but windows_init() may run while the guest's FPU state is live.
 */
#include "window.h"
#include "host_memory.h"
#include "shadow_state.h"

#include <sys/auxv.h>

#define WINDOW_BYTES (4ull << 30)
#define GUARD_BYTES  ((u64)LONG_GUARD) /* the low window serves 64-bit code, too */

/* Measured costs, in cycles of the host's TSC. */
enum {
    FAULT_CYCLES = 15000, /* a host page fault, its signal and the mapping of a page */
    UNMAP_CYCLES = 5000,
    PROMOTE_CYCLES = 50 << 20,
    REVIEW_CYCLES = 40 << 20, /* user cycles between two reviews of a promoted space */
    LOW_REVIEW_CYCLES = 120 << 20,
    PATIENCE_MAX = 64,
};
#define RUN_MAX 64 /* pages mapped by one call */
/* Pages in windows are mapped twice. The host counts them twice, although only its page tables take more memory. So
 * each time this many pages have been mapped twice, the host is told to forget RAM's own mapping. Cheap faults bring
 * back the pages that are used through it. */
#define TWICE_MAX 6144

/* AT_HWCAP2: the host kernel lets programs use RDGSBASE and WRGSBASE. */
#define HWCAP2_FSGSBASE (1u << 1)

static struct windows *windows_of(struct shadow *shadow)
{
    return &state_of(shadow)->windows;
}

static u64 reserved_from(const struct window *window)
{
    return window->base + ((u64)window->first_page << PAGE_SHIFT);
}

static u64 reserved_bytes(const struct window *window)
{
    return window->base + WINDOW_BYTES + GUARD_BYTES - reserved_from(window);
}

void windows_init(struct shadow *shadow)
{
    state_of(shadow)->windows.possible = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

void windows_destroy(struct shadow *shadow)
{
    struct windows *windows = windows_of(shadow);
    for (u32 n = 0; n < WINDOWS; n++) {
        const struct window *window = &windows->window[n];
        if (window->reserved) host_release((void *)(uintptr_t)reserved_from(window), reserved_bytes(window));
    }
}

/* --- the host, without libc: the guest's FPU state may be live --- */

static long host_mmap(u64 at, u64 bytes, int protection, int flags, int fd, u64 offset)
{
    return host_call(SYS_mmap, at, bytes, (u64)protection, (u64)flags, (u64)(s64)fd, offset);
}

static bool unmap(u64 at, u64 bytes)
{
    return !host_failed(
        host_mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0));
}

static u64 read_gs_base(void)
{
    u64 base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

static void write_gs_base(u64 base)
{
    __asm__ volatile("wrgsbase %0" : : "r"(base));
}

/* --- windows of views --- */

static struct window *window_of(struct shadow *shadow, const struct view *view)
{
    return view->window ? &windows_of(shadow)->window[view->window - 1] : NULL;
}

/* Unmap all pages of the window. */
static void empty(struct shadow *shadow, struct window *window)
{
    struct view *view = view_at(shadow, window->view);
    u64 from = reserved_from(window), bytes = reserved_bytes(window);
    if (!unmap(from, bytes)) {
        /* At its limit of mappings the host refuses even this. It never refuses to unmap the whole range. */
        host_call(SYS_munmap, from, bytes, 0, 0, 0, 0);
        unmap(from, bytes);
    }
    for (u32 page = 0; (page = view_next_live(view, page)) < PAGES; page++)
        view->flags[page] &= (u8)~PAGE_IN_WINDOW;
    windows_of(shadow)->mappings -= window->mappings;
    window->mappings = window->stale_count = 0;
}

void window_close(struct shadow *shadow, u32 n)
{
    struct view *view = view_at(shadow, n);
    struct window *window = window_of(shadow, view);
    if (!window) return;
    empty(shadow, window);
    window->view = 0;
    view->window = 0;
    if (n == state_of(shadow)->spaces.current) shadow->has_window = false;
}

void window_stale(struct shadow *shadow, u32 n, u32 page)
{
    struct view *view = view_at(shadow, n);
    struct window *window = window_of(shadow, view);
    view->flags[page] &= (u8)~PAGE_IN_WINDOW;
    if (!window) return;
    shadow->window_unsettled = true;
    u32 count = window->stale_count;
    if (count && count <= STALE_MAX &&
        page == window->stale[count - 1].first + window->stale[count - 1].pages) {
        window->stale[count - 1].pages++;
    } else if (count <= STALE_MAX) { /* a count of STALE_MAX + 1 means all pages */
        if (count < STALE_MAX) {
            window->stale[count].first = page;
            window->stale[count].pages = 1;
        }
        window->stale_count++;
    }
}

void window_mapped_twice(struct shadow *shadow, u32 pages)
{
    struct windows *windows = windows_of(shadow);
    windows->mapped_twice += pages;
    if (windows->mapped_twice > TWICE_MAX) {
        windows->mapped_twice = 0;
        host_give_back(shadow->phys->ram, shadow->phys->ram_bytes);
    }
}

/* Map a page, and the pages behind it that continue it in the memory file with the same rights. */
static bool map_run(struct shadow *shadow, struct window *window, u32 page)
{
    struct windows *windows = windows_of(shadow);
    struct view *view = view_at(shadow, window->view);
    const struct shadow_table *table = &view->table;
    u64 entry = table->read[page],
        offset = entry + ((u64)page << PAGE_SHIFT) - (u64)(uintptr_t)shadow->phys->ram;
    bool writable = table->write[page];
    /* ROM is not in the memory file. */
    if (!entry || offset >= shadow->phys->file_bytes || page < window->first_page) return false;
    u32 run = 0;
    u8 *flags = &view->flags[page];
    while (run < RUN_MAX && page + run < PAGES && (flags[run] & PAGE_LIVE) &&
           table->read[page + run] == entry && (bool)table->write[page + run] == writable &&
           (run == 0 || !(flags[run] & (writable ? PAGE_WINDOW_WRITE : PAGE_WINDOW_READ))))
        run++;
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    long at = host_mmap(window->base + ((u64)page << PAGE_SHIFT), (u64)run << PAGE_SHIFT, protection,
                        MAP_SHARED | MAP_FIXED | MAP_POPULATE, shadow->phys->ram_fd, offset);
    if (host_failed(at)) return false;
    for (u32 n = 0; n < run; n++)
        flags[n] = (u8)((flags[n] & ~PAGE_IN_WINDOW) | PAGE_WINDOW_READ | (writable ? PAGE_WINDOW_WRITE : 0));
    window->mappings++;
    windows->mappings++;
    if (offset < shadow->phys->ram_bytes) window_mapped_twice(shadow, run);
    shadow->counters->window_pages += run;
    shadow->counters->window_mappings++;
    return true;
}

static void map_all(struct shadow *shadow, struct window *window)
{
    const struct view *view = view_at(shadow, window->view);
    for (u32 page = 0; (page = view_next_live(view, page)) < PAGES; page++) {
        if (view->flags[page] & PAGE_IN_WINDOW) continue;
        if (windows_of(shadow)->mappings >= shadow->window_mappings_max) return;
        map_run(shadow, window, page);
    }
}

/* --- policy --- */

static bool reserve_window(struct window *window)
{
    if (window->reserved) return true;
    long at = host_mmap(0, WINDOW_BYTES + GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                        -1, 0);
    if (host_failed(at)) return false;
    window->base = (u64)at;
    window->reserved = true;
    return true;
}

/* The usual value of vm.mmap_min_addr, in pages. */
#define LOWEST_PAGE 16

/* Fails when another machine of this process, or a sanitizer, uses the addresses. */
static bool reserve_low_window(struct window *window)
{
    if (window->reserved) return !window->base;
    struct window low = {.first_page = LOWEST_PAGE};
    u64 from = reserved_from(&low), bytes = reserved_bytes(&low);
    long at = host_mmap(from, bytes, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (host_failed(at)) return false;
    if ((u64)at != from) { /* the host kernel does not know the flag */
        host_call(SYS_munmap, (u64)at, bytes, 0, 0, 0, 0);
        return false;
    }
    window->first_page = LOWEST_PAGE;
    window->reserved = true;
    return true;
}

bool window_low_reserved(struct shadow *shadow)
{
    struct window *low = &windows_of(shadow)->window[0];
    return !shadow->no_low_window && reserve_low_window(low);
}

/* Is the low window free for the current space? At a review, after LOW_REVIEW_CYCLES, the space that has the low window
 * loses it if it ran for less than a quarter of them. */
static bool low_window_free(struct shadow *shadow)
{
    struct windows *windows = windows_of(shadow);
    struct window *low = &windows->window[0];
    if (shadow->no_low_window || !reserve_low_window(low)) return false;
    if (!low->view) return true;
    if (windows->user_ran < LOW_REVIEW_CYCLES) return false;
    bool idle = windows->low_ran < windows->user_ran / 4;
    windows->user_ran = windows->low_ran = 0;
    if (idle) window_close(shadow, low->view);
    return idle;
}

static struct window *choose(struct shadow *shadow)
{
    struct windows *windows = windows_of(shadow);
    struct window *oldest = &windows->window[1];
    if (low_window_free(shadow)) {
        windows->user_ran = windows->low_ran = 0;
        shadow->counters->window_low++;
        return &windows->window[0];
    }
    for (u32 n = 1; n < WINDOWS; n++) {
        struct window *window = &windows->window[n];
        if (!window->view) return window;
        if (window->used < oldest->used) oldest = window;
    }
    return oldest;
}

static void promote(struct shadow *shadow)
{
    struct windows *windows = windows_of(shadow);
    struct space *space = space_current(shadow);
    struct window *window = choose(shadow);
    if (window->view) window_close(shadow, window->view);
    if (!reserve_window(window)) return;
    window->view = state_of(shadow)->spaces.current;
    window->used = ++windows->clock;
    view_at(shadow, window->view)->window = (u32)(window - windows->window) + 1;
    space->cost = space->ran = 0;
    shadow->has_window = true;
    shadow->window = window->base;
    shadow->window_unsettled = true;
    shadow->counters->window_promotions++;
    note_event(shadow->counters->events, EVENT_SHADOW_WINDOW, space->cr3, window->base);
    map_all(shadow, window);
}

static void demote(struct shadow *shadow)
{
    struct space *space = space_current(shadow);
    window_close(shadow, state_of(shadow)->spaces.current);
    if (space->patience < PATIENCE_MAX) space->patience *= 2;
    space->cost = space->ran = 0;
    shadow->counters->window_demotions++;
    note_event(shadow->counters->events, EVENT_SHADOW_NO_WINDOW, space->cr3);
}

static void charge(struct shadow *shadow, u64 cycles)
{
    space_current(shadow)->cost += cycles;
}

void shadow_user_ran(struct shadow *shadow, u64 cycles)
{
    struct windows *windows = windows_of(shadow);
    struct space *space = space_current(shadow);
    if (shadow->windows == WINDOWS_NEVER || !windows->possible || shadow->forced_slow || shadow->untraced ||
        !state_of(shadow)->paged)
        return;
    space->ran += cycles;
    windows->user_ran += cycles;
    if (!shadow->has_window) {
        if (shadow->windows == WINDOWS_ALWAYS || space->ran > (u64)PROMOTE_CYCLES * space->patience)
            promote(shadow);
        return;
    }
    u32 n = state_of(shadow)->spaces.current;
    struct window *window = window_of(shadow, view_at(shadow, n));
    window->used = ++windows->clock;
    if (window == &windows->window[0]) windows->low_ran += cycles;
    if (windows->mappings > shadow->window_mappings_max)
        demote(shadow);
    else if (space->ran > REVIEW_CYCLES || space->cost > REVIEW_CYCLES / 2) {
        /* Without a window, the same code takes half as long again because of its checks. Demote the space if its
         * window costs more than that, a third of its time. */
        if (space->cost * 3 > space->ran && shadow->windows != WINDOWS_ALWAYS)
            demote(shadow);
        else if (space->patience > 1)
            space->patience--;
        if (shadow->has_window && window->base && low_window_free(shadow)) {
            window_close(shadow, n);
            promote(shadow);
        }
        space->cost = space->ran = 0;
    }
}

/* --- running --- */

static void unmap_stale(struct shadow *shadow, struct window *window)
{
    u32 count = window->stale_count;
    if (count > STALE_MAX) {
        empty(shadow, window);
        charge(shadow, 100 * UNMAP_CYCLES);
        return;
    }
    /* A hole splits a mapping in two and is a mapping itself. If the host allows no more, empty the window. */
    window->mappings += 2 * count;
    windows_of(shadow)->mappings += 2 * count;
    for (u32 n = 0; n < count; n++) {
        u32 first = window->stale[n].first, pages = window->stale[n].pages;
        if (!unmap(window->base + ((u64)first << PAGE_SHIFT), (u64)pages << PAGE_SHIFT)) {
            empty(shadow, window);
            return;
        }
        charge(shadow, UNMAP_CYCLES);
        shadow->counters->window_unmaps++;
    }
    window->stale_count = 0;
}

void shadow_window_settle_now(struct shadow *shadow)
{
    struct window *window = window_of(shadow, view_at(shadow, state_of(shadow)->spaces.current));
    if (window->stale_count) unmap_stale(shadow, window);
    if (read_gs_base() != window->base) write_gs_base(window->base);
    shadow->window_unsettled = false;
}

void long_window_set_base(struct shadow *shadow)
{
    if (windows_of(shadow)->possible && read_gs_base()) write_gs_base(0);
}

bool shadow_window_holds(const struct shadow *shadow, u64 host_address)
{
    return shadow->has_window && host_address - shadow->window < WINDOW_BYTES + GUARD_BYTES;
}

bool shadow_window_fault(struct shadow *shadow, const struct paging *paging, u64 host_address, bool write)
{
    u64 linear = host_address - shadow->window;
    if (!shadow_window_holds(shadow, host_address)) return false;
    shadow->counters->window_faults++;
    charge(shadow, FAULT_CYCLES);
    if (linear >= WINDOW_BYTES) return false;
    u32 page = (u32)(linear >> PAGE_SHIFT);
    const struct view *view = view_at(shadow, state_of(shadow)->spaces.current);
    struct shadow_hit hit;
    /* The entry may exist already, while the page is not mapped. */
    if (!(write ? view->table.write : view->table.read)[page] &&
        shadow_access(shadow, paging, (u32)linear, write ? ACCESS_WRITE : ACCESS_READ, true, &hit) !=
            SHADOW_DIRECT)
        return false;
    shadow_window_settle(shadow);
    if (!(write ? view->table.write : view->table.read)[page]) return false;
    return map_run(shadow, window_of(shadow, view), page);
}
