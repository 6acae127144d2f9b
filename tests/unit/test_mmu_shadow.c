/*
 * Shadow tables: which entries are filled, and the invariants of shadow.h under random fills, flushes and page-table
 * changes. Each entry is compared with a new walk. Hazard: an entry that outlives the right that it grants.
 */
#include "shadow_fixture.h"

#include <stdlib.h>

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };

enum { POINTERS = 0x1000, DIRECTORY = 0x2000, TABLES = 0x10000 };

static void setup(struct fixture *f, bool untraced)
{
    fixture_init(f, 4 * MB, DIRECTORY);
    fixture_map_others(f);
    f->shadow.untraced = untraced;
    f->shadow.no_borrowing = true;
    shadow_load_root(&f->shadow, &f->paging);
}

/* 4 KB pages of the first directory entries: one table each. */
static void set_pte(struct fixture *f, u32 page, u64 value)
{
    if (f->paging.cr4 & CR4_PAE)
        phys_write(&f->phys, TABLES + page * 8, 8, value);
    else
        phys_write(&f->phys, TABLES + page * 4, 4, value);
}

static void set_pde(struct fixture *f, u32 n, u64 value)
{
    if (f->paging.cr4 & CR4_PAE)
        phys_write(&f->phys, DIRECTORY + n * 8, 8, value);
    else
        phys_write(&f->phys, DIRECTORY + n * 4, 4, value);
}

static enum shadow_kind touch(struct fixture *f, u32 linear, enum access access, bool user)
{
    struct shadow_hit hit;
    return shadow_access(&f->shadow, &f->paging, linear, access, user, &hit);
}

static u64 read_entry(struct fixture *f, bool user, u32 linear)
{
    return f->shadow.table[user].read[linear >> 12];
}
static u64 write_entry(struct fixture *f, bool user, u32 linear)
{
    return f->shadow.table[user].write[linear >> 12];
}
static u32 exec_entry(struct fixture *f, bool user, u32 linear)
{
    return f->shadow.table[user].exec[linear >> 12];
}

