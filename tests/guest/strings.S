/*
 * Hazard: repeated string instructions in bulk: overlap, direction, faults in the middle with exact ECX ESI EDI, 16-bit
 * addresses that wrap, devices and code as destinations. memcpy, memmove, strlen and copy_to_user use them.
 * SDM 2B REP; 1 7.3.9.
 */
#include "guest.inc"
GUEST(strings)

BUF1 = 0x400000
BUF2 = 0x500000
PAGED = 0x40000000

#define REGS(c, s, d) CHECK_EQ(ecx, c); CHECK_EQ(esi, s); CHECK_EQ(edi, d)

guest_main:
    call moves
    call overlaps
    call backwards
    call compares
    call zero_counts
    call short_addresses
    call segments
    call faults
    call ports
    ret

fill: /* BUF1: bytes 0, 1, 2 ...; BUF2: zeros */
    pushad
    mov edi, BUF1
    mov ecx, 0x4000
1:  mov [edi], cl
    neg byte ptr [edi]
    inc edi
    loop 1b
    mov edi, BUF2
    mov ecx, 0x1000
    xor eax, eax
    rep stosd
    popad
    ret

moves:
    call fill
    mov esi, BUF1 + 3
    mov edi, BUF2 + 5
    mov ecx, 0x2001
    rep movsb
    REGS(0, BUF1 + 3 + 0x2001, BUF2 + 5 + 0x2001)
    mov esi, BUF1 + 3
    mov edi, BUF2 + 5
    mov ecx, 0x2001
    repe cmpsb
    CHECK_CC(e)
    REGS(0, BUF1 + 3 + 0x2001, BUF2 + 5 + 0x2001)
    CHECK_EQ([BUF2 + 1], 0)
    mov esi, BUF1 + 1
    mov edi, BUF2 + 2
    mov ecx, 0x801
    rep movsw
    REGS(0, BUF1 + 1 + 0x1002, BUF2 + 2 + 0x1002)
    mov eax, [BUF1 + 0xfff]
    CHECK_EQ([BUF2 + 0x1000], eax)
    mov edi, BUF2 + 1
    mov eax, 0xa1b2c3d4
    mov ecx, 0x700
    rep stosd
    CHECK_EQ(edi, BUF2 + 1 + 0x1c00)
    CHECK_EQ([BUF2 + 0xffd], 0xa1b2c3d4)
    CHECK_EQ([BUF2 + 0x1001], 0xa1b2c3d4)
    mov edi, BUF2
    mov ecx, 5
    rep stosw
    CHECK_EQ([BUF2 + 6], 0xc3d4c3d4)
    mov esi, BUF1
    mov ecx, 17
    rep lodsd
    CHECK_EQ(esi, BUF1 + 68)
    mov ecx, [BUF1 + 64]
    CHECK_EQ(eax, ecx)
    mov esi, BUF1 + 2
    mov eax, -1
    lodsb
    and eax, 0xffffff00
    CHECK_EQ(eax, 0xffffff00)
    /* REPNE MOVS counts as REP */
    mov esi, BUF1
    mov edi, BUF2
    mov ecx, 9
    .byte 0xf2
    movsb
    CHECK_EQ(ecx, 0)
    ret

overlaps: /* forward over itself by less than an element: the pattern repeats, as with single bytes */
    call fill
    mov dword ptr [BUF1], 0x04030201
    mov esi, BUF1
    mov edi, BUF1 + 1
    mov ecx, 100
    rep movsb
    CHECK_EQ([BUF1], 0x01010101)
    CHECK_EQ([BUF1 + 97], 0x01010101)
    mov dword ptr [BUF1], 0x04030201
    mov esi, BUF1
    mov edi, BUF1 + 3
    mov ecx, 300
    rep movsb
    CHECK_EQ([BUF1 + 299], 0x03020103)
    mov dword ptr [BUF1], 0x04030201
    mov dword ptr [BUF1 + 4], 0x08070605
    mov esi, BUF1
    mov edi, BUF1 + 6
    mov ecx, 1500                       /* over a page boundary */
    rep movsd
    CHECK_EQ([BUF1 + 6], 0x04030201)
    CHECK_EQ([BUF1 + 6 * 800], 0x04030201)
    /* exactly one element ahead, and memmove's case: destination below */
    call fill
    mov esi, BUF1 + 4
    mov edi, BUF1
    mov ecx, 0x500
    mov ebx, [BUF1 + 0x1400]
    rep movsd
    CHECK_EQ([BUF1 + 0x13fc], ebx)
    CHECK_EQ(esi, BUF1 + 0x1404)
    ret

