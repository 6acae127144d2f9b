/*
 * The table of CPU models and the CPUID instruction (SDM 2 "CPUID").
 *
 * No model exposes these:
 *   x2APIC           one processor gains nothing by it
 *   SMAP             Linux would use it, and the rights to user pages would depend on EFLAGS.AC. No shadow entry
 *                    could grant them: each access of the kernel to user memory would need a walk. With two sets
 *                    of supervisor views, one for each AC, every change of a page table would cost twice
 *   AMX              its state is not kept
 *   XSAVES           no supervisor state is there to be saved
 *   MONITOR, performance monitoring, 3DNow!
 *
 * `max` has the signature of an in-order Atom (family 6, model 1Ch, stepping 10), a 32-bit core without
 * speculative execution. On that CPU kernels turn on neither page-table isolation nor retpolines. Both would be
 * slow in translated code: a retpoline makes each indirect jump a return that no predictor can follow.
 */
#include "cpuid.h"

#include "fxsave.h"
#include "host_probe.h"
#include "pvclock.h"

#include <cpuid.h>

#define PENTIUM_MMX (F1D_FPU | F1D_VME | F1D_DE | F1D_PSE | F1D_TSC | F1D_MSR | F1D_CX8 | F1D_MMX)
#define PENTIUM_II                                                                                           \
    (F1D_PAE | F1D_MCE | F1D_MCA | F1D_SEP | F1D_MTRR | F1D_PGE | F1D_CMOV | F1D_PAT | F1D_PSE36 | F1D_FXSR)
#define MAX_F1_ECX                                                                                           \
    (F1C_SSE3 | F1C_PCLMULQDQ | F1C_SSSE3 | F1C_SSE4_1 | F1C_SSE4_2 | F1C_MOVBE | F1C_POPCNT | F1C_AES |     \
     F1C_TSC_DEADLINE | F1C_RDRAND | F1C_XSAVE | F1C_AVX | F1C_F16C | F1C_FMA)
#define MAX_F7_EBX                                                                                           \
    (F7B_TSC_ADJUST | F7B_BMI1 | F7B_AVX2 | F7B_FDP_EXCPTN_ONLY | F7B_SMEP | F7B_BMI2 | F7B_ERMS |           \
     F7B_NO_FPU_CS_DS | F7B_RDSEED | F7B_ADX | F7B_SHA)
#define MAX_F7_ECX (F7C_UMIP | F7C_GFNI | F7C_VAES | F7C_VPCLMULQDQ)
/* What every CPU of this kind has since the first server with it, and what came later. */
#define AVX512_BASE (u32)(F7B_AVX512F | F7B_AVX512DQ | F7B_AVX512CD | F7B_AVX512BW | F7B_AVX512VL)
#define AVX512_EBX  (AVX512_BASE | F7B_AVX512IFMA)
#define AVX512_ECX                                                                                           \
    (F7C_AVX512VBMI | F7C_AVX512VBMI2 | F7C_AVX512VNNI | F7C_AVX512BITALG | F7C_AVX512VPOPCNTDQ)

/* What is new with x86-64. */
#define X86_64_X1_EDX (X1D_SYSCALL | X1D_NX | X1D_LM)

/* The interpreter executes XSAVE and its kin, so these do not depend on the host. */
#define XSAVE_ALL (XSAVE_OPT | XSAVE_C | XSAVE_XGETBV1)

/* Features with instructions that run on the host: exposed only if the host has them. Ringer implements all others. */
#define HOST_F1_EDX (F1D_CX8 | F1D_CMOV | F1D_CLFSH | F1D_MMX | F1D_FXSR | F1D_SSE | F1D_SSE2)
#define HOST_F7_EBX ((MAX_F7_EBX | AVX512_EBX) & ~(u32)(F7B_SMEP | F7B_TSC_ADJUST))
#define HOST_F7_ECX ((MAX_F7_ECX | AVX512_ECX) & ~(u32)F7C_UMIP)
/* Those with VEX, which need the host's YMM registers. */
#define AVX_F1_ECX (F1C_AVX | F1C_F16C | F1C_FMA)
#define AVX_F7_ECX (F7C_VAES | F7C_VPCLMULQDQ)

