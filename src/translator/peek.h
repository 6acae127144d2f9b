/*
 * A look ahead: do the arithmetic flags die before anyone reads them, if control comes to this address?
 * Answered from a table by opcode at a tenth of a decoding's price. The table is made of the decoder's
 * digest: an entry when an instruction of its kind is first met. Instructions of one entry have the same
 * bytes behind ModRM and the same effect; a unit test compares the table with the decoder.
 *
 * The answer holds as long as the bytes looked at do: whoever relies on it depends on them.
 */
#ifndef RINGER_TRANSLATOR_PEEK_H
#define RINGER_TRANSLATOR_PEEK_H

#include "base/types.h"

struct vcpu;

enum peek_effect {
    PEEK_UNKNOWN, /* reads flags, transfers control, is sensitive, or no instruction at all */
    PEEK_KEEPS,   /* reads none */
    PEEK_KILLS,   /* reads none and overwrites all */
};

struct peeked {
    enum peek_effect effect;
    unsigned length;
};

struct peek_entry {
    bool made;
    u8 effect; /* enum peek_effect */
    bool has_modrm;
    u8 behind; /* bytes behind the opcode, ModRM and its address */
};

/* By operand-size prefix, by map (one byte, 0F), by opcode, by ModRM.reg of the register and memory forms. */
struct peek_table {
    struct peek_entry entry[2][2][256][2][8];
};

/* One instruction of 32-bit code; `left` bytes may be looked at. Shelters the guest's FPU state of `v` when
 * an entry has to be made. */
struct peeked peek_one(struct peek_table *table, struct vcpu *v, const u8 *bytes, unsigned left);

/* Do the flags die from offset `at` of a page on? *last is then the last offset looked at. Does not follow
 * jumps. */
bool peek_flags_die(struct peek_table *table, struct vcpu *v, const u8 *page, unsigned at, unsigned *last);

#endif