static void test_fill_rules(void)
{
    struct fixture f;
    setup(&f, true);
    f.shadow.no_prefill = true;
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pte(&f, 1, 0x20000 | P | RW | US);
    struct shadow_hit hit;
    CHECK_EQ(shadow_access(&f.shadow, &f.paging, 0x1234, ACCESS_READ, true, &hit), SHADOW_DIRECT);
    CHECK(hit.host == f.phys.ram + 0x20234 && hit.gpa == 0x20234);
    CHECK_EQ(read_entry(&f, true, 0x1000) + 0x1234, (uintptr_t)f.phys.ram + 0x20234);
    CHECK_EQ(write_entry(&f, true, 0x1000), 0); /* D is clear */
    CHECK_EQ(exec_entry(&f, true, 0x1000), 0);
    CHECK_EQ(read_entry(&f, false, 0x1000), 0); /* the other privilege */
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, true), SHADOW_DIRECT);
    CHECK_EQ(write_entry(&f, true, 0x1000), read_entry(&f, true, 0x1000));
    CHECK(*phys_flags(&f.phys, 0x20000) & PHYS_DIRTY);
    CHECK_EQ(touch(&f, 0x1fff, ACCESS_FETCH, true), SHADOW_DIRECT);
    CHECK_EQ(exec_entry(&f, true, 0x1000), 0x21);
    CHECK_EQ(f.counters.shadow_fills, 3);
    /* Dirty already: a read fills both. */
    touch(&f, 0x1000, ACCESS_READ, false);
    CHECK(write_entry(&f, false, 0x1000) != 0);
    /* Code: the write entries of both privileges go, reads and fetches stay, and do not come back. */
    phys_guard(&f.phys, 0x20010, PHYS_CODE);
    CHECK_EQ(write_entry(&f, true, 0x1000) | write_entry(&f, false, 0x1000), 0);
    CHECK(read_entry(&f, true, 0x1000) && exec_entry(&f, true, 0x1000));
    CHECK_EQ(shadow_access(&f.shadow, &f.paging, 0x1008, ACCESS_WRITE, true, &hit), SHADOW_GUARDED);
    CHECK(hit.host == f.phys.ram + 0x20008);
    CHECK_EQ(write_entry(&f, true, 0x1000), 0);
    /* ROM, devices, nothing. */
    set_pte(&f, 2, ROM_AT | P | RW | US);
    set_pte(&f, 3, MMIO_AT | P | RW | US);
    set_pte(&f, 4, 0xf0000000 | P | RW | US);
    CHECK_EQ(touch(&f, 0x2000, ACCESS_WRITE, false), SHADOW_MMIO);
    CHECK_EQ(shadow_access(&f.shadow, &f.paging, 0x2010, ACCESS_READ, false, &hit), SHADOW_DIRECT);
    CHECK(hit.host == fixture_rom + 0x10);
    CHECK(read_entry(&f, false, 0x2000) != 0 && write_entry(&f, false, 0x2000) == 0);
    CHECK_EQ(touch(&f, 0x2000, ACCESS_FETCH, false), SHADOW_DIRECT);
    CHECK_EQ(exec_entry(&f, false, 0x2000), (ROM_AT >> 12) + 1);
    for (u32 linear = 0x3000; linear <= 0x4000; linear += 0x1000) {
        CHECK_EQ(touch(&f, linear, ACCESS_READ, false), SHADOW_MMIO);
        CHECK_EQ(touch(&f, linear, ACCESS_WRITE, false), SHADOW_MMIO);
        CHECK_EQ(touch(&f, linear, ACCESS_FETCH, false), SHADOW_MMIO);
        CHECK_EQ(read_entry(&f, false, linear) | write_entry(&f, false, linear) |
                     exec_entry(&f, false, linear),
                 0);
    }
    CHECK_EQ(shadow_access(&f.shadow, &f.paging, 0x3ffc, ACCESS_READ, false, &hit), SHADOW_MMIO);
    CHECK_EQ(hit.gpa, MMIO_AT + 0xffc);
    /* A fault gives the reason, and drops the entries of the page (SDM 3A 4.10.4.1). */
    set_pte(&f, 1, 0x20000 | P | A);
    CHECK_EQ(shadow_access(&f.shadow, &f.paging, 0x1000, ACCESS_WRITE, true, &hit), SHADOW_FAULT);
    CHECK_EQ(hit.error, PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(read_entry(&f, true, 0x1000) | exec_entry(&f, true, 0x1000) | read_entry(&f, false, 0x1000), 0);
    /* A page that is remapped without INVLPG and then walked again does not mix old and new entries. */
    set_pte(&f, 5, 0x22000 | P | RW | US);
    touch(&f, 0x5000, ACCESS_WRITE, true);
    set_pte(&f, 5, 0x23000 | P | RW | US);
    touch(&f, 0x5000, ACCESS_FETCH, true);
    CHECK_EQ(write_entry(&f, true, 0x5000) | read_entry(&f, true, 0x5000), 0);
    CHECK_EQ(exec_entry(&f, true, 0x5000), 0x24);
    /* The entry behind the last page reads 0. */
    CHECK_EQ(f.shadow.table[0].read[1 << 20] | f.shadow.table[1].write[1 << 20] |
                 f.shadow.table[0].exec[1 << 20],
             0);
    /* Fault injection. */
    shadow_flush(&f.shadow);
    f.shadow.forced_slow = true;
    CHECK_EQ(touch(&f, 0x5000, ACCESS_WRITE, true), SHADOW_DIRECT);
    touch(&f, 0x5000, ACCESS_FETCH, true);
    CHECK_EQ(write_entry(&f, true, 0x5000) | read_entry(&f, true, 0x5000), 0);
    CHECK(exec_entry(&f, true, 0x5000) != 0);
    fixture_destroy(&f);
}

