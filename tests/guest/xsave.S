/*
 * Hazards of the extended states: AVX or XSAVE before the system has enabled them, components lost or stored where the manual says
 * that they are not, wrong headers taken, upper halves of the YMM registers that survive or vanish, areas that lie in two pages,
 * gathers that cannot go on after a fault. SDM 1 13.1-13.11, 14.3; SDM 2 2.3, 2.6, VPGATHERDD, XRSTOR, XSAVE, XSAVEC, XSAVEOPT, XSETBV.
 */
#include "guest.inc"
#include "paging.inc"
GUEST(xsave)

CR0_MP = 2
CR0_EM = 4
CR0_TS = 8
CR4_OSFXSR = 0x200
CR4_OSXMMEXCPT = 0x400
CR4_OSXSAVE = 0x40000

X87 = 1
SSE = 2
AVX = 4
ALL = 7

/* offsets in an area */
MXCSR_AT = 24
XMM_AT = 160
HEADER = 512
XCOMP_BV = 520
YMM_AT = 576
AREA_BYTES = 832
AVX512 = 0xe0
AVX512_BYTES = 1600

FILL = 0xa5a5a5a5
/* words of `pattern`: its first, and the first of its upper half */
LOW = 0x03020100
HIGH = 0x13121110

/* The first words of the register's two halves must be these. */
#define CHECK_YMM(register, low, high) check_ymm_ __LINE__, register, STRING(low), STRING(high)
.macro check_ymm_ line, register, low, high
    vmovups [scratch], \register
    check_eq_ \line, [scratch], "\low"
    check_eq_ \line, [scratch + 16], "\high"
.endm
#define CHECK_MXCSR(value) check_mxcsr_ __LINE__, STRING(value)
.macro check_mxcsr_ line, value
    stmxcsr [scratch]
    check_eq_ \line, [scratch], \value
.endm

MXCSR_DEFAULT = 0x1f80
MXCSR_UP = 0x5f80       /* rounds up */

guest_main:
    mov eax, cr0
    and eax, ~(CR0_EM + CR0_TS)
    or eax, CR0_MP
    mov cr0, eax
    mov eax, cr4
    or eax, CR4_OSFXSR + CR4_OSXMMEXCPT
    mov cr4, eax
    mov eax, 1
    cpuid
    and ecx, 0x14000000             /* AVX, XSAVE */
    cmp ecx, 0x14000000
    jne 1f                          /* a host without them */
    call disabled
    call xcr0
    call leaf_d
    call save_all
    call save_used
    call save_compacted
    call restore_parts
    call bad_headers
    call task_switched
    call two_pages
    call encodings
    call legacy_sse
    call gathers
    call masked_moves
1:  ret

/* Without CR4.OSXSAVE. */
disabled:
    mov eax, 1
    cpuid
    and ecx, 0x08000000             /* OSXSAVE */
    CHECK_EQ(ecx, 0)
    xor ecx, ecx
    mov eax, ALL
    xor edx, edx
    EXPECT_FAULT(VEC_UD, 0, xgetbv)
    EXPECT_FAULT(VEC_UD, 0, xsetbv)
    EXPECT_FAULT(VEC_UD, 0, xsave [area])
    EXPECT_FAULT(VEC_UD, 0, xrstor [area])
    EXPECT_FAULT(VEC_UD, 0, vzeroupper)
    mov eax, cr4
    or eax, CR4_OSXSAVE
    mov cr4, eax
    mov eax, 1
    cpuid
    and ecx, 0x08000000
    CHECK_EQ(ecx, 0x08000000)
    ret

xcr0:
    xor ecx, ecx
    EXPECT_NONE(xgetbv)
    CHECK_EQ(eax, X87)
    CHECK_EQ(edx, 0)
    EXPECT_FAULT(VEC_UD, 0, vzeroupper)
    xor edx, edx
    mov eax, SSE                    /* without x87 */
    EXPECT_FAULT(VEC_GP, 0, xsetbv)
    mov eax, X87 + AVX              /* AVX without SSE */
    EXPECT_FAULT(VEC_GP, 0, xsetbv)
    mov eax, 0x80000001             /* no such component */
    EXPECT_FAULT(VEC_GP, 0, xsetbv)
    mov eax, ALL
    inc edx
    EXPECT_FAULT(VEC_GP, 0, xsetbv)
    dec edx
    inc ecx                         /* no such register */
    EXPECT_FAULT(VEC_GP, 0, xsetbv)
    dec ecx
    RUN_USER(user_xsetbv, 0x2)
    CHECK_EQ([trap_vector], VEC_GP)
    mov eax, X87 + SSE
    EXPECT_NONE(xsetbv)
    EXPECT_FAULT(VEC_UD, 0, vzeroupper)
    mov eax, ALL
    EXPECT_NONE(xsetbv)
    EXPECT_NONE(vzeroupper)
    xgetbv
    CHECK_EQ(eax, ALL)
    mov ecx, 2
    EXPECT_FAULT(VEC_GP, 0, xgetbv)
    ret
