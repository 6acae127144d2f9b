/*
 * What verify.c, rsp.c and loop.c share: the rules for addresses of 64-bit user code in a window.
 */
#ifndef RINGER_TRANSLATOR_VERIFY_H
#define RINGER_TRANSLATOR_VERIFY_H

#include "build.h"
#include "mmu/long_window.h"

/* Roots besides those of hoist.c, for addresses that are known: relative to RIP, and in the lowest 2 GB. */
enum { ROOT_NONE = 0, ROOT_STACK = REG_ESP + 1, ROOT_LOWEST = 0xfffe, ROOT_RIP = 0xffff };

/* Was this value in a register when the block began? */
static inline bool root_is_register(u16 root)
{
    return root >= 1 && root <= GPR_COUNT;
}

static inline bool value_is_near(struct value a, struct value b, u64 reach)
{
    u64 away = (u64)a.offset - (u64)b.offset;
    return a.root == b.root && away + reach <= 2 * reach;
}

static inline bool value_is_same(struct value a, struct value b)
{
    return a.root == b.root && a.offset == b.offset;
}

static inline struct value access_at(const struct hoist_access *access)
{
    return (struct value){access->root, access->offset};
}

/* verify.c */
/* Does insn[n] reach memory through the window? */
bool verify_reaches_window(const struct build *b, unsigned n);
/* If it does, does it reach memory in this slot whenever it ends? Masked moves may not, nor do stores of the x87 that
 * raise an exception. */
bool verify_is_certain(const struct build *b, unsigned n, enum hoist_slot slot);
/* The class that the address of an access of insn[n] is expected to have: an enum long_class, or both. */
u8 verify_guess(const struct build *b, unsigned n, const struct hoist_access *at, enum hoist_slot slot);
/* Note that an address is known to lie in a segment of this class. */
void verify_note(struct build *b, struct value at, u8 class);

/* rsp.c */
/* A block begins. */
void rsp_begin(struct build *b);
/* This address lies in a segment that is LONG_HIGH. */
void rsp_anchor(struct build *b, struct value at);

/* loop.c */
/* The current instruction reaches its memory operand through a segment of this class. */
void loop_note_access(struct build *b, u8 class);

#endif