static void test_flushes(void)
{
    struct fixture f;
    setup(&f, true);
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pte(&f, 1, 0x20000 | P | RW | US | G);
    set_pte(&f, 2, 0x21000 | P | RW | US);
    touch(&f, 0x1000, ACCESS_WRITE, false);
    touch(&f, 0x2000, ACCESS_WRITE, false);
    shadow_load_root(&f.shadow, &f.paging);
    CHECK(write_entry(&f, false, 0x1000) != 0 && read_entry(&f, false, 0x1000) != 0);
    CHECK_EQ(write_entry(&f, false, 0x2000) | read_entry(&f, false, 0x2000), 0);
    /* Local to global and back, by INVLPG. */
    set_pte(&f, 1, 0x20000 | P | RW | US);
    set_pte(&f, 2, 0x21000 | P | RW | US | G);
    shadow_invlpg(&f.shadow, 0x1abc);
    touch(&f, 0x1000, ACCESS_READ, false);
    touch(&f, 0x2000, ACCESS_READ, false);
    shadow_load_root(&f.shadow, &f.paging);
    CHECK_EQ(read_entry(&f, false, 0x1000), 0);
    CHECK(read_entry(&f, false, 0x2000) != 0);
    CHECK_EQ(f.counters.shadow_invlpgs, 1);
    /* One page, partly filled as global and partly not: goes with the others. */
    touch(&f, 0x1000, ACCESS_READ, false);
    set_pte(&f, 1, 0x20000 | P | RW | US | G);
    touch(&f, 0x1000, ACCESS_WRITE, false);
    shadow_load_root(&f.shadow, &f.paging);
    CHECK_EQ(read_entry(&f, false, 0x1000) | write_entry(&f, false, 0x1000), 0);
    shadow_flush(&f.shadow);
    CHECK_EQ(read_entry(&f, false, 0x2000), 0);
    fixture_destroy(&f);
}

/* The kernel looks once at what the user has an entry for, then often. */
static void test_borrowing(void)
{
    struct fixture f;
    setup(&f, false);
    f.shadow.no_borrowing = false;
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pte(&f, 1, 0x20000 | P | RW | US);
    touch(&f, 0x1000, ACCESS_READ, true);
    for (unsigned n = 1; n <= 4; n++) {
        CHECK_EQ(read_entry(&f, false, 0x1000), 0);
        touch(&f, 0x1000, ACCESS_READ, false);
        CHECK_EQ(f.counters.shadow_borrowed, n);
    }
    CHECK_EQ(read_entry(&f, false, 0x1000), 0);
    touch(&f, 0x1004, ACCESS_READ, false);
    CHECK(read_entry(&f, false, 0x1000) != 0);
    /* There is no entry to write by: D is clear, and has to be set. */
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, false), SHADOW_DIRECT);
    CHECK_EQ(f.counters.shadow_borrowed, 4);
    CHECK(phys_read(&f.phys, TABLES + 4, 4) & D);
    fixture_destroy(&f);
}

static void test_invlpg_of_large_pages(void)
{
    struct fixture f;
    setup(&f, true);
    f.shadow.no_prefill = true;
    set_pde(&f, 2, 0 | P | RW | US | PS);
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pte(&f, 0, 0x20000 | P | RW | US);
    touch(&f, 0x800000, ACCESS_WRITE, false);
    touch(&f, 0x8ff000, ACCESS_READ, true);
    touch(&f, 0x87f000, ACCESS_FETCH, false);
    touch(&f, 0x0, ACCESS_WRITE, false);
    shadow_invlpg(&f.shadow, 0xbff000);
    CHECK_EQ(write_entry(&f, false, 0x800000) | read_entry(&f, true, 0x8ff000) |
                 exec_entry(&f, false, 0x87f000),
             0);
    CHECK(write_entry(&f, false, 0) != 0);
    CHECK_EQ(f.counters.shadow_invlpgs, 3); /* ids, not entries */
    fixture_destroy(&f);
}

