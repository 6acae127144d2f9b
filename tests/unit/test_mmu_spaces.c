/*
 * Address spaces: which ones the shadow remembers, and what happens to the others. Hazards: entries of a process that
 * has ended, used by another with the same CR3, page tables or view; a busy space taken for a dead one; memory
 * without bound; a whole flush where one space suffices.
 */
#include "shadow_fixture.h"

enum { P = 1, RW = 2, US = 4, PS = 0x80 };

/* Guest-physical addresses: roots with a page table behind each, then data. */
#define ROOTS      MB
#define ROOT(n)    (ROOTS + (u64)(n)*2 * PAGE_SIZE)
#define TABLE(n)   (ROOT(n) + PAGE_SIZE)
#define DATA       0x10000u
#define DATA_PAGES 128

static void setup(struct fixture *f, u64 roots)
{
    fixture_init(f, align_up(ROOT(roots), MB), 0);
    f->shadow.no_borrowing = f->shadow.no_prefill = true;
    f->paging.cr4 = CR4_PSE;
}

/* Root n maps linear 1000h to page number n. */
static u64 data_of(u32 n)
{
    return DATA + n % DATA_PAGES * PAGE_SIZE;
}

static void make_root(struct fixture *f, u32 n)
{
    phys_write(&f->phys, TABLE(n) + 4, 4, data_of(n) | P | RW | US);
    phys_write(&f->phys, ROOT(n), 4, TABLE(n) | P | RW | US);
}

static void touch(struct fixture *f, u32 linear, u64 gpa)
{
    struct shadow_hit hit;
    CHECK_EQ(shadow_access(&f->shadow, &f->paging, linear, ACCESS_WRITE, true, &hit), SHADOW_DIRECT);
    CHECK_EQ(hit.gpa, gpa);
}

static u64 entry(struct fixture *f, u32 linear)
{
    return f->shadow.table[SHADOW_USER].write[linear >> PAGE_SHIFT];
}

static u64 entry_for(struct fixture *f, u32 linear, u64 gpa)
{
    return (u64)(uintptr_t)f->phys.ram + gpa - linear;
}

static void visit(struct fixture *f, u32 n)
{
    fixture_load(f, ROOT(n));
    touch(f, 0x1000, data_of(n));
}

static void test_as_many_as_remembered(void)
{
    struct fixture f;
    setup(&f, SHADOW_SPACES + 1);
    for (u32 n = 0; n <= SHADOW_SPACES; n++)
        make_root(&f, n);
    for (u32 n = 0; n < SHADOW_SPACES; n++)
        visit(&f, n);
    for (u32 n = 0; n < SHADOW_SPACES; n++) {
        fixture_load(&f, ROOT(n));
        CHECK_EQ(entry(&f, 0x1000), entry_for(&f, 0x1000, data_of(n)));
    }
    CHECK_EQ(f.counters.space_evictions, 0);
    /* One more space evicts only the least recently used one, which comes back empty and correct. */
    visit(&f, SHADOW_SPACES);
    CHECK_EQ(f.counters.space_evictions, 1);
    for (u32 n = 1; n <= SHADOW_SPACES; n++) {
        fixture_load(&f, ROOT(n));
        CHECK_EQ(entry(&f, 0x1000), entry_for(&f, 0x1000, data_of(n)));
    }
    fixture_load(&f, ROOT(0));
    CHECK_EQ(entry(&f, 0x1000), 0);
    touch(&f, 0x1000, data_of(0));
    /* Changes of page tables reach a space that was evicted and one that was not. */
    phys_write(&f.phys, TABLE(0) + 4, 4, 0);
    phys_write(&f.phys, TABLE(2) + 4, 4, 0);
    CHECK_EQ(entry(&f, 0x1000), 0);
    fixture_load(&f, ROOT(2));
    CHECK_EQ(entry(&f, 0x1000), 0);
    fixture_destroy(&f);
}

/* A process ends: its page tables are cleared while another runs. The next new process gets its view, and finds none of
 * its entries. */
