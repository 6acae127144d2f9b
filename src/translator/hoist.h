/*
 * Hoisted checks: one check for several accesses (tier 1). See hoist.c.
 */
#ifndef RINGER_TRANSLATOR_HOIST_H
#define RINGER_TRANSLATOR_HOIST_H

#include "emit.h"
#include "frame.h"

struct build;

/* A followed value: an unknown one plus a constant. Root 0: zero. Roots 1 to GPR_COUNT: what the registers held when
 * the block began. */
struct value {
    u16 root;
    s64 offset; /* wraps at 32 bits outside 64-bit mode */
};

/* Root + index root * scale has a root of its own, if none of the roots changes. */
struct sum {
    u16 root, base, index; /* base 0: none */
    u8 scale;
};
#define MAX_SUMS 16

/* An instruction has at most two accesses that can belong to a group: its memory operand, and the stack. */
enum hoist_slot { HOIST_OPERAND, HOIST_STACK, HOIST_SLOTS };

/* A holder keeps the host address of a checked group: holder 0 is r13, the others are in vcpu.scratch.hoisted[]. */
#define HOIST_HOLDERS (1 + FRAME_HOISTED_COUNT)
#define MAX_HOISTS    16
/* A hoisted check needs an edge. A block with this many edges gets no more hoisted checks. */
#define MAX_HOIST_EDGES 24

/* A group: accesses with addresses that differ by constants and lie close together, likely in one page. */
struct hoist {
    u16 root;      /* of their addresses */
    u8 left;       /* members not emitted yet */
    u8 last;       /* index of the instruction with the last member */
    s64 low, high; /* offsets from the root: first byte, and end */
    bool write;    /* a member writes */
    bool checked;  /* `holder` has the host address of `low` */
    u8 holder;
};

struct hoist_access {
    u8 group; /* index in hoist_plan.group[] + 1; 0: none */
    u8 size;
    bool write;
    u16 root;   /* 0: not followed */
    s64 offset; /* from the root */
};

struct hoist_plan {
    struct hoist group[MAX_HOISTS];
    unsigned count;
    u8 owner[HOIST_HOLDERS]; /* the group that each holder serves: index + 1; 0: none */
    bool any;                /* a group has more than one member */
};

/* Find the groups of the planned block. */
void hoist_plan(struct build *b);
/* The access in this slot of the current instruction: its memory operand in a flat segment, or a slot of the stack. If
 * it belongs to a group, check the group if need be, set *mem to the host operand and return true. False: the access
 * needs a check of its own. */
bool hoist_access(struct build *b, enum hoist_slot slot, const struct host_mem *stack_slot, unsigned size,
                  bool write, struct host_mem *mem);
/* Something else needs r13: its group is checked again before its next member. */
void hoist_yield(struct build *b);
/* C code has run and may have dropped entries: check each group again before its next member. */
void hoist_forget(struct build *b);
/* Does the current instruction, or one behind it, rely on a check that was made already? */
bool hoist_is_open(const struct build *b);

#endif
