/*
 * Look-ahead: does the code at an address overwrite all arithmetic flags before it reads one?
 *
 * A table by opcode gives the answer at a tenth of the cost of decoding. An entry is made from the decoder's digest
 * when an instruction of its kind is first met. Instructions with the same entry have the same number of bytes behind
 * the address and the same effect; a unit test compares the table with the decoder.
 *
 * An answer is valid as long as the bytes do not change. A block that relies on it depends on those bytes.
 */
#ifndef RINGER_TRANSLATOR_PEEK_H
#define RINGER_TRANSLATOR_PEEK_H

#include "base/types.h"

struct vcpu;

enum peek_effect {
    PEEK_UNKNOWN, /* reads flags, transfers control, is sensitive, or does not decode */
    PEEK_KEEPS,   /* reads no flag and leaves some unchanged */
    PEEK_KILLS,   /* reads no flag and overwrites all */
};

struct peeked {
    enum peek_effect effect;
    unsigned length;
};

struct peek_entry {
    bool made;
    u8 effect; /* enum peek_effect */
    bool has_modrm;
    u8 behind; /* immediate bytes */
};

/* Indices: 64-bit code and REX.W, operand-size prefix, map (one byte, 0F), opcode, memory or register form, ModRM.reg.
 * The other bits of REX only name registers. */
enum { PEEK_CODE32, PEEK_CODE64, PEEK_REX_W, PEEK_WIDTHS };
struct peek_table {
    struct peek_entry entry[PEEK_WIDTHS][2][2][256][2][8];
};

/* Look at one instruction of 32-bit or 64-bit code, in at most `left` bytes. Shelters the guest's FPU state if it makes
 * an entry. */
struct peeked peek_one(struct peek_table *table, struct vcpu *v, const u8 *bytes, unsigned left, bool code64);

/* Are the flags dead at offset `at` of a page? If so, *last is the last offset that was looked at. Does not follow
 * jumps. */
bool peek_flags_die(struct peek_table *table, struct vcpu *v, const u8 *page, unsigned at, bool code64,
                    unsigned *last);

#endif
