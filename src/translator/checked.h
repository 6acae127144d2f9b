/*
 * Checked sites. Some instructions that use a host window keep causing host page faults, because they access
 * code pages, page tables or devices, and the interpreter executes them. They are translated again with checks:
 * the slow path costs a fortieth of a host signal. In 64-bit code the table also has the classes that an operand's
 * addresses had. It is indexed by a hash of the instruction's gpa, so that one entry serves all processes. A set has
 * the newest instructions of a hash. If those of one loop evicted each other, each round would translate them again.
 */
#ifndef RINGER_TRANSLATOR_CHECKED_H
#define RINGER_TRANSLATOR_CHECKED_H

#include "base/hash.h"

#define CHECKED_SETS 4096
#define CHECKED_WAYS 4
/* The number of signals after which an instruction is translated again. */
#define CHECKED_PATIENCE 3

struct checked_slot {
    u64 gpa; /* of the instruction */
    u32 faults;
    /* In 64-bit code, enum long_class of its operand's addresses, a bit for each that was met; [1]: with MODE_SAME. */
    u8 classes[2];
};

struct checked {
    bool off; /* fault injection */
    struct checked_slot slot[CHECKED_SETS][CHECKED_WAYS];
};

static inline u32 checked_set(u64 gpa)
{
    return (u32)(hash_multiply(gpa) >> 40) % CHECKED_SETS;
}

/* NULL: nothing is known of this instruction. */
static inline const struct checked_slot *checked_find(const struct checked *checked, u64 gpa)
{
    const struct checked_slot *set = checked->slot[checked_set(gpa)];
    for (unsigned n = 0; n < CHECKED_WAYS; n++)
        if (set[n].gpa == gpa) return &set[n];
    return NULL;
}

/* Its slot, new if need be: the oldest of the set gives way. */
static inline struct checked_slot *checked_slot(struct checked *checked, u64 gpa)
{
    struct checked_slot *set = checked->slot[checked_set(gpa)];
    for (unsigned n = 0; n < CHECKED_WAYS; n++)
        if (set[n].gpa == gpa) return &set[n];
    for (unsigned n = CHECKED_WAYS - 1; n > 0; n--)
        set[n] = set[n - 1];
    set[0] = (struct checked_slot){.gpa = gpa};
    return &set[0];
}

/* Count a signal that sent the instruction to the interpreter. Returns whether to translate it with checks. */
static inline bool checked_note(struct checked *checked, u64 gpa)
{
    struct checked_slot *slot = checked_slot(checked, gpa);
    return ++slot->faults >= CHECKED_PATIENCE && !checked->off;
}

/* The instruction, in a window of 64-bit code, has met an operand of this class. `same`: with MODE_SAME. `wrong`: it
 * was translated for another one. Returns whether to translate it again. */
static inline bool checked_learn(struct checked *checked, u64 gpa, bool same, u8 class, bool wrong)
{
    struct checked_slot *slot = checked_slot(checked, gpa);
    bool other = class & ~slot->classes[same];
    slot->classes[same] |= class;
    if (wrong && !other) slot->faults = class ? slot->faults + 1 : CHECKED_PATIENCE;
    return other || wrong;
}

static inline u8 checked_classes(const struct checked *checked, u64 gpa, bool same)
{
    const struct checked_slot *slot = checked_find(checked, gpa);
    return slot ? slot->classes[same] : 0;
}

static inline bool checked_is(const struct checked *checked, u64 gpa)
{
    const struct checked_slot *slot = checked_find(checked, gpa);
    return slot && slot->faults >= CHECKED_PATIENCE && !checked->off;
}

#endif
