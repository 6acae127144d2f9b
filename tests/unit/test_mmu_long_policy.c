/*
 * Who gets a window of 64-bit code with --windows=auto (mmu/long_policy.c), by simulated processes that run, fault and
 * end. Hazards: windows for processes that end before their windows have paid for themselves, or that are given memory
 * all the time; a long computation without a window; a window that the next process inherits with the root.
 */
#include "mmu/long_window_state.h"
#include "mmu/shadow_state.h"
#include "shadow_fixture.h"

#include <stdlib.h>

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, ALL = P | RW | US | A | D };
/* The tables of a process; its 512 pages at PAGES_AT are mapped from its lowest 2 MB, `stack` megabytes below 128 TB,
 * on. */
enum {
    PML4 = 0x10000,
    PDPT = 0x11000,
    DIRECTORY = 0x12000,
    TABLE = 0x13000,
    PAGES_AT = 0x200000,
    STACK_PAGES = 512
};

#define TOP      (1ull << 47)
#define MILLION  (1u << 20)     /* cycles */
#define EXPECTED (20 * MILLION) /* a process of 20 pages has a window by then */

struct process {
    struct fixture f;
    u64 stack; /* linear address */
};

static void set(struct process *p, u64 table, u64 linear, unsigned shift, u64 entry)
{
    phys_write(&p->f.phys, table + (linear >> shift & 511) * 8, 8, entry);
}

/* A new process with the root and the tables of the last one: its stack is elsewhere. */
static void begin(struct process *p, unsigned number)
{
    set(p, DIRECTORY, p->stack, 21, 0);
    p->stack = TOP - ((u64)(number % 500 + 2) << 21);
    set(p, PML4, p->stack, 39, PDPT | ALL);
    set(p, PDPT, p->stack, 30, DIRECTORY | ALL);
    set(p, DIRECTORY, p->stack, 21, TABLE | ALL);
    for (u64 page = 0; page < STACK_PAGES; page++)
        phys_write(&p->f.phys, TABLE + page * 8, 8, (PAGES_AT + page * PAGE_SIZE) | ALL);
    fixture_load(&p->f, PML4);
}

static struct process *setup(void)
{
    struct process *p = calloc(1, sizeof(*p));
    if (!p) abort();
    fixture_init(&p->f, 8 * MB, PML4);
    p->f.shadow.window_mappings_max = 1000;
    p->f.shadow.deterministic = true;
    p->f.paging.cr4 = CR4_PAE | CR4_PGE;
    p->f.paging.efer = EFER_LME | EFER_LMA;
    p->f.paging.maxphyaddr = 40;
    begin(p, 0);
    return p;
}

static void teardown(struct process *p)
{
    fixture_destroy(&p->f);
    free(p);
}

static void touch(struct process *p, unsigned pages)
{
    struct shadow_hit hit;
    for (u64 page = 0; page < pages; page++)
        CHECK_EQ(
            shadow_access(&p->f.shadow, &p->f.paging, p->stack + page * PAGE_SIZE, ACCESS_READ, true, &hit),
            SHADOW_DIRECT);
}

/* A page fault at an address without a mapping. */
static void page_fault(struct process *p)
{
    struct shadow_hit hit;
    CHECK_EQ(shadow_access(&p->f.shadow, &p->f.paging, MB, ACCESS_READ, true, &hit), SHADOW_FAULT);
}

/* User code for so many cycles, in slices of one million, with `faults` page faults in each. Returns the cycles before
 * it had a window, or UINT64_MAX. */
static u64 run(struct process *p, u64 cycles, unsigned faults)
{
    for (u64 ran = 0; ran < cycles; ran += MILLION) {
        if (p->f.shadow.has_window) return ran;
        for (unsigned n = 0; n < faults; n++)
            page_fault(p);
        long_window_user_ran(&p->f.shadow, MILLION);
    }
    return UINT64_MAX;
}

static void long_computation(void)
{
    struct process *p = setup();
    touch(p, 20);
    CHECK(run(p, EXPECTED, 0) < EXPECTED);
    CHECK_EQ(p->f.counters.window_promotions, 1);
    teardown(p);
}

/* The more pages it uses, the longer it must have run. */
static void many_pages(void)
{
    struct process *p = setup();
    touch(p, STACK_PAGES);
    CHECK_EQ(run(p, 32ull * MILLION, 0), UINT64_MAX);
    CHECK(run(p, 500ull * MILLION, 0) < 500ull * MILLION);
    teardown(p);
}

static void is_given_memory(void)
{
    struct process *p = setup();
    touch(p, 20);
    CHECK_EQ(run(p, 1000ull * MILLION, 5), UINT64_MAX);
    CHECK(run(p, EXPECTED, 0) < EXPECTED); /* it has what it needs */
    teardown(p);
}

/* Each ends soon, and the next one gets its root and its tables. */
static void short_processes(void)
{
    struct process *p = setup();
    for (unsigned n = 0; n < 200; n++) {
        begin(p, n);
        touch(p, 200);
        CHECK_EQ(run(p, 14ull * MILLION, 0), UINT64_MAX);
    }
    teardown(p);
}

static void next_process(void)
{
    struct process *p = setup();
    touch(p, 20);
    CHECK(run(p, EXPECTED, 0) < EXPECTED);
    fixture_load(&p->f, PML4);
    CHECK(p->f.shadow.has_window); /* a load of CR3 does not end it */
    begin(p, 1);
    CHECK(!p->f.shadow.has_window);
    teardown(p);
}

/* Processes that end as soon as they have a window: windows stay a small part of the time. */
static void ends_with_window(void)
{
    struct process *p = setup();
    u64 clock = 0;
    enum { USED = 300 };
    for (unsigned n = 0; n < 400; n++) {
        begin(p, n);
        touch(p, USED);
        u64 ran = run(p, 400ull * MILLION, 0);
        clock += ran == UINT64_MAX ? 400ull * MILLION : ran;
        for (unsigned page = 0; p->f.shadow.has_window && page < USED; page++)
            long_window_charge(&p->f.shadow, LONG_FAULT_CYCLES);
    }
    u64 cost = p->f.counters.window_promotions * USED * LONG_FAULT_CYCLES;
    CHECK(p->f.counters.window_promotions > 0);
    CHECK(cost < clock / 25);
    teardown(p);
}

/* By the host's clocks: user code comes in intervals that are longer than the time between two decisions, as that of a
 * program without system calls does. What it runs counts from the first interval on. */
static void long_intervals(void)
{
    enum { MOST = 40, INTERVAL = 12 * MILLION };
    struct process *p = setup();
    p->f.shadow.deterministic = false;
    touch(p, 20);
    for (unsigned n = 0; n < MOST && !p->f.shadow.has_window; n++) {
        u64 began = __builtin_ia32_rdtsc(), ran = 0;
        while (ran < INTERVAL)
            ran = __builtin_ia32_rdtsc() - began;
        long_window_user_ran(&p->f.shadow, ran);
    }
    CHECK(p->f.shadow.has_window);
    teardown(p);
}

int main(void)
{
    long_computation();
    many_pages();
    is_given_memory();
    short_processes();
    next_process();
    ends_with_window();
    long_intervals();
    return check_report();
}
