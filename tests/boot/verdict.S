/* A guest that writes VALUE to the debug exit port. Multiboot 1 header, as in triple.S. */
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    mov $VALUE, %eax
    out %eax, $0xf4
    hlt