static void test_smap(void)
{
    /* A page of the user under SMAP is reached by the kernel only while AC is set, and AC changes without a
     * flush. */
    struct fixture f;
    setup(&f, true);
    f.paging.cr4 |= CR4_SMAP;
    f.paging.ac = true;
    shadow_load_root(&f.shadow, &f.paging);
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pte(&f, 1, 0x20000 | P | RW | US);
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, false), SHADOW_DIRECT);
    CHECK_EQ(write_entry(&f, false, 0x1000) | read_entry(&f, false, 0x1000), 0);
    CHECK_EQ(touch(&f, 0x1000, ACCESS_READ | ACCESS_IMPLICIT, false), SHADOW_FAULT);
    f.paging.ac = false;
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, false), SHADOW_FAULT);
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, true), SHADOW_DIRECT);
    CHECK(write_entry(&f, true, 0x1000) != 0);
    fixture_destroy(&f);
}

static void test_roaming(void)
{
    /* No paging: linear is physical. A guest that touches every 2 MB of 4 GB, twice over, at both privileges. */
    struct fixture f;
    setup(&f, true);
    struct paging flat = {.cr0 = 1};
    struct shadow_hit hit;
    shadow_load_root(&f.shadow, &flat);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned p = 0; p < 2; p++)
            for (u32 n = 0; n < 2048; n++)
                shadow_access(&f.shadow, &flat, n << 21, ACCESS_READ, p, &hit);
    /* Everything mapped onto one 4 MB of RAM. */
    shadow_load_root(&f.shadow, &f.paging);
    for (u32 n = 0; n < 1024; n++)
        set_pde(&f, n, P | RW | US | PS);
    for (unsigned p = 0; p < 2; p++)
        for (u32 n = 0; n < 2048; n++) {
            CHECK_EQ(touch(&f, (n << 21) + 0x60000, ACCESS_WRITE, p), SHADOW_DIRECT);
            CHECK(write_entry(&f, p, (n << 21) + 0x60000) != 0);
        }
    shadow_drop_writes(&f.shadow, 0x60000);
    shadow_drop_writes(&f.shadow, 0x260000);
    for (unsigned p = 0; p < 2; p++)
        for (u32 n = 0; n < 2048; n++)
            CHECK_EQ(write_entry(&f, p, (n << 21) + 0x60000), 0);
    fixture_destroy(&f);
}

/* --- roots and traces --- */

enum { OTHER_DIRECTORY = 0x3000 };

static void load_cr3(struct fixture *f, u64 cr3)
{
    f->paging.cr3 = cr3;
    shadow_load_root(&f->shadow, &f->paging);
}

