/*
 * Hazard: the video BIOS on this VGA: text (teletype, cursor, scrolling, attributes, fonts), the 16-colour planar mode
 * 12h and the 256-colour mode 13h by their pixel services, the palette, and the return to an intact text screen.
 */
#include "boot.inc"

TEXT_SEG   = 0xb800
PIXELS_SEG = 0xa000
CRTC       = 0x3d4

test:
    call text
    call scrolling
    call cursor_shape
    call strings
    call planar
    call chunky
    call palette
    mov ax, 3
    int 0x10
    push TEXT_SEG
    pop es
    movzx eax, word ptr es:[0]
    CHECK_EQ(eax, 0x0720)   /* clear again */
    push 0
    pop es
    mov ax, 0x1a00
    int 0x10
    movzx eax, al
    CHECK_EQ(eax, 0x1a)
    movzx eax, bx
    CHECK_EQ(eax, 0x0008)   /* a VGA with a colour monitor */
    ret

text:
    mov ax, 3
    int 0x10
    mov ah, 0x0f
    int 0x10
    movzx eax, ax
    CHECK_EQ(eax, 0x5003)   /* 80 columns, mode 3 */
    movzx eax, bh
    CHECK_EQ(eax, 0)
    movzx eax, byte ptr [BIOS_DATA + 0x84]
    CHECK_EQ(eax, 24)
    movzx eax, word ptr [BIOS_DATA + 0x85]
    CHECK_EQ(eax, 16)
    mov ax, 0x0e41          /* teletype: A, backspace, B, carriage return, line feed */
    int 0x10
    mov al, 8
    int 0x10
    mov al, 'B'
    int 0x10
    mov al, 'C'
    int 0x10
    push TEXT_SEG
    pop es
    CHECK_EQ(es:[0], 0x07430742)
    call cursor
    CHECK_EQ(eax, 0x0002)
    mov ax, 0x0e0d
    int 0x10
    mov al, 10
    int 0x10
    call cursor
    CHECK_EQ(eax, 0x0100)
    mov dx, 0x0a14          /* row 10, column 20 */
    mov ah, 2
    mov bh, 0
    int 0x10
    call cursor
    CHECK_EQ(eax, 0x0a14)
    mov dx, CRTC            /* and in the chip */
    mov al, 0x0e
    out dx, al
    inc dx
    in al, dx
    mov ah, al
    dec dx
    mov al, 0x0f
    out dx, al
    inc dx
    in al, dx
    movzx eax, ax
    CHECK_EQ(eax, 10 * 80 + 20)
    mov ax, 0x09 << 8 | '*' /* a character three times, with an attribute */
    mov bx, 0x1e
    mov cx, 3
    int 0x10
    CHECK_EQ(es:[(10 * 80 + 20) * 2], 0x1e2a1e2a)
    CHECK_EQ(es:[(10 * 80 + 20) * 2 + 4], 0x07201e2a)
    mov ah, 8
    mov bh, 0
    int 0x10
    movzx eax, ax
    CHECK_EQ(eax, 0x1e2a)
    ret

/* EAX: row and column. */
cursor:
    mov ah, 3
    mov bh, 0
    int 0x10
    movzx eax, dx
    ret

scrolling:
    mov dx, 0x184f          /* the last position: a character there scrolls */
    mov ah, 2
    int 0x10
    mov ax, 0x0e58
    int 0x10
    CHECK_EQ(es:[(23 * 80 + 78) * 2], 0x07580720)
    CHECK_EQ(es:[(9 * 80 + 20) * 2], 0x1e2a1e2a)
    call cursor
    CHECK_EQ(eax, 0x1800)
    mov ax, 0x0702          /* a window of rows 9 to 12 down by 2, filled with white on blue */
    mov bh, 0x1f
    mov cx, 0x0914
    mov dx, 0x0c18
    int 0x10
    CHECK_EQ(es:[(9 * 80 + 20) * 2], 0x1f201f20)
    CHECK_EQ(es:[(11 * 80 + 20) * 2], 0x1e2a1e2a)
    CHECK_EQ(es:[(11 * 80 + 24) * 2], 0x07200720)
    mov ax, 0x0600          /* all of it */
    mov bh, 0x07
    mov cx, 0
    mov dx, 0x184f
    int 0x10
    CHECK_EQ(es:[(11 * 80 + 20) * 2], 0x07200720)
    ret

