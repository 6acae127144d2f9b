/*
 * CPUID is a policy: one table of CPU models, each a list of the features it exposes. A feature that is not
 * exposed raises #UD (isa_exposed) or #GP (control register bits, MSRs), so CPUID and behaviour agree.
 */
#ifndef RINGER_CPU_CPUID_H
#define RINGER_CPU_CPUID_H

#include "vcpu.h"

/* Feature bits by leaf, under the manual's names. Only these are ever exposed. */
enum cpuid_1_edx {
    F1D_FPU = 1 << 0,
    F1D_VME = 1 << 1,
    F1D_DE = 1 << 2,
    F1D_PSE = 1 << 3,
    F1D_TSC = 1 << 4,
    F1D_MSR = 1 << 5,
    F1D_PAE = 1 << 6,
    F1D_MCE = 1 << 7,
    F1D_CX8 = 1 << 8,
    F1D_APIC = 1 << 9, /* in no model: set while the local APIC is enabled */
    F1D_SEP = 1 << 11,
    F1D_MTRR = 1 << 12,
    F1D_PGE = 1 << 13,
    F1D_MCA = 1 << 14,
    F1D_CMOV = 1 << 15,
    F1D_PAT = 1 << 16,
    F1D_PSE36 = 1 << 17,
    F1D_CLFSH = 1 << 19,
    F1D_MMX = 1 << 23,
    F1D_FXSR = 1 << 24,
    F1D_SSE = 1 << 25,
    F1D_SSE2 = 1 << 26,
};
#define F1C_HYPERVISOR (1u << 31)
enum cpuid_1_ecx {
    F1C_SSE3 = 1 << 0,
    F1C_PCLMULQDQ = 1 << 1,
    F1C_SSSE3 = 1 << 9,
    F1C_FMA = 1 << 12,
    F1C_CX16 = 1 << 13,
    F1C_PCID = 1 << 17,
    F1C_SSE4_1 = 1 << 19,
    F1C_SSE4_2 = 1 << 20,
    F1C_MOVBE = 1 << 22,
    F1C_POPCNT = 1 << 23,
    F1C_TSC_DEADLINE = 1 << 24,
    F1C_AES = 1 << 25,
    F1C_XSAVE = 1 << 26,
    F1C_OSXSAVE = 1 << 27, /* in no model: CR4.OSXSAVE */
    F1C_AVX = 1 << 28,
    F1C_F16C = 1 << 29,
    F1C_RDRAND = 1 << 30,
};
enum cpuid_7 {
    F7B_FSGSBASE = 1 << 0,
    F7B_TSC_ADJUST = 1 << 1,
    F7B_BMI1 = 1 << 3,
    F7B_AVX2 = 1 << 5,
    F7B_FDP_EXCPTN_ONLY = 1 << 6,
    F7B_SMEP = 1 << 7,
    F7B_BMI2 = 1 << 8,
    F7B_ERMS = 1 << 9,
    F7B_INVPCID = 1 << 10,
    F7B_NO_FPU_CS_DS = 1 << 13,
    F7B_AVX512F = 1 << 16,
    F7B_AVX512DQ = 1 << 17,
    F7B_RDSEED = 1 << 18,
    F7B_ADX = 1 << 19,
    F7B_AVX512IFMA = 1 << 21,
    F7B_AVX512CD = 1 << 28,
    F7B_SHA = 1 << 29,
    F7B_AVX512BW = 1 << 30,
    F7B_AVX512VL = (int)(1u << 31),
    F7C_AVX512VBMI = 1 << 1,
    F7C_UMIP = 1 << 2,
    F7C_AVX512VBMI2 = 1 << 6,
    F7C_GFNI = 1 << 8,
    F7C_VAES = 1 << 9,
    F7C_VPCLMULQDQ = 1 << 10,
    F7C_AVX512VNNI = 1 << 11,
    F7C_AVX512BITALG = 1 << 12,
    F7C_AVX512VPOPCNTDQ = 1 << 14,
    F7D_FSRM = 1 << 4,
};
enum cpuid_extended {
    X1D_NX = 1 << 20,
    X1D_RDTSCP = 1 << 27,
    X1D_SYSCALL = 1 << 11, /* in 64-bit mode; AMD's CPUs have it in all modes */
    X1D_PAGE1GB = 1 << 26,
    X1D_LM = 1 << 29,
    X1C_LAHF = 1 << 0, /* LAHF and SAHF in 64-bit mode */
    X1C_LZCNT = 1 << 5,
    X7D_INVARIANT_TSC = 1 << 8,
};

