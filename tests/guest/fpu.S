/*
 * Hazards of FPU state, which stays in host registers while the guest runs: lost or leaked registers, a control word or MXCSR
 * of the monitor, missing #NM (lazy FPU switching), #MF at the wrong instruction, no IRQ 13 for old kernels.
 * SDM 1 8.1, 8.6-8.7, 10.2, 11.5; 3A 2.5, 9.2.
 */
#include "guest.inc"
GUEST(fpu)

CR0_MP = 2
CR0_EM = 4
CR0_TS = 8
CR0_NE = 0x20

guest_main:
    mov eax, cr0
    and eax, ~(CR0_EM + CR0_TS)
    or eax, CR0_NE + CR0_MP
    mov cr0, eax
    call x87_state
    call x87_errors
    call x87_irq13
    call sse_rules
    call sse_errors
    call save_restore
    call lazy_switch
    call survives
    ret

x87_state:
    fninit
    fnstcw [word_]
    movzx eax, word ptr [word_]
    CHECK_EQ(eax, 0x37f)
    fnstsw ax
    movzx eax, ax
    CHECK_EQ(eax, 0)
    fldpi
    fld1
    fnstsw ax
    and eax, 0x3800
    CHECK_EQ(eax, 6 << 11)
    fnstenv [area]
    movzx eax, word ptr [area + 8]
    CHECK_EQ(eax, 0x0fff)           /* tags: 7 and 6 used */
    fnsave [area]
    movzx eax, word ptr [area + 8]
    CHECK_EQ(eax, 0x0fff)
    movzx eax, word ptr [area + 28 + 8]
    CHECK_EQ(eax, 0x3fff)           /* ST0 = 1.0 */
    CHECK_EQ([area + 28 + 10], 0x2168c235)      /* ST1 = pi */
    fnstsw ax                       /* FNSAVE initializes */
    movzx eax, ax
    CHECK_EQ(eax, 0)
    frstor [area]
    fstp qword ptr [area + 120]
    CHECK_EQ([area + 124], 0x3ff00000)
    fstp st
    /* precision and rounding control are the guest's */
    fldcw [cw_single_up]
    fild dword ptr [three]
    fld1
    fdivrp
    fstp qword ptr [area]
    CHECK_EQ([area], 0x60000000)
    CHECK_EQ([area + 4], 0x3fd55555)
    fninit
    /* 80-bit memory, denormals, FXAM */
    fld tbyte ptr [denormal]
    fxam
    fnstsw ax
    and eax, 0x4500
    CHECK_EQ(eax, 0x4400)           /* C3 C2: denormal */
    fstp tbyte ptr [area]
    CHECK_EQ([area], 1)
    movzx eax, word ptr [area + 8]
    CHECK_EQ(eax, 0)
    ret

/* #MF with NE: at the next waiting instruction, before it has done anything */
x87_errors:
    fninit
    fldcw [cw_unmasked]
    fld1
    fldz
    fdivp                           /* divides by zero: pending */
    nop
    EXPECT_FAULT(VEC_MF, 0, fwait)
    SKIP_ON_TCG 1f                  /* only FWAIT looks */
    EXPECT_FAULT(VEC_MF, 0, fld1)
    EXPECT_FAULT(VEC_MF, 0, fst dword ptr [area])
    EXPECT_FAULT(VEC_MF, 0, fldcw [cw_unmasked])
    EXPECT_NONE(fnstsw ax)
    and eax, 0x8084
    CHECK_EQ(eax, 0x8084)           /* B ES ZE */
    EXPECT_NONE(fnstenv [area])
    EXPECT_NONE(fnclex)
    EXPECT_NONE(fld1)
    fninit
    /* stack underflow, invalid */
    fldcw [cw_invalid]
    fstp st
    EXPECT_FAULT(VEC_MF, 0, fwait)
    fnstsw ax
    and eax, 0x241
    CHECK_EQ(eax, 0x41)             /* SF IE, C1 clear: underflow */
    fninit
    /* MMX instructions raise a pending #MF too */
    fldcw [cw_unmasked]
    fld1
    fldz
    fdivp
    EXPECT_FAULT(VEC_MF, 0, .byte 0x0f, 0x6f, 0xc1)
    fnclex
1:  fninit
    ret

/* NE clear: FERR# drives IRQ 13, and a write to port F0h acknowledges it; the waiting instruction is held until then */
x87_irq13:
    SKIP_ON_TCG 9f                  /* which dies of it */
    mov eax, cr0
    and eax, ~CR0_NE
    mov cr0, eax
    HOOK 0x2d, on_irq13
    mov al, 0xfb                    /* the cascade and IRQ 13 */
    out 0x21, al
    mov al, 0xdf
    out 0xa1, al
    sti
    fninit
    fldcw [cw_unmasked]
    fld1
    fldz
    fdivp
    fwait
    nop
    nop
    cli
    CHECK_EQ([irq13s], 1)
    UNHOOK 0x2d
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
    mov eax, cr0
    or eax, CR0_NE
    mov cr0, eax
    fninit
