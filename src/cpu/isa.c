/*
 * The rows of isa.def made to be looked up, and which CPU feature gates what.
 */
#include "isa.h"
#include "cpuid.h"
#include "exec.h"

#include <Zydis/MetaInfo.h>
#include <Zydis/SharedTypes.h>

static const struct isa_row row_ud = {.name = "(ud)", .execute = exec_ud, .treatment = TREAT_END};

const struct isa_row isa_row_too_long = {
    .name = "(too long)", .execute = exec_too_long, .treatment = TREAT_END};

static const struct isa_row rows[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define ISA(mnemonic, routine, t, traits_of)                                                                 \
    [ZYDIS_MNEMONIC_##mnemonic] = {#mnemonic, exec_##routine, TREAT_##t, traits_of},
#include "isa.def"
};

static const struct isa_row class_rows[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define ISA_CLASS(isa_set, name_of, routine, t, traits_of)                                                   \
    [ZYDIS_ISA_SET_##isa_set] = {name_of, exec_##routine, TREAT_##t, traits_of},
#include "isa.def"
};

const struct isa_row *isa_row(u16 mnemonic, u8 isa_set)
{
    /* Two mnemonics name a string instruction and a scalar one. */
    bool scalar = (mnemonic == ZYDIS_MNEMONIC_MOVSD || mnemonic == ZYDIS_MNEMONIC_CMPSD) &&
                  isa_set == ZYDIS_ISA_SET_SSE2;
    if (mnemonic < ARRAY_SIZE(rows) && rows[mnemonic].execute && !scalar) return &rows[mnemonic];
    if (isa_set < ARRAY_SIZE(class_rows) && class_rows[isa_set].execute) return &class_rows[isa_set];
    return &row_ud;
}

/* Where in struct cpu_model the bit is; word 0: no model has it. */
struct gate {
    u16 word;
    u32 bit;
};
#define GATE(field, mask)                                                                                    \
    {                                                                                                        \
        offsetof(struct cpu_model, field), mask                                                              \
    }
/* On every CPU since the Pentium, which all models are; and all have a TSC. */
#define ALWAYS GATE(f1_edx, F1D_TSC)

static const struct gate gates[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    [ZYDIS_ISA_SET_INVALID] = ALWAYS, /* bad bytes: their routines raise what is due */
    [ZYDIS_ISA_SET_I86] = ALWAYS,
    [ZYDIS_ISA_SET_I186] = ALWAYS,
    [ZYDIS_ISA_SET_I286REAL] = ALWAYS,
    [ZYDIS_ISA_SET_I286PROTECTED] = ALWAYS,
    [ZYDIS_ISA_SET_I386] = ALWAYS,
    [ZYDIS_ISA_SET_I486] = ALWAYS,
    [ZYDIS_ISA_SET_I486REAL] = ALWAYS,
    [ZYDIS_ISA_SET_LAHF] = ALWAYS,
    [ZYDIS_ISA_SET_PENTIUMREAL] = ALWAYS,
    [ZYDIS_ISA_SET_PAUSE] = ALWAYS, /* a NOP before the Pentium 4 */
    [ZYDIS_ISA_SET_RDPMC] = ALWAYS,
    [ZYDIS_ISA_SET_VTX] = ALWAYS, /* VMCALL and VMMCALL are KVM's; the others have no routine */
    [ZYDIS_ISA_SET_SVM] = ALWAYS,
    [ZYDIS_ISA_SET_X87] = GATE(f1_edx, F1D_FPU),
    [ZYDIS_ISA_SET_PPRO] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_CMOV] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_FCMOV] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_FAT_NOP] = GATE(f1_edx, F1D_CMOV), /* 0F 1F: the P6 family on */
    [ZYDIS_ISA_SET_PREFETCH_NOP] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_SSE_PREFETCH] = GATE(f1_edx, F1D_CMOV), /* 0F 18, likewise */
    [ZYDIS_ISA_SET_PENTIUMMMX] = GATE(f1_edx, F1D_MMX),
    [ZYDIS_ISA_SET_FXSAVE] = GATE(f1_edx, F1D_FXSR),
    [ZYDIS_ISA_SET_SSE] = GATE(f1_edx, F1D_SSE),
    [ZYDIS_ISA_SET_SSEMXCSR] = GATE(f1_edx, F1D_SSE),
    [ZYDIS_ISA_SET_SSE2] = GATE(f1_edx, F1D_SSE2),
    [ZYDIS_ISA_SET_SSE2MMX] = GATE(f1_edx, F1D_SSE2),
    [ZYDIS_ISA_SET_CLFSH] = GATE(f1_edx, F1D_CLFSH),
    [ZYDIS_ISA_SET_SSE3] = GATE(f1_ecx, F1C_SSE3),
    [ZYDIS_ISA_SET_SSE3X87] = GATE(f1_ecx, F1C_SSE3),
    [ZYDIS_ISA_SET_SSSE3] = GATE(f1_ecx, F1C_SSSE3),
    [ZYDIS_ISA_SET_SSSE3MMX] = GATE(f1_ecx, F1C_SSSE3),
    [ZYDIS_ISA_SET_SSE4] = GATE(f1_ecx, F1C_SSE4_1),
    [ZYDIS_ISA_SET_SSE42] = GATE(f1_ecx, F1C_SSE4_2),
    [ZYDIS_ISA_SET_POPCNT] = GATE(f1_ecx, F1C_POPCNT),
    [ZYDIS_ISA_SET_MOVBE] = GATE(f1_ecx, F1C_MOVBE),
    [ZYDIS_ISA_SET_AES] = GATE(f1_ecx, F1C_AES),
    [ZYDIS_ISA_SET_PCLMULQDQ] = GATE(f1_ecx, F1C_PCLMULQDQ),
    [ZYDIS_ISA_SET_RDRAND] = GATE(f1_ecx, F1C_RDRAND),
    [ZYDIS_ISA_SET_RDSEED] = GATE(f7_ebx, F7B_RDSEED),
    [ZYDIS_ISA_SET_BMI1] = GATE(f7_ebx, F7B_BMI1),
    [ZYDIS_ISA_SET_BMI2] = GATE(f7_ebx, F7B_BMI2),
    [ZYDIS_ISA_SET_ADOX_ADCX] = GATE(f7_ebx, F7B_ADX),
    [ZYDIS_ISA_SET_SHA] = GATE(f7_ebx, F7B_SHA),
    [ZYDIS_ISA_SET_LZCNT] = GATE(x1_ecx, X1C_LZCNT),
    [ZYDIS_ISA_SET_RDTSCP] = GATE(x1_edx, X1D_RDTSCP),
};
#undef GATE
#undef ALWAYS

static u32 feature_word(const struct cpu_model *model, u16 offset)
{
    return *(const u32 *)((const u8 *)model + offset);
}

bool isa_exposed(const struct cpu_model *model, const struct insn *i)
{
    const struct gate *gate = &gates[i->isa_set];
    return feature_word(model, gate->word) & gate->bit;
}
