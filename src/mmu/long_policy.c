/*
 * Which address spaces of IA-32e mode have a window (long_window.h). A window saves a quarter to a half of the time in
 * user code, and costs much at first: each page that the process uses is mapped. Four conditions keep what lives
 * shortly from paying for that:
 *
 *  1. The process has run LIFE times as long as its window will cost: what has run long will most likely run on. The
 *     expected cost follows the number of its pages in the TLB. A new process in the space begins anew
 *     (long_process.c).
 *  2. In the last period, its page faults and loads of CR3 would have cost less than 1/STEADY of the time in user code.
 *     So a process that is given memory all the time, or forks, waits.
 *  3. In the periods after that the window costs less than 1/SHARE of the time in user code. Otherwise the space loses
 *     its window. In the first one it may also cost what was expected, and what TLB misses cost in the last period
 *     without it: pages that share places in the TLB are more than it shows.
 *  4. All windows together have an account. It gains 1/SAVED of the time that user code runs in windows, which they
 *     save at least, and 1/ALLOWED of all time; it pays what windows cost, on credit at first. A window is made only if
 *     the account can pay for it. So windows that are made for processes that end soon cost at most that part of the
 *     time.
 *
 * All but long_windows_destroy() may run while the guest's FPU state is live.
 */
#include "base/hash.h"
#include "host_memory.h"
#include "shadow_state.h"
#include "tlb.h"

#include <time.h>

enum {
    PROMOTE_CYCLES = 8 << 20, /* user cycles between two decisions about a space without a window */
    REVIEW_CYCLES = 40 << 20, /* user cycles between two reviews of a promoted space */
    /* What a page of the process costs until its window ends, besides host page faults of new pages. */
    PAGE_CYCLES = 40000,
    LIFE = 2,
    SHARE = 3,  /* with a window */
    STEADY = 8, /* before it */
    SAVED = 3,
    ALLOWED = 50,
    ACCOUNT_CREDIT = 100 << 20, /* what the account may be overdrawn by */
    ACCOUNT_MAX = 400 << 20,    /* so that one long computation does not pay for hundreds of short ones */
    MISS_CYCLES = 700,          /* a TLB miss, which a window saves */
    LOAD_CYCLES = 1000,         /* a load of CR3: the entries of some hundred pages are compared */
    LOW_IDLE_CYCLES = 120 << 20,
    PATIENCE_MAX = 64,
    SPACE_PROBES = 4,
};

/* Windows have different deltas: -16 TB, -17 TB ... Programs, libraries and stacks of Linux lie above 85 TB, and so do
 * the monitor's own. */
#define DELTA_FIRST (1ull << 44)
#define DELTA_STEP  (1ull << 40)

static struct long_windows *all_of(struct shadow *shadow)
{
    return &state_of(shadow)->long_windows;
}

static struct long_space *space_of(struct shadow *shadow)
{
    struct long_windows *all = all_of(shadow);
    return &all->space[all->current_space];
}

static bool has_windows(const struct shadow *shadow)
{
    return shadow->windows != WINDOWS_NEVER;
}

struct long_window *long_window_current(struct shadow *shadow)
{
    struct long_windows *all = all_of(shadow);
    return all->current ? &all->window[all->current - 1] : NULL;
}

void long_windows_destroy(struct shadow *shadow)
{
    struct long_windows *all = all_of(shadow);
    long_windows_close(shadow);
    host_release(all->region, LONG_REGIONS * sizeof *all->region);
}

/* --- from here on the guest's FPU state may be live: no libc --- */

/* What something costs on this host. */
static u64 scaled(const struct long_windows *all, u64 cycles)
{
    return cycles * all->cost_scale / LONG_COST_ONE;
}

void long_window_charge(struct shadow *shadow, u64 cycles)
{
    cycles = scaled(all_of(shadow), cycles);
    space_of(shadow)->cost += cycles;
    if (all_of(shadow)->current) all_of(shadow)->account -= (s64)cycles;
}

void long_windows_filled(struct shadow *shadow)
{
    space_of(shadow)->misses++;
}

void long_windows_page_fault(struct shadow *shadow, u64 linear, bool write)
{
    struct long_windows *all = all_of(shadow);
    if (linear >= CANONICAL_LOW_END || !has_windows(shadow)) return;
    if (!all->current) long_window_charge(shadow, LONG_FAULT_CYCLES);
    shadow->window_due = all->current;
    all->due = linear;
    all->due_write = write;
}

static void show_current(struct shadow *shadow, u32 current)
{
    struct long_windows *all = all_of(shadow);
    unsigned room = shadow->tlb->user;
    if (all->current == current && all->room == room) return;
    if (all->current) long_window_show(shadow, &all->window[all->current - 1], false);
    all->room = room;
    if (current) long_window_show(shadow, &all->window[current - 1], true);
    all->current = current;
}

