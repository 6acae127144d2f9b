/*
 * Host windows (mmu/window.c) by themselves: a window gives access to the pages that the guest's user code may reach,
 * and to no others. The test asks the host by process_vm_readv() and process_vm_writev(), which obey the protection
 * of pages. Hazards: a page that has left the guest's tables and is still in the window; a store to code, ROM or a
 * page table that Ringer does not notice; supervisor pages; the window of another address space.
 */
#include "mmu/window.h"

#include "mmu/shadow_state.h"
#include "shadow_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

#define GB (1ull << 30)

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, ALL = P | RW | US | A | D };
enum {
    DIRECTORY = 0x2000,
    OTHER_DIRECTORY = 0x3000,
    TABLE = 0x4000,
    OTHER_TABLE = 0x5000,
};
/* Linear addresses: the tables map 4 MB here, page n to PAGES_AT + n pages. */
enum { BASE = 0x8000000, PAGES_AT = 0x100000 };

static u32 linear(u32 page)
{
    return BASE + page * PAGE_SIZE;
}

static void set_pte(struct fixture *f, u32 table, u32 page, u64 value)
{
    phys_write(&f->phys, table + page * 4, 4, value);
}

static struct fixture *setup(enum windows_policy policy)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f) abort();
    fixture_init(f, 8 * MB, DIRECTORY);
    fixture_map_others(f);
    state_of(&f->shadow)->windows.possible = true; /* see main() */
    f->shadow.windows = policy;
    f->shadow.window_mappings_max = WINDOW_MAPPINGS_MAX;
    f->shadow.no_prefill = true;
    phys_write(&f->phys, DIRECTORY + (BASE >> 22) * 4, 4, TABLE | ALL);
    phys_write(&f->phys, OTHER_DIRECTORY + (BASE >> 22) * 4, 4, OTHER_TABLE | ALL);
    for (u32 page = 0; page < 1024; page++) {
        set_pte(f, TABLE, page, (PAGES_AT + page * PAGE_SIZE) | ALL);
        set_pte(f, OTHER_TABLE, page, (PAGES_AT + (page + 1) * PAGE_SIZE) | ALL);
    }
    fixture_load(f, DIRECTORY);
    return f;
}

static void teardown(struct fixture *f)
{
    fixture_destroy(f);
    free(f);
}

static enum shadow_kind touch(struct fixture *f, u32 at, enum access access)
{
    struct shadow_hit hit;
    return shadow_access(&f->shadow, &f->paging, at, access, true, &hit);
}

/* As before translated user code runs: the space gets a window, and the window is settled. */
static void enter(struct fixture *f)
{
    shadow_user_ran(&f->shadow, 1);
    shadow_window_settle(&f->shadow);
}

/* --- what the host allows --- */

static bool host_access(u64 at, u32 *value, bool write)
{
    struct iovec here = {value, sizeof(*value)}, there = {(void *)(uintptr_t)at, sizeof(*value)};
    ssize_t done = write ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
                         : process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    CHECK(done == sizeof(*value) || errno == EFAULT);
    return done == sizeof(*value);
}

enum rights { NONE, READ, WRITE };

static enum rights rights(const struct fixture *f, u32 page)
{
    u64 at = f->shadow.window + linear(page);
    u32 value;
    if (!host_access(at, &value, false)) return NONE;
    return host_access(at, &value, true) ? WRITE : READ;
}

static u32 content(const struct fixture *f, u32 page)
{
    u32 value = 0;
    CHECK(host_access(f->shadow.window + linear(page), &value, false));
    return value;
}

static bool fault(struct fixture *f, u32 page, bool write)
{
    return shadow_window_fault(&f->shadow, &f->paging, f->shadow.window + linear(page), write);
}

