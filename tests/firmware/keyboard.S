/*
 * Hazard: keys on their way from the keyboard controller by IRQ 1 and the BIOS to INT 16h: make and break codes, shift states,
 * extended keys, a full buffer, the command for the LEDs. Also the mouse at the same controller (INT 15h AH=C2h). By command D2h
 * makes the controller itself type.
 */
#include "boot.inc"

test:
    mov ah, 1
    int 0x16
    setz al
    movzx eax, al
    CHECK_EQ(eax, 1)        /* nothing there */

    mov al, 0x1e            /* a */
    call type
    call typed
    CHECK_EQ(eax, 0x1e61)
    mov al, 0x9e
    call type
    mov al, 0x2a            /* left shift down: A */
    call type
    mov ah, 2
    int 0x16
    and eax, 0x0f
    CHECK_EQ(eax, 2)
    mov al, 0x1e
    call type
    call typed
    CHECK_EQ(eax, 0x1e41)
    mov al, 0xaa
    call type
    mov ah, 2
    int 0x16
    and eax, 0x0f
    CHECK_EQ(eax, 0)
    mov al, 0x1d            /* Ctrl-C */
    call type
    mov al, 0x2e
    call type
    call typed
    CHECK_EQ(eax, 0x2e03)
    mov al, 0x9d
    call type
    mov al, 0x3b            /* F1 */
    call type
    call typed
    CHECK_EQ(eax, 0x3b00)
    mov al, 0x3a            /* Caps Lock toggles, its LED is switched */
    call type
    mov al, 0xba
    call type
    mov ah, 2
    int 0x16
    and eax, 0x70
    CHECK_EQ(eax, 0x40)
    mov al, 0x30            /* B */
    call type
    call typed
    CHECK_EQ(eax, 0x3042)
    mov al, 0x3a
    call type

    /* an extended key: cursor left, which AH=10h reports as extended and AH=0 as an ordinary one */
    mov al, 0xe0
    call type
    mov al, 0x4b
    call type
    mov ah, 0x10
    call typed_by
    CHECK_EQ(eax, 0x4be0)
    mov al, 0xe0
    call type
    mov al, 0x4b
    call type
    call typed
    CHECK_EQ(eax, 0x4b00)

    /* the buffer holds 15 keys; INT 16h AH=5 puts some there too */
    mov cx, 0x1234
    mov ah, 5
    int 0x16
    movzx eax, al
    CHECK_EQ(eax, 0)
    mov bx, 14
1:  mov al, 0x1e
    call type
    dec bx
    jnz 1b
    mov cx, 0x5678
    mov ah, 5
    int 0x16
    movzx eax, al
    CHECK_EQ(eax, 1)        /* full */
    call typed
    CHECK_EQ(eax, 0x1234)
    mov bx, 14
2:  call typed
    CHECK_EQ(eax, 0x1e61)
    dec bx
    jnz 2b
    mov ah, 1
    int 0x16
    setz al
    movzx eax, al
    CHECK_EQ(eax, 1)

    call mouse
    ret

mouse:
    mov ax, 0xc205          /* set up for packets of three bytes */
    mov bh, 3
    int 0x15
    CHECK_NO_CARRY
    mov ax, 0xc204          /* type */
    int 0x15
    CHECK_NO_CARRY
    movzx eax, bh
    CHECK_EQ(eax, 0)
    mov ax, 0xc207          /* handler */
    mov bx, offset moved
    int 0x15
    CHECK_NO_CARRY
    mov ax, 0xc200          /* on */
    mov bh, 1
    int 0x15
    CHECK_NO_CARRY
    mov al, 0x08            /* a movement as if from the mouse (command D3h): 5 right, 7 up */
    call move
    mov al, 5
    call move
    mov al, 7
    call move
    mov ecx, 100000
1:  cmp byte ptr [packets], 0
    jne 2f
    in al, 0x64
    dec ecx
    jnz 1b
2:  movzx eax, byte ptr [packets]
    CHECK_EQ(eax, 1)
    CHECK_EQ([packet], 0x00070508)
    ret

/* Called with the words status, X, Y and Z on the stack, which it leaves there. */
moved:
    push bp
    mov bp, sp
    push eax
    mov al, [bp + 12]
    mov cs:[packet], al
    mov al, [bp + 10]
    mov cs:[packet + 1], al
    mov al, [bp + 8]
    mov cs:[packet + 2], al
    inc byte ptr cs:[packets]
    pop eax
    pop bp
    retf
packets: .byte 0
    .balign 4
packet:  .long 0

ready:
    in al, 0x64
    test al, 3
    jnz ready
    ret

/* AL: a code that the keyboard sends. Returns when the BIOS has it. */
type:
    push bx
    mov bl, 0xd2
    jmp 1f
move:
    push bx
    mov bl, 0xd3
1:  mov bh, al
    call ready
    mov al, bl
    out 0x64, al
    call ready
    mov al, bh
    out 0x60, al
    call ready
    pop bx
    ret

/* EAX: the next key. */
typed:
    mov ah, 0
typed_by:
    int 0x16
    movzx eax, ax
    ret

    .org SECTORS * 512
