/*
 * Translated code's way to devices in memory: plain MOVs, which is how drivers reach registers, without the
 * interpreter.
 *
 * The access is done here, and the instruction then finds the value that was read in the engine's device
 * page, or writes what was written there once more, where nobody looks. So it goes on as if the page were
 * RAM, unless the device has changed something that must be looked at before the next instruction.
 */
#ifndef RINGER_TRANSLATOR_DEVICE_H
#define RINGER_TRANSLATOR_DEVICE_H

#include "build.h"

enum device_outcome {
    DEVICE_DECLINED, /* nothing was done: leave it to the interpreter */
    DEVICE_STAY,     /* done: the instruction goes on, by device_entry() */
    DEVICE_LEAVE,    /* done, and the instruction is complete: on to v->rip by translator_next() */
};

/* One access that does not cross a page, of the instruction at v->rip, of whose block v->scratch.remaining
 * instructions are behind it; flags are parked. may_stay: the block can go on behind it. */
enum device_outcome device_access(struct vcpu *v, u64 gpa, unsigned size, bool write, bool may_stay);

static inline u64 device_entry(const struct vcpu *v, u32 linear)
{
    const struct engine *t = v->engine;
    return (u64)(uintptr_t)t->device_page - (linear & ~PAGE_MASK);
}

#endif
