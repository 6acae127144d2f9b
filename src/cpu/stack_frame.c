/*
 * Pushing several values together: see stack_frame.h. On a 16-bit stack each value wraps at 64 KB.
 */
#include "stack_frame.h"

static bool is_flat64(const struct stack_frame *f)
{
    return f->mask == UINT64_MAX;
}

static u64 value_offset(const struct stack_frame *f, unsigned index)
{
    return (f->rsp - (u64)(index + 1) * f->bytes) & f->mask;
}

static u64 linear_of(const struct stack_frame *f, u64 offset)
{
    return is_flat64(f) ? offset : (u32)(f->ss.base + offset);
}

/* The whole frame as one range; false if it wraps at the end of the stack segment. */
static bool frame_range(const struct stack_frame *f, u64 *offset, u32 *bytes)
{
    *bytes = f->count * f->bytes;
    *offset = value_offset(f, f->count - 1);
    return f->mask - *offset >= *bytes - 1;
}

void stack_frame_check(struct vcpu *v, const struct stack_frame *f, u32 error)
{
    u64 offset;
    u32 bytes;
    bool whole = frame_range(f, &offset, &bytes);
    if (is_flat64(f)) {
        if (!is_canonical(offset) || !is_canonical(offset + bytes - 1)) fault_raise_error(v, VEC_SS, error);
        return;
    }
    if (whole) {
        if (!segment_contains(&f->ss, (u32)offset, bytes)) fault_raise_error(v, VEC_SS, error);
        return;
    }
    for (unsigned i = 0; i < f->count; i++)
        if (!segment_contains(&f->ss, (u32)value_offset(f, i), f->bytes)) fault_raise_error(v, VEC_SS, error);
}

void stack_frame_probe(struct vcpu *v, const struct stack_frame *f)
{
    u64 offset;
    u32 bytes;
    if (f->cpl == 3) { /* this is the current stack, because nothing pushes to the stack of an outer ring */
        for (unsigned i = 0; i < f->count; i++)
            if (is_flat64(f))
                lin_probe_write(v, value_offset(f, i), f->bytes);
            else
                mem_probe_write(v, SEG_SS, value_offset(f, i), f->bytes);
    } else if (frame_range(f, &offset, &bytes)) {
        sys_probe_write(v, linear_of(f, offset), bytes);
    } else {
        for (unsigned i = 0; i < f->count; i++)
            sys_probe_write(v, linear_of(f, value_offset(f, i)), f->bytes);
    }
}

u64 stack_frame_write(struct vcpu *v, const struct stack_frame *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        u64 linear = linear_of(f, value_offset(f, i)), value = mask_bytes(f->value[i], f->bytes);
        if (f->cpl == 3)
            lin_write(v, linear, f->bytes, value);
        else
            sys_write(v, linear, f->bytes, value);
    }
    return stack_move(f->mask, f->rsp, f->rsp - (u64)f->count * f->bytes);
}