static void test_ended_process(void)
{
    struct fixture f;
    setup(&f, 8);
    for (u32 n = 0; n < 8; n++)
        make_root(&f, n);
    visit(&f, 0);
    const u64 *view = f.shadow.table[SHADOW_USER].write;
    visit(&f, 1);
    phys_write(&f.phys, TABLE(0) + 4, 4, 0);
    fixture_load(&f, ROOT(2));
    CHECK(f.shadow.table[SHADOW_USER].write == view);
    CHECK_EQ(entry(&f, 0x1000), 0);
    touch(&f, 0x1000, data_of(2));
    CHECK_EQ(f.counters.space_evictions, 0);
    /* The shadow has forgotten the first root. A space that is emptied and filled again has not ended. */
    visit(&f, 1);
    view = f.shadow.table[SHADOW_USER].write;
    phys_write(&f.phys, TABLE(1) + 4, 4, 0);
    phys_write(&f.phys, TABLE(1) + 4, 4, data_of(1) | P | RW | US);
    touch(&f, 0x1000, data_of(1));
    visit(&f, 3);
    CHECK(f.shadow.table[SHADOW_USER].write != view);
    fixture_load(&f, ROOT(1));
    CHECK_EQ(entry(&f, 0x1000), entry_for(&f, 0x1000, data_of(1)));
    /* The current space is emptied, and left for a new one. */
    phys_write(&f.phys, TABLE(1) + 4, 4, 0);
    visit(&f, 4);
    fixture_load(&f, ROOT(3));
    CHECK_EQ(entry(&f, 0x1000), entry_for(&f, 0x1000, data_of(3)));
    fixture_load(&f, ROOT(2));
    CHECK_EQ(entry(&f, 0x1000), entry_for(&f, 0x1000, data_of(2)));
    fixture_load(&f, ROOT(1));
    CHECK_EQ(entry(&f, 0x1000), 0);
    fixture_destroy(&f);
}

/* Another process at the same CR3: the directory is another page's contents (32-bit), or the PDPTEs name
 * other directories (PAE). */
static void test_reused_cr3(void)
{
    struct fixture f;
    setup(&f, 8);
    for (u32 n = 0; n < 4; n++)
        make_root(&f, n);
    visit(&f, 0);
    visit(&f, 1);
    phys_write(&f.phys, ROOT(0), 4, TABLE(2) | P | RW | US);
    fixture_load(&f, ROOT(0));
    CHECK_EQ(entry(&f, 0x1000), 0);
    touch(&f, 0x1000, data_of(2));
    /* Overwritten as a whole, while it is not loaded and while it is. */
    u8 page[PAGE_SIZE];
    phys_read_bytes(&f.phys, ROOT(3), page, sizeof page);
    fixture_load(&f, ROOT(1));
    phys_write_bytes(&f.phys, ROOT(0), page, sizeof page);
    phys_write_bytes(&f.phys, ROOT(1), page, sizeof page);
    CHECK_EQ(entry(&f, 0x1000), 0);
    touch(&f, 0x1000, data_of(3));
    fixture_load(&f, ROOT(0));
    CHECK_EQ(entry(&f, 0x1000), 0);
    touch(&f, 0x1000, data_of(3));

    enum { POINTERS = 0x2000, OTHER_POINTERS = 0x2020 };
    f.paging.cr4 |= CR4_PAE;
    for (u32 n = 4; n < 8; n++) {
        phys_write(&f.phys, TABLE(n) + 8, 8, data_of(n) | P | RW | US);
        phys_write(&f.phys, ROOT(n), 8, TABLE(n) | P | RW | US);
    }
    phys_write(&f.phys, OTHER_POINTERS, 8, ROOT(7) | P);
    for (u32 n = 4; n < 7; n++) {
        phys_write(&f.phys, POINTERS, 8, ROOT(n) | P);
        f.paging.cr3 = POINTERS;
        CHECK(mmu_load_pdptes(&f.phys, &f.paging));
        fixture_load(&f, POINTERS);
        CHECK_EQ(entry(&f, 0x1000), 0);
        touch(&f, 0x1000, data_of(n));
        /* 32 bytes further is another root. */
        f.paging.cr3 = OTHER_POINTERS;
        CHECK(mmu_load_pdptes(&f.phys, &f.paging));
        fixture_load(&f, OTHER_POINTERS);
        CHECK_EQ(entry(&f, 0x1000), n > 4 ? entry_for(&f, 0x1000, data_of(7)) : 0);
        touch(&f, 0x1000, data_of(7));
    }
    fixture_destroy(&f);
}