/* Leaf 2 descriptors (SDM 2 table 3-12), from the data sheets of the CPUs. 7Dh: 2 MB L2; 2Ch, 30h: 32 KB L1. */
#define CACHES_MODERN 0x002c307d

#define ATOM 0x106ca /* signature: family 6, model 1Ch, stepping 10 */

/* A model has all that its base has (inherit()), and in addition what its own row says. Words of features are united;
 * any other field that the row leaves out has the base's value. Every model says that it is in a virtual machine (leaf
 * 40000000h). The table is completed before main() runs and does not change afterwards. */
static struct {
    const char *base; /* NULL, or a model further up */
    struct cpu_model model;
} models[] = {
    {NULL,
     {.name = "pentium",
      .vendor = "GenuineIntel",
      .signature = 0x543,
      .max_leaf = 1,
      .f1_edx = PENTIUM_MMX,
      .maxphyaddr = 32}},
    {"pentium",
     {.name = "pentium2",
      .signature = 0x652,
      .max_leaf = 2,
      .f1_edx = PENTIUM_II,
      .caches = {0, 0, 0x0c040843},
      .maxphyaddr = 36}},
    {"pentium2", {.name = "pentium3", .signature = 0x683, .f1_edx = F1D_SSE, .caches = {0, 0, 0x0c040882}}},
    {"pentium3",
     {.name = "pentium4",
      .brand = "Ringer Virtual CPU, Pentium 4 class",
      .signature = 0xf29,
      .max_extended_leaf = 0x80000008,
      .f1_edx = F1D_SSE2 | F1D_CLFSH,
      .caches = {0, 0, 0x007b7040}}},
    {"pentium4",
     {.name = "core2",
      .brand = "Ringer Virtual CPU, Core 2 class",
      .signature = 0x6fb,
      .max_leaf = 4,
      .f1_ecx = F1C_SSE3 | F1C_SSSE3,
      .x1_edx = X1D_NX,
      .caches = {0, 0, CACHES_MODERN}}},
    {"core2",
     {.name = "max",
      .brand = "Ringer Virtual CPU",
      .signature = ATOM,
      .max_leaf = 0x16,
      .f1_ecx = MAX_F1_ECX,
      .f7_ebx = MAX_F7_EBX,
      .f7_ecx = MAX_F7_ECX,
      .f7_edx = F7D_FSRM,
      .xsave_eax = XSAVE_ALL,
      .x1_edx = X1D_RDTSCP,
      .x1_ecx = X1C_LZCNT,
      .x7_edx = X7D_INVARIANT_TSC,
      .cpuid_faulting = true}},
    /* As QEMU's model of this name: an AMD CPU of the K8's family. */
    {"pentium4",
     {.name = "qemu64",
      .brand = "Ringer Virtual CPU, x86-64",
      .vendor = "AuthenticAMD",
      .signature = 0x60fb1,
      .max_leaf = 0xd,
      .f1_ecx = F1C_SSE3 | F1C_CX16,
      .x1_edx = X86_64_X1_EDX,
      .x1_ecx = X1C_LAHF,
      .caches = {0, 0, CACHES_MODERN},
      .maxphyaddr = 40}},
    /* Levels of x86-64 (psABI 3.1.1). */
    {"core2",
     {.name = "x86-64-v2",
      .is_level = true,
      .brand = "Ringer Virtual CPU, x86-64-v2",
      .signature = ATOM,
      .max_leaf = 0x16,
      .f1_ecx = F1C_CX16 | F1C_SSE4_1 | F1C_SSE4_2 | F1C_POPCNT | F1C_TSC_DEADLINE,
      .x1_edx = X86_64_X1_EDX | X1D_RDTSCP,
      .x1_ecx = X1C_LAHF,
      .x7_edx = X7D_INVARIANT_TSC,
      .maxphyaddr = 40}},
    {"x86-64-v2",
     {.name = "x86-64-v3",
      .brand = "Ringer Virtual CPU, x86-64-v3",
      .f1_ecx = F1C_AVX | F1C_F16C | F1C_FMA | F1C_MOVBE | F1C_XSAVE,
      .f7_ebx = F7B_AVX2 | F7B_BMI1 | F7B_BMI2,
      .xsave_eax = XSAVE_ALL,
      .x1_ecx = X1C_LZCNT}},
    {"max",
     {.name = "max64",
      .f1_ecx = F1C_CX16 | F1C_PCID,
      .f7_ebx = F7B_FSGSBASE | F7B_INVPCID | AVX512_EBX,
      .f7_ecx = AVX512_ECX,
      .x1_edx = X86_64_X1_EDX | X1D_PAGE1GB,
      .x1_ecx = X1C_LAHF,
      .maxphyaddr = 40}},
};

