/*
 * What the interpreter's own files share.
 */
#ifndef RINGER_CPU_INTERP_PRIVATE_H
#define RINGER_CPU_INTERP_PRIVATE_H

#include "decode_cache.h"
#include "fault.h"
#include "fxsave.h"
#include "insn.h"

/* thunk.c: host instructions as small functions. Returns 0 or -errno. */
struct thunks;
int thunks_init(struct vcpu *v);
void thunks_destroy(struct vcpu *v);
/* Execute this x87, MMX, SSE or AVX instruction on the host. Leaves the guest's FPU state live. */
void thunk_execute(struct vcpu *v, const struct insn *i);

/* The registers and memory of a thunk. thunk_call.S knows the layout. */
struct thunk_frame {
    u64 gpr[8];
    u64 flags; /* packed, see host_alu.h */
    void *memory;
    const void *code;
    bool raised; /* the host CPU raised #XM */
};
_Static_assert(offsetof(struct thunk_frame, flags) == 64, "thunk_call.S");
_Static_assert(offsetof(struct thunk_frame, memory) == 72, "thunk_call.S");
_Static_assert(offsetof(struct thunk_frame, code) == 80, "thunk_call.S");
_Static_assert(offsetof(struct thunk_frame, raised) == 88, "thunk_call.S");

void thunk_call(struct thunk_frame *frame);
/* Where the signal handler continues a thunk after its instruction raised #XM. Not a function. */
extern const u8 thunk_raised[];

/* fpu_state.c */
/* Run the thunk on the guest's state. False: it raised a SIMD exception that the guest has unmasked. MXCSR has
 * the flags of that exception, and nothing else has changed. */
bool fpu_execute(struct vcpu *v, struct thunk_frame *frame);
/* An environment, or all of the x87 state, in the form of 32-bit protected mode (SDM 1 8.1.10). */
enum fpu_transfer { FPU_FNSTENV, FPU_FLDENV, FPU_FNSAVE, FPU_FRSTOR };
void fpu_environment(struct vcpu *v, enum fpu_transfer what, void *image);
/* Enter MMX state as an MMX instruction does: top of stack 0, all registers valid. */
void fpu_enter_mmx(struct vcpu *v);
/* Is an unmasked x87 exception pending? The next waiting instruction raises it. */
bool fpu_error_pending(const struct vcpu *v);
u32 fpu_mxcsr(const struct vcpu *v);
void fpu_set_mxcsr(struct vcpu *v, u32 mxcsr);
/* Copy the state to v->fpu without parking it. */
void fpu_snapshot(struct vcpu *v);
/* The same for the registers from the ninth on of a live state, which 32-bit code does not have. */
void fpu_snapshot_high(struct vcpu *v);
/* IA-32e mode begins or has ended: XMM8 to XMM15 and their upper halves become 0. The manual leaves them undefined then
 * (SDM 1 3.4.1.1). */
void fpu_lose_high(struct vcpu *v);
/* K0 to K7 of the state, wherever it is; it has AVX-512. */
u64 fpu_opmask(const struct vcpu *v, unsigned number);
/* Gives the fields of the image that the guest finds 0 or constant these values (fpu_state.c tells why). */
void fxsave_tidy(u8 *image);
/* From here on the upper halves of the YMM registers belong to the state, and AVX-512 if xcr0 has it. They are 0 at
 * first. */
void fpu_extend(struct vcpu *v);
/* One instruction on the host, for host_probe.c: CVTPI2PS of memory with an x87 exception pending; a SHA instruction
 * with a misaligned operand. *resume is the address behind it. The guest's state must not be live. */
void fpu_try_cvtpi2ps(u64 *resume);
void fpu_try_sha(u64 *resume);
void fpu_try_unused(u64 *resume);

#endif
