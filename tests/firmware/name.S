/*
 * A boot sector (or, with ROM, an option ROM) that prints its NAME on port E9h. Then it ends the machine by the debug exit
 * port. With RESET it resets the machine, with ROM it returns.
 */
    .intel_syntax noprefix
    .code16
    .text
#ifdef ROM
    .byte 0x55, 0xaa, 1
#endif
    call 1f
1:  pop si
    add si, offset name - 1b
2:  mov al, cs:[si]
    inc si
    test al, al
    jz 3f
    out 0xe9, al
    jmp 2b
3:
#if defined(ROM)
    retf
#elif defined(RESET)
    mov dx, 0xcf9
    mov al, 6
    out dx, al
#else
    mov eax, 0x10
    out 0xf4, al
#endif
4:  hlt
    jmp 4b
name: .asciz NAME
#ifdef ROM
    .org 512
#else
    .org 510
    .word 0xaa55
#endif
