/* A guest that is busy with everything: it writes to the screen, to COM1 and, sector by sector, to an IDE disk. It ends
 * itself when COM1 says so: 'o' turns the machine off (PIIX4, PM1_CNT), 't' is a triple fault. Multiboot 1 header, as in
 * triple.S. */
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    cli
    cld
again:
    incl count
    mov count, %eax
    mov $0xb8000, %edi          /* the text screen */
    mov $80, %ecx
    rep stosw
    mov $0x3fd, %dx             /* COM1: line status */
    in %dx, %al
    test $0x20, %al
    jz 1f
    mov $0x3f8, %dx
    mov $'.', %al
    out %al, %dx
    mov $0x3fd, %dx
    in %dx, %al
1:  test $1, %al
    jz 2f
    mov $0x3f8, %dx
    in %dx, %al
    cmp $'o', %al
    je off
    cmp $'t', %al
    je triple
2:  mov $0x1f6, %dx             /* WRITE SECTORS to the first disk, if there is one */
    mov $0xe0, %al
    out %al, %dx
    mov $0x1f7, %dx
    in %dx, %al
    cmp $0x50, %al              /* ready, and nothing else */
    jne again
    mov $0x1f2, %dx
    mov $1, %al
    out %al, %dx
    inc %edx
    mov count, %al
    out %al, %dx
    inc %edx
    xor %al, %al
    out %al, %dx
    inc %edx
    out %al, %dx
    mov $0x1f7, %dx
    mov $0x30, %al
    out %al, %dx
3:  in %dx, %al
    test $0x80, %al
    jnz 3b
    test $8, %al
    jz again
    mov $0x1f0, %dx
    mov $0xb8000, %esi
    mov $256, %ecx
    rep outsw
    jmp again

off:
    mov $0x604, %dx
    mov $0x2000, %ax
    out %ax, %dx
    jmp off

triple:
    lidt none
    ud2
none:
    .word 0
    .long 0

    .bss
count:
    .skip 4
