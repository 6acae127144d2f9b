/*
 * Pushing several values together: see stack_frame.h. On a 16-bit stack each value wraps at 64 KB.
 */
#include "stack_frame.h"

static u32 value_offset(const struct stack_frame *f, unsigned index)
{
    return (f->esp - (index + 1) * f->bytes) & stack_mask(f->ss.access);
}

/* The whole frame as one range; false if it wraps at the end of the stack segment. */
static bool frame_range(const struct stack_frame *f, u32 *offset, u32 *bytes)
{
    *bytes = f->count * f->bytes;
    *offset = value_offset(f, f->count - 1);
    u64 end = (u64)*offset + *bytes;
    return end <= (u64)stack_mask(f->ss.access) + 1;
}

void stack_frame_check(struct vcpu *v, const struct stack_frame *f, u32 error)
{
    u32 offset, bytes;
    if (frame_range(f, &offset, &bytes)) {
        if (!segment_contains(&f->ss, offset, bytes)) fault_raise_error(v, VEC_SS, error);
        return;
    }
    for (unsigned i = 0; i < f->count; i++)
        if (!segment_contains(&f->ss, value_offset(f, i), f->bytes)) fault_raise_error(v, VEC_SS, error);
}

void stack_frame_probe(struct vcpu *v, const struct stack_frame *f)
{
    u32 offset, bytes;
    if (f->cpl == 3) { /* this is the current stack, because nothing pushes to the stack of an outer ring */
        for (unsigned i = 0; i < f->count; i++)
            mem_probe_write(v, SEG_SS, value_offset(f, i), f->bytes);
    } else if (frame_range(f, &offset, &bytes)) {
        sys_probe_write(v, f->ss.base + offset, bytes);
    } else {
        for (unsigned i = 0; i < f->count; i++)
            sys_probe_write(v, f->ss.base + value_offset(f, i), f->bytes);
    }
}

u32 stack_frame_write(struct vcpu *v, const struct stack_frame *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        u32 linear = f->ss.base + value_offset(f, i);
        if (f->cpl == 3)
            lin_write(v, linear, f->bytes, mask_bytes(f->value[i], f->bytes));
        else
            sys_write(v, linear, f->bytes, mask_bytes(f->value[i], f->bytes));
    }
    return stack_move(f->ss.access, f->esp, f->esp - f->count * f->bytes);
}
