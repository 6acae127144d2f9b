/*
 * The interpreter's routines: one for each row of isa.def, named exec_<routine>.
 *
 * When a routine is called, v->rip is the *next* instruction already (wrapped to 16 bits in 16-bit code), LOCK, the CPU
 * model and the FPU's availability have been checked, and a FAULT_CATCH scope is open: whoever catches a fault puts
 * v->rip back to the start of the instruction, and nothing else. So a routine commits late: registers, flags and ESP
 * change when nothing can fault any more. Privilege is checked by the routines themselves.
 *
 * A routine that has to be executed again (a rep string interrupted by v->pending) sets v->rip -= i->length.
 */
#ifndef RINGER_CPU_EXEC_H
#define RINGER_CPU_EXEC_H

#include "fault.h"
#include "insn.h"

#define ISA(mnemonic, routine, treatment, traits) void exec_##routine(struct vcpu *v, const struct insn *i);
#define ISA_CLASS(isa_set, name, routine, treatment, traits) void exec_##routine(struct vcpu *v, const struct insn *i);
#include "isa.def"

/* Forms of MOV, JMP, CALL and RET that their rows' routines pass on, by operand (exec_system.c). */
void exec_mov_segment(struct vcpu *v, const struct insn *i); /* to or from a segment register */
void exec_mov_control(struct vcpu *v, const struct insn *i); /* CR */
void exec_mov_debug(struct vcpu *v, const struct insn *i);   /* DR */
void exec_pop_segment(struct vcpu *v, const struct insn *i);
void exec_jmp_far(struct vcpu *v, const struct insn *i);     /* OPND_FAR or a far pointer in memory */
void exec_call_far(struct vcpu *v, const struct insn *i);
void exec_ret_far(struct vcpu *v, const struct insn *i);

#endif