static void inherit(struct cpu_model *m, const struct cpu_model *base)
{
#define UNITE(field)   m->field |= base->field
#define DEFAULT(field) m->field = m->field ? m->field : base->field
    UNITE(f1_edx);
    UNITE(f1_ecx);
    UNITE(f7_ebx);
    UNITE(f7_ecx);
    UNITE(f7_edx);
    UNITE(xsave_eax);
    UNITE(x1_edx);
    UNITE(x1_ecx);
    UNITE(x7_edx);
    UNITE(is_level);
    UNITE(cpuid_faulting);
    DEFAULT(brand);
    DEFAULT(vendor);
    DEFAULT(signature);
    DEFAULT(max_leaf);
    DEFAULT(max_extended_leaf);
    DEFAULT(caches[2]);
    DEFAULT(maxphyaddr);
#undef UNITE
#undef DEFAULT
}

/* Do the host's CPU and kernel have AVX and this state (SDM 1 14.3, 15.2)? `f1_ecx`: of the host's leaf 1. */
static bool host_has_avx(u32 f1_ecx, u32 state)
{
    u32 xcr0, high;
    if ((f1_ecx & (F1C_OSXSAVE | F1C_AVX)) != (F1C_OSXSAVE | F1C_AVX)) return false;
    __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    return (xcr0 & state) == state;
}

/* The first feature that `before` has and `after` has not, of those that levels of x86-64 are made of. */
static const char *first_lost(const struct cpu_model *before, const struct cpu_model *after)
{
    static const struct {
        unsigned word;
        u32 bit;
        const char *name;
    } features[] = {
#define FEATURE(field, mask, name) {offsetof(struct cpu_model, field), mask, name}
        FEATURE(f1_ecx, F1C_SSE3, "SSE3"),     FEATURE(f1_ecx, F1C_SSSE3, "SSSE3"),
        FEATURE(f1_ecx, F1C_SSE4_1, "SSE4.1"), FEATURE(f1_ecx, F1C_SSE4_2, "SSE4.2"),
        FEATURE(f1_ecx, F1C_POPCNT, "POPCNT"), FEATURE(f1_ecx, F1C_CX16, "CMPXCHG16B"),
        FEATURE(f1_ecx, F1C_XSAVE, "XSAVE"),   FEATURE(f1_ecx, F1C_AVX, "AVX"),
        FEATURE(f7_ebx, F7B_AVX2, "AVX2"),     FEATURE(f7_ebx, F7B_BMI1, "BMI1"),
        FEATURE(f7_ebx, F7B_BMI2, "BMI2"),     FEATURE(f1_ecx, F1C_F16C, "F16C"),
        FEATURE(f1_ecx, F1C_FMA, "FMA"),       FEATURE(x1_ecx, X1C_LZCNT, "LZCNT"),
        FEATURE(f1_ecx, F1C_MOVBE, "MOVBE"),
#undef FEATURE
    };
    for (unsigned n = 0; n < ARRAY_SIZE(features); n++) {
        u32 was = *(const u32 *)((const u8 *)before + features[n].word);
        u32 is = *(const u32 *)((const u8 *)after + features[n].word);
        if (was & ~is & features[n].bit) return features[n].name;
    }
    return NULL;
}