9:  ret
on_irq13:
    inc dword ptr [irq13s]
    xor al, al
    out 0xf0, al
    fnclex
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    xor eax, eax
    ret

/* SSE needs CR4.OSFXSR, and no EM (SDM 3A table 13-1) */
sse_rules:
    EXPECT_FAULT(VEC_UD, 0, xorps xmm0, xmm0)
    EXPECT_FAULT(VEC_UD, 0, ldmxcsr [area])
    EXPECT_FAULT(VEC_UD, 0, movdqa xmm0, xmm1)
    EXPECT_NONE(movnti [area], eax)             /* no XMM register: always */
    EXPECT_NONE(sfence)
    mov eax, cr4
    or eax, 0x600                               /* OSFXSR OSXMMEXCPT */
    mov cr4, eax
    EXPECT_NONE(xorps xmm0, xmm0)
    mov eax, cr0
    or eax, CR0_EM
    mov cr0, eax
    EXPECT_FAULT(VEC_UD, 0, xorps xmm0, xmm0)
    EXPECT_FAULT(VEC_NM, 0, fxsave [area])
    and eax, ~CR0_EM
    or eax, CR0_TS
    mov cr0, eax
    EXPECT_FAULT(VEC_NM, 0, xorps xmm0, xmm0)
    EXPECT_FAULT(VEC_NM, 0, fxsave [area])
    EXPECT_FAULT(VEC_NM, 0, ldmxcsr [mxcsr_default])
    EXPECT_NONE(prefetchnta [area])
    clts
    EXPECT_NONE(fxsave [area])
    /* alignment: #GP(0), whatever CR0.AM says */
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_GP, 0, movaps xmm0, [area + 8])
    EXPECT_FAULT(VEC_GP, 0, movaps [area + 4], xmm0)
    EXPECT_FAULT(VEC_GP, 0, addps xmm0, [area + 8])
    EXPECT_FAULT(VEC_GP, 0, movntps [area + 8], xmm0)
1:  EXPECT_NONE(movups xmm0, [area + 8])
    EXPECT_FAULT(VEC_GP, 0, fxsave [area + 8])
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_GP, 0, ldmxcsr [mxcsr_bad])
1:  ret

/* #XM, and #UD without OSXMMEXCPT */
sse_errors:
    ldmxcsr [mxcsr_default]
    stmxcsr [area]
    CHECK_EQ([area], 0x1f80)
    movaps xmm0, [ones]
    xorps xmm1, xmm1
    EXPECT_NONE(divps xmm0, xmm1)
    stmxcsr [area]
    CHECK_EQ([area], 0x1f84)                    /* ZE, masked */
    SKIP_ON_TCG 1f
    ldmxcsr [mxcsr_zero]
    movaps xmm0, [ones]
    EXPECT_FAULT(VEC_XM, 0, divps xmm0, xmm1)
    movaps [area], xmm0
    CHECK_EQ([area], 0x3f800000)                /* nothing was written */
    EXPECT_FAULT(VEC_XM, 0, divss xmm0, [zeros])
    mov eax, cr4
    and eax, ~0x400
    mov cr4, eax
    EXPECT_FAULT(VEC_UD, 0, divps xmm0, xmm1)
    or eax, 0x400
    mov cr4, eax
    ldmxcsr [mxcsr_zero]
1:  ldmxcsr [mxcsr_default]
    /* rounding of conversions follows MXCSR, and FTZ/DAZ are the guest's */
    ldmxcsr [mxcsr_up]
    movss xmm0, [one_and_half]
    cvtss2si eax, xmm0
    CHECK_EQ(eax, 2)
    movss xmm0, [one_and_quarter]
    cvtss2si eax, xmm0
    CHECK_EQ(eax, 2)
    ldmxcsr [mxcsr_ftz]
    movss xmm0, [smallest]
    mulss xmm0, [half]
    movd eax, xmm0
    CHECK_EQ(eax, 0)
    ldmxcsr [mxcsr_default]
    movss xmm0, [smallest]
    mulss xmm0, [half]
    movd eax, xmm0
    CHECK_EQ(eax, 0x00400000)
    ret

save_restore:
    fninit
    fldpi
    fld1
    movaps xmm0, [ones]
    movaps xmm7, [zeros]
    ldmxcsr [mxcsr_up]
    fxsave [area]
    fninit
    xorps xmm0, xmm0
    ldmxcsr [mxcsr_default]
    movzx eax, byte ptr [area + 4]
    CHECK_EQ(eax, 0xc0)                         /* abridged tags */
    CHECK_EQ([area + 24], 0x5f80)
    CHECK_EQ([area + 160], 0x3f800000)
    fxrstor [area]
    movd eax, xmm0
    CHECK_EQ(eax, 0x3f800000)
    stmxcsr [word_]
    CHECK_EQ([word_], 0x5f80)
    fnstsw ax
    and eax, 0x3800
    CHECK_EQ(eax, 6 << 11)
    fxsave [area2]
    mov esi, offset area
    mov edi, offset area2
    mov ecx, 160 + 128
    repe cmpsb
    ldmxcsr [mxcsr_default]
    SKIP_ON_TCG 1f                              /* keeps no last instruction pointer */
    CHECK_EQ(ecx, 0)
    mov dword ptr [area + 24], 0xffff0000       /* reserved MXCSR bits */
    EXPECT_FAULT(VEC_GP, 0, fxrstor [area])