static void make_current(struct shadow *shadow, u32 current)
{
    show_current(shadow, current);
    shadow->has_window = current;
    shadow->window = current ? all_of(shadow)->window[current - 1].delta : 0;
    shadow->window_same = current && all_of(shadow)->window[current - 1].same;
}

static void close_window(struct shadow *shadow, struct long_window *window)
{
    struct long_windows *all = all_of(shadow);
    if (window == long_window_current(shadow)) make_current(shadow, 0);
    long_window_empty(shadow, window, true);
    if (window->space) all->space[window->space - 1].window = 0;
    window->space = 0;
}

void long_windows_close(struct shadow *shadow)
{
    struct long_windows *all = all_of(shadow);
    for (u32 n = 0; n < LONG_WINDOWS; n++)
        if (all->window[n].space) close_window(shadow, &all->window[n]);
    for (u32 n = 0; n < LONG_SPACES; n++)
        all->space[n] = (struct long_space){.cr3 = 0};
}

void long_windows_empty(struct shadow *shadow)
{
    for (u32 n = 0; n < LONG_WINDOWS; n++)
        long_window_empty(shadow, &all_of(shadow)->window[n], false);
}

/* The record of a CR3. If its places are taken, that of the space that ran least gives way. */
static u32 find_space(struct shadow *shadow, u64 cr3)
{
    struct long_windows *all = all_of(shadow);
    u32 first = (u32)(hash_multiply(cr3) >> 56), least = first % LONG_SPACES;
    for (u32 n = 0; n < SPACE_PROBES; n++) {
        u32 at = (first + n) % LONG_SPACES;
        if (all->space[at].cr3 == cr3) return at;
        const struct long_space *space = &all->space[at], *other = &all->space[least];
        if (space->window ? other->window && space->ran < other->ran
                          : other->window || space->ran < other->ran)
            least = at;
    }
    struct long_space *space = &all->space[least];
    if (space->window) close_window(shadow, &all->window[space->window - 1]);
    *space = (struct long_space){.cr3 = cr3, .patience = 1};
    return least;
}

/* The space is another process's from now on. */
static void begin_process(struct shadow *shadow, struct long_space *space)
{
    if (space->window) close_window(shadow, &all_of(shadow)->window[space->window - 1]);
    *space = (struct long_space){.cr3 = space->cr3, .patience = 1};
}

void long_windows_load(struct shadow *shadow, const struct paging *paging)
{
    if (!has_windows(shadow)) {
        make_current(shadow, 0);
        return;
    }
    struct long_windows *all = all_of(shadow);
    u64 cr3 = paging->cr3 & ENTRY_ADDRESS;
    if (space_of(shadow)->cr3 != cr3) all->current_space = find_space(shadow, cr3);
    struct long_space *space = space_of(shadow);
    if (long_process_changed(shadow, cr3, &space->process)) begin_process(shadow, space);
    u32 current = space->window;
    shadow->window_due = false;
    make_current(shadow, current);
    if (current)
        long_window_compare(shadow, &all->window[current - 1], cr3);
    else
        long_window_charge(shadow, LOAD_CYCLES);
}

/* --- policy --- */

static bool low_is_free(struct shadow *shadow, const struct long_window *window)
{
    struct long_windows *all = all_of(shadow);
    if (!all->low || window == &all->window[all->low - 1]) return true;
    return all->clock - all->low_used > LOW_IDLE_CYCLES;
}

bool long_low_taken(struct shadow *shadow, struct long_window *window)
{
    struct long_windows *all = all_of(shadow);
    all->space[window->space - 1].wants_low = true;
    if (!low_is_free(shadow, window) || !window_low_reserved(shadow)) return false;
    if (all->low) close_window(shadow, &all->window[all->low - 1]);
    all->low = (u32)(window - all->window) + 1;
    all->low_used = all->clock;
    shadow->counters->window_low++;
    return true;
}

static struct long_window *choose(struct shadow *shadow)
{
    struct long_windows *all = all_of(shadow);
    struct long_window *oldest = &all->window[0];
    for (u32 n = 0; n < LONG_WINDOWS; n++) {
        struct long_window *window = &all->window[n];
        if (!window->space) return window;
        if (window->used < oldest->used) oldest = window;
    }
    return oldest;
}

static bool has_regions(struct long_windows *all)
{
    if (!all->region) all->region = host_reserve(LONG_REGIONS * sizeof *all->region);
    return all->region;
}

/* What a window of the current space would cost until it is of use. */
static u64 expected_cost(struct shadow *shadow)
{
    const struct tlb *tlb = shadow->tlb;
    return scaled(all_of(shadow), (u64)tlb->list[tlb->user].count * PAGE_CYCLES);
}

