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
    u32 esp;  /* before the pushes */
    u8 cpl;   /* privilege of the writes; below 3 they are the processor's own (sys_write) */
    u8 bytes; /* of each value: 2 or 4 */
    u8 count;
    u32 value[36]; /* in order of pushing; at most a call gate's 31 parameters and SS, ESP, CS, EIP */
};

static inline void stack_frame_begin(struct stack_frame *f, const struct segment *ss, u32 esp, unsigned cpl,
                                     unsigned bytes)
{
    f->ss = *ss;
    f->esp = esp;
    f->cpl = cpl;
    f->bytes = bytes;
    f->count = 0;
}
static inline void stack_frame_push(struct stack_frame *f, u32 value)
{
    f->value[f->count++] = value;
}

/* Raise #SS(error) unless the frame fits into the segment. */
void stack_frame_check(struct vcpu *v, const struct stack_frame *f, u32 error);
/* Raise #PF unless the frame can be written. */
void stack_frame_probe(struct vcpu *v, const struct stack_frame *f);
/* Write it, after the two functions above. Returns the new ESP (on a 16-bit stack the high half stays). */
u32 stack_frame_write(struct vcpu *v, const struct stack_frame *f);

static inline u32 stack_mask(u32 ss_access)
{
    return ss_access & AR_DB ? 0xffffffff : 0xffff;
}
/* `esp` moved to `to`: on a 16-bit stack the high half stays. */
static inline u32 stack_move(u32 ss_access, u32 esp, u32 to)
{
    u32 mask = stack_mask(ss_access);
    return (esp & ~mask) | (to & mask);
}
/* The value `offset` bytes above the top of the current stack. Raises the faults of a pop, and changes nothing. */
static inline u32 stack_peek(struct vcpu *v, u32 offset, unsigned bytes)
{
    u32 esp = v->gpr[REG_ESP];
    return mem_read(v, SEG_SS, (esp + offset) & stack_mask(v->seg[SEG_SS].access), bytes);
}

#endif
