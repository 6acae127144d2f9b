/*
 * Ports: the permission check, and the access (SDM 1 19.5).
 */
#include "descriptor.h"
#include "memory.h"

#define TSS_IO_MAP 102 /* offset of the 16-bit offset of the permission bitmap */

static bool bitmap_allows(struct vcpu *v, u16 port, unsigned bytes)
{
    u64 base = vcpu_long_mode(v) ? v->base64.tr : v->tr.base;
    if (!(v->tr.access & SYS_32) || v->tr.limit < TSS_IO_MAP + 1) return false;
    u32 at = (u32)sys_read(v, base + TSS_IO_MAP, 2) + port / 8;
    if (at + 1 > v->tr.limit) return false; /* the CPU reads two bytes: the bitmap ends with a byte of ones */
    u32 bits = sys_read(v, base + at, 2) >> (port & 7);
    return !(bits & ((1u << bytes) - 1));
}

void io_check(struct vcpu *v, u16 port, unsigned bytes)
{
    if (!vcpu_pe(v) || (!vcpu_vm86(v) && v->cpl <= vcpu_iopl(v))) return;
    if (!bitmap_allows(v, port, bytes)) fault_raise_error(v, VEC_GP, 0);
}

u32 io_read(struct vcpu *v, u16 port, unsigned bytes)
{
    v->counters->port_reads++;
    debug_match_io(v, port, bytes);
    fpu_shelter(v);
    u32 value = mask_bytes(v->host->port_read(v->host->machine, port, bytes), bytes);
    note_event(v->counters->events, EVENT_DEVICE_IN, port, bytes, value);
    return value;
}

void io_write(struct vcpu *v, u16 port, unsigned bytes, u32 value)
{
    v->counters->port_writes++;
    debug_match_io(v, port, bytes);
    fpu_shelter(v);
    note_event(v->counters->events, EVENT_DEVICE_OUT, port, bytes, mask_bytes(value, bytes));
    v->host->port_write(v->host->machine, port, bytes, mask_bytes(value, bytes));
}

u32 io_read_string(struct vcpu *v, u16 port, unsigned bytes, u8 *to, u32 count)
{
    if (!v->host->port_read_string) return 0;
    fpu_shelter(v);
    return v->host->port_read_string(v->host->machine, port, bytes, to, count);
}

u32 io_write_string(struct vcpu *v, u16 port, unsigned bytes, const u8 *from, u32 count)
{
    if (!v->host->port_write_string) return 0;
    fpu_shelter(v);
    return v->host->port_write_string(v->host->machine, port, bytes, from, count);
}