/* Linear memory in large pages, all of the same RAM. */
static void make_wide_root(struct fixture *f, u32 n)
{
    for (u32 k = 0; k < 1024; k++)
        phys_write(&f->phys, ROOT(n) + k * 4, 4, P | RW | US | PS);
}

static void touch_all_regions(struct fixture *f)
{
    for (u32 region = 0; region < 2048; region++)
        touch(f, (region << 21) + DATA, (region & 1) << 21 | DATA);
}

/* Six spaces touch every region, which is more than the tables may take. The oldest tables go back to the host, and
 * nothing is flushed. */
static void test_wide_spaces(void)
{
    enum { WIDE = 6 };
    struct fixture f;
    setup(&f, 1024);
    for (u32 n = 0; n < WIDE; n++)
        make_wide_root(&f, n);
    fixture_load(&f, ROOT(0));
    u64 flushes = f.counters.shadow_flushes;
    for (u32 round = 0; round < 2; round++)
        for (u32 n = 0; n < WIDE; n++) {
            fixture_load(&f, ROOT(n));
            touch_all_regions(&f);
        }
    CHECK(f.counters.space_shrinks > 0);
    CHECK_EQ(f.counters.shadow_flushes, flushes);
    u32 remembered = 0;
    for (u32 n = WIDE; n-- > 0;) {
        fixture_load(&f, ROOT(n));
        for (u32 region = 0; region < 2048; region++) {
            u32 linear = (region << 21) + DATA;
            u64 is = entry(&f, linear);
            CHECK(!is || is == entry_for(&f, linear, (region & 1) << 21 | DATA));
            remembered += is != 0;
        }
    }
    CHECK_EQ(remembered, 4 * 2048);
    /* Every list of writers is consistent. */
    shadow_drop_writes(&f.shadow, DATA);
    shadow_drop_writes(&f.shadow, 2 * MB + DATA);
    for (u32 n = 0; n < WIDE; n++) {
        fixture_load(&f, ROOT(n));
        for (u32 region = 0; region < 2048; region++)
            CHECK_EQ(entry(&f, (region << 21) + DATA), 0);
    }
    fixture_destroy(&f);
}

/* Page tables come and go, and their pages are never written again: their traces wait for a write that does
 * not come, and must not fill the table of traces. */
static void test_many_tables(void)
{
    enum { MANY = 12800 };
    struct fixture f;
    setup(&f, MANY);
    fixture_load(&f, ROOT(0));
    u64 flushes = f.counters.shadow_flushes;
    for (u32 n = 0; n < MANY; n++) {
        make_root(&f, n);
        visit(&f, n);
    }
    CHECK(f.counters.traces_begun >= 2 * MANY);
    CHECK_EQ(f.counters.shadow_flushes, flushes);
    for (u32 n = MANY - 8; n < MANY; n++) {
        fixture_load(&f, ROOT(n));
        CHECK_EQ(entry(&f, 0x1000), entry_for(&f, 0x1000, data_of(n)));
        phys_write(&f.phys, TABLE(n) + 4, 4, 0);
        CHECK_EQ(entry(&f, 0x1000), 0);
    }
    fixture_destroy(&f);
}

int main(void)
{
    test_as_many_as_remembered();
    test_ended_process();
    test_reused_cr3();
    test_wide_spaces();
    test_many_tables();
    return check_report();
}