cursor_shape:
    mov ah, 1
    mov cx, 0x0607
    int 0x10
    mov ah, 3
    mov bh, 0
    int 0x10
    movzx eax, cx
    CHECK_EQ(eax, 0x0607)
    mov ax, 0x1130          /* the font in use: 16 lines, 25 rows */
    mov bh, 6
    push es
    int 0x10
    pop es
    movzx eax, cx
    CHECK_EQ(eax, 16)
    movzx eax, dl
    CHECK_EQ(eax, 24)
    ret

strings:
    push 0
    pop es
    mov ax, 0x1301
    mov bx, 0x002f
    mov cx, 5
    mov dx, 0x0503
    mov bp, offset greeting
    int 0x10
    push TEXT_SEG
    pop es
    CHECK_EQ(es:[(5 * 80 + 3) * 2], 0x2f652f48)
    call cursor
    CHECK_EQ(eax, 0x0508)
    ret
greeting: .ascii "Hello"

planar:
    mov ax, 0x12
    int 0x10
    mov ah, 0x0f
    int 0x10
    movzx eax, al
    CHECK_EQ(eax, 0x12)
    mov ax, 0x0c0b          /* a pixel of colour 11 at 345, 234, and another one next to it */
    mov bh, 0
    mov cx, 345
    mov dx, 234
    int 0x10
    mov al, 4
    inc cx
    int 0x10
    mov ah, 0x0d
    int 0x10
    movzx eax, al
    CHECK_EQ(eax, 4)
    dec cx
    mov ah, 0x0d
    int 0x10
    movzx eax, al
    CHECK_EQ(eax, 11)
    mov ax, 0x0c8f          /* XOR with 15 */
    int 0x10
    mov ah, 0x0d
    int 0x10
    movzx eax, al
    CHECK_EQ(eax, 4)
    push PIXELS_SEG         /* plane 2 of that byte has both pixels, plane 0 now has none */
    pop es
    mov dx, 0x3ce
    mov ax, 0x0204
    out dx, ax
    movzx eax, byte ptr es:[234 * 80 + 345 / 8]
    CHECK_EQ(eax, 0x60)
    mov ax, 0x0004
    out dx, ax
    movzx eax, byte ptr es:[234 * 80 + 345 / 8]
    CHECK_EQ(eax, 0)
    ret

chunky:
    mov ax, 0x13
    int 0x10
    push PIXELS_SEG
    pop es
    mov byte ptr es:[100 * 320 + 50], 0x9a
    mov ah, 0x0d
    mov bh, 0
    mov cx, 50
    mov dx, 100
    int 0x10
    movzx eax, al
    CHECK_EQ(eax, 0x9a)
    mov ax, 0x0c55
    inc cx
    int 0x10
    movzx eax, byte ptr es:[100 * 320 + 51]
    CHECK_EQ(eax, 0x55)
    movzx eax, byte ptr es:[199 * 320 + 319]
    CHECK_EQ(eax, 0)
    ret

palette:
    mov ax, 0x1010          /* colour 77: red 10, green 20, blue 30 */
    mov bx, 77
    mov dh, 10
    mov cx, 20 << 8 | 30
    int 0x10
    mov ax, 0x1015
    mov bx, 77
    mov dx, 0
    mov cx, 0
    int 0x10
    movzx eax, cx
    CHECK_EQ(eax, 20 << 8 | 30)
    movzx eax, dh
    CHECK_EQ(eax, 10)
    ret

    .org SECTORS * 512