static __attribute__((constructor)) void complete_models(void)
{
    u32 a, b, f1_edx = 0, f1_ecx = 0, f7_ebx = 0, f7_ecx = 0, f7_edx = 0, x1_ecx = 0, x7_edx = 0, c, unused;
    __get_cpuid(1, &a, &b, &f1_ecx, &f1_edx);
    __get_cpuid_count(7, 0, &a, &f7_ebx, &f7_ecx, &f7_edx);
    bool zmm = host_has_avx(f1_ecx, XCR0_SSE | XCR0_AVX | XCR0_AVX512);
    if (!zmm || (f7_ebx & AVX512_BASE) != AVX512_BASE) {
        f7_ebx &= ~AVX512_EBX;
        f7_ecx &= ~(u32)AVX512_ECX;
    }
    if (!host_has_avx(f1_ecx, XCR0_SSE | XCR0_AVX)) {
        f1_ecx &= ~(u32)AVX_F1_ECX;
        f7_ebx &= ~(u32)F7B_AVX2;
        f7_ecx &= ~(u32)AVX_F7_ECX;
    }
    __get_cpuid(0x80000001, &a, &b, &x1_ecx, &unused);
    __get_cpuid(0x80000007, &a, &b, &c, &x7_edx); /* the guest's TSC is the host's */
    bool cvtpi2ps_waits = host_cvtpi2ps_waits(), sha_is_aligned = (f7_ebx & F7B_SHA) && host_sha_is_aligned();
    bool unused_is_aligned = (f7_ebx & F7B_AVX512F) && host_unused_is_aligned();
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        if (models[i].base) inherit(&models[i].model, cpu_model_find(models[i].base));
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
        struct cpu_model *m = &models[i].model;
        const struct cpu_model before = *m;
        m->f1_edx &= f1_edx | ~(u32)HOST_F1_EDX;
        m->f1_ecx = (m->f1_ecx & (f1_ecx | F1C_TSC_DEADLINE | F1C_PCID)) | F1C_HYPERVISOR;
        m->f7_ebx &= f7_ebx | ~HOST_F7_EBX;
        m->f7_ecx &= f7_ecx | ~(u32)HOST_F7_ECX;
        m->f7_edx &= f7_edx;
        if (!(m->f1_ecx & F1C_XSAVE)) m->xsave_eax = 0;
        m->x1_ecx &= x1_ecx | X1C_LAHF;
        m->x7_edx &= x7_edx;
        m->cvtpi2ps_waits = cvtpi2ps_waits;
        m->sha_is_aligned = sha_is_aligned;
        m->unused_is_aligned = unused_is_aligned;
        /* Kernels trust an invariant TSC without checking it if this register exists. */
        if (!(m->x7_edx & X7D_INVARIANT_TSC)) m->f7_ebx &= ~(u32)F7B_TSC_ADJUST;
        if (m->is_level) m->lacks = first_lost(&before, m);
    }
}

const char *const *cpu_model_names(void)
{
    static const char *const names[] = {"pentium", "pentium2",  "pentium3",  "pentium4", "core2", "max",
                                        "qemu64",  "x86-64-v2", "x86-64-v3", "max64",    NULL};
    _Static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(models) + 1, "a name for each model");
    return names;
}

const struct cpu_model *cpu_model_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        if (__builtin_strcmp(models[i].model.name, name) == 0) return &models[i].model;
    return NULL;
}

u32 cpu_model_cr4(const struct cpu_model *model)
{
    static const struct {
        u32 f1_edx, cr4;
    } rows[] = {
        {F1D_VME, CR4_VME | CR4_PVI}, {F1D_TSC, CR4_TSD},        {F1D_DE, CR4_DE},   {F1D_PSE, CR4_PSE},
        {F1D_PAE, CR4_PAE},           {F1D_PGE, CR4_PGE},        {F1D_MCE, CR4_MCE}, {F1D_MMX, CR4_PCE},
        {F1D_FXSR, CR4_OSFXSR},       {F1D_SSE, CR4_OSXMMEXCPT},
    };
    u32 cr4 = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (model->f1_edx & rows[i].f1_edx) cr4 |= rows[i].cr4;
    if (model->f7_ebx & F7B_SMEP) cr4 |= CR4_SMEP;
    if (model->f7_ebx & F7B_FSGSBASE) cr4 |= CR4_FSGSBASE;
    if (model->f7_ecx & F7C_UMIP) cr4 |= CR4_UMIP;
    if (model->f1_ecx & F1C_PCID) cr4 |= CR4_PCIDE;
    if (model->f1_ecx & F1C_XSAVE) cr4 |= CR4_OSXSAVE;
    return cr4;
}

