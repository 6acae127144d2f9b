/*
 * Random instructions: bytes by encoding (maps 0, 0F, 0F38, 0F3A and VEX, all opcodes, prefixes, ModRM, SIB),
 * kept if Zydis knows them and a user program may execute them. Their memory operands are then moved into the scratch
 * area.
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
    bool
        exposed; /* the "max" model has it, and it needs no AVX unless there is: otherwise it must raise #UD */
};

struct generator {
    struct random *random;
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    const char *filter; /* mnemonic (lower case, whole), or NULL */
    bool avx;           /* the machine has enabled it */
};

void generator_init(struct generator *g, struct random *r, const char *filter);

/* An instruction that runs alone from the state *s. The registers in *s are changed to suit it. */
void generate_single(struct generator *g, struct test_insn *i, struct state *s);

/* An instruction for a block: it keeps ESP balanced enough, does not change ESI and EDI (they point into the scratch
 * area), faults rarely, and reaches memory only through [disp32], [ESI + disp] and [EDI + disp]. */
void generate_for_block(struct generator *g, struct test_insn *i);

/* Does it push or pop? */
bool generate_uses_stack(const struct test_insn *i);

/* Arithmetic flags that the manual leaves undefined after it. */
u32 generate_undefined_flags(const struct test_insn *i);
/* Prints one line about the host's features: only instructions that the "max" model exposes are generated, and that
 * model depends on the host. */
void generate_print_features(FILE *out);
void generate_format(struct generator *g, const u8 *bytes, unsigned length, u32 eip, char *text,
                     unsigned text_bytes);

#endif
