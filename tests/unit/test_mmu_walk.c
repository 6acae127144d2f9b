/*
 * The page walker on hand-made tables (SDM 3A chapter 4): formats, rights, reserved bits, error codes, A/D
 * bits.
 */
#include "mmu/walk.h"

#include "check.h"

#include <string.h>

#define MB (1ull << 20)

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define XD (1ull << 63)

enum { DIRECTORY = 0x1000, TABLE = 0x2000, POINTERS = 0x3020 };

static struct phys phys;

static u32 fault_of(const struct paging *paging, u32 linear, enum access access, bool user)
{
    struct walk walk;
    u32 error = 0xdead;
    return mmu_walk(&phys, paging, linear, access, user, true, &walk, &error) ? 0xa11 : error;
}
#define ALLOWED 0xa11

static struct walk walk_of(const struct paging *paging, u32 linear, enum access access, bool user)
{
    struct walk walk = {.gpa = 0xbad};
    u32 error = 0;
    CHECK(mmu_walk(&phys, paging, linear, access, user, true, &walk, &error));
    return walk;
}

static void test_no_paging(void)
{
    struct paging paging = {.cr0 = 1};
    struct walk walk = walk_of(&paging, 0xfffff123, ACCESS_WRITE, true);
    CHECK_EQ(walk.gpa, 0xfffff123);
    CHECK(walk.readable && walk.writable && walk.executable && !walk.global);
    phys.a20_mask = ~(1ull << 20);
    CHECK_EQ(walk_of(&paging, 0x112345, ACCESS_READ, false).gpa, 0x12345);
    phys.a20_mask = UINT64_MAX;
}

/* Linear 0x00400000 + n * 0x1000 -> table entry n. */
static struct paging paging_32(void)
{
    memset(phys.ram, 0, 0x10000);
    phys_write(&phys, DIRECTORY + 4, 4, TABLE | P | RW | US);
    return (struct paging){.cr0 = CR0_PG | CR0_PE, .cr3 = DIRECTORY | 0x18, .maxphyaddr = 36};
}

static void set_pte(unsigned n, u32 value)
{
    phys_write(&phys, TABLE + 4 * n, 4, value);
}
static u32 pte(unsigned n)
{
    return phys_read(&phys, TABLE + 4 * n, 4);
}