1:
    /* MMX aliases the x87 registers */
    fninit
    mov eax, 0x12345678
    movd mm3, eax
    fnstenv [area]
    movzx eax, word ptr [area + 8]
    and eax, 3 << 6
    CHECK_EQ(eax, 2 << 6)                       /* register 3: used, a special value (exponent all ones) */
    emms
    fnstenv [area]
    movzx eax, word ptr [area + 8]
    CHECK_EQ(eax, 0xffff)
    ret

/* Two tasks' FPU states switched by #NM, as lazy kernels do */
lazy_switch:
    fninit
    fld1
    fxsave [area]
    fninit
    fldpi
    fxsave [area2]
    mov eax, cr0
    or eax, CR0_TS
    mov cr0, eax
    HOOK VEC_NM, on_nm
    mov dword ptr [next_state], offset area
    fst qword ptr [result]                      /* faults, then stores 1.0 */
    CHECK_EQ([result + 4], 0x3ff00000)
    mov eax, cr0
    or eax, CR0_TS
    mov cr0, eax
    mov dword ptr [next_state], offset area2
    fst qword ptr [result]
    CHECK_EQ([result + 4], 0x400921fb)
    CHECK_EQ([nms], 2)
    UNHOOK VEC_NM
    ret
on_nm:
    clts
    inc dword ptr [nms]
    mov eax, [next_state]
    fxrstor [eax]
    xor eax, eax
    ret

/* Registers, control words and flags survive port I/O, CPUID, faults, and other visits to the monitor */
survives:
    fninit
    fldcw [cw_single_up]
    ldmxcsr [mxcsr_up]
    movaps xmm3, [ones]
    pcmpeqd xmm6, xmm6
    /* the others: their number in every byte of every lane */
    .irp n, 0, 1, 2, 4, 5, 7
    mov eax, 0x01010101 * \n
    movd xmm\n, eax
    pshufd xmm\n, xmm\n, 0
    .endr
    fldpi
    mov ecx, 300
1:  push ecx
    in al, 0x61
    mov al, [0xb8000]               /* the screen: MMIO */
    mov [0xb8000], al
    mov al, ' '
    out 0xe9, al                    /* the debug console: a system call */
    mov eax, cr0
    mov cr0, eax
    xor eax, eax
    cpuid
    EXPECT_FAULT(VEC_UD, 0, ud2)
    in al, 0x71
    mov al, 0x0a
    out 0x20, al
    pop ecx
    loop 1b
    movd eax, xmm3
    CHECK_EQ(eax, 0x3f800000)
    pmovmskb eax, xmm6
    CHECK_EQ(eax, 0xffff)
    .irp n, 0, 1, 2, 4, 5, 7
    mov eax, 0x01010101 * \n
    movd xmm6, eax
    pshufd xmm6, xmm6, 0
    pcmpeqb xmm6, xmm\n
    pmovmskb eax, xmm6
    CHECK_EQ(eax, 0xffff)
    .endr
    stmxcsr [word_]
    mov eax, [word_]
    and eax, ~0x3f
    CHECK_EQ(eax, 0x5f80)
    fnstcw [word_]
    movzx eax, word ptr [word_]
    CHECK_EQ(eax, 0x87f)
    fstp tbyte ptr [area]
    CHECK_EQ([area], 0x2168c235)
    CHECK_EQ([area + 4], 0xc90fdaa2)
    fninit
    ldmxcsr [mxcsr_default]
    ret

    .data
    .balign 16
ones: .long 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000
zeros: .long 0, 0, 0, 0
cw_unmasked: .word 0x37b        /* zero divide */
cw_invalid: .word 0x37e
cw_single_up: .word 0x087f      /* 24 bits, round up */
    .balign 4
three: .long 3
mxcsr_default: .long 0x1f80
mxcsr_zero: .long 0x1d80
mxcsr_up: .long 0x5f80
mxcsr_ftz: .long 0x9f80
mxcsr_bad: .long 0x10000
one_and_half: .long 0x3fc00000
one_and_quarter: .long 0x3fa00000
half: .long 0x3f000000
smallest: .long 0x00800000
denormal: .long 1, 0
    .word 0
    .bss
    .balign 16
area: .skip 512
area2: .skip 512
result: .skip 16
word_: .skip 4
irq13s: .skip 4
nms: .skip 4
next_state: .skip 4