/* Leaf 0Dh, subleaf 1: EAX. */
enum cpuid_xsave { XSAVE_OPT = 1 << 0, XSAVE_C = 1 << 1, XSAVE_XGETBV1 = 1 << 2 };

enum { F6A_ARAT = 1 << 2 /* the APIC's timer runs in every idle state */ };

struct cpu_model {
    const char *name;
    const char *brand;  /* 48 bytes at most; NULL: CPUs of this class had none */
    const char *vendor; /* 12 characters */
    u32 signature;      /* leaf 1 EAX */
    u32 max_leaf;
    u32 max_extended_leaf; /* 0: no extended leaves */
    u32 f1_edx, f1_ecx, f7_ebx, f7_ecx, f7_edx, xsave_eax, x1_edx, x1_ecx, x7_edx;
    u32 caches[3];       /* leaf 2: EBX, ECX, EDX */
    bool is_level;       /* named by a level of x86-64, so it promises all of that level's features */
    bool cpuid_faulting; /* CPUID can be made to raise #GP above CPL 0 (msr.c) */
    const char *lacks;   /* such a feature that the host does not have; NULL: it has all of them */
    u8 maxphyaddr;
    /* The host's, as translated code runs its instructions (host_probe.h). CVTPI2PS of memory raises pending x87
     * exceptions on most of Intel's CPUs (SDM 2A CVTPI2PS). On AMD's (AMD APM 5 CVTPI2PS) and on Intel's of 2023
     * (family 6, model CFh) only the form with an MMX register does. */
    bool cvtpi2ps_waits;
    /* Misaligned memory operands of the SHA instructions raise #GP on Intel's CPUs (SDM 2A table 2-21, type 4), and not
     * on AMD's. */
    bool sha_is_aligned;
    /* Misaligned operands of VMOVDQA64 and its kin raise #GP even if the writemask selects nothing of them. AMD's CPUs of
     * 2024 (family 1Ah) raise none. */
    bool unused_is_aligned;
};

/* The family in the signature of leaf 1, with the extended family added. */
static inline unsigned cpu_model_family(const struct cpu_model *model)
{
    unsigned family = model->signature >> 8 & 15;
    return family == 15 ? family + (model->signature >> 20 & 0xff) : family;
}

static inline bool cpu_model_has_long_mode(const struct cpu_model *model)
{
    return model->x1_edx & X1D_LM;
}
/* AMD's SYSCALL, SYSRET, SYSENTER and null selectors differ from Intel's (AMD APM 2 6.1, SDM 3A 5.8). */
static inline bool cpu_model_is_amd(const struct cpu_model *model)
{
    return model->vendor[0] == 'A';
}

/* By the name that --cpu takes: "pentium3", ..., "max" (all that Ringer implements and this host can execute).
 * NULL: the name is unknown. */
const struct cpu_model *cpu_model_find(const char *name);
/* The names, for messages. The list ends with NULL. */
const char *const *cpu_model_names(void);

/* The frequency of the crystal in leaf 15h, from which TSC and APIC timer are derived: that of the TSC, or half
 * of it if it does not fit in 32 bits. */
u64 cpuid_crystal_hz(u64 tsc_hz);

/* CPUID: reads EAX and ECX of v->gpr and writes EAX, EBX, ECX, EDX. */
void cpuid(struct vcpu *v);

/* Bits of CR4 and of XCR0 that this model lets the guest set. */
u32 cpu_model_cr4(const struct cpu_model *model);
u32 cpu_model_xcr0(const struct cpu_model *model);

#endif