backwards:
    call fill
    std
    mov esi, BUF1 + 0x1fff
    mov edi, BUF2 + 0x1fff
    mov ecx, 0x1800
    rep movsb
    cld
    REGS(0, BUF1 + 0x7ff, BUF2 + 0x7ff)
    mov eax, [BUF1 + 0x800]
    CHECK_EQ([BUF2 + 0x800], eax)
    mov eax, [BUF1 + 0xffe]
    CHECK_EQ([BUF2 + 0xffe], eax)
    mov eax, [BUF2 + 0x7fc]
    and eax, 0xffffff
    CHECK_EQ(eax, 0)
    /* memmove upward */
    call fill
    mov ebx, [BUF1 + 0x1000]
    std
    mov esi, BUF1 + 0x1ffc
    mov edi, BUF1 + 0x1ffe
    mov ecx, 0x7ff
    rep movsd
    cld
    CHECK_EQ([BUF1 + 0x1002], ebx)
    std
    mov edi, BUF2 + 0x1000
    mov eax, 0x77
    mov ecx, 4
    rep stosb
    cld
    CHECK_EQ(edi, BUF2 + 0xffc)
    CHECK_EQ([BUF2 + 0xffd], 0x77777777)
    std
    mov edi, BUF1 + 0x1000
    mov al, [BUF1 + 0xffc]
    mov ecx, 0x100
    repne scasb
    cld
    CHECK_EQ(edi, BUF1 + 0xffb)
    CHECK_EQ(ecx, 0xfb)
    ret

compares:
    call fill
    mov edi, BUF1
    mov al, [BUF1 + 77]
    mov ecx, 1000
    repne scasb
    CHECK_CC(e)
    CHECK_EQ(edi, BUF1 + 78)
    CHECK_EQ(ecx, 1000 - 78)
    mov edi, BUF2
    xor eax, eax
    mov ecx, 0x900
    mov byte ptr [BUF2 + 0x1805], 9
    repe scasd
    CHECK_CC(ne)
    CHECK_CC(b)                             /* 0 - 900h borrows: flags are the last element's */
    CHECK_EQ(edi, BUF2 + 0x1808)
    mov esi, BUF1
    mov edi, BUF2
    mov ecx, 0x1001
    rep movsb
    mov byte ptr [BUF2 + 0xfff], 0xee
    mov esi, BUF1
    mov edi, BUF2
    mov ecx, 0x1001
    repe cmpsb
    CHECK_CC(ne)
    REGS(1, BUF1 + 0x1000, BUF2 + 0x1000)
    mov esi, BUF1
    mov edi, BUF2 + 1
    mov ecx, 50
    repne cmpsb
    CHECK_CC(ne)
    REGS(0, BUF1 + 50, BUF2 + 51)
    /* strlen */
    mov edi, offset text
    xor eax, eax
    mov ecx, -1
    repne scasb
    not ecx
    CHECK_EQ(ecx, 15)
    ret

zero_counts: /* a count of 0: nothing moves, flags stay, and the addresses are not accessed */
    mov esi, 0xf0000000
    mov edi, 0xf0000000
    xor ecx, ecx
    stc
    rep movsb
    CHECK_CC(c)
    repe cmpsd
    CHECK_CC(c)
    repne scasb
    CHECK_CC(c)
    rep stosd
    rep lodsb
    REGS(0, 0xf0000000, 0xf0000000)
    ret

/* 67h: SI, DI, CX count and wrap; the high halves stay */
short_addresses:
    DESCRIPTOR(FREE, BUF1, 0xffff, ACC_DATA32_BYTES)
    DESCRIPTOR(FREE + 8, BUF2, 0xffff, ACC_DATA32_BYTES)
    call fill
    mov dword ptr [BUF1 + 0xfffc], 0x44434241
    mov dword ptr [BUF1], 0x48474645
    mov eax, FREE
    mov fs, eax
    mov eax, FREE + 8
    mov es, eax
    mov esi, 0x1234fffc
    mov edi, 0x5678fffe
    mov ecx, 0x9abc0006
    rep movs byte ptr es:[di], byte ptr fs:[si]
    push ds
    pop es
    REGS(0x9abc0000, 0x12340002, 0x56780004)
    movzx eax, word ptr [BUF2 + 0xfffe]
    CHECK_EQ(eax, 0x4241)
    CHECK_EQ([BUF2], 0x46454443)
    mov ecx, 0xffff0000
    mov esi, -1
    addr16 rep movsb                    /* CX is 0 */
    CHECK_EQ(ecx, 0xffff0000)
    CHECK_EQ(esi, -1)
    mov ecx, 0x00050003
    xor eax, eax
1:  inc eax
    addr16 loop 1b
    CHECK_EQ(eax, 3)
    CHECK_EQ(ecx, 0x00050000)
    jcxz 2f
    ud2
2:  ret

segments: /* the source segment can be overridden, the destination cannot */
    DESCRIPTOR(FREE, BUF1, 0xfffff, ACC_DATA32)
    mov eax, FREE
    mov fs, eax
    mov dword ptr [BUF1 + 0x10], 0x31323334
    mov esi, 0x10
    mov edi, BUF2
    movs dword ptr es:[edi], dword ptr fs:[esi]
    CHECK_EQ([BUF2], 0x31323334)
    mov esi, 0x10
    lods dword ptr fs:[esi]
    CHECK_EQ(eax, 0x31323334)
    mov es, [selector]
    mov edi, 0x20
    stosd
    push ds
    pop es
    CHECK_EQ([BUF1 + 0x20], 0x31323334)
    ret

