/* A guest that does nothing but write to the debug console. */
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    mov $'x', %al
1:  out %al, $0xe9
    jmp 1b
