/*
 * Hazard: memory that is a device. Fast paths must not reach it, every form of instruction must work on it, bytes must arrive
 * once and in order, and an access across the page boundary must write the RAM on the other side. The device is VGA text memory
 * at B8000h, because it can be read back. The last page before A0000h is RAM.
 */
#include "guest.inc"
GUEST(mmio)

TEXT = 0xb8000
PAGED = 0x40000000

guest_main:
    call sizes
    call modify
    call stack
    call strings
    call page_crossing
    call hole
    ret

sizes:
    mov edi, TEXT
    mov dword ptr [edi], 0x07420741
    CHECK_EQ([TEXT], 0x07420741)
    mov byte ptr [edi + 1], 0x1e
    CHECK_EQ([TEXT], 0x07421e41)
    mov word ptr [edi + 1], 0x5a4b           /* unaligned */
    CHECK_EQ([TEXT], 0x075a4b41)
    mov dword ptr [edi + 3], 0x11223344
    CHECK_EQ([TEXT + 3], 0x11223344)
    CHECK_EQ([TEXT], 0x445a4b41)
    movzx eax, word ptr [edi + 3]
    CHECK_EQ(eax, 0x3344)
    movsx eax, byte ptr [edi + 6]
    CHECK_EQ(eax, 0x11)
    mov al, [TEXT + 5]
    movzx eax, al
    CHECK_EQ(eax, 0x22)
    fninit
    fild dword ptr [edi]
    fistp qword ptr [edi + 8]
    CHECK_EQ([TEXT + 8], 0x445a4b41)
    CHECK_EQ([TEXT + 12], 0)
    mov eax, cr4
    or eax, 0x600
    mov cr4, eax
    movups xmm0, [edi]
    movups [edi + 0x21], xmm0
    CHECK_EQ([TEXT + 0x21], 0x445a4b41)
    CHECK_EQ([TEXT + 0x29], 0x445a4b41)
    movq xmm1, [edi + 8]
    movq [edi + 0x41], xmm1
    CHECK_EQ([TEXT + 0x45], 0)
    push edi
    pop ebx
    lea ebx, [ebx + 0x50]
    fxsave [ebx]
    movzx eax, word ptr [ebx]
    CHECK_EQ(eax, 0x37f)
    fninit
    ret

modify: /* read-modify-write, locked or not: once each */
    mov edi, TEXT + 0x400
    mov dword ptr [edi], 0xff
    inc dword ptr [edi]
    CHECK_EQ([TEXT + 0x400], 0x100)
    add byte ptr [edi], 0x81
    CHECK_CC(s)
    CHECK_EQ([TEXT + 0x400], 0x181)
    mov eax, 0x55
    xchg [edi], eax
    CHECK_EQ(eax, 0x181)
    lock xadd [edi], eax
    CHECK_EQ(eax, 0x55)
    CHECK_EQ([TEXT + 0x400], 0x1d6)
    mov eax, 0x1d6
    mov ecx, 0x777
    lock cmpxchg [edi], ecx
    CHECK_CC(z)
    CHECK_EQ([TEXT + 0x400], 0x777)
    bts dword ptr [edi], 31
    CHECK_CC(nc)
    CHECK_EQ([TEXT + 0x400], 0x80000777)
    mov ecx, 40
    bts dword ptr [edi], ecx            /* reaches the next dword */
    not dword ptr [edi]
    CHECK_EQ([TEXT + 0x400], 0x7ffff888)
    shl dword ptr [edi], 4
    CHECK_EQ([TEXT + 0x400], 0xffff8880)
    or dword ptr [edi], 1
    setz byte ptr [edi + 1]
    CHECK_EQ([TEXT + 0x400], 0xffff0081)
    mov eax, [edi]
    mov edx, [edi + 4]
    mov ebx, 1
    mov ecx, 2
    cmpxchg8b [edi]
    CHECK_CC(z)
    CHECK_EQ([TEXT + 0x400], 1)
    CHECK_EQ([TEXT + 0x404], 2)
    test dword ptr [edi], 1
    CHECK_CC(nz)
    cmp dword ptr [edi + 4], 3
    CHECK_CC(b)
    ret

stack: /* PUSH, POP, CALL with a device as the stack, and as their operand */
    mov [saved_esp], esp
    mov esp, TEXT + 0x800
    push 0x12345678
    pushw 0x55aa
    call 1f