user_xsetbv:
    xsetbv

/* Of leaf 0Dh, subleaf 0: a model that has AVX-512, too, is tested in xsave64.S. */
without_avx512:
    test eax, AVX512
    jz 1f
    sub ecx, AVX512_BYTES
1:
    and eax, ~AVX512
    ret

leaf_d:
    mov eax, 0xd
    xor ecx, ecx
    cpuid
    call without_avx512
    CHECK_EQ(eax, ALL)
    CHECK_EQ(ebx, AREA_BYTES)
    CHECK_EQ(ecx, AREA_BYTES)
    mov eax, 0xd
    mov ecx, 2
    cpuid
    CHECK_EQ(eax, 256)
    CHECK_EQ(ebx, YMM_AT)
    mov eax, X87
    call set_xcr0
    mov eax, 0xd
    xor ecx, ecx
    cpuid
    call without_avx512
    CHECK_EQ(ebx, YMM_AT)
    CHECK_EQ(ecx, AREA_BYTES)
    mov eax, ALL
    /* fall through */
set_xcr0:
    xor ecx, ecx
    xor edx, edx
    xsetbv
    ret

/* Everything in its initial configuration; EDX:EAX asks for all. */
set_state:
    xor edx, edx
    mov eax, ALL
    xrstor [initial]
    ret

fill_area:
    push eax
    push ecx
    push edi
    mov edi, offset area
    mov ecx, AREA_BYTES / 4
    mov eax, FILL
    rep stosd
    mov ecx, 16                     /* a header of zeros */
    xor eax, eax
    mov edi, offset area + HEADER
    rep stosd
    pop edi
    pop ecx
    pop eax
    ret

/* XSAVE and XRSTOR of all components; XSAVE stores those that are not in use, too. */
save_all:
    call set_state
    vmovups ymm7, [pattern]
    vmovaps xmm1, [pattern]
    fld1
    call fill_area
    EXPECT_NONE(xsave [area])
    CHECK_EQ([area + HEADER], ALL)
    CHECK_EQ([area + HEADER + 4], 0)
    CHECK_EQ([area + XCOMP_BV], 0)
    CHECK_EQ([area + XMM_AT + 16], LOW)
    CHECK_EQ([area + XMM_AT + 7 * 16 + 12], 0x0f0e0d0c)
    CHECK_EQ([area + YMM_AT], 0)
    CHECK_EQ([area + YMM_AT + 7 * 16], HIGH)
    CHECK_EQ([area + YMM_AT + 7 * 16 + 12], 0x1f1e1d1c)
    CHECK_EQ([area + XMM_AT + 8 * 16], FILL)    /* registers of 64-bit mode */
    CHECK_EQ([area + YMM_AT + 8 * 16], FILL)
    CHECK_EQ([area + MXCSR_AT], MXCSR_DEFAULT)
    CHECK_EQ([area + 32 + 4], 0x80000000)       /* ST0: 1.0 */
    vzeroall
    fstp st
    EXPECT_NONE(xrstor [area])
    CHECK_YMM(ymm7, LOW, HIGH)
    CHECK_EQ([scratch + 28], 0x1f1e1d1c)
    fstp dword ptr [scratch]
    CHECK_EQ([scratch], 0x3f800000)
    /* all of them initial: stored, but not in XSTATE_BV; XSTATE_BV keeps bits that are not asked for */
    call set_state
    call fill_area
    mov eax, SSE + AVX
    EXPECT_NONE(xsave [area])
    CHECK_EQ([area + HEADER], 0)
    CHECK_EQ([area + XMM_AT], 0)
    CHECK_EQ([area + YMM_AT], 0)
    CHECK_EQ([area], FILL)
    mov dword ptr [area + HEADER], ALL
    EXPECT_NONE(xsave [area])
    CHECK_EQ([area + HEADER], X87)
    ret