static void test_32bit_rights(void)
{
    struct paging paging = paging_32();
    set_pte(0, 0x5000 | P | RW | US);
    set_pte(1, 0x6000 | P | US);
    set_pte(2, 0x7000 | P | RW);
    set_pte(3, 0x8000 | P);
    set_pte(4, 0x9000);
    const u32 base = 0x400000;
    CHECK_EQ(walk_of(&paging, base + 0x234, ACCESS_READ, true).gpa, 0x5234);
    CHECK_EQ(walk_of(&paging, base + 0x1234, ACCESS_READ, true).gpa, 0x6234);

    CHECK_EQ(fault_of(&paging, base + 0x0000, ACCESS_WRITE, true), ALLOWED);
    CHECK_EQ(fault_of(&paging, base + 0x1000, ACCESS_WRITE, true), PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(fault_of(&paging, base + 0x2000, ACCESS_READ, true), PF_PRESENT | PF_USER);
    CHECK_EQ(fault_of(&paging, base + 0x2000, ACCESS_FETCH, true),
             PF_PRESENT | PF_USER); /* no I/D without NX, SMEP */
    CHECK_EQ(fault_of(&paging, base + 0x3000, ACCESS_READ, false), ALLOWED);
    CHECK_EQ(fault_of(&paging, base + 0x4000, ACCESS_READ, false), 0);
    CHECK_EQ(fault_of(&paging, base + 0x4000, ACCESS_WRITE, true), PF_WRITE | PF_USER);
    CHECK_EQ(fault_of(&paging, 0x800000, ACCESS_WRITE, false), PF_WRITE); /* no directory entry */

    /* Supervisor writes to read-only pages: CR0.WP. */
    CHECK_EQ(fault_of(&paging, base + 0x3000, ACCESS_WRITE, false), ALLOWED);
    paging.cr0 |= CR0_WP;
    CHECK_EQ(fault_of(&paging, base + 0x3000, ACCESS_WRITE, false), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(&paging, base + 0x1000, ACCESS_WRITE, false), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(&paging, base + 0x2000, ACCESS_WRITE, false), ALLOWED);

    /* Rights are those of all levels together. */
    phys_write(&phys, DIRECTORY + 4, 4, TABLE | P | RW);
    CHECK_EQ(fault_of(&paging, base, ACCESS_READ, true), PF_PRESENT | PF_USER);
    CHECK(!walk_of(&paging, base, ACCESS_READ, false).user);
    phys_write(&phys, DIRECTORY + 4, 4, TABLE | P | US);
    CHECK_EQ(fault_of(&paging, base, ACCESS_WRITE, true), PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(fault_of(&paging, base, ACCESS_WRITE, false), PF_PRESENT | PF_WRITE);
}

static void test_accessed_dirty(void)
{
    struct paging paging = paging_32();
    struct walk walk;
    u32 error;
    set_pte(0, 0x5000 | P | RW | US);
    /* A faulting access sets no bits. */
    paging.cr0 |= CR0_WP;
    set_pte(1, 0x6000 | P);
    CHECK_EQ(fault_of(&paging, 0x401000, ACCESS_WRITE, false), PF_PRESENT | PF_WRITE);
    CHECK_EQ(pte(1), 0x6000 | P);
    CHECK_EQ(phys_read(&phys, DIRECTORY + 4, 4) & (A | D), 0);
    /* A probe neither. */
    CHECK(mmu_walk(&phys, &paging, 0x400000, ACCESS_WRITE, false, false, &walk, &error));
    CHECK_EQ(pte(0) & (A | D), 0);
    CHECK(!walk.writable);
    walk = walk_of(&paging, 0x400000, ACCESS_READ, true);
    CHECK(!walk.writable); /* not dirty: no write entry */
    CHECK_EQ(pte(0) & (A | D), A);
    CHECK_EQ(phys_read(&phys, DIRECTORY + 4, 4) & (A | D), A);
    walk = walk_of(&paging, 0x400000, ACCESS_WRITE, true);
    CHECK(walk.writable);
    CHECK_EQ(pte(0) & (A | D), A | D);
    CHECK_EQ(phys_read(&phys, DIRECTORY + 4, 4) & (A | D), A); /* D is the leaf's */
    CHECK(walk_of(&paging, 0x400000, ACCESS_READ, true).writable);
    CHECK_EQ(*phys_flags(&phys, TABLE) & PHYS_DIRTY, PHYS_DIRTY);
}

static void test_pse(void)
{
    struct paging paging = paging_32();
    phys_write(&phys, DIRECTORY + 8, 4, 0x00800000 | P | RW | PS);
    paging.cr4 = CR4_PSE | CR4_PGE;
    struct walk walk = walk_of(&paging, 0x00934567, ACCESS_WRITE, false);
    CHECK_EQ(walk.gpa, 0x00934567);
    CHECK_EQ(walk.page_bytes, 4 * MB);
    CHECK(!walk.global && walk.writable);
    CHECK_EQ(phys_read(&phys, DIRECTORY + 8, 4), 0x00800000 | P | RW | PS | A | D);
    /* PSE-36: bits 20-13 are address bits 39-32, as far as MAXPHYADDR goes. */
    phys_write(&phys, DIRECTORY + 8, 4, 0x00800000 | 5 << 13 | P | RW | PS | G);
    walk = walk_of(&paging, 0x00934567, ACCESS_READ, false);
    CHECK_EQ(walk.gpa, 0x500934567);
    CHECK(walk.global);
    phys_write(&phys, DIRECTORY + 8, 4, 1 << 17 | P | PS); /* address bit 36 */
    CHECK_EQ(fault_of(&paging, 0x00800000, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
    phys_write(&phys, DIRECTORY + 8, 4, 1 << 21 | P | PS);
    CHECK_EQ(fault_of(&paging, 0x00800000, ACCESS_WRITE, true),
             PF_PRESENT | PF_RESERVED | PF_WRITE | PF_USER);
    paging.maxphyaddr = 32;
    phys_write(&phys, DIRECTORY + 8, 4, 1 << 13 | P | PS);
    CHECK_EQ(fault_of(&paging, 0x00800000, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
    phys_write(&phys, DIRECTORY + 8, 4, 1 << 12 | P | PS); /* PAT is not reserved */
    CHECK_EQ(fault_of(&paging, 0x00800000, ACCESS_READ, false), ALLOWED);
    /* Without CR4.PSE the bit means nothing. */
    paging.cr4 = 0;
    phys_write(&phys, DIRECTORY + 8, 4, TABLE | P | RW | PS);
    set_pte(0, 0x5000 | P);
    CHECK_EQ(walk_of(&paging, 0x00800010, ACCESS_READ, false).gpa, 0x5010);
}

/* Linear 0x40000000 + n * 0x1000 -> table entry n; 0x40200000 + n * 0x200000 -> directory entry n + 1. */
static struct paging paging_pae(void)
{
    memset(phys.ram, 0, 0x10000);
    phys_write(&phys, POINTERS + 8, 8, DIRECTORY | P);
    phys_write(&phys, DIRECTORY, 8, TABLE | P | RW | US);
    struct paging paging = {.cr0 = CR0_PG | CR0_PE, .cr4 = CR4_PAE, .cr3 = POINTERS, .maxphyaddr = 36};
    CHECK(mmu_load_pdptes(&phys, &paging));
    return paging;
}

static void test_pae(void)
{
    struct paging paging = paging_pae();
    phys_write(&phys, TABLE + 8, 8, 0x5000 | P | RW | US | G);
    struct walk walk = walk_of(&paging, 0x40001fff, ACCESS_WRITE, true);
    CHECK_EQ(walk.gpa, 0x5fff);
    CHECK(walk.writable && walk.executable && !walk.global);
    CHECK_EQ(phys_read(&phys, TABLE + 8, 8), 0x5000 | P | RW | US | G | A | D);
    CHECK_EQ(fault_of(&paging, 0x00001000, ACCESS_READ, false), 0); /* its PDPTE is not present */
    /* PDPTEs are registers: memory may change meanwhile. */
    phys_write(&phys, POINTERS + 8, 8, 0);
    CHECK_EQ(walk_of(&paging, 0x40001000, ACCESS_READ, true).gpa, 0x5000);
    /* Above 4 GB, to the last address line. */
    phys_write(&phys, TABLE + 8, 8, 0xfffffe000 | P);
    CHECK_EQ(walk_of(&paging, 0x40001004, ACCESS_READ, false).gpa, 0xfffffe004);
    phys_write(&phys, TABLE + 8, 8, 1ull << 36 | P);
    CHECK_EQ(fault_of(&paging, 0x40001000, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
    phys_write(&phys, TABLE + 8, 8, 1ull << 62 | P);
    CHECK_EQ(fault_of(&paging, 0x40001000, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
    /* Not present wins: reserved bits of an absent entry do not count. */
    phys_write(&phys, TABLE + 8, 8, 1ull << 62);
    CHECK_EQ(fault_of(&paging, 0x40001000, ACCESS_READ, false), 0);

    /* 2 MB pages need no CR4.PSE. */
    phys_write(&phys, DIRECTORY + 8, 8, 0x00600000 | P | RW | PS | G);
    paging.cr4 |= CR4_PGE;
    walk = walk_of(&paging, 0x40345678, ACCESS_READ, false);
    CHECK_EQ(walk.gpa, 0x00745678);
    CHECK_EQ(walk.page_bytes, 2 * MB);
    CHECK(walk.global);
    phys_write(&phys, DIRECTORY + 8, 8, 0x00602000 | P | RW | PS);
    CHECK_EQ(fault_of(&paging, 0x40200000, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
    phys_write(&phys, DIRECTORY + 8, 8, 0x00601000 | P | RW | PS); /* PAT */
    CHECK_EQ(fault_of(&paging, 0x40200000, ACCESS_READ, false), ALLOWED);
    phys_write(&phys, DIRECTORY + 8, 8, 1ull << 40 | TABLE | P | RW);
    CHECK_EQ(fault_of(&paging, 0x40200000, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
}

static void test_nx(void)
{
    struct paging paging = paging_pae();
    phys_write(&phys, TABLE, 8, 0x5000 | P | RW | US | XD);
    CHECK_EQ(fault_of(&paging, 0x40000000, ACCESS_READ, true), PF_PRESENT | PF_RESERVED | PF_USER);
    CHECK_EQ(fault_of(&paging, 0x40000000, ACCESS_FETCH, true), PF_PRESENT | PF_RESERVED | PF_USER);
    paging.efer = 1 << 11;
    CHECK(!walk_of(&paging, 0x40000000, ACCESS_READ, true).executable);
    CHECK_EQ(fault_of(&paging, 0x40000000, ACCESS_FETCH, true), PF_PRESENT | PF_USER | PF_FETCH);
    CHECK_EQ(fault_of(&paging, 0x40000000, ACCESS_FETCH, false), PF_PRESENT | PF_FETCH);
    CHECK_EQ(fault_of(&paging, 0x40001000, ACCESS_FETCH, false), PF_FETCH); /* not present */
    CHECK_EQ(walk_of(&paging, 0x40000000, ACCESS_READ, true).gpa, 0x5000);
    /* XD in the directory covers the whole table. */
    phys_write(&phys, TABLE, 8, 0x5000 | P | RW | US);
    phys_write(&phys, DIRECTORY, 8, TABLE | P | RW | US | XD);
    CHECK_EQ(fault_of(&paging, 0x40000000, ACCESS_FETCH, true), PF_PRESENT | PF_USER | PF_FETCH);
}

static void test_pdptes(void)
{
    struct paging paging = paging_pae();
    u64 before = paging.pdpte[1];
    static const u64 bad[] = {2, 4, 0x20, 0x100, 1ull << 36, 1ull << 63};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        phys_write(&phys, POINTERS + 16, 8, 0x9000 | P | bad[n]);
        phys_write(&phys, POINTERS + 8, 8, 0xa000 | P);
        CHECK(!mmu_load_pdptes(&phys, &paging));
        CHECK_EQ(paging.pdpte[1], before);
        phys_write(&phys, POINTERS + 16, 8, 0x9000 | bad[n]); /* absent: anything goes */
        CHECK(mmu_load_pdptes(&phys, &paging));
        paging.pdpte[1] = before;
    }
    phys_write(&phys, POINTERS + 16, 8, 0x9000 | P | 0xe18); /* PWT, PCD and ignored bits */
    CHECK(mmu_load_pdptes(&phys, &paging));
}

static void test_smep_smap(void)
{
    struct paging paging = paging_32();
    set_pte(0, 0x5000 | P | RW | US);
    set_pte(1, 0x6000 | P | RW);
    const u32 of_user = 0x400000, of_kernel = 0x401000;
    paging.cr4 = CR4_SMEP;
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_FETCH, false), PF_PRESENT | PF_FETCH);
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_FETCH, true), ALLOWED);
    CHECK_EQ(fault_of(&paging, of_kernel, ACCESS_FETCH, false), ALLOWED);
    CHECK_EQ(fault_of(&paging, of_kernel, ACCESS_FETCH, true), PF_PRESENT | PF_USER | PF_FETCH);
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_READ, false), ALLOWED);

    paging.cr4 = CR4_SMAP;
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_READ, false), PF_PRESENT);
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_WRITE, false), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_READ, true), ALLOWED);
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_FETCH, false), ALLOWED); /* SMAP is about data */
    CHECK(!walk_of(&paging, of_user, ACCESS_FETCH, false).readable);
    CHECK_EQ(fault_of(&paging, of_kernel, ACCESS_WRITE, false), ALLOWED);
    CHECK(!walk_of(&paging, of_kernel, ACCESS_WRITE, false).ac_decides);
    paging.ac = true;
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_WRITE, false), ALLOWED);
    CHECK(walk_of(&paging, of_user, ACCESS_WRITE, false).ac_decides);
    CHECK(!walk_of(&paging, of_user, ACCESS_WRITE, true).ac_decides);
    /* The processor's own accesses do not honour AC. */
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_READ | ACCESS_IMPLICIT, false), PF_PRESENT);
    CHECK_EQ(fault_of(&paging, of_user, ACCESS_WRITE | ACCESS_IMPLICIT, false), PF_PRESENT | PF_WRITE);
    CHECK_EQ(fault_of(&paging, of_kernel, ACCESS_WRITE | ACCESS_IMPLICIT, false), ALLOWED);
}

