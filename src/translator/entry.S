/*
 * Into translated code and out of it. See frame.h for the registers.
 *
 * Everything that leaves a block for C code stores the guest's registers in the vCPU, calls one C function, and goes where
 * that function says: back into the block, into another, or out of translator_enter(). Translated code has its stack
 * pointer in the shadow return stack; C code runs on the monitor's stack.
 */
#include "cache/origin.h"
#include "frame.h"

/* r11d names metadata of the cache: its address. */
.macro NAMED_RSI
    mov %r11d, %esi
    bts $META_ORIGIN_BIT, %rsi
.endm

/* The sanitizers' run-time uses vector registers wherever it likes. Where C code is instrumented it never sees the guest's
 * FPU state live: it is parked at the border, and loaded at the border, by code that is not (cpu/fpu_state.c). All
 * registers are kept; the stack is the monitor's. */
.macro FPU_AT_BORDER function
#ifdef RINGER_SANITIZED
    push %rbp
    mov %rsp, %rbp
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r11
    and $-16, %rsp
    lea -FRAME_BIAS(%r15), %rdi
    call \function
    lea -80(%rbp), %rsp
    pop %r11
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    pop %rbp
#endif
.endm

.macro SAVE_GUEST
    mov %rax, FRAME_GPR+0(%r15)
    mov %rcx, FRAME_GPR+8(%r15)
    mov %rdx, FRAME_GPR+16(%r15)
    mov %rbx, FRAME_GPR+24(%r15)
    mov %r8, FRAME_GPR+32(%r15)
    mov %rbp, FRAME_GPR+40(%r15)
    mov %rsi, FRAME_GPR+48(%r15)
    mov %rdi, FRAME_GPR+56(%r15)
    mov %r12, FRAME_PARKED(%r15)
    mov %rsp, FRAME_RETURN_TOP(%r15)
    mov FRAME_C_STACK(%r15), %rsp
    FPU_AT_BORDER fpu_park
.endm

.macro LOAD_GUEST
    FPU_AT_BORDER fpu_load
    mov FRAME_RETURN_TOP(%r15), %rsp
    mov FRAME_GPR+8(%r15), %rcx
    mov FRAME_GPR+16(%r15), %rdx
    mov FRAME_GPR+24(%r15), %rbx
    mov FRAME_GPR+32(%r15), %r8
    mov FRAME_GPR+40(%r15), %rbp
    mov FRAME_GPR+48(%r15), %rsi
    mov FRAME_GPR+56(%r15), %rdi
    mov FRAME_PARKED(%r15), %r12
    mov FRAME_READ_TABLE(%r15), %r14
    mov FRAME_GPR+0(%r15), %rax
.endm

    .text

/* void translator_enter(struct vcpu *v, const void *code): code is a parked entry. */
    .globl translator_enter
    .type translator_enter, @function
translator_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    lea FRAME_BIAS(%rdi), %r15
    mov %rsp, FRAME_C_STACK(%r15)
    mov %rsi, %r11
    LOAD_GUEST
    jmp *%r11

/* Where C functions send the guest to leave. */
    .globl translator_leave
    .type translator_leave, @function
translator_leave:
    mov FRAME_C_STACK(%r15), %rsp
    FPU_AT_BORDER fpu_park
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

/* rax: where to go on. */
    .type resume, @function
resume:
    mov %rax, %r11
    LOAD_GUEST
    jmp *%r11

/* A memory access without a shadow entry. Two bytes behind the call say which (frame.h); they are skipped.
 * translator_slow_access returns the entry in rax, or 0 and where to go on in rdx; r9, r11 and the flags (parked or dead)
 * are preserved. */
    .globl thunk_slow
    .type thunk_slow, @function
thunk_slow:
    pop %r10
    SAVE_GUEST
    push %r9
    push %r11
    push %r10
    sub $8, %rsp
    lea -FRAME_BIAS(%r15), %rdi
    mov %r9d, %esi
    mov %r10, %rdx
    call translator_slow_access
    test %rax, %rax
    jz 1f
    mov %rax, %r10
    mov 8(%rsp), %rdx
    add $SLOW_BYTES, %rdx
    mov 16(%rsp), %r11
    mov 24(%rsp), %r9
    FPU_AT_BORDER fpu_load
    mov FRAME_RETURN_TOP(%r15), %rsp
    push %rdx /* and RET: the host's return predictor counts calls and returns */
    mov FRAME_GPR+8(%r15), %rcx
    mov FRAME_GPR+16(%r15), %rdx
    mov FRAME_GPR+32(%r15), %r8
    mov FRAME_GPR+48(%r15), %rsi
    mov FRAME_GPR+56(%r15), %rdi
    mov FRAME_GPR+0(%r15), %rax
    ret
1:  mov %rdx, %rax
    jmp resume

/* Calls that hand an instruction (r11d = struct callout) to C and say where the block goes on. */
.macro THUNK_HAND_ON name, function
    .globl \name
    .type \name, @function
\name:
    pop %r10
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    NAMED_RSI
    mov %r10, %rdx
    call \function
    mov %rax, %r11
    LOAD_GUEST
    push %r11
    ret
.endm

THUNK_HAND_ON thunk_callout, translator_callout
THUNK_HAND_ON thunk_string, translator_string
THUNK_HAND_ON thunk_fast, translator_fast

.macro THUNK name, function
    .globl \name
    .type \name, @function
\name:
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    NAMED_RSI
    call \function
    jmp resume
.endm

/* Comes from a direct edge, with the flags in the host's EFLAGS. */
    .globl thunk_link
    .type thunk_link, @function
thunk_link:
    mov %rax, %r12
    lahf
    seto %al
    xchg %rax, %r12
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    NAMED_RSI
    call translator_link
    jmp resume

THUNK thunk_link_parked, translator_link
THUNK thunk_dispatch, translator_dispatch
THUNK thunk_budget, translator_budget
THUNK thunk_cross, translator_cross
/* Interpret the instruction at rip: a host signal was taken there, or a segment check failed. */
THUNK thunk_step, translator_step

/* Here lead the bottom of a shadow return stack and the code behind calls, when the guest returns somewhere else. What
 * is left on the stack is likely not to be of use either: empty it. Then look the target up as indirect branches do
 * (emit_indirect). Flags are parked. */
    .globl thunk_return_miss
    .type thunk_return_miss, @function
thunk_return_miss:
    incq FRAME_RETURN_MISS(%r15)
    mov FRAME_RETURN_BASE(%r15), %rsp
    cmpl $0, FRAME_PENDING(%r15)
    jne thunk_indirect
    mov %r9d, %r10d
    shr $12, %r10d
    mov FRAME_EXEC_TABLE(%r15), %r11
    mov (%r11,%r10,4), %r11d
    shl $32, %r11
    or %r9, %r11
    or FRAME_JUMP_TAG(%r15), %r11
    movzwl %r9w, %r10d
    shl $4, %r10d
    add FRAME_JUMP_TABLE(%r15), %r10
    cmp (%r10), %r11
    jne thunk_indirect
    jmp *8(%r10)

    .globl thunk_indirect
    .type thunk_indirect, @function
thunk_indirect:
    mov %r9, FRAME_RIP(%r15)
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    call translator_indirect
    jmp resume

    .globl thunk_fill_site
    .type thunk_fill_site, @function
thunk_fill_site:
    mov %r9, FRAME_RIP(%r15)
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    NAMED_RSI
    call translator_fill_site
    jmp resume

    .section .note.GNU-stack, "", @progbits
