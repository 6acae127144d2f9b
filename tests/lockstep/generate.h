/*
 * Random instructions: bytes by encoding (maps 0, 0F, 0F38, 0F3A and VEX, all opcodes, prefixes, ModRM, SIB),
 * kept when Zydis knows them and they are a user program's business; their memory operands are then steered
 * into the scratch area.
 */
#ifndef RINGER_LOCKSTEP_GENERATE_H
#define RINGER_LOCKSTEP_GENERATE_H

#include "state.h"

#include <Zydis/Zydis.h>

struct test_insn {
    u8 bytes[16];
    unsigned length;
    ZydisDecodedInstruction info;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    u32 target; /* where the memory operand points; 0 without one */
    unsigned target_bytes;
    bool exposed; /* the "max" model has it: otherwise it must raise #UD */
};

struct generator {
    struct random *random;
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    const char *filter; /* mnemonic (lower case, whole), or NULL */
};

void generator_init(struct generator *g, struct random *r, const char *filter);

/* One instruction to be run alone from *s, whose registers are changed to suit it. */
void generate_single(struct generator *g, struct test_insn *i, struct state *s);

/* One to stand in a block: leaves ESP balanced enough, ESI and EDI alone (they point into the scratch area),
 * faults rarely, reaches memory through [disp32], [ESI + disp] and [EDI + disp] only. */
void generate_for_block(struct generator *g, struct test_insn *i);

/* Does it push or pop? */
bool generate_uses_stack(const struct test_insn *i);

/* Arithmetic flags that the manual leaves undefined after it. */
u32 generate_undefined_flags(const struct test_insn *i);
/* Which instructions are generated depends on the host: only those are that the "max" model exposes. One line
 * that says so. */
void generate_print_features(FILE *out);
void generate_format(struct generator *g, const u8 *bytes, unsigned length, u32 eip, char *text,
                     unsigned text_bytes);

#endif
