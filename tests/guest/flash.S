/*
 * Hazards: a flash chip is ROM for fast paths and a device for writes. A command does not reach it; the CPU gets the array's
 * contents instead of a register's; old code of the chip runs after the chip was programmed again. The chip of 64 KB ends at
 * 4 GB and is all ones at first; flash.sh reads the file afterwards.
 */
#include "guest.inc"
GUEST(flash)

CHIP = 0xffff0000
BLOCK = 0x1000
CODE_AT = CHIP + 0x3000

guest_main:
    mov edi, CHIP
    CHECK_EQ([CHIP], 0xffffffff)
    mov byte ptr [edi], 0x98            /* CFI: QRY, 64 KB, 16 blocks of 4 KB */
    movzx eax, byte ptr [edi + 0x10]
    CHECK_EQ(eax, 'Q')
    movzx eax, byte ptr [edi + 0x27]
    CHECK_EQ(eax, 16)
    movzx eax, byte ptr [edi + 0x2d]
    CHECK_EQ(eax, 15)
    CHECK_EQ([CHIP + 0x2f], 0x52500010) /* and PR of PRI */
    mov byte ptr [edi], 0xff
    CHECK_EQ([CHIP], 0xffffffff)

    /* As OVMF looks for flash. */
    mov byte ptr [edi], 0x50
    CHECK_EQ([CHIP], 0xffffffff)
    mov byte ptr [edi], 0x70
    movzx eax, byte ptr [edi]
    CHECK_EQ(eax, 0)
    mov byte ptr [edi], 0xff

    /* A loop that reads the array and the registers by the same instructions. */
    mov ecx, 200
1:  mov byte ptr [edi + ecx + 0x2000], 0x40
    mov [edi + ecx + 0x2000], cl
    movzx eax, byte ptr [edi + ecx + 0x2000]
    CHECK_EQ(eax, 0x80)
    mov byte ptr [edi + ecx + 0x2000], 0xff
    movzx eax, byte ptr [edi + ecx + 0x2000]
    CHECK_EQ(eax, ecx)
    dec ecx
    jnz 1b

    /* Bits are cleared only. */
    mov byte ptr [edi], 0x10
    mov byte ptr [edi], 0xa5
    mov byte ptr [edi], 0x10
    mov byte ptr [edi], 0x0f
    mov byte ptr [edi], 0xff
    movzx eax, byte ptr [edi]
    CHECK_EQ(eax, 0x05)

    /* A function, erased, programmed and called three times. */
    mov dword ptr [value], 1
2:  mov byte ptr [CODE_AT], 0x20
    mov byte ptr [CODE_AT], 0xd0
    mov byte ptr [CODE_AT], 0xff
    CHECK_EQ([CODE_AT], 0xffffffff)
    mov eax, [value]
    mov [code + 1], eax
    xor ecx, ecx
3:  mov al, [code + ecx]
    mov byte ptr [CODE_AT + ecx], 0x40
    mov [CODE_AT + ecx], al
    inc ecx
    cmp ecx, 6
    jne 3b
    mov byte ptr [CODE_AT], 0xff
    mov eax, CODE_AT
    call eax
    CHECK_EQ(eax, [value])
    inc dword ptr [value]
    cmp dword ptr [value], 4
    jne 2b
    ret

    .data
value: .long 0
code:   /* MOV EAX, value; RET */
    .byte 0xb8, 0, 0, 0, 0, 0xc3