static void test_spaces(void)
{
    struct fixture f;
    setup(&f, false);
    /* 4 MB at 0 differ, 4 MB at 3 GB are common to both roots. */
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pde(&f, 768, (TABLES + PAGE_SIZE) | P | RW | A);
    phys_write(&f.phys, OTHER_DIRECTORY, 4, (TABLES + 2 * PAGE_SIZE) | P | RW | US);
    phys_write(&f.phys, OTHER_DIRECTORY + 768 * 4, 4, (TABLES + PAGE_SIZE) | P | RW | A);
    set_pte(&f, 1, 0x20000 | P | RW | US);
    set_pte(&f, 1024 + 1, 0x21000 | P | RW);
    set_pte(&f, 2048 + 1, 0x22000 | P | RW | US);
    touch(&f, 0x1000, ACCESS_WRITE, true);
    touch(&f, 0x1000, ACCESS_WRITE, false);
    touch(&f, 0xc0001000, ACCESS_WRITE, false);
    u64 mine = write_entry(&f, true, 0x1000);
    CHECK(mine && write_entry(&f, false, 0x1000) && write_entry(&f, false, 0xc0001000));
    load_cr3(&f, OTHER_DIRECTORY);
    CHECK_EQ(write_entry(&f, true, 0x1000) | write_entry(&f, false, 0x1000), 0);
    CHECK(write_entry(&f, false, 0xc0001000) != 0);
    touch(&f, 0x1000, ACCESS_WRITE, true);
    CHECK(write_entry(&f, true, 0x1000) != mine);
    load_cr3(&f, DIRECTORY);
    CHECK_EQ(write_entry(&f, true, 0x1000), mine);
    CHECK_EQ(f.counters.space_hits, 1);
    /* Changes of its page table and of its directory also reach a space that is not loaded. */
    load_cr3(&f, OTHER_DIRECTORY);
    set_pte(&f, 1, 0x23000 | P | RW | US);
    load_cr3(&f, DIRECTORY);
    CHECK_EQ(write_entry(&f, true, 0x1000), 0);
    touch(&f, 0x1000, ACCESS_WRITE, true);
    load_cr3(&f, OTHER_DIRECTORY);
    set_pde(&f, 0, 0);
    load_cr3(&f, DIRECTORY);
    CHECK_EQ(write_entry(&f, true, 0x1000), 0);
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, true), SHADOW_FAULT);
    /* The common part is changed through one root and seen through the other. */
    touch(&f, 0xc0001000, ACCESS_WRITE, false);
    set_pte(&f, 1024 + 1, 0);
    CHECK_EQ(write_entry(&f, false, 0xc0001000), 0);
    fixture_destroy(&f);
}

static void test_storms(void)
{
    struct fixture f;
    setup(&f, false);
    set_pde(&f, 0, TABLES | P | RW | US);
    set_pde(&f, 1, 0x100000 | P | RW | US | PS);
    set_pte(&f, 1, 0x20000 | P | RW | US);
    set_pte(&f, TABLES >> 12, TABLES | P | RW | US);
    touch(&f, 0x1000, ACCESS_WRITE, true);
    CHECK(*phys_flags(&f.phys, TABLES) & PHYS_TRACED);
    /* A page table is no place for a write entry. */
    CHECK_EQ(touch(&f, TABLES, ACCESS_WRITE, true), SHADOW_GUARDED);
    CHECK_EQ(write_entry(&f, true, TABLES), 0);
    /* It becomes a data page: after some writes the trace ends, the entries that came through it are gone, and writes
     * are free. */
    for (u32 n = 0; n < 100; n++)
        set_pte(&f, 512 + n, 0x12345678);
    CHECK(!(*phys_flags(&f.phys, TABLES) & PHYS_TRACED));
    CHECK_EQ(read_entry(&f, true, 0x1000), 0);
    CHECK_EQ(f.counters.trace_storms, 1);
    /* And a page table again. */
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, true), SHADOW_DIRECT);
    CHECK(*phys_flags(&f.phys, TABLES) & PHYS_TRACED);
    set_pte(&f, 1, 0);
    CHECK_EQ(read_entry(&f, true, 0x1000), 0);
    /* Cleared by one write. */
    set_pte(&f, 1, 0x20000 | P | RW | US);
    touch(&f, 0x1000, ACCESS_WRITE, true);
    static const u8 zeros[PAGE_SIZE];
    phys_write_bytes(&f.phys, TABLES, zeros, sizeof zeros);
    CHECK_EQ(touch(&f, 0x1000, ACCESS_WRITE, true), SHADOW_FAULT);
    fixture_destroy(&f);
}

