/*
 * Hazards: the memory sizes that the BIOS reports (INT 12h, INT 15h AH=88h, E801h, E820h), the A20 gate in all ways,
 * block moves into extended memory, the system configuration, the write protection of the shadowed BIOS, the video BIOS in
 * the area of option ROMs. The machine has 16 MB.
 */
#include "boot.inc"

MB        = 16
MAP       = 0x5000          /* where E820h writes */
ENTRY     = 20
RAM       = 1
MARK      = 0x0600          /* with A20 closed, the memory 1 MB above appears here */

test:
    int 0x12
    movzx eax, ax
    CHECK_EQ(eax, 639)
    mov ah, 0x88
    int 0x15
    CHECK_NO_CARRY
    movzx eax, ax
    cmp eax, (MB - 1) * 1024
    jbe 1f
    CHECK_EQ(eax, (MB - 1) * 1024)
1:  mov ax, 0xe801
    int 0x15
    CHECK_NO_CARRY
    movzx ecx, ax
    shl ecx, 10
    movzx ebx, bx
    shl ebx, 16
    add ecx, ebx            /* RAM above 1 MB, up to what ACPI tables take */
    shr ecx, 20
    CHECK_EQ(ecx, MB - 2)

    call memory_map
    call a20
    call block_move

    /* configuration table; equipment */
    mov ah, 0xc0
    int 0x15
    CHECK_NO_CARRY
    movzx eax, byte ptr es:[bx + 2]
    CHECK_EQ(eax, 0xfc)     /* model: AT */
    push 0
    pop es
    int 0x11
    and eax, 0x36
    CHECK_EQ(eax, 0x26)     /* x87, PS/2 mouse, 80x25 colour */

    /* the BIOS segment is shadowed and write-protected */
    mov ax, 0xf000
    mov ds, ax
    mov eax, [0xfff0]
    not dword ptr [0xfff0]
    mov edx, [0xfff0]
    push 0
    pop ds
    sub eax, edx
    CHECK_EQ(eax, 0)
    mov ax, 0xc000
    mov es, ax
    movzx eax, word ptr es:[0]
    CHECK_EQ(eax, 0xaa55)   /* option ROM */
    push 0
    pop es
    ret

/* E820h: regions in ascending order without overlap; low memory and extended memory as above; the BIOS reserved. */
memory_map:
    xor ebx, ebx
    mov di, MAP
1:  mov eax, 0xe820
    mov edx, 0x534d4150     /* SMAP */
    mov ecx, ENTRY
    int 0x15
    CHECK_NO_CARRY
    CHECK_EQ(eax, 0x534d4150)
    CHECK_EQ(ecx, ENTRY)
    add di, ENTRY
    cmp di, MAP + 30 * ENTRY
    jae 2f
    test ebx, ebx
    jnz 1b
2:  mov [map_end], di
    mov si, MAP
    CHECK_EQ([si], 0)
    CHECK_EQ([si + 8], 639 * 1024)
    CHECK_EQ([si + 16], RAM)
    xor ecx, ecx            /* RAM at 1 MB and above */
    xor ebx, ebx            /* is F0000h reserved? */
3:  mov eax, [si]
    add eax, [si + 8]       /* its end: 4 GB is 0 */
    mov edx, [si + ENTRY]
    lea di, [si + ENTRY]
    cmp di, [map_end]
    jae 5f
    cmp edx, eax
    jae 5f
    CHECK_EQ(edx, eax)
5:  cmp dword ptr [si + 16], RAM
    jne 6f
    cmp dword ptr [si], 0x100000
    jne 7f
    add ecx, [si + 8]
6:  cmp dword ptr [si], 0xf0000
    jne 7f
    inc ebx
7:  add si, ENTRY
    cmp si, [map_end]
    jb 3b
    shr ecx, 20
    CHECK_EQ(ecx, MB - 2)   /* whole megabytes: the last one does not count, because the ACPI tables lie there */
    CHECK_EQ(ebx, 1)
    ret
map_end: .word 0

/* CF: A20 is closed. */
a20_closed:
    push 0xffff
    pop fs
    inc dword ptr [MARK]
    mov eax, fs:[MARK + 0x10]
    cmp eax, [MARK]
    jne 1f
    not dword ptr [MARK]    /* equal by chance? */
    mov eax, fs:[MARK + 0x10]
    cmp eax, [MARK]
    jne 1f
    stc
    ret
1:  clc
    ret

a20:
    mov ax, 0x2403
    int 0x15
    CHECK_NO_CARRY
    mov ax, 0x2401
    int 0x15
    CHECK_NO_CARRY
    call a20_closed
    CHECK_NO_CARRY
    mov ax, 0x2402
    int 0x15
    movzx eax, al
    CHECK_EQ(eax, 1)
    mov ax, 0x2400
    int 0x15
    CHECK_NO_CARRY
    mov ax, 0x2402
    int 0x15
    movzx eax, al
    CHECK_EQ(eax, 0)
    call a20_closed
    CHECK_CARRY
    in al, 0x92
    or al, 2
    out 0x92, al
    call a20_closed
    CHECK_NO_CARRY
    in al, 0x92
    and al, 0xfd
    out 0x92, al
    call a20_closed
    CHECK_CARRY
    call keyboard_ready     /* by the keyboard controller's output port */
    mov al, 0xd1
    out 0x64, al
    call keyboard_ready
    mov al, 0xdf
    out 0x60, al
    call keyboard_ready
    call a20_closed
    CHECK_NO_CARRY
    ret

keyboard_ready:
    in al, 0x64
    test al, 2
    jnz keyboard_ready
    ret

/* INT 15h AH=87h: copies 8 KB to 5 MB, and back to another address. */
block_move:
    push BUFFER_SEG
    pop es
    xor edi, edi
    mov ecx, 2048
    mov eax, 0x1000
1:  stosd
    inc eax
    loop 1b
    push 0
    pop es
    mov si, offset descriptors
    mov cx, 4096
    mov ah, 0x87
    int 0x15
    CHECK_NO_CARRY
    mov byte ptr [descriptors + 0x12 + 2], 0x50
    mov word ptr [descriptors + 0x12], 0
    mov word ptr [descriptors + 0x1a], 0x4000
    mov byte ptr [descriptors + 0x1a + 2], (BUFFER + 0x4000) >> 16
    mov si, offset descriptors
    mov cx, 4096
    mov ah, 0x87
    int 0x15
    CHECK_NO_CARRY
    push BUFFER_SEG
    pop es
    CHECK_EQ(es:[0x4000], 0x1000)
    CHECK_EQ(es:[0x4000 + 8188], 0x17ff)
    push 0
    pop es
    ret

    .balign 8
descriptors:
    .quad 0, 0
    .word 0xffff, BUFFER & 0xffff                 /* from */
    .byte BUFFER >> 16, 0x93, 0, 0
    .word 0xffff, 0                               /* to 5 MB */
    .byte 0x50, 0x93, 0, 0
    .quad 0, 0

    .org SECTORS * 512
