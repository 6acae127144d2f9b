/*
 * Descriptors in the GDT, LDT and IDT, and the checks that segment loads, far transfers, interrupt delivery
 * and task switches share. Private to the system side of the CPU.
 *
 *   high: 31-24 base | G | D/B | L | AVL | 19-16 limit | P | DPL | S | type | 7-0 base       (SDM 3A 3.4.5)
 *   low:  31-16 base | 15-0 limit                 gates: high 31-16 and low 15-0 offset, low 31-16 selector
 *
 * Error codes are selector & FFFCh | ext, where ext is 1 while an event external to the program is delivered
 * (SDM 3A 6.13).
 */
#ifndef RINGER_CPU_DESCRIPTOR_H
#define RINGER_CPU_DESCRIPTOR_H

#include "system.h"

enum selector_bits { SEL_RPL = 3, SEL_TI = 1 << 2, SEL_ERROR_MASK = 0xfffc };

/* Types of system descriptors (S = 0), SDM 3A table 3-2. Bit 3 distinguishes 32-bit from 16-bit ones. In IA-32e mode
 * the 32-bit types are the 64-bit ones, of 16 bytes, and there are no others but LDT. */
enum system_type {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK_GATE = 5,
    SYS_INTERRUPT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12,
    SYS_INTERRUPT32 = 14,
    SYS_TRAP32 = 15,
    SYS_TSS_BUSY = 1 << 1,
    SYS_32 = 1 << 3,
};

struct descriptor {
    u64 linear; /* its address, for writes of the accessed and busy bits */
    u32 low, high;
    u16 selector;
};

static inline bool selector_null(u16 selector)
{
    return !(selector & SEL_ERROR_MASK);
}
static inline unsigned selector_rpl(u16 selector)
{
    return selector & SEL_RPL;
}

static inline u32 descriptor_access(const struct descriptor *d)
{
    return d->high >> 8 & 0xf0ff;
}
static inline unsigned descriptor_dpl(const struct descriptor *d)
{
    return d->high >> 13 & 3;
}
static inline bool descriptor_present(const struct descriptor *d)
{
    return d->high >> 8 & AR_P;
}
/* A code segment (S = 1, type bit 3 = 1). */
static inline bool descriptor_code(const struct descriptor *d)
{
    return (descriptor_access(d) & (AR_S | AR_CODE)) == (AR_S | AR_CODE);
}
static inline bool descriptor_conforming(const struct descriptor *d)
{
    return descriptor_code(d) && (descriptor_access(d) & AR_CONFORMING);
}
static inline bool descriptor_writable_data(const struct descriptor *d)
{
    return (descriptor_access(d) & (AR_S | AR_CODE | AR_WRITABLE)) == (AR_S | AR_WRITABLE);
}
/* Data, or code that may be read. */
static inline bool descriptor_readable(const struct descriptor *d)
{
    u32 access = descriptor_access(d);
    return (access & AR_S) && (!(access & AR_CODE) || (access & AR_READABLE));
}
/* A system descriptor's type; 0 (reserved) for code and data. */
static inline unsigned descriptor_system_type(const struct descriptor *d)
{
    u32 access = descriptor_access(d);
    return access & AR_S ? 0 : AR_TYPE(access);
}
static inline u32 descriptor_base(const struct descriptor *d)
{
    return d->low >> 16 | (d->high & 0xff) << 16 | (d->high & 0xff000000);
}
static inline u32 descriptor_limit(const struct descriptor *d)
{
    u32 limit = (d->low & 0xffff) | (d->high & 0xf0000);
    return descriptor_access(d) & AR_G ? limit << 12 | 0xfff : limit;
}
static inline u16 gate_selector(const struct descriptor *d)
{
    return d->low >> 16;
}
/* The entry point, by the width of the gate. */
static inline u32 gate_offset(const struct descriptor *d)
{
    u32 low = d->low & 0xffff;
    return descriptor_system_type(d) & SYS_32 ? low | (d->high & 0xffff0000) : low;
}

/* The hidden part of a segment register after a load of this descriptor. */
struct segment descriptor_segment(const struct descriptor *d, u16 selector);

