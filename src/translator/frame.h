/*
 * What translated code and the entry points in entry.S know of struct vcpu, and what each host register holds.
 *
 *   rax rcx rdx rbx rbp rsi rdi   guest EAX ECX EDX EBX EBP ESI EDI, zero-extended
 *   r8                            guest ESP
 *   r9                            linear address of the current access (or a branch target)
 *   r10                           its entry; scratch
 *   r11                           scratch
 *   r12                           parked arithmetic flags: AH = SF ZF 0 AF 0 PF 1 CF, AL = OF
 *   r13                           in a window of 64-bit code its delta, whenever an instruction begins (verify.c);
 *                                 else the host address of a hoisted group of accesses, within the block (hoist.c)
 *   r14                           read table of the current view; the write table lies SHADOW_READ_TO_WRITE
 *                                 bytes behind it
 *   r15                           address of the vCPU + FRAME_BIAS, so that an 8-bit displacement reaches
 *                                 more of it
 *   rsp                           the shadow return stack (returns.h), 8-byte aligned; entry points in
 *                                 entry.S change to the monitor's stack before they call C
 *
 * In 64-bit mode these are the 64-bit registers, and R8 to R15 of the guest are in vcpu.gpr_high. In IA-32e mode r14 is
 * the TLB of the current privilege (mmu/tlb.h), and a check uses r11 as well.
 */
#ifndef RINGER_TRANSLATOR_FRAME_H
#define RINGER_TRANSLATOR_FRAME_H

/* FRAME_BIAS; FRAME_x, the offset of a field of struct vcpu from r15; FRAME_SEG_x, of a field of struct segment. */
#include "frame_offsets.h"

/* vcpu.scratch.thunk[]: what translated code calls. */
#define THUNK_SLOW        0 /* call: r9 linear address; returns with the entry in r10, or not at all */
#define THUNK_CALLOUT     1 /* call: r11d = struct callout; returns when the block may go on, or not at all */
#define THUNK_LINK        2 /* jump: r11d = struct edge; flags in EFLAGS */
#define THUNK_INDIRECT    3 /* jump: r9d = EIP to go to */
#define THUNK_DISPATCH    4 /* jump: rip set; find the block and go there */
#define THUNK_BUDGET      5 /* jump: rip set; the block does not fit under icount_limit */
#define THUNK_CROSS       6 /* jump: rip set; the second page of a crossing block may have moved */
#define THUNK_STEP        7 /* jump: rip and remaining set; interpret that instruction, then go on */
#define THUNK_STRING      8 /* call: r11d = struct callout of a repeated string instruction; as THUNK_CALLOUT */
#define THUNK_FAST        9  /* call: r11d = struct callout with a fast routine; as THUNK_CALLOUT */
#define THUNK_LINK_PARKED 10 /* jump: r11d = struct edge; flags in r12 or dead */
#define THUNK_RETURN_MISS 11 /* jump: r9d = EIP to return to; the shadow return stack led elsewhere */
#define THUNK_FILL_SITE   12 /* jump: r9d = EIP to go to, r11d = struct edge of an indirect site */
#define THUNK_SEGMENT     13 /* call: r9 linear address of a class that was not expected; does not return */
#define THUNK_COUNT       14

/* vcpu.scratch.exit_cause is the number of a thunk, or this when the host CPU raised an exception. */
#define EXIT_HOST_SIGNAL THUNK_COUNT

/* Two bytes follow a call of THUNK_SLOW. The first is the size of the access, with SLOW_WRITE for a write, and
 * with SLOW_HOISTED if code behind the access relies on a hoisted check. The second is the index of the guest
 * instruction in its block. A size of 0 stands for SLOW_MOST bytes, of which a writemask may leave some out. */
#define SLOW_BYTES   2
#define SLOW_MOST    64
#define SLOW_SIZE    (SLOW_MOST - 1)
#define SLOW_WRITE   0x80
#define SLOW_HOISTED 0x40

/* vcpu.scratch.remaining, set before THUNK_STEP: the number of guest instructions in the block after this one. */

#endif
