/*
 * Hazard: CPUID and the machine disagree. Features that CPUID reports must work, and others must fault, because kernels patch
 * themselves by CPUID. Also the control registers and MSRs that every kernel uses. SDM 2A CPUID; 3A 2.5; 4 chapter 2.
 */
#include "guest.inc"
GUEST(cpuid)

guest_main:
    call leaves
    call controls
    call msrs
    call timestamps
    call integer_extensions
    ret

leaves:
    xor eax, eax
    cpuid
    CHECK_CC(z)                         /* flags are unchanged */
    mov [max_leaf], eax
    cmp eax, 1
    CHECK_CC(ae)
    mov eax, 1
    cpuid
    mov [features_d], edx
    mov [features_c], ecx
    and edx, 0x8131                     /* FPU TSC MSR CX8 CMOV: every CPU model here has them */
    CHECK_EQ(edx, 0x8131)
    mov eax, 1
    cpuid
    shr ebx, 24                         /* APIC ID of the only CPU */
    CHECK_EQ(ebx, 0)
    /* EFLAGS.ID can be changed */
    pushfd
    pop eax
    xor eax, FL_ID
    push eax
    popfd
    pushfd
    pop ecx
    cmp eax, ecx
    CHECK_CC(e)
    push 2
    popfd
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000000
    CHECK_CC(ae)
    mov [max_extended], eax
    /* OSXSAVE mirrors CR4 */
    mov eax, cr4
    and eax, 1 << 18
    shl eax, 9
    mov ecx, [features_c]
    and ecx, 1 << 27
    CHECK_EQ(ecx, eax)
    /* the same from CPL 3 */
    RUN_USER(user_cpuid, 0x202)
    CHECK_EQ([trap_vector], 0x80)
    CHECK_EQ(eax, [max_leaf])
    ret
user_cpuid:
    xor eax, eax
    cpuid
    int 0x80

controls:
    /* CR0: NW without CD, PG without PE; ET reads 1 */
    mov eax, cr0
    and eax, 0x10
    CHECK_EQ(eax, 0x10)
    mov ebx, cr0
    SKIP_ON_TCG 1f
    mov eax, ebx
    and eax, ~0x60000000
    or eax, 0x20000000
    EXPECT_FAULT(VEC_GP, 0, mov cr0, eax)
    mov eax, ebx
    or eax, 0x80000000
    and eax, ~1
    EXPECT_FAULT(VEC_GP, 0, mov cr0, eax)
    mov eax, cr4
    or eax, 0x80000000                  /* reserved bits of CR4 */
    EXPECT_FAULT(VEC_GP, 0, mov cr4, eax)
1:  mov eax, cr0
    CHECK_EQ(eax, ebx)
    mov eax, 0x12345000
    mov cr3, eax
    mov eax, cr3
    CHECK_EQ(eax, 0x12345000)
    mov eax, 0xabcdef12
    mov cr2, eax
    mov eax, cr2
    CHECK_EQ(eax, 0xabcdef12)
    xor eax, eax
    mov cr3, eax
    /* LMSW sets PE MP EM TS, cannot clear PE; SMSW */
    mov eax, 0xfffe
    lmsw ax
    mov eax, cr0
    and eax, 0xf
    CHECK_EQ(eax, 0xf)
    mov eax, 1
    lmsw ax
    mov eax, cr0
    and eax, 0xf
    CHECK_EQ(eax, 1)
    mov eax, ebx
    mov cr0, eax
    smsw eax
    CHECK_EQ(eax, ebx)
    mov eax, -1
    smsw ax
    mov ecx, ebx
    or ecx, 0xffff0000
    CHECK_EQ(eax, ecx)
    /* descriptor table registers hold what LGDT and LIDT loaded; with 66h 24 bits of base */
    sgdt [pseudo]
    CHECK_EQ([pseudo + 2], offset gdt)
    mov dword ptr [pseudo2 + 2], 0x12345678
    mov word ptr [pseudo2], 0x1234
    lidt [pseudo2]
    mov dword ptr [pseudo + 2], -1
    sidt [pseudo]
    lidt [idt_pointer]
    CHECK_EQ([pseudo + 2], 0x12345678)
    movzx eax, word ptr [pseudo]
    CHECK_EQ(eax, 0x1234)
    .byte 0x66
    lidt [pseudo2]
    sidt [pseudo]
    lidt [idt_pointer]
    CHECK_EQ([pseudo + 2], 0x00345678)
    ret

msrs:
    mov ecx, 0x12345678
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_GP, 0, rdmsr)
    EXPECT_FAULT(VEC_GP, 0, wrmsr)