/* Read the descriptor of a selector. False: it lies beyond its table's limit. May raise #PF. */
bool descriptor_read(struct vcpu *v, u16 selector, struct descriptor *d);
/* The same, but raises `vector` (selector | ext) if it lies beyond the limit. */
void descriptor_fetch(struct vcpu *v, u16 selector, u8 vector, u32 ext, struct descriptor *d);
/* Set the accessed bit in memory and in *d, unless it is set. May raise #PF: call before anything is
 * committed. */
void descriptor_set_accessed(struct vcpu *v, struct descriptor *d);
void descriptor_set_busy(struct vcpu *v, struct descriptor *d, bool busy);

_Noreturn static inline void fault_raise_selector(struct vcpu *v, u8 vector, u16 selector, u32 ext)
{
    fault_raise_error(v, vector, (selector & SEL_ERROR_MASK) | ext);
}

/* Check and fetch the future SS at privilege `cpl`: raises `vector` (#GP or #TS) for a null selector, a wrong
 * privilege or a wrong type, #SS if the segment is not present. */
void descriptor_fetch_stack(struct vcpu *v, u16 selector, unsigned cpl, u8 vector, u32 ext,
                            struct descriptor *d);
/* Check and fetch the future DS, ES, FS or GS at the current privilege; the selector is not null. */
void descriptor_fetch_data(struct vcpu *v, u16 selector, u8 vector, u32 ext, struct descriptor *d);
/* Is [offset, offset + bytes) within the segment's limit? Handles expand-down segments and wrapping at 4
 * GB. */
bool segment_contains(const struct segment *s, u32 offset, u32 bytes);

/* IA-32e mode: the descriptor of an LDT, a TSS or a call gate has 16 bytes, and `upper` are the last eight. Raises
 * `vector` if they lie beyond the limit of the table, or are no such descriptor. */
void descriptor_fetch_system64(struct vcpu *v, const struct descriptor *d, u8 vector, u32 ext, u64 *upper);
/* A code segment that says it has 64-bit and 32-bit defaults at once. */
static inline bool descriptor_code_malformed(const struct vcpu *v, const struct descriptor *d)
{
    return vcpu_long_mode(v) && (descriptor_access(d) & (AR_L | AR_DB)) == (AR_L | AR_DB);
}
/* Is it a code segment of 64-bit mode? */
static inline bool descriptor_code64(const struct vcpu *v, const struct descriptor *d)
{
    return vcpu_long_mode(v) && (descriptor_access(d) & AR_L);
}
/* Raise #GP(error) unless execution may go on at this offset of the code segment. */
void descriptor_check_offset(struct vcpu *v, const struct descriptor *d, u64 offset, u32 error);

/* A register that holds a null selector. */
static inline struct segment segment_null(u16 selector)
{
    return (struct segment){.access = AR_UNUSABLE, .selector = selector};
}
/* After a return to an outer ring, v->cpl: drop segments that this ring could not have loaded itself (SDM 3A
 * 5.8.6). True: some were dropped. */
bool segments_drop_inner(struct vcpu *v);
/* segment_set_real() without vcpu_update_mode(). */
void segment_assign_real(struct vcpu *v, enum seg seg, u16 selector);

/* The stack pointer of an inner ring, from the current TSS; #TS(TSS | ext) if it lies beyond the TSS's
 * limit. */
void task_inner_stack(struct vcpu *v, unsigned cpl, u32 ext, u16 *ss, u32 *esp);
/* The same of a 64-bit TSS, which has no SS: it becomes a null selector. */
u64 task_inner_stack64(struct vcpu *v, unsigned cpl, u32 ext);
struct segment segment_null_stack(unsigned cpl);
/* A transfer through a 64-bit call gate (transfer64.c). */
void transfer_gate64(struct vcpu *v, const struct descriptor *gate, enum task_switch_cause cause);
/* A code segment that the instruction or a gate names is entered. */
void transfer_enter_code(struct vcpu *v, const struct descriptor *code, u64 offset, unsigned cpl);
/* task_switch() for an event with this EXT bit. */
void task_switch_event(struct vcpu *v, u16 tss_selector, enum task_switch_cause cause, bool has_error,
                       u32 error, u32 ext);

#endif
