/* A guest that jumps to an address without memory or a device, with interrupts off. Reads there give ones, FFFFh is
 * an undefined instruction, and the interrupt table has no entries. */
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    cli
    lidt none
    mov $0xd0000000, %eax
    jmp *%eax
none:
    .word 0
    .long 0