/* A directory that is its own page table: one write changes a translation, and what leads to others. */
static void test_recursive(void)
{
    struct fixture f;
    setup(&f, false);
    set_pde(&f, 0, TABLES | P | RW);
    set_pde(&f, 1023, DIRECTORY | P | RW);
    set_pte(&f, 1, 0x20000 | P | RW);
    touch(&f, 0x1000, ACCESS_READ, false);
    CHECK_EQ(touch(&f, 0xfffff000, ACCESS_WRITE, false), SHADOW_GUARDED);
    CHECK(read_entry(&f, false, 0xfffff000) && read_entry(&f, false, 0x1000));
    set_pde(&f, 1023, 0x21000 | P | RW);
    CHECK_EQ(read_entry(&f, false, 0xfffff000), 0);
    CHECK(read_entry(&f, false, 0x1000) != 0);
    set_pde(&f, 1023, DIRECTORY | P | RW);
    touch(&f, 0xfffff000, ACCESS_READ, false);
    set_pde(&f, 0, 0);
    CHECK_EQ(read_entry(&f, false, 0x1000), 0);
    fixture_destroy(&f);
}

/* A large page split into small ones that say the same, then something else. */
static void test_split(void)
{
    struct fixture f;
    setup(&f, false);
    set_pde(&f, 1, 0 | P | RW | US | PS);
    touch(&f, 0x405000, ACCESS_WRITE, true);
    touch(&f, 0x7ff000, ACCESS_READ, true);
    for (u32 n = 0; n < 1024; n++)
        set_pte(&f, n, n << 12 | P | RW | US);
    CHECK(read_entry(&f, true, 0x405000) != 0);
    set_pde(&f, 1, TABLES | P | RW | US);
    CHECK_EQ(read_entry(&f, true, 0x405000) | read_entry(&f, true, 0x7ff000), 0);
    touch(&f, 0x405000, ACCESS_WRITE, true);
    set_pte(&f, 5, 0x20000 | P | US);
    CHECK_EQ(read_entry(&f, true, 0x405000), 0);
    CHECK_EQ(touch(&f, 0x405000, ACCESS_WRITE, true), SHADOW_FAULT);
    fixture_destroy(&f);
}

/* --- random changes against fresh walks --- */

enum { SMALL_TABLES = 3, LARGE_PAGES = 2 };

static u32 random_linear(struct fixture *f)
{
    bool pae = f->paging.cr4 & CR4_PAE;
    u32 reach = pae ? 2u << 20 : 4u << 20;
    u32 n = (u32)rand() % (SMALL_TABLES + LARGE_PAGES);
    u32 pages = n < SMALL_TABLES ? 12 : reach >> 12;
    return n * reach + ((u32)rand() % pages << 12) + (u32)rand() % 4096;
}

static u64 random_frame(void)
{
    switch (rand() % 8) {
    case 0: return ROM_AT + rand() % 16 * PAGE_SIZE;
    case 1: return MMIO_AT + rand() % 16 * PAGE_SIZE;
    case 2: return 0xfee00000;
    default: return 0x100000 + rand() % 32 * PAGE_SIZE;
    }
}

static u64 random_rights(void)
{
    u64 rights = (u64)rand() & (RW | US | G | A | D);
    return rand() % 5 ? rights | P : rights;
}

static void change_small(struct fixture *f)
{
    bool pae = f->paging.cr4 & CR4_PAE;
    u32 per_table = pae ? 512 : 1024;
    u32 page = (u32)rand() % SMALL_TABLES * per_table + (u32)rand() % 12;
    u64 value = random_frame() | random_rights();
    if (pae && rand() % 4 == 0) value |= 1ull << 63;
    set_pte(f, page, value);
    if (f->shadow.untraced) shadow_invlpg(&f->shadow, page << 12);
}

static void change_large(struct fixture *f)
{
    bool pae = f->paging.cr4 & CR4_PAE;
    u32 n = SMALL_TABLES + (u32)rand() % LARGE_PAGES, reach = pae ? 2u << 20 : 4u << 20;
    set_pde(f, n, (pae && rand() % 2 ? 2 * MB : 0) | PS | random_rights());
    if (f->shadow.untraced) shadow_invlpg(&f->shadow, n * reach + (u32)rand() % reach);
}

