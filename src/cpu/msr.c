/*
 * Model-specific registers: one row a register or run of registers (SDM 4). A register without a row, or with a
 * feature that the CPU model does not expose, raises #GP(0). So do values that set bits the row does not define.
 */
#include "cpuid.h"
#include "pvclock.h"
#include "system.h"

#define MTRR_VARIABLE 8
#define MTRR_FIXED    11

#define MSR_TSC_DEADLINE 0x6e0

struct msr_row {
    u32 first, count;
    bool (*exposed)(const struct cpu_model *model);       /* NULL: by every model */
    u64 (*read)(struct vcpu *v, unsigned n);              /* n: index in the run */
    bool (*write)(struct vcpu *v, unsigned n, u64 value); /* false: #GP(0) */
};

static bool has_tsc(const struct cpu_model *m)
{
    return m->f1_edx & F1D_TSC;
}
static bool has_sep(const struct cpu_model *m)
{
    return m->f1_edx & F1D_SEP;
}
static bool has_mtrr(const struct cpu_model *m)
{
    return m->f1_edx & F1D_MTRR;
}
static bool has_mca(const struct cpu_model *m)
{
    return m->f1_edx & F1D_MCA;
}
static bool has_pat(const struct cpu_model *m)
{
    return m->f1_edx & F1D_PAT;
}
static bool has_nx(const struct cpu_model *m)
{
    return m->x1_edx & X1D_NX;
}
static bool has_tsc_adjust(const struct cpu_model *m)
{
    return m->f7_ebx & F7B_TSC_ADJUST;
}
static bool has_rdtscp(const struct cpu_model *m)
{
    return m->x1_edx & X1D_RDTSCP;
}
static bool has_tsc_deadline(const struct cpu_model *m)
{
    return m->f1_ecx & F1C_TSC_DEADLINE;
}
static bool is_p6(const struct cpu_model *m)
{
    return cpu_model_family(m) >= 6;
}
/* IA32_MISC_ENABLE came with NetBurst and, in family 6, with the Pentium M. */
static bool has_misc_enable(const struct cpu_model *m)
{
    unsigned model = (m->signature >> 4 & 15) | (m->signature >> 12 & 0xf0);
    return cpu_model_family(m) > 6 || (cpu_model_family(m) == 6 && model >= 13);
}

static bool has_cpuid_faulting(const struct cpu_model *m)
{
    return m->cpuid_faulting;
}

static u64 read_zero(struct vcpu *v, unsigned n)
{
    return 0;
}
static bool write_ignored(struct vcpu *v, unsigned n, u64 value)
{
    return true;
}
static bool write_refused(struct vcpu *v, unsigned n, u64 value)
{
    return false;
}

static u64 host_tsc(struct vcpu *v)
{
    fpu_park(v);
    return v->host->tsc(v->host->machine);
}
static u64 read_tsc(struct vcpu *v, unsigned n)
{
    return host_tsc(v) + v->tsc_offset;
}
/* Writes of the TSC and of IA32_TSC_ADJUST move both by the same amount (SDM 3B 18.17.3). */
static bool move_tsc(struct vcpu *v, u64 by)
{
    v->tsc_offset += by;
    v->tsc_adjust += by;
    pvclock_refresh(v);
    if (v->host->apic) {
        fpu_shelter(v);
        v->host->apic->tsc_moved(v->host->machine);
    }
    return true;
}
static bool write_tsc(struct vcpu *v, unsigned n, u64 value)
{
    return move_tsc(v, value - read_tsc(v, n));
}

static u64 read_tsc_adjust(struct vcpu *v, unsigned n)
{
    return v->tsc_adjust;
}
static bool write_tsc_adjust(struct vcpu *v, unsigned n, u64 value)
{
    return move_tsc(v, value - v->tsc_adjust);
}

/* Base, enable bit and boot-processor bit. Without a local APIC in the machine the enable bit stays 0. A base
 * above 4 GB is refused: no 32-bit system uses one. */