u32 cpu_model_xcr0(const struct cpu_model *model)
{
    return XCR0_X87 | XCR0_SSE | (model->f1_ecx & F1C_AVX ? XCR0_AVX : 0) |
           (model->f7_ebx & F7B_AVX512F ? XCR0_AVX512 : 0);
}

/* EAX EBX ECX EDX of one leaf. */
struct leaf {
    u32 r[4];
};

static u32 text_word(const char *text, unsigned offset)
{
    u32 word = 0;
    for (unsigned i = 0; i < 4; i++)
        word |= (u32)(u8)text[offset + i] << (8 * i);
    return word;
}

static struct leaf leaf_vendor(const struct vcpu *v)
{
    const struct cpu_model *m = v->model;
    u32 highest = v->misc_enable & MISC_LIMIT_CPUID && m->max_leaf > 2 ? 2 : m->max_leaf;
    return (struct leaf){
        {highest, text_word(m->vendor, 0), text_word(m->vendor, 8), text_word(m->vendor, 4)}};
}

static struct leaf leaf_features(const struct vcpu *v)
{
    const struct cpu_model *m = v->model;
    u32 ebx = 1 << 16; /* 31-24: APIC ID; one logical processor; 15-8: CLFLUSH line in units of 8 bytes */
    u32 ecx = m->f1_ecx, edx = m->f1_edx;
    if (m->f1_edx & F1D_CLFSH) ebx |= 8 << 8;
    if (v->apic_base & APIC_BASE_ENABLED) edx |= F1D_APIC;
    if (!v->host->apic) ecx &= ~(u32)F1C_TSC_DEADLINE;
    if (v->paging.cr4 & CR4_OSXSAVE) ecx |= F1C_OSXSAVE;
    return (struct leaf){{m->signature, ebx, ecx, edx}};
}

/* Leaf 4: L1 data, L1 instruction, unified L2. EAX: type, level << 5, self-initializing; EBX: line size, ways;
 * ECX: sets. */
static struct leaf leaf_cache(u32 subleaf)
{
    static const struct leaf caches[] = {
        {{0x121, 7u << 22 | 63, 63, 0}}, /* 32 KB, 8 ways, 64 sets */
        {{0x122, 7u << 22 | 63, 63, 0}},
        {{0x143, 15u << 22 | 63, 2047, 0}}, /* 2 MB, 16 ways, 2048 sets */
    };
    return subleaf < ARRAY_SIZE(caches) ? caches[subleaf] : (struct leaf){{0}};
}

/* Bytes of an XSAVE area with these components (fxsave.h). */
static u32 area_bytes(u64 components)
{
    return components & XCR0_AVX512 ? FX_ALL : components & XCR0_AVX ? FX_YMM_END64 : FX_YMM;
}

/* Leaf 0Dh: the components of the extended state, and the bytes of XSAVE areas (SDM 1 13.2). Components of AVX-512 come
 * all or none, and with AVX, so an area has the same size in either format. */
static struct leaf leaf_xsave(const struct vcpu *v, u32 subleaf)
{
    static const struct {
        u32 bytes, offset;
    } components[] = {
        [2] = {FX_YMM_END64 - FX_YMM, FX_YMM},
        [5] = {FX_ZMM - FX_OPMASK, FX_OPMASK},
        [6] = {FX_ZMM16 - FX_ZMM, FX_ZMM},
        [7] = {FX_ALL - FX_ZMM16, FX_ZMM16},
    };
    u32 all = cpu_model_xcr0(v->model), enabled = area_bytes(v->xcr0);
    if (!(v->model->f1_ecx & F1C_XSAVE)) return (struct leaf){{0}};
    if (subleaf == 0) return (struct leaf){{all, enabled, area_bytes(all), 0}};
    if (subleaf == 1) return (struct leaf){{v->model->xsave_eax, enabled, 0, 0}};
    if (subleaf >= ARRAY_SIZE(components) || !(all & 1u << subleaf)) return (struct leaf){{0}};
    return (struct leaf){{components[subleaf].bytes, components[subleaf].offset, 0, 0}};
}

