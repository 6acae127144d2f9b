/*
 * The rows of isa.def as a table, and the CPU feature that gates each ISA set.
 */
#include "isa.h"
#include "cpuid.h"
#include "exec.h"

#include <Zydis/MetaInfo.h>
#include <Zydis/SharedTypes.h>

/* --- the columns of isa.def --- */

#define TREAT_AS_IDENTICAL           .treatment = TREAT_IDENTICAL
#define TREAT_AS_IDENTICAL_UNLESS(e) .treatment = TREAT_IDENTICAL, .emitter = EMITTER_##e
#define TREAT_AS_INLINE(e)           .treatment = TREAT_INLINE, .emitter = EMITTER_##e
#define TREAT_AS_BRANCH(e)           .treatment = TREAT_BRANCH, .emitter = EMITTER_##e
#define TREAT_AS_CALLOUT             .treatment = TREAT_CALLOUT
#define TREAT_AS_END                 .treatment = TREAT_END

/* Sensitive: C control, L location, M mode. */
enum {
    SENSITIVITY_NONE = 0,
    SENSITIVITY_C = SENSITIVE_CONTROL,
    SENSITIVITY_L = SENSITIVE_LOCATION,
    SENSITIVITY_M = SENSITIVE_MODE,
    SENSITIVITY_CL = SENSITIVITY_C | SENSITIVITY_L,
    SENSITIVITY_CM = SENSITIVITY_C | SENSITIVITY_M,
    SENSITIVITY_LM = SENSITIVITY_L | SENSITIVITY_M,
    SENSITIVITY_CLM = SENSITIVITY_CL | SENSITIVITY_M,
};

/* Conditions of forms. */

static bool is_register(const struct operand *o, enum reg_class reg_class)
{
    return o->kind == OPND_REG && o->reg_class == reg_class;
}
static bool when_to_ss(const struct insn *i)
{
    return is_register(&i->op[0], RC_SEG) && i->op[0].reg == SEG_SS;
}
static bool when_to_segment(const struct insn *i)
{
    return is_register(&i->op[0], RC_SEG) && i->op[0].written;
}
static bool when_from_segment(const struct insn *i)
{
    return is_register(&i->op[i->operand_count - 1], RC_SEG);
}
static bool when_to_cr(const struct insn *i)
{
    return is_register(&i->op[0], RC_CR);
}
static bool when_from_cr(const struct insn *i)
{
    return is_register(&i->op[1], RC_CR);
}
static bool when_to_dr(const struct insn *i)
{
    return is_register(&i->op[0], RC_DR);
}
static bool when_from_dr(const struct insn *i)
{
    return is_register(&i->op[1], RC_DR);
}
/* A far pointer in the instruction; FF /3 and FF /5 with a far pointer in memory; CA and CB. */
static bool when_far(const struct insn *i)
{
    if (i->op[0].kind == OPND_FAR || i->opcode == 0xca || i->opcode == 0xcb) return true;
    return i->op[0].kind == OPND_MEM && (i->modrm >> 3 & 1);
}
static bool when_wide_in_memory(const struct insn *i)
{
    return i->op[0].kind == OPND_MEM && i->op[0].bytes >= 4;
}
static bool when_bit_string(const struct insn *i)
{
    return i->op[0].kind == OPND_MEM && i->op[1].kind == OPND_REG;
}

/* --- the rows --- */

/* The order of rows: rows of mnemonics, rows of forms, rows of ISA sets. */
enum {
    FORMS = ZYDIS_MNEMONIC_MAX_VALUE,
#define ISA_FORM(mnemonic, when, ...)        FORM_##mnemonic##_##when,
#define ISA_SYSTEM_FORM(mnemonic, when, ...) FORM_##mnemonic##_##when,
#include "isa.def"
    FORMS_END,
    CLASSES = FORMS_END,
    NUMBERS = CLASSES + ZYDIS_ISA_SET_MAX_VALUE + 1,
};

const struct isa_row isa_row_ud = {.name = "(ud)", .execute = exec_ud, .treatment = TREAT_END};
const struct isa_row isa_row_too_long = {
    .name = "(too long)", .execute = exec_too_long, .treatment = TREAT_END};

