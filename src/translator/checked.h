/*
 * Checked sites. Some instructions that use a host window keep causing host page faults, because they access
 * code pages, page tables or devices, and the interpreter executes them. They are translated again with checks:
 * the slow path costs a fortieth of a host signal. The table is indexed by a hash of the instruction's gpa, so
 * that one entry serves all processes. Two instructions with the same hash evict each other, which costs some
 * more signals.
 */
#ifndef RINGER_TRANSLATOR_CHECKED_H
#define RINGER_TRANSLATOR_CHECKED_H

#include "base/hash.h"

#define CHECKED_SLOTS 16384
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
    struct checked_slot slot[CHECKED_SLOTS];
};

static inline struct checked_slot *checked_slot(struct checked *checked, u64 gpa)
{
    return &checked->slot[(u32)(hash_multiply(gpa) >> 40) % CHECKED_SLOTS];
}

/* Count a signal that sent the instruction to the interpreter. Returns whether to translate it with checks. */
static inline bool checked_note(struct checked *checked, u64 gpa)
{
    struct checked_slot *slot = checked_slot(checked, gpa);
    if (slot->gpa != gpa) *slot = (struct checked_slot){.gpa = gpa};
    return ++slot->faults >= CHECKED_PATIENCE && !checked->off;
}

/* The instruction, in a window of 64-bit code, has met an operand of this class. `same`: with MODE_SAME. `wrong`: it
 * was translated for another one. Returns whether to translate it again. */
static inline bool checked_learn(struct checked *checked, u64 gpa, bool same, u8 class, bool wrong)
{
    struct checked_slot *slot = checked_slot(checked, gpa);
    if (slot->gpa != gpa) *slot = (struct checked_slot){.gpa = gpa};
    bool other = class & ~slot->classes[same];
    slot->classes[same] |= class;
    if (wrong && !other) slot->faults = class ? slot->faults + 1 : CHECKED_PATIENCE;
    return other || wrong;
}

static inline u8 checked_classes(struct checked *checked, u64 gpa, bool same)
{
    const struct checked_slot *slot = checked_slot(checked, gpa);
    return slot->gpa == gpa ? slot->classes[same] : 0;
}

static inline bool checked_is(struct checked *checked, u64 gpa)
{
    const struct checked_slot *slot = checked_slot(checked, gpa);
    return slot->gpa == gpa && slot->faults >= CHECKED_PATIENCE && !checked->off;
}

#endif