u64 cpuid_crystal_hz(u64 tsc_hz)
{
    u64 khz = tsc_hz / 1000, crystal = khz * 1000;
    return crystal >> 32 ? crystal / 2 : crystal;
}

/* Leaves 15h and 16h: the rates of TSC and APIC timer, so that a guest need not measure them. The TSC counts
 * ECX * EBX / EAX times a second. */
static struct leaf leaf_tsc(const struct vcpu *v, u32 number)
{
    u64 khz = v->host->tsc_hz ? v->host->tsc_hz(v->host->machine) / 1000 : 0;
    if (!khz) return (struct leaf){{0}};
    u64 crystal = cpuid_crystal_hz(khz * 1000);
    if (number == 0x15) return (struct leaf){{1, (u32)(khz * 1000 / crystal), (u32)crystal, 0}};
    return (struct leaf){{(u32)(khz / 1000), (u32)(khz / 1000), 100, 0}}; /* base, highest, bus: MHz */
}

static struct leaf basic_leaf(const struct vcpu *v, u32 number, u32 subleaf)
{
    const struct cpu_model *m = v->model;
    switch (number) {
    case 0: return leaf_vendor(v);
    case 1: return leaf_features(v);
    case 2:
        return (struct leaf){{1, m->caches[0], m->caches[1], m->caches[2]}}; /* AL 1: one query is enough */
    case 4: return leaf_cache(subleaf);
    case 6: return (struct leaf){{v->host->apic ? F6A_ARAT : 0}};
    case 0xd: return leaf_xsave(v, subleaf);
    case 0x15:
    case 0x16: return leaf_tsc(v, number);
    case 7: return subleaf ? (struct leaf){{0}} : (struct leaf){{0, m->f7_ebx, m->f7_ecx, m->f7_edx}};
    default: return (struct leaf){{0}};
    }
}

static struct leaf leaf_brand(const struct cpu_model *m, unsigned part)
{
    char text[48] = {0};
    for (unsigned i = 0; i < sizeof text - 1 && m->brand && m->brand[i]; i++)
        text[i] = m->brand[i];
    struct leaf l;
    for (unsigned i = 0; i < 4; i++)
        l.r[i] = text_word(text, part * 16 + i * 4);
    return l;
}

/* On Intel's CPUs the bit of SYSCALL shows in 64-bit mode only. AMD's repeat bits of leaf 1 (AMD APM 3 E.4.2). */
static struct leaf leaf_extended_features(const struct vcpu *v)
{
    const struct cpu_model *m = v->model;
    const u32 repeated = 0x0183f3ff;
    u32 edx = m->x1_edx & ~(v->misc_enable & MISC_XD_DISABLE ? (u32)X1D_NX : 0);
    if (cpu_model_is_amd(m))
        return (struct leaf){{m->signature, 0, m->x1_ecx, edx | (leaf_features(v).r[3] & repeated)}};
    if (!vcpu_code64(v)) edx &= ~(u32)X1D_SYSCALL;
    return (struct leaf){{0, 0, m->x1_ecx, edx}};
}

static struct leaf extended_leaf(const struct vcpu *v, u32 number)
{
    const struct cpu_model *m = v->model;
    switch (number) {
    case 0x80000000: return (struct leaf){{m->max_extended_leaf}};
    case 0x80000001: return leaf_extended_features(v);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: return leaf_brand(m, number - 0x80000002);
    case 0x80000006:
        return (struct leaf){{0, 0, 2048 << 16 | 8 << 12 | 64, 0}}; /* L2: 2 MB, 16 ways, 64-byte lines */
    case 0x80000007: return (struct leaf){{0, 0, 0, m->x7_edx}};
    case 0x80000008: return (struct leaf){{m->maxphyaddr | (cpu_model_has_long_mode(m) ? 48 : 32) << 8}};
    default: return (struct leaf){{0}};
    }
}