static u64 read_apic_base(struct vcpu *v, unsigned n)
{
    return v->apic_base;
}
static bool write_apic_base(struct vcpu *v, unsigned n, u64 value)
{
    const struct vcpu_apic *apic = v->host->apic;
    u64 writable = 0xfffff000ull | APIC_BASE_BSP | (apic ? APIC_BASE_ENABLED : 0);
    if (value & ~writable) return false;
    v->apic_base = value | APIC_BASE_BSP;
    if (apic) {
        fpu_park(v); /* the board moves the APIC's range with library code */
        apic->base_written(v->host->machine, v->apic_base);
    }
    return true;
}

static u64 read_tsc_deadline(struct vcpu *v, unsigned n)
{
    fpu_shelter(v);
    return v->host->apic->deadline(v->host->machine);
}
static bool write_tsc_deadline(struct vcpu *v, unsigned n, u64 value)
{
    fpu_shelter(v);
    v->host->apic->set_deadline(v->host->machine, value);
    return true;
}

/* The loaded microcode revision, in the high half. A kernel writes 0, executes CPUID and reads this. */
static u64 read_microcode_revision(struct vcpu *v, unsigned n)
{
    return 1ull << 32;
}

static u64 *sysenter_register(struct vcpu *v, unsigned n)
{
    return n == 0 ? &v->sysenter_cs : n == 1 ? &v->sysenter_esp : &v->sysenter_eip;
}
static u64 read_sysenter(struct vcpu *v, unsigned n)
{
    return *sysenter_register(v, n);
}
static bool write_sysenter(struct vcpu *v, unsigned n, u64 value)
{
    bool long_mode = cpu_model_has_long_mode(v->model);
    if (long_mode && n != 0 && !is_canonical(value)) return false;
    *sysenter_register(v, n) = long_mode && n != 0 ? value : (u32)value;
    return true;
}

/* The machine-check architecture without banks, because there are no errors to report. IA32_MCG_CAP is 0. */
static u64 read_mcg_status(struct vcpu *v, unsigned n)
{
    return v->mcg_status;
}
static bool write_mcg_status(struct vcpu *v, unsigned n, u64 value)
{
    enum { RIPV_EIPV_MCIP = 7 };
    if (value & ~(u64)RIPV_EIPV_MCIP) return false;
    v->mcg_status = value;
    return true;
}

static u64 read_misc_enable(struct vcpu *v, unsigned n)
{
    return v->misc_enable;
}
/* SDM 4, table 2-2. Two bits have an effect, if the CPU model has the feature: the limit of CPUID leaves, for
 * systems that cannot take more than two, and the execute-disable bit. Bits of missing features (thermal control,
 * SpeedStep, MONITOR and others) do nothing. All other bits are reserved. */
static bool write_misc_enable(struct vcpu *v, unsigned n, u64 value)
{
    const u64 absent =
        1 << 3 | 1 << 7 | 1 << 10 | 1 << 13 | 1 << 16 | 1 << 18 | 1 << 20 | 1 << 23 | 1ull << 38;
    u64 writable = MISC_FAST_STRINGS | MISC_LIMIT_CPUID | (has_nx(v->model) ? MISC_XD_DISABLE : 0);
    if (value & ~(writable | absent | MISC_READ_ONLY)) return false;
    v->misc_enable = (value & writable) | MISC_READ_ONLY;
    return true;
}

static u64 read_debugctl(struct vcpu *v, unsigned n)
{
    return v->debugctl;
}
static bool write_debugctl(struct vcpu *v, unsigned n, u64 value)
{
    enum { LBR = 1, BTF = 2 };
    if (value & ~(u64)(LBR | BTF)) return false;
    v->debugctl = value;
    return true;
}

/* Memory types: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB; the PAT also has 7, UC- (SDM 3A 11.11, 11.12). They have no effect,
 * because there are no caches. */
static bool mtrr_type_valid(u64 type)
{
    return type <= 6 && (0x73 >> type & 1);
}