/* Another root: a directory of its own, with some of the same tables; or the first again. */
static void change_root(struct fixture *f)
{
    bool pae = f->paging.cr4 & CR4_PAE;
    u32 n = (u32)rand() % 3, directory = n ? 0x8000 + n * PAGE_SIZE : DIRECTORY;
    if (n && rand() % 4 == 0)
        for (u32 k = 0; k < SMALL_TABLES; k++)
            phys_write(&f->phys, directory + k * (pae ? 8 : 4), pae ? 8 : 4,
                       (TABLES + (u32)rand() % SMALL_TABLES * PAGE_SIZE) | P | RW | US);
    if (pae) {
        u32 pointers = POINTERS + n * 32;
        phys_write(&f->phys, pointers, 8, directory | P);
        f->paging.cr3 = pointers;
        CHECK(mmu_load_pdptes(&f->phys, &f->paging));
    } else {
        f->paging.cr3 = directory;
    }
    shadow_load_root(&f->shadow, &f->paging);
}

static void check_entry(struct fixture *f, u32 page, bool user)
{
    u32 linear = page << 12, error;
    u64 read = read_entry(f, user, linear), write = write_entry(f, user, linear);
    u32 exec = exec_entry(f, user, linear);
    struct walk walk;
    if (!read && !write && !exec) return;
    enum access access = read || write ? ACCESS_READ : ACCESS_FETCH;
    if (!mmu_walk(&f->phys, &f->paging, linear, access, user, false, &walk, &error)) {
        CHECK(!"an entry without the right");
        return;
    }
    struct phys_region *region = phys_find(&f->phys, walk.gpa);
    CHECK(region && region->kind != PHYS_MMIO);
    if (!region || region->kind == PHYS_MMIO) return;
    u64 entry = (u64)(uintptr_t)phys_host(&f->phys, walk.gpa) - linear;
    if (read) CHECK_EQ(read, entry);
    if (write) {
        CHECK_EQ(write, entry);
        CHECK(walk.writable && region->kind == PHYS_RAM);
        CHECK(!(*phys_flags(&f->phys, walk.gpa) & (PHYS_CODE | PHYS_TRACED)));
    }
    if (exec) CHECK(walk.executable && exec == (walk.gpa >> 12) + 1);
}

static void check_all(struct fixture *f)
{
    u32 reach_pages = f->paging.cr4 & CR4_PAE ? 512 : 1024;
    for (u32 n = 0; n < SMALL_TABLES + LARGE_PAGES; n++)
        for (u32 page = 0; page < (n < SMALL_TABLES ? 12 : reach_pages); page++)
            for (unsigned user = 0; user < 2; user++)
                check_entry(f, n * reach_pages + page, user);
}

static void random_access(struct fixture *f)
{
    u32 linear = random_linear(f), error;
    enum access access = (enum access)(rand() % 3);
    bool user = rand() % 2;
    struct walk walk;
    bool allowed = mmu_walk(&f->phys, &f->paging, linear, access, user, false, &walk, &error);
    struct shadow_hit hit;
    u64 borrowed = f->counters.shadow_borrowed;
    enum shadow_kind kind = shadow_access(&f->shadow, &f->paging, linear, access, user, &hit);
    CHECK_EQ(kind == SHADOW_FAULT, !allowed);
    if (!allowed) {
        CHECK_EQ(hit.error, error);
        return;
    }
    if (f->counters.shadow_borrowed != borrowed) {
        CHECK(!user && kind == SHADOW_DIRECT && hit.host == phys_host(&f->phys, walk.gpa));
        CHECK(access != ACCESS_WRITE || !(*phys_flags(&f->phys, walk.gpa) & PHYS_GUARDED));
        return;
    }
    CHECK_EQ(hit.gpa, walk.gpa);
    if (kind == SHADOW_MMIO) return;
    CHECK(hit.host == phys_host(&f->phys, walk.gpa));
    CHECK_EQ(kind == SHADOW_GUARDED,
             access == ACCESS_WRITE && (*phys_flags(&f->phys, walk.gpa) & PHYS_GUARDED));
    /* Everything that may be filled has been; otherwise every access would be slow. */
    if (access == ACCESS_READ) CHECK(read_entry(f, user, linear) != 0);
    if (access == ACCESS_WRITE && kind == SHADOW_DIRECT) CHECK(write_entry(f, user, linear) != 0);
    if (access == ACCESS_FETCH) CHECK(exec_entry(f, user, linear) != 0);
}

