/*
 * Hazard: INT 13h through the firmware's ATA driver: CHS and EDD services, both ways to the same sectors, at the end of the
 * disk and beyond it. The image has 2048 sectors. Sectors from PATTERN on have their own number in every dword.
 */
#include "boot.inc"

DISK_SECTORS = 2048
PATTERN      = 64
HEADS        = 16           /* the BIOS's geometry of a disk of this size */
TRACK        = 63

test:
    mov dl, [boot_drive]
    CHECK_EQ(dword ptr [drive_as_booted], 0x80)

    /* reset, drive type, parameters */
    mov ah, 0
    int 0x13
    CHECK_NO_CARRY
    mov ah, 0x15
    int 0x13
    CHECK_NO_CARRY
    movzx ebx, ah
    CHECK_EQ(ebx, 3)        /* a fixed disk */
    shl ecx, 16
    mov cx, dx
    CHECK_EQ(ecx, TRACK * HEADS) /* two whole cylinders, less the last one, which the BIOS reserves */
    mov dl, [boot_drive]
    mov ah, 8
    int 0x13
    CHECK_NO_CARRY
    movzx eax, cl
    and eax, 63
    CHECK_EQ(eax, TRACK)
    movzx eax, dh
    CHECK_EQ(eax, HEADS - 1)
    movzx eax, dl
    CHECK_EQ(eax, 1)        /* one disk */

    /* EDD exists and reports the same size */
    mov dl, [boot_drive]
    mov ah, 0x41
    mov bx, 0x55aa
    int 0x13
    CHECK_NO_CARRY
    movzx eax, bx
    CHECK_EQ(eax, 0xaa55)
    mov si, offset parameters
    mov ah, 0x48
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ([parameters + 16], DISK_SECTORS)
    movzx eax, word ptr [parameters + 24]
    CHECK_EQ(eax, 512)

    /* the same sector by CHS and by EDD: LBA 1000 is cylinder 0, head 15, sector 56 */
    mov ax, BUFFER_SEG
    mov es, ax
    xor bx, bx
    mov ax, 0x0201
    mov cx, 1000 % TRACK + 1
    mov dx, (1000 / TRACK) << 8 | 0x80
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ(es:[0], 1000)
    CHECK_EQ(es:[508], 1000)
    mov dword ptr [packet + 8], 1000
    mov word ptr [packet + 2], 1
    mov word ptr [packet + 4], 512
    mov ah, 0x42
    mov si, offset packet
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ(es:[512], 1000)
    CHECK_EQ(es:[512 + 508], 1000)

    /* as many sectors as fit into a segment, up to the disk's last one */
    mov dword ptr [packet + 8], DISK_SECTORS - 127
    mov word ptr [packet + 2], 127
    mov word ptr [packet + 4], 0
    mov ah, 0x42
    mov si, offset packet
    int 0x13
    CHECK_NO_CARRY
    mov eax, DISK_SECTORS - 127
    xor bx, bx
1:  cmp es:[bx], eax
    jne 2f
    cmp es:[bx + 508], eax
    jne 2f
    add bx, 512
    inc eax
    cmp eax, DISK_SECTORS
    jb 1b
2:  CHECK_EQ(eax, DISK_SECTORS)

    /* written by CHS and read by EDD, and the reverse; neighbours are unchanged */
    mov edi, 0
    mov eax, 0x12345678
    mov ecx, 256
    rep stosd
    mov ax, 0x0302
    mov cx, 1234 % TRACK + 1 | ((1234 / TRACK / HEADS) << 8)
    mov dx, (1234 / TRACK % HEADS) << 8 | 0x80
    xor bx, bx
    int 0x13
    CHECK_NO_CARRY
    mov dword ptr [packet + 8], 1233
    mov word ptr [packet + 2], 4
    mov word ptr [packet + 4], 4096
    mov ah, 0x42
    mov si, offset packet
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ(es:[4096], 1233)
    CHECK_EQ(es:[4096 + 512], 0x12345678)
    CHECK_EQ(es:[4096 + 1024 + 508], 0x12345678)
    CHECK_EQ(es:[4096 + 1536], 1236)
    mov dword ptr es:[4096 + 512], 0x87654321
    mov dword ptr [packet + 8], 1234
    mov word ptr [packet + 2], 1
    mov word ptr [packet + 4], 4096 + 512
    mov ax, 0x4300
    mov si, offset packet
    int 0x13
    CHECK_NO_CARRY
    mov ax, 0x0201
    mov cx, 1234 % TRACK + 1 | ((1234 / TRACK / HEADS) << 8)
    mov dx, (1234 / TRACK % HEADS) << 8 | 0x80
    xor bx, bx
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ(es:[0], 0x87654321)
    CHECK_EQ(es:[4], 0x12345678)
    mov ax, 0x0401          /* verify */
    int 0x13
    CHECK_NO_CARRY
    mov ah, 0x47            /* seek, by EDD */
    mov si, offset packet
    int 0x13
    CHECK_NO_CARRY

    /* beyond the end, no such drive, no such function */
    mov dword ptr [packet + 8], DISK_SECTORS - 1
    mov word ptr [packet + 2], 2
    mov ah, 0x42
    mov si, offset packet
    int 0x13
    CHECK_CARRY
    mov dword ptr [packet + 12], 1
    mov word ptr [packet + 2], 1
    mov ah, 0x42
    mov si, offset packet
    int 0x13
    CHECK_CARRY
    mov dword ptr [packet + 12], 0
    mov dl, 0x83
    mov ax, 0x0201
    mov cx, 1
    xor bx, bx
    int 0x13
    CHECK_CARRY
    mov dl, 0x80
    mov ah, 0x7f
    int 0x13
    CHECK_CARRY
    movzx eax, ah
    CHECK_EQ(eax, 1)        /* invalid function */
    push 0
    pop es
    ret

/* DL as the BIOS gave it, as a dword. */
    .set drive_as_booted, boot_drive

    .balign 4
parameters: .word 0x1e
    .skip 0x1c
packet:
    .byte 16, 0
    .word 0                 /* sectors */
    .word 0, BUFFER_SEG     /* offset, segment */
    .quad 0

    .org (PATTERN * 512)
    .set n, PATTERN
    .rept DISK_SECTORS - PATTERN
    .fill 128, 4, n
    .set n, n + 1
    .endr
