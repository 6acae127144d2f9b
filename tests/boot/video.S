/* An option ROM that sets a video mode by the BIOS, draws a pattern over the whole screen, reports that on the debug console, and
 * stops with interrupts off. So its picture can be compared with that of another machine.
 *
 * The script `video` writes parameters into the ROM:
 *
 *   8, word   number for INT 10h: below 100h AH=00h, from there on VBE's AX=4F02h
 *  10, byte   T: characters and colours in B8000h   X: BIOS pixels and text   B: banks of 64 KB at A0000h
 *             P: latches and write modes in planes   U: mode 13h turned into mode X, 320 x 240, second page, split
 *  11, byte   B: the number of banks */
    .intel_syntax noprefix
    .code16
    .globl _start
_start:
    .byte 0x55, 0xaa, 8    /* 8 x 512 bytes */
    jmp rom
    .org 8
mode:
    .word 3
kind:
    .byte 'T'
banks:
    .byte 0
rom:
    push cs
    pop ds
    cld
    mov ax, ds:[mode - _start]
    test ah, ah
    jz 1f
    mov bx, ax
    mov ax, 0x4f02
1:  int 0x10
    mov al, ds:[kind - _start]
    cmp al, 'T'
    je text
    cmp al, 'X'
    je pixels
    cmp al, 'B'
    je banked
    cmp al, 'P'
    je planes
    jmp unchained

/* Registers, as words: index, value. */
#define OUTW(port, index, value) mov dx, port; mov ax, (value) << 8 | (index); out dx, ax

text:
    mov ax, 0x1003         /* bright backgrounds instead of blinking, because the phase of blinking is arbitrary */
    xor bx, bx
    int 0x10
    mov ax, 0xb800
    mov es, ax
    xor di, di
    mov cx, 2000
    xor ax, ax
1:  mov bx, ax             /* B0h to BFh have a ninth dot on some machines */
    and al, 0xf0
    cmp al, 0xb0
    mov ax, bx
    jne 2f
    xor al, 0x40
2:  stosw
    mov ax, bx
    add ax, 0x0d07
    loop 1b
    mov ah, 1              /* no cursor: it blinks */
    mov cx, 0x2000
    int 0x10
    jmp done

pixels:
    mov dx, 0
2:  mov cx, 0
1:  mov ax, cx
    xor al, dl
    mov ah, 0x0c
    xor bx, bx
    push cx
    push dx
    int 0x10
    pop dx
    pop cx
    inc cx
    cmp cx, 160
    jne 1b
    inc dx
    cmp dx, 100
    jne 2b
    mov ah, 0x02           /* text in graphics */
    mov dx, 0x0f03
    xor bx, bx
    int 0x10
    mov si, offset message - _start
1:  lodsb
    mov bx, 0x000e
    mov ah, 0x0e
    test al, al
    jz 2f
    int 0x10
    jmp 1b
2:
    jmp done

banked:
    mov ax, 0xa000
    mov es, ax
    xor bp, bp             /* bank */
1:  mov ax, 0x4f05
    xor bx, bx
    mov dx, bp
    int 0x10
    xor di, di
    mov eax, ebp
    imul eax, eax, 0x9e3779b1
2:  stosd
    add eax, 0x01030509
    test di, di
    jnz 2b
    inc bp
    movzx ax, byte ptr ds:[banks - _start]
    cmp bp, ax
    jne 1b
    jmp done

planes:
    mov ax, 0xa000
    mov es, ax
    xor di, di
    mov cx, 80 * 100
    xor ax, ax
1:  push ax
    mov bx, ax
    OUTW(0x3c4, 2, 0x0f)
    mov dx, 0x3ce          /* set/reset by the address, in half of the planes */
    mov ah, bl
    mov al, 0
    out dx, ax
    mov ah, bh
    mov al, 1
    out dx, ax
    mov ah, bl
    and ah, 0x1b           /* rotation and function */
    mov al, 3
    out dx, ax
    mov al, es:[di]
    mov al, bl
    stosb
    pop ax
    add ax, 0x0137
    loop 1b
    OUTW(0x3ce, 3, 0)
    OUTW(0x3ce, 1, 0)
    OUTW(0x3ce, 5, 1)      /* copy by the latches */
    push ds
    mov ax, 0xa000
    mov ds, ax
    xor si, si
    mov cx, 80 * 100
    rep movsb
    pop ds
    OUTW(0x3ce, 5, 2)      /* colours */
    OUTW(0x3ce, 8, 0x3c)
    mov cx, 80 * 100
1:  mov al, es:[di]
    mov ax, cx
    stosb
    loop 1b
    OUTW(0x3ce, 5, 3)
    OUTW(0x3ce, 0, 0x09)
    OUTW(0x3ce, 8, 0xff)
    mov cx, 80 * 100
1:  mov al, es:[di]
    mov ax, cx
    stosb
    loop 1b
    jmp done

unchained:
    OUTW(0x3c4, 4, 0x06)
    OUTW(0x3d4, 0x14, 0x00)
    OUTW(0x3d4, 0x17, 0xe3)
    OUTW(0x3d4, 0x11, 0x2c) /* 480 lines of which two are one */
    OUTW(0x3d4, 0x06, 0x0d)
    OUTW(0x3d4, 0x07, 0x2e)
    OUTW(0x3d4, 0x10, 0xea)
    OUTW(0x3d4, 0x12, 0xdf)
    OUTW(0x3d4, 0x15, 0xe7)
    OUTW(0x3d4, 0x16, 0x06)
    mov dx, 0x3c2
    mov al, 0xe3
    out dx, al
    mov ax, 0xa000
    mov es, ax
    mov bx, 1              /* a plane after the other, all of it */
1:  mov dx, 0x3c4
    mov al, 2
    mov ah, bl
    out dx, ax
    xor di, di
    mov al, bl
    mov cx, 0
2:  stosb
    mov ax, di
    imul ax, ax, 5
    add al, ah
    xor al, bl
    loop 2b
    shl bx, 1
    cmp bx, 16
    jne 1b
    OUTW(0x3d4, 0x0c, 0x4b) /* the second page */
    OUTW(0x3d4, 0x0d, 0x28)
    OUTW(0x3d4, 0x18, 0x5f) /* split at line 351 */
    OUTW(0x3d4, 0x07, 0x3e)
    OUTW(0x3d4, 0x09, 0x01)
done:
    mov al, 'D'
    out 0xe9, al
1:  cli
    hlt
    jmp 1b
message:
    .asciz "Text in graphics"
    .org 4095
    .byte 0                /* makes the sum 0 */