static const struct isa_row rows[NUMBERS] = {
#define ROW(routine, treatment_as, traits_of, name_of)                                                       \
    .name = name_of, .execute = exec_##routine, TREAT_AS_##treatment_as, .traits = (traits_of)
#define SYSTEM_ROW(routine, treatment_as, traits_of, privilege_of, sensitive_by, name_of, section)           \
    ROW(routine, treatment_as, traits_of, name_of), .privilege = PRIVILEGE_##privilege_of,                   \
                                                    .sensitivity = SENSITIVITY_##sensitive_by,               \
                                                    .manual = (section)
#define ISA(mnemonic, routine, treatment, traits)                                                            \
    [ZYDIS_MNEMONIC_##mnemonic] = {ROW(routine, treatment, traits, #mnemonic)},
#define ISA_SYSTEM(mnemonic, ...)            [ZYDIS_MNEMONIC_##mnemonic] = {SYSTEM_ROW(__VA_ARGS__)},
#define ISA_FORM(mnemonic, when, ...)        [FORM_##mnemonic##_##when] = {ROW(__VA_ARGS__)},
#define ISA_SYSTEM_FORM(mnemonic, when, ...) [FORM_##mnemonic##_##when] = {SYSTEM_ROW(__VA_ARGS__)},
#define ISA_CLASS(isa_set, name, routine, treatment, traits)                                                 \
    [CLASSES + ZYDIS_ISA_SET_##isa_set] = {ROW(routine, treatment, traits, name)},
#include "isa.def"
#undef SYSTEM_ROW
#undef ROW
};

static const struct form {
    u16 mnemonic;
    u16 number;
    bool (*when)(const struct insn *i);
} forms[] = {
#define ISA_FORM(mnemonic, when, ...) {ZYDIS_MNEMONIC_##mnemonic, FORM_##mnemonic##_##when, when_##when},
#define ISA_SYSTEM_FORM               ISA_FORM
#include "isa.def"
};

static const struct isa_row *form_row(const struct insn *i)
{
    for (unsigned n = 0; n < ARRAY_SIZE(forms); n++)
        if (forms[n].mnemonic == i->mnemonic && forms[n].when(i)) return &rows[forms[n].number];
    return &rows[i->mnemonic];
}

const struct isa_row *isa_row(const struct insn *i)
{
    /* Each of these two mnemonics names a string instruction and a scalar SSE2 instruction. */
    bool scalar = (i->mnemonic == ZYDIS_MNEMONIC_MOVSD || i->mnemonic == ZYDIS_MNEMONIC_CMPSD) &&
                  i->isa_set == ZYDIS_ISA_SET_SSE2;
    const struct isa_row *row = &rows[i->mnemonic], *class_row = &rows[CLASSES + i->isa_set];
    if (row->execute && !scalar) return row->traits & ISA_HAS_FORMS ? form_row(i) : row;
    return class_row->execute ? class_row : &isa_row_ud;
}

unsigned isa_row_numbers(void)
{
    return NUMBERS;
}

const struct isa_row *isa_row_numbered(unsigned number)
{
    return number < NUMBERS && rows[number].execute ? &rows[number] : NULL;
}

unsigned isa_row_number(const struct isa_row *row)
{
    return row >= rows && row < rows + NUMBERS ? (unsigned)(row - rows) : 0;
}

/* --- what a row says --- */

const char *isa_treatment_name(const struct isa_row *row)
{
    static const char *const names[] = {[TREAT_IDENTICAL] = "identical",
                                        [TREAT_INLINE] = "inline",
                                        [TREAT_BRANCH] = "branch",
                                        [TREAT_CALLOUT] = "callout",
                                        [TREAT_END] = "callout, end of block"};
    return names[row->treatment];
}

const char *isa_privilege_name(const struct isa_row *row)
{
    static const char *const names[] = {[PRIVILEGE_NONE] = "-",
                                        [PRIVILEGE_CPL0] = "CPL 0",
                                        [PRIVILEGE_IOPL] = "IOPL",
                                        [PRIVILEGE_PORT] = "IOPL, I/O bitmap",
                                        [PRIVILEGE_VM86] = "VM86: IOPL",
                                        [PRIVILEGE_GATE] = "gate's DPL",
                                        [PRIVILEGE_VM86_GATE] = "gate's DPL; VM86: IOPL",
                                        [PRIVILEGE_TSD] = "CR4.TSD",
                                        [PRIVILEGE_PCE] = "CR4.PCE",
                                        [PRIVILEGE_UMIP] = "CR4.UMIP"};
    return names[row->privilege];
}

static bool is_allowed(const struct isa_row *row, const struct isa_mode *mode)
{
    bool vm86_allows = !mode->vm86 || mode->iopl == 3;
    bool gate_allows = !mode->protected || mode->cpl <= mode->gate_dpl;
    switch ((enum isa_privilege)row->privilege) {
    case PRIVILEGE_NONE: return true;
    case PRIVILEGE_CPL0: return mode->cpl == 0;
    case PRIVILEGE_IOPL: return mode->cpl <= mode->iopl;
    case PRIVILEGE_PORT: return (mode->cpl <= mode->iopl && !mode->vm86) || mode->port_allowed;
    case PRIVILEGE_VM86: return vm86_allows;
    case PRIVILEGE_GATE: return gate_allows;
    case PRIVILEGE_VM86_GATE: return vm86_allows && gate_allows;
    case PRIVILEGE_TSD: return mode->cpl == 0 || !mode->tsd;
    case PRIVILEGE_PCE: return mode->cpl == 0 || mode->pce;
    case PRIVILEGE_UMIP: return mode->cpl == 0 || !mode->umip;
    }
    return false;
}

u8 isa_trap(const struct isa_row *row, const struct isa_mode *mode)
{
    if ((row->traits & ISA_PROTECTED) && (!mode->protected || mode->vm86)) return VEC_UD;
    if ((row->traits & ISA_NOT_REAL) && !mode->protected) return VEC_GP;
    return is_allowed(row, mode) ? ISA_NO_TRAP : VEC_GP;
}

/* --- CPU features --- */

/* The offset of the feature word in struct cpu_model, and the bit. Word 0: no model has the feature. */
struct gate {
    u16 word;
    u32 bit;
};
#define GATE(field, mask)                                                                                    \
    {                                                                                                        \
        offsetof(struct cpu_model, field), mask                                                              \
    }
/* For what every CPU since the Pentium has. Every model has a TSC. */
#define ALWAYS GATE(f1_edx, F1D_TSC)

static const struct gate gates[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    [ZYDIS_ISA_SET_INVALID] = ALWAYS, /* no instruction: the routine of its row raises #UD or #GP */
    [ZYDIS_ISA_SET_I86] = ALWAYS,
    [ZYDIS_ISA_SET_I186] = ALWAYS,
    [ZYDIS_ISA_SET_I286REAL] = ALWAYS,
    [ZYDIS_ISA_SET_I286PROTECTED] = ALWAYS,
    [ZYDIS_ISA_SET_I386] = ALWAYS,
    [ZYDIS_ISA_SET_I486] = ALWAYS,
    [ZYDIS_ISA_SET_I486REAL] = ALWAYS,
    [ZYDIS_ISA_SET_LAHF] = ALWAYS,
    [ZYDIS_ISA_SET_LONGMODE] = GATE(x1_edx, X1D_LM),
    [ZYDIS_ISA_SET_CMPXCHG16B] = GATE(f1_ecx, F1C_CX16),
    [ZYDIS_ISA_SET_RDWRFSGS] = GATE(f7_ebx, F7B_FSGSBASE),
    [ZYDIS_ISA_SET_PENTIUMREAL] = ALWAYS,
    [ZYDIS_ISA_SET_PAUSE] = ALWAYS, /* a NOP before the Pentium 4 */
    [ZYDIS_ISA_SET_RDPMC] = ALWAYS,
    [ZYDIS_ISA_SET_VTX] = ALWAYS, /* VMCALL and VMMCALL are hypercalls; the others have no routine */
    [ZYDIS_ISA_SET_SVM] = ALWAYS,
    [ZYDIS_ISA_SET_X87] = GATE(f1_edx, F1D_FPU),
    [ZYDIS_ISA_SET_PPRO] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_CMOV] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_FCMOV] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_FAT_NOP] = GATE(f1_edx, F1D_CMOV), /* 0F 1F: since the P6 family */
    [ZYDIS_ISA_SET_PREFETCH_NOP] = GATE(f1_edx, F1D_CMOV),
    [ZYDIS_ISA_SET_SSE_PREFETCH] = GATE(f1_edx, F1D_CMOV), /* 0F 18, likewise */
    [ZYDIS_ISA_SET_PENTIUMMMX] = GATE(f1_edx, F1D_MMX),
    [ZYDIS_ISA_SET_FXSAVE] = GATE(f1_edx, F1D_FXSR),
    [ZYDIS_ISA_SET_FXSAVE64] = GATE(f1_edx, F1D_FXSR),
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
    [ZYDIS_ISA_SET_INVPCID] = GATE(f7_ebx, F7B_INVPCID),
    [ZYDIS_ISA_SET_RDSEED] = GATE(f7_ebx, F7B_RDSEED),
    [ZYDIS_ISA_SET_BMI1] = GATE(f7_ebx, F7B_BMI1),
    [ZYDIS_ISA_SET_BMI2] = GATE(f7_ebx, F7B_BMI2),
    [ZYDIS_ISA_SET_ADOX_ADCX] = GATE(f7_ebx, F7B_ADX),
    [ZYDIS_ISA_SET_SHA] = GATE(f7_ebx, F7B_SHA),
    [ZYDIS_ISA_SET_LZCNT] = GATE(x1_ecx, X1C_LZCNT),
    [ZYDIS_ISA_SET_RDTSCP] = GATE(x1_edx, X1D_RDTSCP),
    [ZYDIS_ISA_SET_XSAVE] = GATE(f1_ecx, F1C_XSAVE),
    [ZYDIS_ISA_SET_XSAVEOPT] = GATE(xsave_eax, XSAVE_OPT),
    [ZYDIS_ISA_SET_XSAVEC] = GATE(xsave_eax, XSAVE_C),
    /* Without AVX in XCR0, which the model decides, all forms with VEX raise #UD. */
    [ZYDIS_ISA_SET_AVX] = GATE(f1_ecx, F1C_AVX),
    [ZYDIS_ISA_SET_AVXAES] = GATE(f1_ecx, F1C_AES),
    [ZYDIS_ISA_SET_F16C] = GATE(f1_ecx, F1C_F16C),
    [ZYDIS_ISA_SET_FMA] = GATE(f1_ecx, F1C_FMA),
    [ZYDIS_ISA_SET_AVX2] = GATE(f7_ebx, F7B_AVX2),
    [ZYDIS_ISA_SET_AVX2GATHER] = GATE(f7_ebx, F7B_AVX2),
    [ZYDIS_ISA_SET_VAES] = GATE(f7_ecx, F7C_VAES),
    [ZYDIS_ISA_SET_VPCLMULQDQ] = GATE(f7_ecx, F7C_VPCLMULQDQ),
    [ZYDIS_ISA_SET_GFNI] = GATE(f7_ecx, F7C_GFNI),
    [ZYDIS_ISA_SET_AVX_GFNI] = GATE(f7_ecx, F7C_GFNI),