/* XSAVEOPT leaves out what is initial. */
save_used:
    call set_state
    call fill_area
    vmovaps xmm2, [pattern]
    EXPECT_NONE(xsaveopt [area])
    CHECK_EQ([area + HEADER], SSE)
    CHECK_EQ([area], FILL)
    CHECK_EQ([area + XMM_AT + 32], LOW)
    CHECK_EQ([area + YMM_AT], FILL)
    CHECK_EQ([area + MXCSR_AT], MXCSR_DEFAULT)
    mov ecx, 1
    push eax
    EXPECT_NONE(xgetbv)             /* what is in use */
    CHECK_EQ(eax, SSE)
    pop eax
    xor edx, edx
    vmovups ymm2, [pattern]
    EXPECT_NONE(xsaveopt [area])
    CHECK_EQ([area + HEADER], SSE + AVX)
    CHECK_EQ([area + YMM_AT + 32], HIGH)
    ret

save_compacted:
    call set_state
    call fill_area
    mov dword ptr [area + HEADER + 16], FILL
    EXPECT_NONE(xsavec [area])
    CHECK_EQ([area + HEADER], 0)
    CHECK_EQ([area + HEADER + 4], 0)
    CHECK_EQ([area + XCOMP_BV], ALL)
    CHECK_EQ([area + XCOMP_BV + 4], 0x80000000)
    CHECK_EQ([area + HEADER + 16], FILL)
    CHECK_EQ([area + MXCSR_AT], FILL)
    /* MXCSR alone is a reason to store the SSE component */
    ldmxcsr [mxcsr_up]
    EXPECT_NONE(xsavec [area])
    CHECK_EQ([area + HEADER], SSE)
    CHECK_EQ([area + MXCSR_AT], MXCSR_UP)
    CHECK_EQ([area + XMM_AT], 0)
    mov eax, X87 + AVX
    vmovups ymm3, [pattern]
    EXPECT_NONE(xsavec [area])
    CHECK_EQ([area + HEADER], AVX)
    CHECK_EQ([area + XCOMP_BV], X87 + AVX)
    CHECK_EQ([area + YMM_AT + 48], HIGH)
    /* restored from there: SSE is not in the area, so it becomes initial, and MXCSR with it */
    mov dword ptr [area + HEADER + 16], 0
    vzeroall
    vmovaps xmm4, [pattern]
    mov eax, ALL
    EXPECT_NONE(xrstor [area])
    CHECK_MXCSR(MXCSR_DEFAULT)
    vmovups [scratch], ymm4
    CHECK_EQ([scratch], 0)
    CHECK_YMM(ymm3, 0, HIGH)
    ret

/* Components that are not asked for stay, those that the area has not become initial. In the standard format MXCSR goes with
 * SSE and with AVX, whatever XSTATE_BV says. */
restore_parts:
    call set_state
    call fill_area
    vmovups ymm5, [pattern]
    ldmxcsr [mxcsr_up]
    xsave [area]
    vzeroall
    vmovaps xmm6, [pattern]
    ldmxcsr [mxcsr_default]
    mov eax, AVX
    EXPECT_NONE(xrstor [area])
    CHECK_MXCSR(MXCSR_UP)
    CHECK_YMM(ymm5, 0, HIGH)
    CHECK_YMM(ymm6, LOW, 0)
    and dword ptr [area + HEADER], ~AVX
    mov eax, SSE + AVX
    EXPECT_NONE(xrstor [area])
    CHECK_YMM(ymm5, LOW, 0)
    /* AVX is off: its component stays as it is, and an area cannot have it */
    vmovups ymm5, [pattern]
    xsave [area]
    mov eax, X87 + SSE
    call set_xcr0
    mov eax, ALL
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    movaps xmm5, [zeros]
    mov eax, ALL
    call set_xcr0
    CHECK_YMM(ymm5, 0, HIGH)
    ret

