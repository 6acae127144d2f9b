/*
 * Stubs in front of the thunks while a profiler is attached. A stub records why translated code is left, changes no register
 * and no flag, and jumps to its thunk. There is one for each thunk, all of the same size, in the order of frame.h.
 */
#include "frame.h"

    .text
    .globl sample_stubs, sample_stubs_end
    .type sample_stubs, @function
    .balign 64
sample_stubs:
cause = 0
    .rept THUNK_COUNT
    .balign 64
    movl $cause, FRAME_EXIT_CAUSE(%r15)
    mov %r11d, FRAME_EXIT_ARG(%r15)
    popq FRAME_EXIT_SITE(%r15)      /* the return address, if the thunk was called */
    pushq FRAME_EXIT_SITE(%r15)
    jmp *translator_thunks + 8 * cause(%rip)
cause = cause + 1
    .endr
    .balign 64
sample_stubs_end:

    .section .note.GNU-stack, "", @progbits
