/*
 * Guest memory as instructions access it: segment, then paging, then RAM or device. All functions raise guest
 * faults (see fault.h) and are precise at page crossings: nothing is written unless everything can be.
 *
 * Sizes are 1, 2, 4 or 8 bytes; the _bytes forms take any size up to a page. Fast path: the views of the
 * current privilege. Slow path: shadow_access(), then phys_read()/phys_write() for devices.
 */
#ifndef RINGER_CPU_MEMORY_H
#define RINGER_CPU_MEMORY_H

#include "fault.h"
#include "mode.h"

/* Through a segment register: type, limit and null checks raise #GP(0) or #SS(0). `offset` is already masked
 * to the address size. Checks the alignment at CPL 3 (CR0.AM, EFLAGS.AC). */
u64 mem_read(struct vcpu *v, enum seg seg, u64 offset, unsigned size);
void mem_write(struct vcpu *v, enum seg seg, u64 offset, unsigned size, u64 value);
void mem_read_bytes(struct vcpu *v, enum seg seg, u64 offset, void *buffer, unsigned bytes);
void mem_write_bytes(struct vcpu *v, enum seg seg, u64 offset, const void *buffer, unsigned bytes);
/* Raise what a write would raise, but write nothing. */
void mem_probe_write(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes);

/* The read of a read-modify-write. Like hardware, it checks write permission first. A mem_write() to the same
 * address must follow; it cannot fault. */
u64 mem_read_modify(struct vcpu *v, enum seg seg, u64 offset, unsigned size);

/* The linear address without checks. In 64-bit mode only FS and GS have a base. */
static inline u64 segment_linear(const struct vcpu *v, enum seg seg, u64 offset)
{
    if (likely(!(v->mode & MODE_CODE64))) return (u32)(v->seg[seg].base + offset);
    return seg == SEG_FS ? v->base64.fs + offset : seg == SEG_GS ? v->base64.gs + offset : offset;
}

/* The linear address of an access through a segment. Makes the segment's checks. */
u64 mem_linear(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes, bool write);

/* Raise #GP(0) unless the operand lies on a boundary of `alignment` bytes, a power of two. The manuals leave open
 * whether a misaligned operand beyond the canonical addresses raises this or #SS(0) (SDM 3A 6.9: the order within a
 * class of the table depends on the CPU). As on AMD's CPUs, in 64-bit mode alignment comes first, elsewhere the
 * segment's checks. */
void mem_check_aligned(struct vcpu *v, enum seg seg, u64 offset, unsigned bytes, unsigned alignment,
                       bool write);

/* By linear address. lin_...: at the current privilege. sys_...: accesses of the processor itself, at supervisor
 * privilege (descriptor tables, TSS, stack of an inner ring). */
u64 lin_read(struct vcpu *v, u64 linear, unsigned size);
void lin_write(struct vcpu *v, u64 linear, unsigned size, u64 value);
u64 sys_read(struct vcpu *v, u64 linear, unsigned size);
void sys_write(struct vcpu *v, u64 linear, unsigned size, u64 value);
void lin_probe_write(struct vcpu *v, u64 linear, unsigned bytes);
void sys_probe_write(struct vcpu *v, u64 linear, unsigned bytes);
void lin_read_bytes(struct vcpu *v, u64 linear, void *buffer, unsigned bytes);
void lin_write_bytes(struct vcpu *v, u64 linear, const void *buffer, unsigned bytes);

/* For string instructions in bulk: how many bytes at `linear` (at most `bytes`) can be reached directly at the
 * current privilege. The run ends with the page, or goes on through following pages while they also follow in
 * host memory. *host points at its first byte. 0: use the accessors above for the next element. Never raises.
 * A run for writing contains no guarded page. */
u32 lin_direct(struct vcpu *v, u64 linear, u32 bytes, bool write, u8 **host);

/* Lockstep: all guest writes (not device DMA), in order. A full log sets `overflow` and records no more. */
struct write_log {
    struct {
        u64 gpa;
        u32 bytes;
    } entry[4096];
    unsigned count;
    bool overflow;
};

#endif
