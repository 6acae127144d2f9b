/*
 * The values that far calls, gates and interrupts push together. They are collected, checked, probed and then
 * written. Nothing is written unless everything can be, so that the instruction can be restarted after a page
 * fault on the stack.
 */
#ifndef RINGER_CPU_STACK_FRAME_H
#define RINGER_CPU_STACK_FRAME_H

#include "descriptor.h"
#include "memory.h"

struct stack_frame {
    struct segment ss;
    u64 mask; /* of the stack pointer; all ones: a stack of 64-bit mode, which has no segment */
    u64 rsp;  /* before the pushes */
    u8 cpl;   /* privilege of the writes; below 3 they are the processor's own (sys_write) */
    u8 bytes; /* of each value: 2, 4 or 8 */
    u8 count;
    u64 value[36]; /* in order of pushing; at most a call gate's 31 parameters and SS, ESP, CS, EIP */
};

static inline u64 stack_mask(u32 ss_access)
{
    return ss_access & AR_DB ? 0xffffffff : 0xffff;
}

static inline void stack_frame_begin(struct stack_frame *f, const struct segment *ss, u64 rsp, unsigned cpl,
                                     unsigned bytes)
{
    f->ss = *ss;
    f->mask = stack_mask(ss->access);
    f->rsp = rsp;
    f->cpl = cpl;
    f->bytes = bytes;
    f->count = 0;
}
/* A stack of 64-bit mode. */
static inline void stack_frame_begin64(struct stack_frame *f, u64 rsp, unsigned cpl, unsigned bytes)
{
    const struct segment none = {0};
    stack_frame_begin(f, &none, rsp, cpl, bytes);
    f->mask = UINT64_MAX;
}
/* The current stack. */
static inline void stack_frame_begin_current(const struct vcpu *v, struct stack_frame *f, unsigned bytes)
{
    if (v->mode & MODE_CODE64)
        stack_frame_begin64(f, v->gpr[REG_ESP], v->cpl, bytes);
    else
        stack_frame_begin(f, &v->seg[SEG_SS], v->gpr[REG_ESP], v->cpl, bytes);
}
static inline void stack_frame_push(struct stack_frame *f, u64 value)
{
    f->value[f->count++] = value;
}

/* Raise #SS(error) unless the frame fits into the segment, or is at canonical addresses. */
void stack_frame_check(struct vcpu *v, const struct stack_frame *f, u32 error);
/* Raise #PF unless the frame can be written. */
void stack_frame_probe(struct vcpu *v, const struct stack_frame *f);
/* Write it, after the two functions above. Returns the new RSP (on a 16-bit stack the high half of ESP stays). */
u64 stack_frame_write(struct vcpu *v, const struct stack_frame *f);

/* `rsp` moved to `to`: on a 16-bit stack the high half of ESP stays. */
static inline u64 stack_move(u64 mask, u64 rsp, u64 to)
{
    return (rsp & ~mask & 0xffffffff) | (to & mask);
}
/* The value `offset` bytes above the top of the current stack. Raises the faults of a pop, and changes nothing. */
static inline u64 stack_peek(struct vcpu *v, u32 offset, unsigned bytes)
{
    return mem_read(v, SEG_SS, (v->gpr[REG_ESP] + offset) & vcpu_stack_mask(v), bytes);
}

#endif
