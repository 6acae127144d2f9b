/* A guest that cannot go on: an exception while the interrupt table has no entries is a triple fault (SDM 3A 6.15,
 * "Interrupt 8"). Multiboot 1 header, so that it is loaded and started in 32-bit protected mode. */
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    lidt none
    ud2
none:
    .word 0
    .long 0
