/*
 * The ways into translated code and out of it. See frame.h for the registers.
 *
 * A thunk stores the guest's registers in the vCPU, calls one C function, and jumps to the address that the function
 * returns: in the same block, in another one, or translator_leave. The stack pointer of translated code is in the shadow
 * return stack; C code runs on the monitor's stack.
 */
#include "cache/origin.h"
#include "frame.h"

/* rsi = the address of the metadata that r11d names (cache/origin.h). */
.macro NAMED_RSI
    mov %r11d, %esi
    bts $META_ORIGIN_BIT, %rsi
.endm

/* The sanitizers' run-time may use vector registers anywhere. In sanitized builds the guest's FPU state is therefore never
 * live in C code: this macro parks or loads it at the border, by functions that are not instrumented (cpu/fpu_state.c). It
 * preserves all registers; the stack is the monitor's. */
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
    mov FRAME_WINDOW_DELTA(%r15), %r13
    mov FRAME_READ_TABLE(%r15), %r14
    mov FRAME_GPR+0(%r15), %rax
.endm

    .text

/* void translator_enter(struct vcpu *v, const void *code): `code` is a parked entry. */
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

/* C functions return this address to leave translated code: return from translator_enter(). */
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

/* Go on at the address in rax. */
    .type resume, @function
resume:
    mov %rax, %r11
    LOAD_GUEST
    jmp *%r11

/* A memory access without an entry. Two bytes behind the call describe the access (frame.h); the return skips them.
 * translator_slow_access() returns the entry in rax, or 0 in rax and in rdx the address to go on at. r9, r11 and the flags
 * (parked or dead) are preserved. */
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
    mov %r9, %rsi
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
    push %rdx /* return by RET, to keep the host's return predictor in step */
    mov FRAME_GPR+8(%r15), %rcx
    mov FRAME_GPR+16(%r15), %rdx
    mov FRAME_GPR+32(%r15), %r8
    mov FRAME_GPR+48(%r15), %rsi
    mov FRAME_GPR+56(%r15), %rdi
    mov FRAME_GPR+0(%r15), %rax
    ret
1:  mov %rdx, %rax
    jmp resume

/* The segment of an address has another class than code has compared with. Two bytes behind the call, as for thunk_slow. */
    .globl thunk_segment
    .type thunk_segment, @function
thunk_segment:
    pop %r10
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    mov %r9, %rsi
    mov %r10, %rdx
    call translator_segment
    jmp resume

/* Called thunks that hand an instruction (r11d = struct callout) to a C function. Its third argument is the return
 * address, where the block goes on. */
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

/* From an edge with the flags in the host's EFLAGS. */
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
/* Interpret the instruction at rip: it raised a host signal, or a check before it failed. */
THUNK thunk_step, translator_step

/* The bottom of a shadow return stack leads here, and so does the code behind a call when the guest returns to another
 * address. The rest of the stack is then likely wrong too, so empty it. Then look up the target as indirect branches do
 * (emit_indirect()). The flags are parked. In 64-bit mode r11 is an address in the host code of the RET. */
    .globl thunk_return_miss
    .type thunk_return_miss, @function
thunk_return_miss:
    incq FRAME_RETURN_MISS(%r15)
    mov FRAME_RETURN_BASE(%r15), %rsp
    cmpl $0, FRAME_PENDING(%r15)
    jne return_in_c
    testl $FRAME_MODE_LONG, FRAME_MODE(%r15)
    jnz 1f
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
    jne return_in_c
    jmp *8(%r10)
1:  movzwl %r9w, %r13d /* as look_up_long() in edge.c, but r11 is kept */
    shl $5, %r13d
    add FRAME_LONG_JUMP_TABLE(%r15), %r13
    cmp (%r13), %r9
    jne return_in_c
    mov 24(%r13), %r10
    mov (%r14,%r10), %r10
    cmp 8(%r13), %r10
    jne return_in_c
    mov 16(%r13), %r11
    mov FRAME_WINDOW_DELTA(%r15), %r13
    jmp *%r11

    .type return_in_c, @function
return_in_c:
    mov %r9, FRAME_RIP(%r15)
    SAVE_GUEST
    lea -FRAME_BIAS(%r15), %rdi
    mov %r11, %rsi
    call translator_return_miss
    jmp resume

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
