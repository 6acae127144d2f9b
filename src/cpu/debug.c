/*
 * Breakpoints (SDM 3B 17.2-17.3). DR7: two enable bits for each breakpoint from bit 0 on, R/W and LEN fields
 * from bit 16 on.
 */
#include "system.h"

enum breakpoint_kind { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

static inline bool enabled(u64 dr7, unsigned n)
{
    return dr7 >> (2 * n) & 3;
}
static inline enum breakpoint_kind kind_of(u64 dr7, unsigned n)
{
    return dr7 >> (16 + 4 * n) & 3;
}
/* LEN 0 1 2 3: one, two, eight (undefined on 32-bit CPUs), four bytes. */
static inline u32 bytes_of(u64 dr7, unsigned n)
{
    static const u8 bytes[] = {1, 2, 8, 4};
    return bytes[dr7 >> (18 + 4 * n) & 3];
}

/* DR6 bits of the breakpoints of these kinds (a mask) that [address, address + bytes) touches. Disabled
 * breakpoints are included only if an enabled one is touched too; otherwise the result is 0. */
static u32 matches(const struct vcpu *v, unsigned kinds, u64 address, u32 bytes)
{
    u64 dr7 = v->dr[7];
    u32 hits = 0;
    bool any = false;
    for (unsigned n = 0; n < 4; n++) {
        if (!(kinds >> kind_of(dr7, n) & 1)) continue;
        u64 size = bytes_of(dr7, n), first = v->dr[n] & ~(size - 1); /* the low bits are ignored */
        if (address - first >= size && first - address >= bytes) continue;
        hits |= 1u << n;
        any |= enabled(dr7, n);
    }
    return any ? hits : 0;
}

static void note(struct vcpu *v, u32 hits)
{
    if (hits) vcpu_trap_debug(v, hits);
}

u32 debug_match_code(const struct vcpu *v, u64 linear)
{
    if (!debug_armed(v) || (v->eflags & FL_RF)) return 0;
    return matches(v, 1 << BREAK_EXECUTE, linear, 1);
}

void debug_match_data(struct vcpu *v, u64 linear, unsigned bytes, bool write)
{
    if (debug_armed(v)) note(v, matches(v, 1 << BREAK_ACCESS | write << BREAK_WRITE, linear, bytes));
}

void debug_match_io(struct vcpu *v, u16 port, unsigned bytes)
{
    if (debug_armed(v) && (v->paging.cr4 & CR4_DE)) note(v, matches(v, 1 << BREAK_IO, port, bytes));
}