/* Likewise without AVX-512 in XCR0. */
#define WIDTHS(isa_set, field, mask)                                                                         \
    [ZYDIS_ISA_SET_##isa_set##_128] = GATE(field, mask),                                                     \
    [ZYDIS_ISA_SET_##isa_set##_256] = GATE(field, mask), [ZYDIS_ISA_SET_##isa_set##_512] = GATE(field, mask)
    WIDTHS(AVX512F, f7_ebx, F7B_AVX512F),
    WIDTHS(AVX512BW, f7_ebx, F7B_AVX512BW),
    WIDTHS(AVX512DQ, f7_ebx, F7B_AVX512DQ),
    WIDTHS(AVX512CD, f7_ebx, F7B_AVX512CD),
    WIDTHS(AVX512_IFMA, f7_ebx, F7B_AVX512IFMA),
    WIDTHS(AVX512_VBMI, f7_ecx, F7C_AVX512VBMI),
    WIDTHS(AVX512_VBMI2, f7_ecx, F7C_AVX512VBMI2),
    WIDTHS(AVX512_VNNI, f7_ecx, F7C_AVX512VNNI),
    WIDTHS(AVX512_BITALG, f7_ecx, F7C_AVX512BITALG),
    WIDTHS(AVX512_VPOPCNTDQ, f7_ecx, F7C_AVX512VPOPCNTDQ),
    WIDTHS(AVX512_GFNI, f7_ecx, F7C_GFNI),
    WIDTHS(AVX512_VAES, f7_ecx, F7C_VAES),
    WIDTHS(AVX512_VPCLMULQDQ, f7_ecx, F7C_VPCLMULQDQ),
#undef WIDTHS
    [ZYDIS_ISA_SET_AVX512F_SCALAR] = GATE(f7_ebx, F7B_AVX512F),
    [ZYDIS_ISA_SET_AVX512F_128N] = GATE(f7_ebx, F7B_AVX512F),
    [ZYDIS_ISA_SET_AVX512F_KOP] = GATE(f7_ebx, F7B_AVX512F),
    [ZYDIS_ISA_SET_AVX512BW_128N] = GATE(f7_ebx, F7B_AVX512BW),
    [ZYDIS_ISA_SET_AVX512BW_KOP] = GATE(f7_ebx, F7B_AVX512BW),
    [ZYDIS_ISA_SET_AVX512DQ_SCALAR] = GATE(f7_ebx, F7B_AVX512DQ),
    [ZYDIS_ISA_SET_AVX512DQ_128N] = GATE(f7_ebx, F7B_AVX512DQ),
    [ZYDIS_ISA_SET_AVX512DQ_KOP] = GATE(f7_ebx, F7B_AVX512DQ),
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
