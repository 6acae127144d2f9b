/*
 * Guest memory as a debugger reads and writes it: with the rights of a supervisor that ignores write protection, and
 * without a trace in accessed and dirty bits.
 */
#include "gdb_private.h"

static bool find_page(struct gdb *gdb, u64 address, u64 *gpa)
{
    struct vcpu *v = &gdb->vm->vcpu;
    struct paging paging = v->paging;
    struct walk walk;
    u32 error;
    *gpa = address & gdb->vm->phys.a20_mask;
    if (gdb->physical) return true;
    if (!vcpu_long_mode(v)) address = (u32)address;
    paging.cr0 &= ~(u32)CR0_WP;
    paging.cr4 &= ~(u32)(CR4_SMAP | CR4_SMEP);
    if (!mmu_walk(&gdb->vm->phys, &paging, address, ACCESS_READ, false, false, &walk, &error)) return false;
    *gpa = walk.gpa;
    return true;
}

/* Devices are accessed as a CPU would access them: reads may have effects, as in a real machine with a debugger. */
static void device(struct phys *phys, u64 gpa, u8 *bytes, u32 count, bool write)
{
    while (count) {
        u32 size = !(gpa & 3) && count >= 4 ? 4 : 1;
        u64 value = write ? load_any(bytes, size) : phys_read(phys, gpa, size);
        if (write)
            phys_write(phys, gpa, size, value);
        else
            store_any(bytes, size, value);
        gpa += size;
        bytes += size;
        count -= size;
    }
}

static bool piece(struct phys *phys, u64 gpa, u8 *bytes, u32 count, bool write)
{
    const struct phys_region *region = phys_find(phys, gpa);
    if (!region) return false;
    if (region->kind == PHYS_MMIO)
        device(phys, gpa, bytes, count, write);
    else if (!write)
        phys_read_bytes(phys, gpa, bytes, count);
    else if (region->kind == PHYS_RAM)
        phys_write_bytes(phys, gpa, bytes, count);
    else
        return false; /* ROM */
    return true;
}

bool gdb_memory(struct gdb *gdb, u64 address, void *bytes, u32 count, bool write)
{
    u8 *at = bytes;
    while (count) {
        u32 here = (u32)(PAGE_SIZE - (address & PAGE_MASK));
        u64 gpa;
        if (here > count) here = count;
        if (!find_page(gdb, address, &gpa) || !piece(&gdb->vm->phys, gpa, at, here, write)) return false;
        address += here;
        at += here;
        count -= here;
    }
    return true;
}