static u64 gs_base(void)
{
    u64 base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

/* Does the host's kernel keep a GS base that a program has set? */
static bool keeps_gs_base(void)
{
    return getauxval(AT_HWCAP2) & 2;
}

static sigjmp_buf not_allowed;

static void on_sigill(int signal)
{
    siglongjmp(not_allowed, 1);
}

static bool may_set_gs_base(void)
{
    if (sigsetjmp(not_allowed, 1)) return false;
    signal(SIGILL, on_sigill);
    gs_base();
    signal(SIGILL, SIG_DFL);
    return true;
}

/* --- tests --- */

/* Invariant 1: readable with a read entry, writable with a write entry. */
static void test_rights(void)
{
    struct fixture *f = setup(WINDOWS_ALWAYS);
    touch(f, linear(1), ACCESS_READ);
    touch(f, linear(2), ACCESS_WRITE);
    set_pte(f, TABLE, 3, (PAGES_AT + 3 * PAGE_SIZE) | P | US | A);
    touch(f, linear(3), ACCESS_READ);
    enter(f);
    CHECK(f->shadow.has_window);
    CHECK_EQ(f->counters.window_promotions, 1);
    if (keeps_gs_base()) CHECK_EQ(gs_base(), f->shadow.window);
    CHECK_EQ(rights(f, 0), NONE);
    CHECK(rights(f, 1) >= READ);
    CHECK_EQ(rights(f, 2), WRITE);
    CHECK_EQ(rights(f, 3), READ);
    /* It is the guest's memory, not a copy. */
    phys_write(&f->phys, PAGES_AT + 2 * PAGE_SIZE, 4, 0x12345678);
    CHECK_EQ(content(f, 2), 0x12345678);
    u32 value = 0x87654321;
    CHECK(host_access(f->shadow.window + linear(2), &value, true));
    CHECK_EQ(phys_read(&f->phys, PAGES_AT + 2 * PAGE_SIZE, 4), 0x87654321);
    teardown(f);
}

/* A fault maps pages that may be reached, and only those. */
static void test_faults(void)
{
    struct fixture *f = setup(WINDOWS_ALWAYS);
    enter(f);
    set_pte(f, TABLE, 1, (PAGES_AT + PAGE_SIZE) | P | US | RW); /* A and D are clear */
    CHECK(fault(f, 1, false));
    CHECK_EQ(rights(f, 1), READ);
    CHECK_EQ(phys_read(&f->phys, TABLE + 4, 4) & (A | D), A);
    CHECK(fault(f, 1, true));
    CHECK_EQ(rights(f, 1), WRITE);
    CHECK_EQ(phys_read(&f->phys, TABLE + 4, 4) & (A | D), A | D);
    set_pte(f, TABLE, 2, (PAGES_AT + 2 * PAGE_SIZE) | P | US | A); /* read-only */
    CHECK(!fault(f, 2, true));
    CHECK_EQ(rights(f, 2), NONE);
    CHECK(fault(f, 2, false));
    CHECK_EQ(rights(f, 2), READ);
    set_pte(f, TABLE, 3, 0);                                           /* not there */
    set_pte(f, TABLE, 4, (PAGES_AT + 4 * PAGE_SIZE) | P | RW | A | D); /* the supervisor's */
    set_pte(f, TABLE, 5, MMIO_AT | ALL);
    set_pte(f, TABLE, 6, ROM_AT | ALL);
    set_pte(f, TABLE, 7, (16 * MB) | ALL); /* beyond RAM */
    for (u32 page = 3; page <= 7; page++) {
        CHECK(!fault(f, page, false));
        CHECK(!fault(f, page, true));
        CHECK_EQ(rights(f, page), NONE);
    }
    /* Addresses that are not the window's, and the guard behind it. */
    CHECK(!shadow_window_holds(&f->shadow, f->shadow.window - 1));
    CHECK(shadow_window_holds(&f->shadow, f->shadow.window + 4 * GB));
    CHECK(!shadow_window_holds(&f->shadow, f->shadow.window + 4 * GB + LONG_GUARD));
    CHECK(!shadow_window_fault(&f->shadow, &f->paging, f->shadow.window + 4 * GB, false));
    CHECK(!shadow_window_fault(&f->shadow, &f->paging, f->shadow.window - 1, false));
    teardown(f);
}

/* A page leaves the window when its entry is dropped, before code runs again. */
static void test_entries_go(void)
{
    struct fixture *f = setup(WINDOWS_ALWAYS);
    for (u32 page = 0; page < 8; page++)
        touch(f, linear(page), ACCESS_WRITE);
    enter(f);
    for (u32 page = 0; page < 8; page++)
        CHECK_EQ(rights(f, page), WRITE);
    set_pte(f, TABLE, 1, 0);
    CHECK(f->shadow.window_unsettled);
    set_pte(f, TABLE, 2, (PAGES_AT + 2 * PAGE_SIZE) | P | US | A);
    phys_guard(&f->phys, PAGES_AT + 3 * PAGE_SIZE, PHYS_CODE);
    set_pte(f, TABLE, 4, (PAGES_AT + 104 * PAGE_SIZE) | ALL);
    shadow_window_settle(&f->shadow);
    CHECK_EQ(rights(f, 0), WRITE);
    CHECK_EQ(rights(f, 1), NONE);
    CHECK(rights(f, 2) != WRITE);
    CHECK(rights(f, 3) != WRITE);
    CHECK_EQ(rights(f, 4), NONE);
    CHECK_EQ(rights(f, 5), WRITE);
    CHECK_EQ(rights(f, 6), WRITE);
    phys_write(&f->phys, PAGES_AT + 104 * PAGE_SIZE, 4, 104);
    CHECK(fault(f, 4, false));
    CHECK_EQ(content(f, 4), 104);
    /* Code is written by the slow path, which reports it to the translator. */
    CHECK(!fault(f, 3, true));
    CHECK(rights(f, 3) != WRITE);
    shadow_flush(&f->shadow);
    fixture_load(f, DIRECTORY);
    enter(f);
    for (u32 page = 0; page < 8; page++)
        CHECK_EQ(rights(f, page), NONE);
    teardown(f);
}

/* More pages than the list of stale ones holds, and not in a row. */
static void test_many_go(void)
{
    struct fixture *f = setup(WINDOWS_ALWAYS);
    for (u32 page = 0; page < 1024; page++)
        touch(f, linear(page), ACCESS_WRITE);
    enter(f);
    CHECK(f->counters.window_mappings < 1024); /* pages that follow each other are mapped together */
    CHECK_EQ(rights(f, 1000), WRITE);
    for (u32 n = 0; n < 600;
         n++) /* (by way of the page table it would be a storm of writes, after which all is flushed) */
        phys_guard(&f->phys, PAGES_AT + n * 7 % 1024 * PAGE_SIZE, PHYS_CODE);
    shadow_window_settle(&f->shadow);
    unsigned wrong = 0, back = 0;
    for (u32 page = 0; page < 1024; page++)
        if (*phys_flags(&f->phys, PAGES_AT + page * PAGE_SIZE) & PHYS_CODE)
            wrong += rights(f, page) == WRITE || fault(f, page, true);
        else
            back += fault(f, page, true) && rights(f, page) == WRITE;
    CHECK_EQ(wrong, 0);
    CHECK_EQ(back, 1024 - 600);
    teardown(f);
}

/* Invariant 2. */
static void test_two_spaces(void)
{
    struct fixture *f = setup(WINDOWS_ALWAYS);
    phys_write(&f->phys, PAGES_AT + PAGE_SIZE, 4, 1);
    phys_write(&f->phys, PAGES_AT + 2 * PAGE_SIZE, 4, 2);
    touch(f, linear(1), ACCESS_READ);
    enter(f);
    u64 first = f->shadow.window;
    fixture_load(f, OTHER_DIRECTORY);
    touch(f, linear(1), ACCESS_READ);
    enter(f);
    CHECK(f->shadow.has_window && f->shadow.window != first);
    if (keeps_gs_base()) CHECK_EQ(gs_base(), f->shadow.window);
    CHECK_EQ(content(f, 1), 2);
    fixture_load(f, DIRECTORY);
    enter(f);
    CHECK_EQ(f->shadow.window, first);
    if (keeps_gs_base()) CHECK_EQ(gs_base(), first);
    CHECK_EQ(content(f, 1), 1);
    /* A page is dropped from a space that is not the current one. */
    set_pte(f, OTHER_TABLE, 1, 0);
    fixture_load(f, OTHER_DIRECTORY);
    enter(f);
    CHECK_EQ(rights(f, 1), NONE);
    teardown(f);
}

/* --- which spaces get one --- */

static void test_policy(void)
{
    const u64 much = 1ull << 26; /* cycles: more than PROMOTE_CYCLES */
    struct fixture *f = setup(WINDOWS_NEVER);
    shadow_user_ran(&f->shadow, 100 * much);
    CHECK(!f->shadow.has_window);
    f->shadow.windows = WINDOWS_AUTO;
    shadow_user_ran(&f->shadow, 1);
    CHECK(!f->shadow.has_window);
    shadow_user_ran(&f->shadow, 4 * much);
    CHECK(f->shadow.has_window);
    /* Faults without end cost more than checks. */
    shadow_window_settle(&f->shadow);
    for (u32 n = 0; n < 20000 && f->shadow.has_window; n++) {
        fault(f, 1, true);
        set_pte(f, TABLE, 1, (PAGES_AT + (n & 1) * PAGE_SIZE) | ALL);
        shadow_window_settle(&f->shadow);
        shadow_user_ran(&f->shadow, 1000);
    }
    CHECK_EQ(f->counters.window_demotions, 1);
    /* It has to earn more the next time. */
    shadow_user_ran(&f->shadow, much);
    CHECK(!f->shadow.has_window);
    teardown(f);
    /* Without write traces, or with every access made slow, nothing would take pages away in time. */
    f = setup(WINDOWS_ALWAYS);
    f->shadow.forced_slow = true;
    enter(f);
    CHECK(!f->shadow.has_window);
    teardown(f);
}

/* The host's limit on the mappings of a process. */
static void test_limit(void)
{
    struct fixture *f = setup(WINDOWS_ALWAYS);
    f->shadow.window_mappings_max = 20;
    for (u32 page = 0; page < 1024; page += 2)
        touch(f, linear(page), ACCESS_WRITE);
    enter(f);
    CHECK(f->counters.window_mappings <= 20);
    for (u32 page = 0; page < 100; page += 2)
        fault(f, page, true);
    shadow_user_ran(&f->shadow, 1);
    CHECK_EQ(f->counters.window_demotions, 1);
    CHECK(!f->shadow.has_window);
    teardown(f);
}

/* Windows are used if the kernel reports that it keeps the GS base. Their pages can be tested on any host that lets a
 * program set the GS base. */
int main(void)
{
    if (!may_set_gs_base()) {
        printf("skipped: the host lets no program set the GS base\n");
        return 0;
    }
    test_rights();
    test_faults();
    test_entries_go();
    test_many_go();
    test_two_spaces();
    test_policy();
    test_limit();
    return check_report();
}
