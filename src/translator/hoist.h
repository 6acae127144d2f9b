/*
 * One check for several accesses (tier 1): see hoist.c.
 */
#ifndef RINGER_TRANSLATOR_HOIST_H
#define RINGER_TRANSLATOR_HOIST_H

#include "emit.h"
#include "frame.h"

struct build;

/* An instruction has at most two accesses that can be known beforehand: its operand, and the stack. */
enum hoist_slot { HOIST_OPERAND, HOIST_STACK, HOIST_SLOTS };

/* Registers and vcpu.scratch.hoisted[] hold so many checked addresses at a time. */
#define HOIST_HOLDERS (1 + FRAME_HOISTED_COUNT)
#define MAX_HOISTS    16
/* A block with so many edges has no more checks that need one. */
#define MAX_HOIST_EDGES 24

/* Accesses with addresses that differ by constants, and lie so close that one page is likely to have them. */
struct hoist {
    u16 root;      /* of their addresses */
    u8 left;       /* members not emitted yet */
    u8 last;       /* the instruction of the last one */
    s32 low, high; /* offsets from the root: of the first byte, and behind the last */
    bool write;
    bool checked; /* `holder` has the host address of low */
    u8 holder;
};

struct hoist_access {
    u8 group; /* index in hoist[] + 1; 0: none */
    u8 size;
    bool write;
    s32 offset; /* from the group's root */
};

struct hoist_plan {
    struct hoist group[MAX_HOISTS];
    unsigned count;
    u8 owner[HOIST_HOLDERS]; /* group + 1 */
    bool any;
};

/* Find the groups of the block that was planned. */
void hoist_plan(struct build *b);
/* The access in this slot of the instruction at hand, to `address` (of a flat segment), as one of a group:
 * its host operand, with the group checked before if need be. False: it needs a check of its own. */
bool hoist_access(struct build *b, enum hoist_slot slot, struct host_mem address, unsigned size, bool write,
                  struct host_mem *mem);
/* C code was called and came back: entries may be gone. */
void hoist_forget(struct build *b);
/* Is a check made earlier relied on behind the instruction at hand? */
bool hoist_is_open(const struct build *b);

#endif