1:  mov ecx, 0x174
    mov eax, 0x1234
    xor edx, edx
    EXPECT_NONE(wrmsr)
    xor eax, eax
    EXPECT_NONE(rdmsr)
    CHECK_EQ(eax, 0x1234)
    xor eax, eax
    wrmsr
    /* EFER.NXE if CPUID reports NX; a reserved bit faults */
    mov eax, [max_extended]
    cmp eax, 0x80000001
    jb 2f
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 20
    jz 2f
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 11
    EXPECT_NONE(wrmsr)
    rdmsr
    and eax, ~(1 << 11)
    EXPECT_NONE(wrmsr)
    SKIP_ON_TCG 2f
    or eax, 1 << 5
    EXPECT_FAULT(VEC_GP, 0, wrmsr)
2:  ret

timestamps:
    rdtsc
    mov esi, eax
    mov edi, edx
    mov ecx, 1000
1:  loop 1b
    rdtsc
    sub eax, esi
    sbb edx, edi
    CHECK_CC(nc)
    or eax, edx
    CHECK_CC(nz)                        /* it advances */
    mov ecx, 0x10
    mov eax, 0
    mov edx, 0x1000
    SKIP_ON_TCG 1f
    EXPECT_NONE(wrmsr)                  /* and can be set */
    rdtsc
    CHECK_EQ(edx, 0x1000)
1:  /* CR4.TSD */
    EXPECT_USER(user_rdtsc, 0x202, 0x80, 0, user_rdtsc_done)
    mov eax, cr4
    or eax, 4
    mov cr4, eax
    EXPECT_NONE(rdtsc)
    EXPECT_USER(user_rdtsc, 0x202, VEC_GP, 0, user_rdtsc)
    mov eax, cr4
    and eax, ~4
    mov cr4, eax
    /* RDPMC: no counters, or CR4.PCE clear */
    EXPECT_USER(user_rdpmc, 0x202, VEC_GP, 0, user_rdpmc)
    ret
user_rdtsc: rdtsc
    int 0x80
user_rdtsc_done:
user_rdpmc: rdpmc

/* A feature that CPUID reports works, and any other raises #UD. */
.macro TOLD register, bit, label
    test dword ptr [\register], 1 << \bit
    jz \label
.endm
integer_extensions:
    mov eax, 0x00f0
    TOLD features_c, 23, 1f
    EXPECT_NONE(popcnt ebx, eax)
    CHECK_EQ(ebx, 4)
    jmp 2f
1:  EXPECT_FAULT(VEC_UD, 0, popcnt ebx, eax)
2:  mov dword ptr [pseudo], 0x11223344
    TOLD features_c, 22, 1f
    EXPECT_NONE(movbe ebx, [pseudo])
    CHECK_EQ(ebx, 0x44332211)
    jmp 2f
1:  EXPECT_FAULT(VEC_UD, 0, movbe ebx, [pseudo])
2:  TOLD features_d, 15, 2f
    xor ecx, ecx
    mov ebx, 7
    cmovz ebx, ecx
    CHECK_EQ(ebx, 0)
2:  TOLD features_c, 30, 1f
    EXPECT_NONE(rdrand eax)
    jmp 2f
1:  EXPECT_FAULT(VEC_UD, 0, rdrand eax)
2:  /* XGETBV and AVX need XSAVE switched on */
    xor ecx, ecx
    EXPECT_FAULT(VEC_UD, 0, xgetbv)
    EXPECT_FAULT(VEC_UD, 0, vpaddd xmm0, xmm1, xmm2)
    mov dword ptr [leaf7_b], 0
    cmp dword ptr [max_leaf], 7
    jb 1f
    mov eax, 7
    xor ecx, ecx
    cpuid
    mov [leaf7_b], ebx
1:  mov eax, 0xf0
    mov ecx, 0x3c
    TOLD leaf7_b, 3, 1f
    EXPECT_NONE(andn ebx, eax, ecx)
    CHECK_EQ(ebx, 0x0c)
    EXPECT_NONE(blsr ebx, eax)
    CHECK_EQ(ebx, 0xe0)
    jmp 2f
1:  EXPECT_FAULT(VEC_UD, 0, andn ebx, eax, ecx)
2:  TOLD leaf7_b, 8, 1f
    EXPECT_NONE(pdep ebx, ecx, eax)
    CHECK_EQ(ebx, 0xc0)
    EXPECT_NONE(rorx ebx, eax, 4)
    CHECK_EQ(ebx, 0x0f)
    jmp 2f
1:  EXPECT_FAULT(VEC_UD, 0, rorx ebx, eax, 4)
2:  ret

    .bss
    .balign 4
max_leaf: .skip 4
max_extended: .skip 4
features_d: .skip 4
features_c: .skip 4
leaf7_b: .skip 4
pseudo: .skip 8
pseudo2: .skip 8