static void test_random(u32 cr4, bool untraced, unsigned seed)
{
    struct fixture f;
    setup(&f, untraced);
    srand(seed);
    f.shadow.no_borrowing = seed == 1;
    f.paging.cr4 = cr4;
    if (cr4 & CR4_PAE) {
        f.paging.efer = 1 << 11;
        f.paging.cr3 = POINTERS;
        phys_write(&f.phys, POINTERS, 8, DIRECTORY | P);
        CHECK(mmu_load_pdptes(&f.phys, &f.paging));
    }
    shadow_load_root(&f.shadow, &f.paging);
    for (u32 n = 0; n < SMALL_TABLES; n++)
        set_pde(&f, n, (TABLES + n * PAGE_SIZE) | P | RW | US);
    for (unsigned n = 0; n < 200; n++)
        change_small(&f);
    for (unsigned n = 0; n < 20; n++)
        change_large(&f);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned what = (unsigned)rand() % 100;
        if (!untraced && rand() % 64 == 0) change_root(&f);
        if (what < 75) {
            random_access(&f);
        } else if (what < 88) {
            change_small(&f);
        } else if (what < 90) {
            change_large(&f);
        } else if (what < 94) {
            phys_guard(&f.phys, random_frame(), PHYS_CODE);
        } else if (what < 97) {
            u8 *flags = phys_flags(&f.phys, random_frame());
            if (flags) *flags &= ~PHYS_CODE;
        } else if (what < 99) {
            shadow_load_root(&f.shadow, &f.paging);
            for (u32 n = 0; untraced && n < SMALL_TABLES; n++)
                for (u32 page = 0; page < 12; page++) {
                    u32 linear = (n * (cr4 & CR4_PAE ? 512 : 1024) + page) << 12;
                    u32 pte =
                        (u32)phys_read(&f.phys, TABLES + n * PAGE_SIZE + page * (cr4 & CR4_PAE ? 8 : 4), 4);
                    if (!(pte & G)) CHECK_EQ(read_entry(&f, false, linear) | read_entry(&f, true, linear), 0);
                }
        } else if (rand() % 4 == 0) {
            shadow_flush(&f.shadow);
        }
        if (round % 16 == 0) check_all(&f);
    }
    /* Nothing outlives a full flush (invariant 3). */
    CHECK_EQ(f.counters.shadow_borrowed > 10, seed != 1 && !untraced);
    shadow_flush(&f.shadow);
    for (u32 page = 0; page < 1 << 20; page++)
        for (unsigned p = 0; p < 2; p++)
            if (f.shadow.table[p].read[page] | f.shadow.table[p].write[page] | f.shadow.table[p].exec[page])
                CHECK(!"an entry that is in no log");
    fixture_destroy(&f);
}

int main(void)
{
    test_fill_rules();
    test_flushes();
    test_borrowing();
    test_invlpg_of_large_pages();
    test_smap();
    test_roaming();
    test_spaces();
    test_storms();
    test_recursive();
    test_split();
    for (unsigned seed = 1; seed <= 3; seed++) {
        test_random(CR4_PSE | CR4_PGE, true, seed);
        test_random(CR4_PAE | CR4_PGE, true, seed);
        test_random(CR4_PSE | CR4_PGE, false, seed);
        test_random(CR4_PAE | CR4_PGE, false, seed);
    }
    return check_report();
}