/* Page faults in the middle */
faults:
    mov edi, offset page_table
    mov eax, 3
    mov ecx, 4096
1:  stosd
    add eax, 0x1000
    loop 1b
    mov eax, offset page_table + 3
    mov [directory], eax
    add eax, 0x1000
    mov [directory + 4], eax
    mov dword ptr [directory + 4 * (PAGED >> 22)], offset window_table + 3
    mov dword ptr [window_table], 0x600000 + 3
    mov dword ptr [window_table + 4], 0x601000 + 3
    mov dword ptr [window_table + 12], 0x603000 + 3
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    call fill

    mov esi, BUF1
    mov edi, PAGED + 0x1000
    mov ecx, 0x3000
    EXPECT_FAULT(VEC_PF, 2, rep movsb)
    CHECK_EQ([trap_cr2], PAGED + 0x2000)
    REGS(0x2000, BUF1 + 0x1000, PAGED + 0x2000)
    mov eax, [BUF1 + 0xffc]
    CHECK_EQ([0x601ffc], eax)
    mov esi, PAGED + 2
    mov edi, BUF2
    mov ecx, 0x1000
    EXPECT_FAULT(VEC_PF, 0, rep movsd)      /* an element that crosses the boundary is not moved at all */
    CHECK_EQ([trap_cr2], PAGED + 0x2000)
    REGS(0x1000 - 0x7ff, PAGED + 0x1ffe, BUF2 + 0x1ffc)
    mov edi, PAGED + 0x1ff0
    mov ecx, 100
    EXPECT_FAULT(VEC_PF, 2, rep stosd)
    CHECK_EQ(ecx, 96)
    CHECK_EQ(edi, PAGED + 0x2000)
    mov edi, PAGED + 0x1ff1
    mov ecx, 100
    mov eax, 0x01010101
    mov dword ptr [0x601ffc], 0
    EXPECT_FAULT(VEC_PF, 2, rep stosd)
    CHECK_EQ(ecx, 97)
    CHECK_EQ(edi, PAGED + 0x1ffd)
    CHECK_EQ([0x601ffc], 1)                 /* the fourth element has not begun */
    mov edi, PAGED + 0x1ff0
    mov al, 0xfd
    mov ecx, 100
    EXPECT_FAULT(VEC_PF, 0, repne scasb)
    CHECK_EQ(ecx, 84)
    CHECK_EQ(edi, PAGED + 0x2000)
    std
    mov edi, PAGED + 0x300f
    mov ecx, 100
    EXPECT_FAULT(VEC_PF, 2, rep stosb)
    CHECK_EQ(ecx, 84)
    CHECK_EQ(edi, PAGED + 0x2fff)
    cld
    /* the mapping is mended and the instruction restarted, as a demand-paging kernel does */
    HOOK VEC_PF, mend
    mov esi, BUF1
    mov edi, PAGED
    mov ecx, 0x1000
    rep movsd
    UNHOOK VEC_PF
    REGS(0, BUF1 + 0x4000, PAGED + 0x4000)
    CHECK_EQ([mended], 1)
    mov esi, BUF1
    mov edi, PAGED
    mov ecx, 0x1000
    repe cmpsd
    CHECK_CC(e)
    /* source and destination in pages with frames that are not adjacent, and odd sizes */
    mov dword ptr [window_table + 4 * 4], 0x700000 + 3
    mov dword ptr [window_table + 4 * 5], 0x6f0000 + 3
    mov esi, PAGED + 0xff1
    mov edi, PAGED + 0x4ff7
    mov ecx, 0x3ff
    rep movsd
    mov eax, [PAGED + 0xff1 + 0x3fb * 4]
    CHECK_EQ([PAGED + 0x4ff7 + 0x3fb * 4], eax)
    mov al, [0x700ffe]
    mov ah, [PAGED + 0xff8]
    xor al, ah
    movzx eax, al
    CHECK_EQ(eax, 0)
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    ret
mend:
    inc dword ptr [mended]
    mov dword ptr [window_table + 8], 0x602000 + 3
    xor eax, eax
    ret

ports: /* INS and OUTS with REP: CMOS index back, debug console */
    mov esi, offset text
    mov ecx, 14
    mov edx, 0xe9
    rep outsb
    CHECK_EQ(ecx, 0)
    CHECK_EQ(esi, offset text + 14)
    mov edi, BUF2
    mov ecx, 3
    mov edx, 0x61
    mov dword ptr [BUF2], -1
    rep insb
    CHECK_EQ(ecx, 0)
    CHECK_EQ(edi, BUF2 + 3)
    movzx eax, byte ptr [BUF2 + 3]
    CHECK_EQ(eax, 0xff)
    ret

    .section .rodata
text: .asciz "strings speak\n"
    .data
    .balign 4
selector: .long FREE
    .bss
    .balign 4096
directory: .skip 4096
page_table: .skip 4 * 4096
window_table: .skip 4096
mended: .skip 4