bad_headers:
    call set_state
    call fill_area
    EXPECT_FAULT(VEC_GP, 0, xsave [area + 32])
    EXPECT_FAULT(VEC_GP, 0, xrstor [area + 16])
    xsave [area]
    or dword ptr [area + HEADER], 8
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    and dword ptr [area + HEADER], ALL
    mov dword ptr [area + XCOMP_BV], ALL        /* without bit 63 */
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    mov dword ptr [area + XCOMP_BV], 0
    mov byte ptr [area + HEADER + 16], 1
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    mov byte ptr [area + HEADER + 16], 0
    mov byte ptr [area + HEADER + 24], 1        /* checked in the compacted format only */
    EXPECT_NONE(xrstor [area])
    mov dword ptr [area + XCOMP_BV], ALL
    mov dword ptr [area + XCOMP_BV + 4], 0x80000000
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    mov byte ptr [area + HEADER + 24], 0
    EXPECT_NONE(xrstor [area])
    mov dword ptr [area + XCOMP_BV], 15
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    mov dword ptr [area + XCOMP_BV], X87 + SSE
    mov dword ptr [area + HEADER], AVX
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    mov dword ptr [area + HEADER], 0
    EXPECT_NONE(xrstor [area])
    mov dword ptr [area + XCOMP_BV], 0
    mov dword ptr [area + XCOMP_BV + 4], 0
    mov byte ptr [area + MXCSR_AT + 2], 1       /* reserved */
    EXPECT_FAULT(VEC_GP, 0, xrstor [area])
    mov eax, X87
    EXPECT_NONE(xrstor [area])
    ret

WINDOW = 0x40000000
#define SPLIT     WINDOW + 0x1000 - HEADER      /* the header is the first of the second page */
#define LEGACY(x) [first_page + 0x1000 - HEADER + (x)]
#define BEHIND(x) [second_page - HEADER + (x)]

/* An area in two pages that lie apart, and then in pages that follow each other: by the first execution, which fills the entries,
 * and by others. */
two_pages:
    MAP_IDENTITY P+RW, P+RW
    mov dword ptr [directory + 4 * (WINDOW >> 22)], offset page_table + P + RW
    mov dword ptr [page_table], offset first_page + P + RW
    mov dword ptr [page_table + 4], offset second_page + P + RW
    PAGING_ON CR0_PG+CR0_WP
    mov ebx, 3
1:  call split_area
    dec ebx
    jnz 1b
    CHECK_EQ([first_page + 0x1000], FILL)       /* what follows the first page is not touched */
    CHECK_EQ([second_page - 4], FILL)
    call set_state
    vmovups ymm7, [pattern]
    mov dword ptr [page_table + 4], 0
    mov ecx, cr3
    mov cr3, ecx
    mov dword ptr LEGACY(XMM_AT + 7 * 16), FILL
    mov ebx, 3
1:  EXPECT_FAULT(VEC_PF, 2, xsave [SPLIT])
    EXPECT_FAULT(VEC_PF, 2, xsavec [SPLIT])
    EXPECT_FAULT(VEC_PF, 0, xrstor [SPLIT])
    dec ebx
    jnz 1b
    CHECK_EQ(LEGACY(XMM_AT + 7 * 16), FILL)
    vmovups [scratch], ymm7
    CHECK_EQ([scratch + 28], 0x1f1e1d1c)
    mov dword ptr [page_table + 4], offset second_page + P
    mov ecx, cr3
    mov cr3, ecx
    mov ebx, 3
1:  EXPECT_NONE(xrstor [SPLIT])
    EXPECT_FAULT(VEC_PF, 3, xsaveopt [SPLIT])
    dec ebx
    jnz 1b
    mov dword ptr [page_table], offset second_page - 0x1000 + P + RW
    mov dword ptr [page_table + 4], offset second_page + P + RW
    mov ecx, cr3
    mov cr3, ecx
    mov ebx, 3
1:  call set_state
    vmovups ymm7, [pattern]
    mov dword ptr BEHIND(XMM_AT + 7 * 16), FILL
    EXPECT_NONE(xsavec [SPLIT])
    CHECK_EQ(BEHIND(XMM_AT + 7 * 16), 0x03020100)
    CHECK_EQ(BEHIND(HEADER), SSE + AVX)
    vzeroall
    EXPECT_NONE(xrstor [SPLIT])
    vmovups [scratch], ymm7
    CHECK_EQ([scratch], 0x03020100)
    CHECK_EQ([scratch + 28], 0x1f1e1d1c)
    dec ebx
    jnz 1b
    PAGING_OFF
    ret