/* Leaves from 40000000h on follow the convention of hypervisors: blocks of leaves at multiples of 100h. The first
 * leaf of a block has the number of its last leaf and a signature. With a paravirtual clock KVM's block comes
 * first, because many guests look at no other, and Ringer's second. Otherwise Ringer's is the only one. */
#define HYPERVISOR_LEAVES 0x40000000u
#define HYPERVISOR_BLOCK  0x100u

static struct leaf signature_leaf(u32 highest, const char *signature)
{
    return (struct leaf){
        {highest, text_word(signature, 0), text_word(signature, 4), text_word(signature, 8)}};
}

/* KVM's features that Ringer has (Linux, cpuid.rst): the clock at the older MSRs (bit 0) and at the newer ones
 * (3); port accesses need no delays between them (1); the clock is equal on all vCPUs (24). Leaf 10h has the
 * TSC's rate in kHz, as VMware's does.
 *
 * Not offered:
 *   PV_UNHALT, PV_TLB_FLUSH, PV_SEND_IPI, PV_SCHED_YIELD   useful with several processors only
 *   ASYNC_PF      the host does not page the guest's memory
 *   STEAL_TIME    it would have to be measured at each turn of the host's scheduler
 *   POLL_CONTROL  the idle vCPU polls only while a disk request is under way
 *   PV_EOI        an EOI costs 150 cycles, and every delivery would have to test the flag in guest memory */
static struct leaf kvm_leaf(const struct vcpu *v, u32 number)
{
    enum { CLOCKSOURCE = 1 << 0, NOP_IO_DELAY = 1 << 1, CLOCKSOURCE2 = 1 << 3, CLOCKSOURCE_STABLE = 1 << 24 };
    switch (number) {
    case 0: return signature_leaf(HYPERVISOR_LEAVES + 0x10, "KVMKVMKVM\0\0");
    case 1: return (struct leaf){{CLOCKSOURCE | NOP_IO_DELAY | CLOCKSOURCE2 | CLOCKSOURCE_STABLE}};
    case 0x10: return (struct leaf){{(u32)(v->host->sample_time(v->host->machine).tsc_hz / 1000)}};
    default: return (struct leaf){{0}};
    }
}

static bool hypervisor_leaf(const struct vcpu *v, u32 number, struct leaf *l)
{
    bool kvm = pvclock_offered(v);
    u32 block = (number - HYPERVISOR_LEAVES) / HYPERVISOR_BLOCK;
    if (number < HYPERVISOR_LEAVES || block > (kvm ? 1 : 0)) return false;
    if (kvm && block == 0)
        *l = kvm_leaf(v, number - HYPERVISOR_LEAVES);
    else if (number % HYPERVISOR_BLOCK == 0)
        *l = signature_leaf(number, "RingerRinger");
    else
        return false;
    return true;
}

void cpuid(struct vcpu *v)
{
    fpu_park(v); /* host->tsc_hz, host->sample_time */
    const struct cpu_model *m = v->model;
    u32 number = (u32)v->gpr[REG_EAX], subleaf = (u32)v->gpr[REG_ECX];
    struct leaf l;
    if (number >= 0x80000000 && number <= m->max_extended_leaf)
        l = extended_leaf(v, number);
    else if (number <= m->max_leaf)
        l = basic_leaf(v, number, subleaf);
    else if (!hypervisor_leaf(v, number, &l))
        l = basic_leaf(v, m->max_leaf, subleaf); /* Intel: out of range gives the highest basic leaf */
    v->gpr[REG_EAX] = l.r[0];
    v->gpr[REG_EBX] = l.r[1];
    v->gpr[REG_ECX] = l.r[2];
    v->gpr[REG_EDX] = l.r[3];
}