1:  pop eax
    pop bx
    pop ecx
    mov esi, esp
    pushad
    mov edx, [esp + 24]
    popad
    mov esp, [saved_esp]
    CHECK_EQ(eax, offset 1b)
    movzx ebx, bx
    CHECK_EQ(ebx, 0x55aa)
    CHECK_EQ(ecx, 0x12345678)
    CHECK_EQ(esi, TEXT + 0x800)
    push dword ptr [TEXT + 0x7fc]
    pop dword ptr [TEXT + 0x900]
    CHECK_EQ([TEXT + 0x900], eax)
    mov dword ptr [TEXT + 0x904], offset 2f
    jmp dword ptr [TEXT + 0x904]
    ud2
2:  mov dword ptr [TEXT + 0x904], offset 3f
    call dword ptr [TEXT + 0x904]
    ud2
3:  pop eax
    CHECK_EQ(eax, offset 3b - 2)
    ret

strings:
    mov esi, offset pattern
    mov edi, TEXT + 0xa00
    mov ecx, 16
    rep movsb
    CHECK_EQ([TEXT + 0xa0c], 0x706f6e6d)
    mov esi, TEXT + 0xa00
    mov edi, TEXT + 0xa02
    mov ecx, 6
    rep movsw
    CHECK_EQ([TEXT + 0xa00], 0x62616261)
    CHECK_EQ([TEXT + 0xa0a], 0x62616261)
    mov edi, TEXT + 0xb00
    mov eax, 0x07200720
    mov ecx, 200
    rep stosd
    CHECK_EQ([TEXT + 0xb00 + 796], 0x07200720)
    mov edi, TEXT + 0xb00
    mov ecx, 200
    repe scasd
    CHECK_CC(e)
    /* scrolling, as a console does it */
    mov esi, TEXT + 160
    mov edi, TEXT
    mov ecx, 24 * 40
    rep movsd
    CHECK_EQ([TEXT + 0xb00 - 160], 0x07200720)
    /* from RAM into the device, starting below it: nothing stops it */
    mov esi, TEXT + 0xb00
    mov edi, offset buffer
    mov ecx, 9
    rep movsd
    CHECK_EQ([buffer + 32], 0x07200720)
    ret

/* One page of RAM and one of the device side by side in linear memory */
page_crossing:
    FILL_TABLE page_table
    mov dword ptr [directory], offset page_table + 3
    mov dword ptr [directory + 4 * (PAGED >> 22)], offset window_table + 3
    mov dword ptr [window_table], 0x300000 + 3
    mov dword ptr [window_table + 4], TEXT + 3
    mov dword ptr [window_table + 8], 0x301000 + 3
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    mov dword ptr [0x300ffc], 0x11111111
    mov dword ptr [TEXT], 0x22222222
    mov dword ptr [TEXT + 0xffc], 0x33333333
    mov dword ptr [0x301000], 0x44444444
    CHECK_EQ([PAGED + 0xffe], 0x22221111)
    mov eax, 0xa1a2a3a4
    mov [PAGED + 0xfff], eax
    CHECK_EQ([0x300ffc], 0xa4111111)
    CHECK_EQ([TEXT], 0x22a1a2a3)
    CHECK_EQ([PAGED + 0x1ffd], 0x44333333)
    mov [PAGED + 0x1ffe], ax
    mov [PAGED + 0x1fff], ax
    CHECK_EQ([TEXT + 0xffc], 0xa4a43333)
    CHECK_EQ([0x301000], 0x444444a3)
    add dword ptr [PAGED + 0xffd], 0x01010101
    CHECK_EQ([0x300ffc], 0xa5121211)
    CHECK_EQ([TEXT], 0x22a1a2a4)
    lock inc dword ptr [PAGED + 0xffd]
    CHECK_EQ([0x300ffc], 0xa5121311)
    mov esi, PAGED + 0xff0
    mov edi, PAGED + 0x1ff4
    mov ecx, 8
    rep movsd
    CHECK_EQ([0x301000], 0xa5121311)
    CHECK_EQ([TEXT + 0xffc], 0)
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    ret

hole: /* addresses without a device: reads give ones, and writes have no effect */
    SKIP_ON_TCG 1f          /* reads zeros */
    mov eax, [0xd0000000]
    CHECK_EQ(eax, -1)
    mov dword ptr [0xd0000000], 5
    CHECK_EQ([0xd0000000], -1)
1:  ret

    .section .rodata
pattern: .ascii "abcdefghijklmnop"
    .bss
    .balign 4096
directory: .skip 4096
page_table: .skip 4096
window_table: .skip 4096
buffer: .skip 64
saved_esp: .skip 4
