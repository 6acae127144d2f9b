/*
 * One instruction of 64-bit mode on the host CPU, in this process. native64_enter.S loads the test's state and enters
 * its code. Behind an instruction that does not branch, a jump leads back. After a branch it is a single-step trap, and
 * after a fault the signal.
 *
 * The instruction can reach this whole process. So the caller lets an engine execute it first: where the engine's page
 * fault is at an address that native64_has(), the host would not fault, and the instruction must not run.
 */
#ifndef RINGER_LOCKSTEP_NATIVE64_H
#define RINGER_LOCKSTEP_NATIVE64_H

#include "machine64.h"

/* Map CODE_AT and the scratch area, and take the signals. The translator's handlers must be there already. */
bool native64_init(void);
/* Is there anything at this address in the process? */
bool native64_has(u64 address);
/* Write the jump behind an instruction of `length` bytes. */
enum { NATIVE64_JUMP_BYTES = 14 };
void native64_put_jump(u8 *code, unsigned length);
/* Run the instruction of `length` bytes at in->rip. */
void native64_run(const struct state64 *in, unsigned length, bool branches, struct state64 *out);

#endif
