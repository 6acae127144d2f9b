/*
 * Random instructions of 64-bit mode that a user program may execute, with random and boundary operands in registers
 * and in the scratch area of machine64.h.
 */
#ifndef RINGER_LOCKSTEP_GENERATE64_H
#define RINGER_LOCKSTEP_GENERATE64_H

#include "machine64.h"

#include <Zydis/Zydis.h>

struct test64 {
    u8 bytes[INSN_MAX_BYTES];
    struct insn insn;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* False: the bytes were no such instruction; try again. */
bool generate64(const struct rig *rig, struct test64 *t);
/* The state before the instruction, which may be changed: its memory operand then lies in the scratch area. */
void generate64_state(struct test64 *t, struct state64 *in);
/* Change the state so that the memory operand lies at `to`: by a register of its address, or by its displacement. */
void generate64_aim(struct test64 *t, struct state64 *in, u64 to);
bool generate64_is_evex(const struct test64 *t);
bool generate64_is_gather(const struct test64 *t);
bool generate64_is_scatter(const struct test64 *t);

#endif