static void promote(struct shadow *shadow)
{
    struct long_windows *all = all_of(shadow);
    struct long_space *space = space_of(shadow);
    if (long_process_is_low(shadow, space->cr3)) space->wants_low = true;
    if (!has_regions(all) || (space->wants_low && !low_is_free(shadow, NULL))) return;
    struct long_window *window = choose(shadow);
    u32 n = (u32)(window - all->window);
    if (window->space) close_window(shadow, window);
    window->space = all->current_space + 1;
    window->delta = -(DELTA_FIRST + n * DELTA_STEP);
    window->used = all->clock;
    space->window = (u8)(n + 1);
    space->cost = space->ran = 0;
    space->grace = expected_cost(shadow) + space->misses * MISS_CYCLES;
    window->same = false;
    make_current(shadow, n + 1);
    if (space->wants_low) window->same = long_window_class(shadow, 0) == LONG_SAME;
    shadow->window_same = window->same;
    shadow->counters->window_promotions++;
    note_event(shadow->counters->events, EVENT_SHADOW_WINDOW, space->cr3, window->delta);
}

static void demote(struct shadow *shadow)
{
    struct long_space *space = space_of(shadow);
    close_window(shadow, long_window_current(shadow));
    if (space->patience < PATIENCE_MAX) space->patience *= 2;
    space->cost = space->ran = 0;
    shadow->counters->window_demotions++;
    note_event(shadow->counters->events, EVENT_SHADOW_NO_WINDOW, space->cr3);
}

static bool pays(const struct long_space *space)
{
    return space->cost <= space->ran / SHARE + space->grace;
}

static u64 host_ns(clockid_t clock)
{
    struct timespec now = {.tv_sec = 0};
    host_call(SYS_clock_gettime, (u64)clock, (u64)(uintptr_t)&now, 0, 0, 0, 0);
    return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
}

static struct long_moment moment(void)
{
    return (struct long_moment){.cycles = __builtin_ia32_rdtsc(),
                                .wall_ns = host_ns(CLOCK_MONOTONIC),
                                .cpu_ns = host_ns(CLOCK_THREAD_CPUTIME_ID)};
}

/* A period of the space begins. It does not wait until user code has run, because that may take longer than a whole
 * period. */
static void begin_period(struct shadow *shadow, struct long_space *space)
{
    space->cost = space->ran = 0;
    if (!shadow->deterministic) space->began = moment();
}

/* A period ends: what the space ran in it is known. Cycles pass, too, while the host runs something else; the space ran
 * at most what the thread ran. */
static void settle(struct shadow *shadow, bool window)
{
    struct long_windows *all = all_of(shadow);
    struct long_space *space = space_of(shadow);
    if (!shadow->deterministic) {
        struct long_moment now = moment();
        u64 wall_us = (now.wall_ns - space->began.wall_ns) / 1024 + 1;
        u64 most =
            (now.cycles - space->began.cycles) / wall_us * ((now.cpu_ns - space->began.cpu_ns) / 1024 + 1);
        if (space->ran > most) space->ran = most;
    }
    space->lived += space->ran;
    all->account += (s64)(space->ran / (window ? SAVED : ALLOWED));
    if (all->account > ACCOUNT_MAX) all->account = ACCOUNT_MAX;
}

static void review(struct shadow *shadow, struct long_window *window)
{
    struct long_windows *all = all_of(shadow);
    struct long_space *space = space_of(shadow);
    bool low = all->low == (u32)(window - all->window) + 1;
    window->used = all->clock;
    if (low) all->low_used = all->clock;
    if (space->wants_low && !low) {
        demote(shadow); /* half a window costs more than none: the interpreter gets each use of the segment */
    } else if (space->ran > REVIEW_CYCLES || space->cost > REVIEW_CYCLES / 2) {
        settle(shadow, true);
        if (!pays(space) && shadow->windows != WINDOWS_ALWAYS)
            demote(shadow);
        else if (space->patience > 1)
            space->patience--;
        space->grace = 0;
        begin_period(shadow, space);
    }
}

static void consider(struct shadow *shadow)
{
    struct long_space *space = space_of(shadow);
    u64 cost = expected_cost(shadow);
    settle(shadow, false);
    if (space->cost <= space->ran / STEADY && space->lived >= LIFE * cost &&
        all_of(shadow)->account + ACCOUNT_CREDIT >= (s64)cost)
        promote(shadow);
    space->misses = 0;
    begin_period(shadow, space);
}

void long_window_user_ran(struct shadow *shadow, u64 cycles)
{
    struct long_windows *all = all_of(shadow);
    struct long_space *space = space_of(shadow);
    if (!has_windows(shadow) || shadow->forced_slow || ~shadow->phys->a20_mask || !space->cr3) return;
    if (!all->cost_scale) all->cost_scale = shadow->deterministic ? LONG_COST_ONE : long_cost_measure(shadow);
    if (!space->process.table) long_process_note(shadow, space->cr3, &space->process);
    space->ran += cycles;
    all->clock += cycles;
    struct long_window *window = long_window_current(shadow);
    if (window)
        review(shadow, window);
    else if (shadow->windows == WINDOWS_ALWAYS)
        promote(shadow);
    else if (space->ran > (u64)PROMOTE_CYCLES * space->patience)
        consider(shadow);
}
