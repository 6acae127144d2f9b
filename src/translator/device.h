/*
 * MOVs between registers and device memory, without the interpreter. Drivers use little else.
 *
 * device_access() makes the access. The translated MOV then runs on the engine's device page as if that were
 * RAM: a read finds the device's value there, and a write leaves a value that is never read. If the device
 * changed something that the block relies on, device_access() completes the instruction instead.
 */
#ifndef RINGER_TRANSLATOR_DEVICE_H
#define RINGER_TRANSLATOR_DEVICE_H

#include "build.h"

enum device_outcome {
    DEVICE_DECLINED, /* nothing was done: the interpreter must execute the instruction */
    DEVICE_STAY,     /* accessed: the instruction goes on with device_entry() as its entry */
    DEVICE_LEAVE,    /* accessed, and the instruction is complete: continue with translator_next() */
};

/* The access of the instruction at v->rip to `size` bytes within one page. v->scratch.remaining instructions follow it
 * in its block; the flags are parked. may_stay: the block can go on behind the access. */
enum device_outcome device_access(struct vcpu *v, u64 gpa, unsigned size, bool write, bool may_stay);

static inline u64 device_entry(const struct vcpu *v, u64 linear)
{
    const struct engine *t = v->engine;
    return (u64)(uintptr_t)t->device_page - (linear & ~(u64)PAGE_MASK);
}

#endif