static u64 read_mtrr_cap(struct vcpu *v, unsigned n)
{
    enum { FIXED_RANGES = 1 << 8, WRITE_COMBINING = 1 << 10 };
    return MTRR_VARIABLE | FIXED_RANGES | WRITE_COMBINING;
}
static u64 read_mtrr_default(struct vcpu *v, unsigned n)
{
    return v->mtrr_def_type;
}
static bool write_mtrr_default(struct vcpu *v, unsigned n, u64 value)
{
    enum { FIXED_ENABLE = 1 << 10, ENABLE = 1 << 11 };
    if ((value & ~(u64)(0xff | FIXED_ENABLE | ENABLE)) || !mtrr_type_valid(value & 0xff)) return false;
    v->mtrr_def_type = value;
    return true;
}
/* Pairs of base and mask. */
static u64 read_mtrr_variable(struct vcpu *v, unsigned n)
{
    return n & 1 ? v->mtrr_mask[n / 2] : v->mtrr_base[n / 2];
}
static bool write_mtrr_variable(struct vcpu *v, unsigned n, u64 value)
{
    enum { VALID = 1 << 11 };
    u64 address = ((1ull << v->model->maxphyaddr) - 1) & ~(u64)PAGE_MASK;
    if (n & 1) {
        if (value & ~(address | VALID)) return false;
        v->mtrr_mask[n / 2] = value;
    } else {
        if ((value & ~(address | 0xff)) || !mtrr_type_valid(value & 0xff)) return false;
        v->mtrr_base[n / 2] = value;
    }
    return true;
}

static bool memory_types_valid(u64 types, bool pat)
{
    for (unsigned i = 0; i < 64; i += 8)
        if (!mtrr_type_valid(types >> i & 0xff) && !(pat && (types >> i & 0xff) == 7)) return false;
    return true;
}
/* Fixed ranges lie at 250h, 258h-259h and 268h-26Fh: entries 0, 1-2 and 3-10. */
static u64 read_mtrr_fixed_64k(struct vcpu *v, unsigned n)
{
    return v->mtrr_fixed[n];
}
static u64 read_mtrr_fixed_16k(struct vcpu *v, unsigned n)
{
    return v->mtrr_fixed[1 + n];
}
static u64 read_mtrr_fixed_4k(struct vcpu *v, unsigned n)
{
    return v->mtrr_fixed[3 + n];
}
static bool write_mtrr_fixed_64k(struct vcpu *v, unsigned n, u64 value)
{
    if (!memory_types_valid(value, false)) return false;
    v->mtrr_fixed[n] = value;
    return true;
}
static bool write_mtrr_fixed_16k(struct vcpu *v, unsigned n, u64 value)
{
    return write_mtrr_fixed_64k(v, 1 + n, value);
}
static bool write_mtrr_fixed_4k(struct vcpu *v, unsigned n, u64 value)
{
    return write_mtrr_fixed_64k(v, 3 + n, value);
}
static u64 read_pat(struct vcpu *v, unsigned n)
{
    return v->pat;
}
static bool write_pat(struct vcpu *v, unsigned n, u64 value)
{
    if (!memory_types_valid(value, true)) return false;
    v->pat = value;
    return true;
}

static u64 read_efer(struct vcpu *v, unsigned n)
{
    return v->paging.efer;
}
static bool write_efer(struct vcpu *v, unsigned n, u64 value)
{
    bool long_mode = cpu_model_has_long_mode(v->model);
    u64 writable = (v->misc_enable & MISC_XD_DISABLE ? 0 : EFER_NXE) | (long_mode ? EFER_SCE | EFER_LME : 0);
    u64 lma = v->paging.efer & EFER_LMA;
    value = (value & ~(u64)EFER_LMA) | lma; /* LMA is read-only */
    if (value & ~(writable | lma)) return false;
    if ((v->paging.cr0 & CR0_PG) && ((value ^ v->paging.efer) & EFER_LME)) return false;
    if (value != v->paging.efer) {
        bool paging = (value ^ v->paging.efer) & EFER_NXE;
        v->paging.efer = value;
        if (paging) shadow_load_root(v->shadow, &v->paging);
    }
    return true;
}