static unsigned code_writes;
static void on_code(void *owner, u64 gpa, u64 bytes)
{
    code_writes++;
}

static void test_odd_tables(void)
{
    /* Tables where no memory is: entries are all ones, so the walk ends somewhere and nothing is written. */
    struct paging paging = {.cr0 = CR0_PG | CR0_PE, .cr3 = 0xe0000000, .maxphyaddr = 36};
    CHECK_EQ(walk_of(&paging, 0x12345678, ACCESS_WRITE, true).gpa, 0xfffff678);
    paging.cr4 = CR4_PSE;
    CHECK_EQ(fault_of(&paging, 0x12345678, ACCESS_READ, false), PF_PRESENT | PF_RESERVED);
    /* Tables in ROM work, except for the bits that cannot be set there. */
    paging = paging_32();
    set_pte(0, 0x5000 | P | RW | US);
    static u8 rom[PAGE_SIZE];
    memcpy(rom, phys.ram + TABLE, PAGE_SIZE);
    CHECK_EQ(phys_map_rom(&phys, TABLE, PAGE_SIZE, rom), 0);
    CHECK_EQ(walk_of(&paging, 0x400000, ACCESS_WRITE, true).gpa, 0x5000);
    CHECK_EQ(pte(0) & (A | D), 0);
    CHECK_EQ(phys_map_ram(&phys, TABLE, PAGE_SIZE), 0);
    /* A table page that holds code: setting bits is a write to code. */
    phys.guarded_written = on_code;
    phys_guard(&phys, TABLE, PHYS_CODE);
    walk_of(&paging, 0x400000, ACCESS_READ, true);
    CHECK_EQ(code_writes, 1);
    walk_of(&paging, 0x400000, ACCESS_READ, true);
    CHECK_EQ(code_writes, 1);
    /* A20 masks the addresses of tables as well. */
    phys.a20_mask = ~(1ull << 20);
    paging.cr3 |= 1 << 20;
    CHECK_EQ(walk_of(&paging, 0x400000, ACCESS_READ, true).gpa, 0x5000);
    phys.a20_mask = UINT64_MAX;
}

int main(void)
{
    CHECK_EQ(phys_init(&phys, 4 * MB), 0);
    test_no_paging();
    test_32bit_rights();
    test_accessed_dirty();
    test_pse();
    test_pae();
    test_nx();
    test_pdptes();
    test_smep_smap();
    test_odd_tables();
    phys_destroy(&phys);
    return check_report();
}