split_area:
    call set_state
    vmovups ymm7, [pattern]
    mov dword ptr [first_page + 0x1000], FILL
    mov dword ptr [second_page - 4], FILL
    mov dword ptr LEGACY(XMM_AT + 7 * 16), FILL
    mov dword ptr BEHIND(YMM_AT + 7 * 16), FILL
    mov dword ptr BEHIND(HEADER), 0
    EXPECT_NONE(xsave [SPLIT])
    CHECK_EQ(LEGACY(XMM_AT + 7 * 16), 0x03020100)
    CHECK_EQ(BEHIND(HEADER), SSE + AVX)
    CHECK_EQ(BEHIND(YMM_AT + 7 * 16 + 12), 0x1f1e1d1c)
    vzeroall
    EXPECT_NONE(xrstor [SPLIT])
    vmovups [scratch], ymm7
    CHECK_EQ([scratch], 0x03020100)
    CHECK_EQ([scratch + 28], 0x1f1e1d1c)
    ret

/* #NM by CR0.TS; CR0.EM has no effect on AVX. */
task_switched:
    call set_state
    mov ecx, cr0
    or ecx, CR0_TS
    mov cr0, ecx
    EXPECT_FAULT(VEC_NM, 0, xsave [area])
    EXPECT_FAULT(VEC_NM, 0, xrstor [area])
    EXPECT_FAULT(VEC_NM, 0, vzeroupper)
    EXPECT_FAULT(VEC_NM, 0, vmaskmovps xmm0, xmm1, [area])
    xor ecx, ecx
    EXPECT_NONE(xgetbv)
    mov ecx, cr0
    xor ecx, CR0_TS + CR0_EM
    mov cr0, ecx
    EXPECT_NONE(vzeroupper)
    EXPECT_FAULT(VEC_UD, 0, xorps xmm0, xmm0)
    xor ecx, CR0_EM
    mov cr0, ecx
    ret

/* What VEX does not allow, and what 32-bit code ignores of it. */
encodings:
    EXPECT_FAULT(VEC_UD, 0, .byte 0x66, 0xc5, 0xf8, 0x77)
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf2, 0xc5, 0xf8, 0x77)
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf3, 0xc5, 0xf8, 0x77)
    EXPECT_FAULT(VEC_UD, 0, .byte 0xf0, 0xc5, 0xf8, 0x77)
    EXPECT_FAULT(VEC_UD, 0, .byte 0xc5, 0xf0, 0x77)             /* vvvv is not 1111b */
    EXPECT_FAULT(VEC_UD, 0, .byte 0x62, 0xf1, 0x7c, 0x48, 0x57, 0xc0) /* EVEX */
    EXPECT_NONE(.byte 0x67, 0xc5, 0xf8, 0x77)
    vmovaps xmm1, [pattern]
    vmovaps xmm0, [zeros]
    .byte 0xc4, 0xc1, 0x78, 0x57, 0xc1          /* VXORPS XMM0, XMM0, XMM1 with B */
    vmovaps [scratch], xmm0
    CHECK_EQ([scratch], LOW)
    .byte 0xc4, 0xe1, 0x38, 0x57, 0xc1          /* the same with the fourth bit of vvvv */
    vmovaps [scratch], xmm0
    CHECK_EQ([scratch + 4], 0)
    mov eax, 0x12345678
    .byte 0xc4, 0xe1, 0xf9, 0x6e, 0xd0          /* VMOVD XMM2, EAX with W */
    vmovaps [scratch], xmm2
    CHECK_EQ([scratch], 0x12345678)
    CHECK_EQ([scratch + 4], 0)
    .byte 0xc4, 0xe3, 0x79, 0x4a, 0xd9, 0x90    /* VBLENDVPS XMM3, XMM0, XMM1, XMM1 with bit 7 of the immediate */
    vmovaps [scratch], xmm3
    CHECK_EQ([scratch + 8], 0)
    les eax, [far_pointer]                      /* C4 and C5 with a memory operand */
    CHECK_EQ(eax, 0x11223344)
    push KDATA
    pop es
    EXPECT_FAULT(VEC_GP, 0, vmovaps xmm0, [pattern + 4])
    EXPECT_FAULT(VEC_GP, 0, vmovaps ymm0, [pattern + 16])
    EXPECT_NONE(vaddps ymm0, ymm0, [pattern + 4])
    EXPECT_NONE(vmovups ymm0, [pattern + 3])
    ret

/* Instructions without VEX leave the upper half alone, those with VEX.128 clear it. */
legacy_sse:
    vmovups ymm0, [pattern]
    xorps xmm0, xmm0
    CHECK_YMM(ymm0, 0, HIGH)
    vxorps xmm0, xmm0, xmm0
    vmovups [scratch], ymm0
    CHECK_EQ([scratch + 16], 0)
    ret

