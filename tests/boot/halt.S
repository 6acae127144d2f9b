/* A guest that halts with interrupts off: nothing can wake it. */
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    cli
    hlt
    jmp _start