static u64 read_tsc_aux(struct vcpu *v, unsigned n)
{
    return v->tsc_aux;
}
static bool write_tsc_aux(struct vcpu *v, unsigned n, u64 value)
{
    v->tsc_aux = (u32)value;
    return true;
}

/* STAR, LSTAR, CSTAR, FMASK: where SYSCALL goes (syscall.c). */
static u64 *syscall_register(struct vcpu *v, unsigned n)
{
    return n == 0 ? &v->star : n == 1 ? &v->lstar : n == 2 ? &v->cstar : &v->fmask;
}
static u64 read_syscall(struct vcpu *v, unsigned n)
{
    return *syscall_register(v, n);
}
static bool write_syscall(struct vcpu *v, unsigned n, u64 value)
{
    bool is_address = n == 1 || n == 2;
    if (is_address && !is_canonical(value)) return false;
    *syscall_register(v, n) = n == 3 ? (u32)value : value;
    return true;
}

/* IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE. */
static u64 read_segment_base(struct vcpu *v, unsigned n)
{
    if (n == 2) return v->kernel_gs_base;
    if (!vcpu_long_mode(v)) return v->seg[SEG_FS + n].base;
    return n == 0 ? v->base64.fs : v->base64.gs;
}
static bool write_segment_base(struct vcpu *v, unsigned n, u64 value)
{
    if (!is_canonical(value)) return false;
    if (n == 2)
        v->kernel_gs_base = value;
    else
        segment_set_base(v, SEG_FS + n, value);
    return true;
}

/* KVM's clock. It depends on the machine, not on the CPU model. */
static u64 read_pvclock_wall(struct vcpu *v, unsigned n)
{
    return v->pvclock_wall;
}
static bool write_pvclock_wall(struct vcpu *v, unsigned n, u64 value)
{
    return pvclock_set_wall(v, value);
}
static u64 read_pvclock_time(struct vcpu *v, unsigned n)
{
    return v->pvclock_time;
}
static bool write_pvclock_time(struct vcpu *v, unsigned n, u64 value)
{
    return pvclock_set_time(v, value);
}

/* CPUID faulting (Intel, Virtualization Technology FlexMigration Application Note): MSR_PLATFORM_INFO says that it
 * is there, MSR_MISC_FEATURES_ENABLES switches it on. */
enum { PLATFORM_CPUID_FAULTING = 31, CPUID_FAULTS = 1 };
static u64 read_platform_info(struct vcpu *v, unsigned n)
{
    return 1ull << PLATFORM_CPUID_FAULTING;
}
static u64 read_misc_features(struct vcpu *v, unsigned n)
{
    return v->cpuid_faults ? CPUID_FAULTS : 0;
}
static bool write_misc_features(struct vcpu *v, unsigned n, u64 value)
{
    if (value & ~(u64)CPUID_FAULTS) return false;
    v->cpuid_faults = value;
    return true;
}