/* The third element lies behind ES's limit: the first two are loaded, and are not loaded again. */
gathers:
    DESCRIPTOR(FREE, offset table, 7, ACC_DATA32_BYTES)
    mov eax, FREE
    mov es, eax
    xor eax, eax
    vmovups ymm0, [pattern]
    vmovups xmm1, [indices]
    vpcmpeqd ymm2, ymm2, ymm2
    EXPECT_FAULT(VEC_GP, 0, vpgatherdd xmm0, es:[eax + xmm1 * 4], xmm2)
    vmovups [scratch], xmm0
    CHECK_EQ([scratch], 101)
    CHECK_EQ([scratch + 4], 100)
    CHECK_EQ([scratch + 8], 0x0b0a0908)
    vmovups [scratch], xmm2
    CHECK_EQ([scratch], 0)
    CHECK_EQ([scratch + 4], 0)
    CHECK_EQ([scratch + 8], -1)
    DESCRIPTOR(FREE, offset table, 31, ACC_DATA32_BYTES)
    mov ecx, FREE
    mov es, ecx
    mov dword ptr [table], 0                    /* not read again */
    mov dword ptr [table + 4], 0
    EXPECT_NONE(vpgatherdd xmm0, es:[eax + xmm1 * 4], xmm2)
    vmovups [scratch], ymm0
    CHECK_EQ([scratch], 101)
    CHECK_EQ([scratch + 8], 105)
    CHECK_EQ([scratch + 12], 107)
    CHECK_EQ([scratch + 16], 0)
    vmovups [scratch], ymm2
    CHECK_EQ([scratch + 8], 0)
    CHECK_EQ([scratch + 16], 0)
    EXPECT_FAULT(VEC_UD, 0, .byte 0xc4, 0xe2, 0x71, 0x90, 0x04, 0x08) /* mask and index are one register */
    mov ecx, KDATA
    mov es, ecx
    ret

/* Elements that the mask leaves out may lie behind the limit. */
masked_moves:
    DESCRIPTOR(FREE, offset table, 7, ACC_DATA32_BYTES)
    mov eax, FREE
    mov es, eax
    xor eax, eax
    mov dword ptr [table], 200
    mov dword ptr [table + 4], 201
    vmovups ymm1, [two_of_eight]
    EXPECT_NONE(vmaskmovps ymm0, ymm1, es:[eax])
    vmovups [scratch], ymm0
    CHECK_EQ([scratch], 200)
    CHECK_EQ([scratch + 4], 201)
    CHECK_EQ([scratch + 8], 0)
    CHECK_EQ([scratch + 28], 0)
    vmovups ymm0, [pattern]
    EXPECT_NONE(vpmaskmovd es:[eax], ymm1, ymm0)
    CHECK_EQ([table + 4], 0x07060504)
    CHECK_EQ([table + 8], 102)
    vpcmpeqd ymm1, ymm1, ymm1
    EXPECT_FAULT(VEC_GP, 0, vmaskmovps ymm0, ymm1, es:[eax])
    mov ecx, FREE
    mov es, ecx
    EXPECT_FAULT(VEC_GP, 0, vmaskmovps es:[eax], ymm1, ymm0)
    mov ecx, KDATA
    mov es, ecx
    vzeroall
    ret

    .data
    .balign 32
pattern:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .byte \n
    .endr
zeros:
    .skip 64
two_of_eight:
    .long -1, -1, 0, 0, 0, 0, 0, 0
indices:
    .long 1, 0, 5, 7
table:
    .long 100, 101, 102, 103, 104, 105, 106, 107
far_pointer:
    .long 0x11223344
    .word KDATA
mxcsr_default:
    .long MXCSR_DEFAULT
mxcsr_up:
    .long MXCSR_UP
    .balign 64
initial:
    .skip MXCSR_AT
    .long MXCSR_DEFAULT
    .skip AREA_BYTES - MXCSR_AT - 4
    .bss
    .balign 64
area:
    .skip 1024
scratch:
    .skip 64
    .balign 4096
first_page:
    .skip 4096
    .skip 4096
second_page:
    .skip 4096
page_table:
    .skip 4096
directory:
    .skip 4096
identity:
    .skip 4 * 4096
