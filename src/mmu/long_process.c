/*
 * Which process runs in an address space of IA-32e mode. A kernel gives the root of a process that has ended to a new
 * one, so CR3 alone does not tell. The highest 2 MB of user memory do: Linux places the stack there, at a random
 * address, in a page table of the process's own. And where it lies. A wrong answer costs time only.
 *
 * All of this may run while the guest's FPU state is live.
 */
#include "long_window_state.h"
#include "shadow_state.h"

enum { TABLE_BITS = 9, TABLE_ENTRIES = 1 << TABLE_BITS, LEVELS = 3 /* PML4E, PDPTE, PDE */ };

static unsigned shift_of(unsigned level)
{
    return PAGE_SHIFT + TABLE_BITS * (LEVELS - level);
}

static const u64 *table_at(struct shadow *shadow, u64 entry)
{
    return (const u64 *)(const void *)phys_host(shadow->phys, entry & ENTRY_ADDRESS);
}

static bool is_last(unsigned level, u64 entry)
{
    return level == LEVELS - 1 || (level > 0 && (entry & ENTRY_PS));
}

/* The entries that are present change their A and D bits, and those of huge pages. */
static u64 frame_of(u64 entry)
{
    return entry & (ENTRY_ADDRESS | ENTRY_P);
}

void long_process_note(struct shadow *shadow, u64 cr3, struct long_process *process)
{
    u64 linear = 0, entry = cr3;
    *process = (struct long_process){.table = 0};
    for (unsigned level = 0; level < LEVELS; level++) {
        const u64 *table = table_at(shadow, entry);
        unsigned n = level ? TABLE_ENTRIES : TABLE_ENTRIES / 2; /* the upper half is the kernel's */
        if (!table) return;
        while (n > 0 && !(table[n - 1] & ENTRY_P))
            n--;
        if (n == 0) return;
        entry = table[n - 1];
        linear |= (u64)(n - 1) << shift_of(level);
        if (is_last(level, entry)) break;
    }
    *process = (struct long_process){linear, frame_of(entry)};
}

bool long_process_is_low(struct shadow *shadow, u64 cr3)
{
    const u64 *pml4 = table_at(shadow, cr3);
    const u64 *pdpt = pml4 && (pml4[0] & ENTRY_P) ? table_at(shadow, pml4[0]) : NULL;
    return pdpt && ((pdpt[0] | pdpt[1] | pdpt[2] | pdpt[3]) & ENTRY_P);
}

bool long_process_changed(struct shadow *shadow, u64 cr3, const struct long_process *process)
{
    u64 entry = cr3;
    if (!process->table) return false;
    for (unsigned level = 0; level < LEVELS; level++) {
        const u64 *table = table_at(shadow, entry);
        if (!table) return true;
        entry = table[process->linear >> shift_of(level) & (TABLE_ENTRIES - 1)];
        if (!(entry & ENTRY_P)) return true;
        if (is_last(level, entry)) break;
    }
    return frame_of(entry) != process->table;
}