static const struct msr_row rows[] = {
    {0x000, 2, NULL, read_zero, write_ignored},                              /* machine-check address, type */
    {0x010, 1, has_tsc, read_tsc, write_tsc},                                /* IA32_TIME_STAMP_COUNTER */
    {0x017, 1, is_p6, read_zero, write_refused},                             /* IA32_PLATFORM_ID */
    {0x01b, 1, is_p6, read_apic_base, write_apic_base},                      /* IA32_APIC_BASE */
    {0x02a, 1, is_p6, read_zero, write_ignored},                             /* EBL_CR_POWERON */
    {0x03b, 1, has_tsc_adjust, read_tsc_adjust, write_tsc_adjust},           /* IA32_TSC_ADJUST */
    {0x079, 1, is_p6, NULL, write_ignored},                                  /* IA32_BIOS_UPDT_TRIG */
    {0x08b, 1, is_p6, read_microcode_revision, write_ignored},               /* IA32_BIOS_SIGN_ID */
    {0x0ce, 1, has_cpuid_faulting, read_platform_info, write_refused},       /* MSR_PLATFORM_INFO */
    {0x0fe, 1, has_mtrr, read_mtrr_cap, write_refused},                      /* IA32_MTRRCAP */
    {0x140, 1, has_cpuid_faulting, read_misc_features, write_misc_features}, /* MSR_MISC_FEATURES_ENABLES */
    {0x174, 3, has_sep, read_sysenter, write_sysenter},                      /* IA32_SYSENTER_CS, ESP, EIP */
    {0x179, 1, has_mca, read_zero, write_refused},                           /* IA32_MCG_CAP */
    {0x17a, 1, has_mca, read_mcg_status, write_mcg_status},                  /* IA32_MCG_STATUS */
    {0x1a0, 1, has_misc_enable, read_misc_enable, write_misc_enable},        /* IA32_MISC_ENABLE */
    {0x1d9, 1, is_p6, read_debugctl, write_debugctl},                        /* IA32_DEBUGCTL */
    {0x200, 2 * MTRR_VARIABLE, has_mtrr, read_mtrr_variable,
     write_mtrr_variable}, /* IA32_MTRR_PHYSBASE0... */
    {0x250, 1, has_mtrr, read_mtrr_fixed_64k, write_mtrr_fixed_64k},
    {0x258, 2, has_mtrr, read_mtrr_fixed_16k, write_mtrr_fixed_16k},
    {0x268, 8, has_mtrr, read_mtrr_fixed_4k, write_mtrr_fixed_4k},
    {0x277, 1, has_pat, read_pat, write_pat},                    /* IA32_PAT */
    {0x2ff, 1, has_mtrr, read_mtrr_default, write_mtrr_default}, /* IA32_MTRR_DEF_TYPE */
    {MSR_PVCLOCK_OLD_WALL, 1, NULL, read_pvclock_wall, write_pvclock_wall},
    {MSR_PVCLOCK_OLD_TIME, 1, NULL, read_pvclock_time, write_pvclock_time},
    {MSR_PVCLOCK_WALL, 1, NULL, read_pvclock_wall, write_pvclock_wall},
    {MSR_PVCLOCK_TIME, 1, NULL, read_pvclock_time, write_pvclock_time},
    {MSR_TSC_DEADLINE, 1, has_tsc_deadline, read_tsc_deadline, write_tsc_deadline},
    {0xc0000080, 1, has_nx, read_efer, write_efer}, /* IA32_EFER */
    {0xc0000081, 4, cpu_model_has_long_mode, read_syscall, write_syscall},
    {0xc0000100, 3, cpu_model_has_long_mode, read_segment_base, write_segment_base},
    {0xc0000103, 1, has_rdtscp, read_tsc_aux, write_tsc_aux}, /* IA32_TSC_AUX */
};
_Static_assert(sizeof(((struct vcpu *)0)->mtrr_fixed) == MTRR_FIXED * sizeof(u64),
               "one entry a fixed-range MTRR");
_Static_assert(sizeof(((struct vcpu *)0)->mtrr_base) == MTRR_VARIABLE * sizeof(u64),
               "one entry a variable range");

static const struct msr_row *find_row(const struct vcpu *v, u32 index)
{
    bool pvclock = index == MSR_PVCLOCK_WALL || index == MSR_PVCLOCK_TIME || index == MSR_PVCLOCK_OLD_WALL ||
                   index == MSR_PVCLOCK_OLD_TIME;
    if (pvclock && !pvclock_offered(v)) return NULL;
    if (index == MSR_TSC_DEADLINE && !v->host->apic) return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct msr_row *row = &rows[i];
        if (index - row->first < row->count) return !row->exposed || row->exposed(v->model) ? row : NULL;
    }
    return NULL;
}

u64 msr_read(struct vcpu *v, u32 index)
{
    const struct msr_row *row = find_row(v, index);
    if (!row || !row->read) fault_raise_error(v, VEC_GP, 0);
    return row->read(v, index - row->first);
}

void msr_write(struct vcpu *v, u32 index, u64 value)
{
    const struct msr_row *row = find_row(v, index);
    if (!row || !row->write(v, index - row->first, value)) fault_raise_error(v, VEC_GP, 0);
}
