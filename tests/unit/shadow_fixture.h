/*
 * Tests of src/mmu share this: guest memory with a shadow over it and no CPU. RAM begins at 0. On request there are
 * 64 KB of ROM at ROM_AT, and at MMIO_AT a device that reads 0.
 */
#ifndef RINGER_TESTS_SHADOW_FIXTURE_H
#define RINGER_TESTS_SHADOW_FIXTURE_H

#include "check.h"
#include "mmu/shadow.h"

#include <string.h>

#define MB (1ull << 20)

enum { ROM_AT = 0x40000, MMIO_AT = 0x50000 };

struct fixture {
    struct phys phys;
    struct shadow shadow;
    struct counters counters;
    struct paging paging;
};

static _Alignas(PAGE_SIZE) u8 fixture_rom[16 * PAGE_SIZE];

static inline u32 fixture_device_read(void *device, u32 offset, unsigned size)
{
    return 0;
}
static inline void fixture_device_write(void *device, u32 offset, unsigned size, u32 value) {}

static inline void fixture_on_protect(void *owner, u64 gpa_page)
{
    shadow_drop_writes(&((struct fixture *)owner)->shadow, gpa_page);
}

static inline void fixture_on_written(void *owner, u64 gpa, u64 bytes)
{
    struct fixture *f = owner;
    if (*phys_flags(&f->phys, gpa) & PHYS_TRACED) shadow_table_written(&f->shadow, gpa, bytes);
}

/* Paging is on, with cr3; nothing is loaded yet. */
static inline void fixture_init(struct fixture *f, u64 ram_bytes, u32 cr3)
{
    memset(f, 0, sizeof(*f));
    CHECK_EQ(phys_init(&f->phys, ram_bytes), 0);
    f->phys.owner = f;
    f->phys.protect = fixture_on_protect;
    f->phys.guarded_written = fixture_on_written;
    CHECK_EQ(shadow_init(&f->shadow, &f->phys, &f->counters), 0);
    f->paging = (struct paging){
        .cr0 = CR0_PG | CR0_PE | CR0_WP, .cr3 = cr3, .cr4 = CR4_PSE | CR4_PGE, .maxphyaddr = 36};
}

static inline void fixture_map_others(struct fixture *f)
{
    static const struct io_ops ops = {fixture_device_read, fixture_device_write};
    CHECK_EQ(phys_map_rom(&f->phys, ROM_AT, sizeof(fixture_rom), fixture_rom), 0);
    CHECK_EQ(phys_map_mmio(&f->phys, MMIO_AT, sizeof(fixture_rom), &ops, NULL), 0);
}

static inline void fixture_destroy(struct fixture *f)
{
    shadow_destroy(&f->shadow);
    phys_destroy(&f->phys);
}

static inline void fixture_load(struct fixture *f, u32 cr3)
{
    f->paging.cr3 = cr3;
    shadow_load_root(&f->shadow, &f->paging);
}

#endif
