/*
 * Adaptive translation: instructions that reach their memory through a host window and keep being sent to the
 * interpreter by the host's page faults (they write code, page tables or devices) are translated again with
 * checks, whose slow path costs a fortieth of a host signal. Remembered by guest-physical address, so that it
 * holds for every process; two that hash alike drive each other out, which costs some signals.
 */
#ifndef RINGER_TRANSLATOR_CHECKED_H
#define RINGER_TRANSLATOR_CHECKED_H

#include "base/hash.h"

#define CHECKED_SLOTS 1024
/* Signals an instruction may cost before it is translated again. */
#define CHECKED_PATIENCE 3

struct checked_slot {
    u64 gpa; /* of the instruction */
    u32 faults;
};

struct checked {
    bool off; /* fault injection */
    struct checked_slot slot[CHECKED_SLOTS];
};

static inline struct checked_slot *checked_slot(struct checked *checked, u64 gpa)
{
    return &checked->slot[(u32)(hash_multiply(gpa) >> 40) % CHECKED_SLOTS];
}

/* The instruction took a signal and could not go on. Returns whether it is to be translated with checks. */
static inline bool checked_note(struct checked *checked, u64 gpa)
{
    struct checked_slot *slot = checked_slot(checked, gpa);
    if (slot->gpa != gpa) *slot = (struct checked_slot){.gpa = gpa};
    return ++slot->faults >= CHECKED_PATIENCE && !checked->off;
}

static inline bool checked_is(struct checked *checked, u64 gpa)
{
    const struct checked_slot *slot = checked_slot(checked, gpa);
    return slot->gpa == gpa && slot->faults >= CHECKED_PATIENCE && !checked->off;
}

#endif
