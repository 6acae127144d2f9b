/*
 * The derived state of the vCPU: the mode key and the view of the current privilege. Also its state at power-on.
 */
#include "mode.h"
#include "cpuid.h"
#include "interp_private.h"
#include "mmu/long_window.h"
#include "mmu/tlb.h"
#include "mmu/window.h"

#include <string.h>

/* The enum mode_seg of a segment. */
static inline u32 segment_class(const struct segment *s, bool usable)
{
    if (!usable) return MODE_SEG_ODD;
    if (s->limit != 0xffffffff) return MODE_SEG_LIMITED;
    return s->base ? MODE_SEG_BASED : MODE_SEG_FLAT;
}

static inline bool data_usable(u32 access)
{
    return (access & (AR_UNUSABLE | AR_P | AR_S | AR_CODE | AR_EXPAND_DOWN | AR_WRITABLE)) ==
           (AR_P | AR_S | AR_WRITABLE);
}

/* A readable code segment, or the CS of real mode, which is a data segment. */
static inline bool code_usable(u32 access)
{
    return (access & (AR_UNUSABLE | AR_P | AR_S | AR_CODE | AR_READABLE)) ==
               (AR_P | AR_S | AR_CODE | AR_READABLE) ||
           data_usable(access);
}

static inline u32 class_of(const struct vcpu *v, enum seg seg)
{
    if (unlikely(vcpu_code64(v))) return seg < SEG_FS ? MODE_SEG_FLAT : MODE_SEG_BASED;
    const struct segment *s = &v->seg[seg];
    return segment_class(s, seg == SEG_CS ? code_usable(s->access) : data_usable(s->access));
}

static u32 segment_bits(const struct vcpu *v)
{
    u32 bits = 0;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        bits |= class_of(v, i) << (2 * i);
    return bits;
}

void vcpu_update_segment(struct vcpu *v, enum seg seg)
{
    unsigned shift = MODE_SEG_SHIFT + 2 * seg;
    v->mode = (v->mode & ~(3u << shift)) | class_of(v, seg) << shift;
}

/* The mode key without the classes of segments. */
static u32 state_bits(const struct vcpu *v)
{
    u32 cr0 = v->paging.cr0, eflags = v->eflags, mode = v->cpl;
    if (v->seg[SEG_CS].access & AR_DB) mode |= MODE_CODE32;
    if ((v->seg[SEG_SS].access & AR_DB) && !vcpu_code64(v)) mode |= MODE_STACK32;
    if (cr0 & CR0_PE) mode |= MODE_PE;
    if (cr0 & CR0_EM) mode |= MODE_EM;
    if (eflags & FL_VM) mode |= MODE_VM86;
    if (v->paging.cr4 & CR4_OSFXSR) mode |= MODE_OSFXSR;
    if (v->cpl <= vcpu_iopl(v)) mode |= MODE_IOPL;
    if ((eflags & FL_TF) || (v->dr[7] & 0xff)) mode |= MODE_STEP;
    if (v->cpl == 3 && (cr0 & CR0_AM) && (eflags & FL_AC)) mode |= MODE_ALIGN;
    if (v->cpl > 0 && (v->paging.cr4 & CR4_TSD)) mode |= MODE_TSD;
    if ((v->paging.cr4 & CR4_OSXSAVE) && (v->xcr0 & XCR0_AVX) && vcpu_protected(v)) mode |= MODE_AVX;
    if (cr0 & CR0_TS)
        mode |= MODE_TS | (cr0 & CR0_MP ? MODE_MP : 0);
    else if ((mode & MODE_AVX) && (v->xcr0 & XCR0_AVX512))
        mode |= MODE_AVX512;
    if (unlikely(vcpu_long_mode(v))) {
        bool code64 = vcpu_code64(v), window = v->cpl == 3 && v->shadow->has_window;
        if (!code64) window = window && long_window_has_low(v->shadow);
        if (window) mode |= MODE_WINDOW | (code64 && v->shadow->window_same ? (u32)MODE_SAME : 0);
        return mode | MODE_LONG | (code64 ? MODE_CODE64 : 0);
    }
    if (v->cpl == 3 && v->shadow->has_window && !(eflags & FL_VM)) mode |= MODE_WINDOW;
    return mode;
}

static void set_tables(struct vcpu *v)
{
    v->paging.ac = v->eflags & FL_AC;
    unsigned privilege = v->cpl == 3 ? SHADOW_USER : SHADOW_SUPERVISOR;
    const struct shadow_table *t = &v->shadow->table[privilege];
    v->read_table = t->read;
    v->write_table = t->write;
    v->exec_table = t->exec;
    if (unlikely(vcpu_long_mode(v))) {
        const struct tlb *tlb = v->shadow->tlb;
        v->read_table = &tlb->slot[tlb_table(tlb, v->cpl == 3)][0].read;
    }
    bool narrow = vcpu_long_mode(v) && !vcpu_code64(v); /* the lowest segment alone, at host address 0 */
    v->scratch.window_negated = narrow ? 0 : -v->shadow->window;
    v->scratch.window_delta = v->shadow->window;
}

/* Cycles, of a kind: a deterministic machine decides by what it has executed, and so the same each time. */
static inline u64 clock_of(const struct vcpu *v)
{
    return v->deterministic ? v->icount : __builtin_ia32_rdtsc();
}

/* Tell the shadow how long user code ran. The shadow gives windows to spaces by that. */
static inline void note_privilege(struct vcpu *v)
{
    bool user = v->cpl == 3;
    if (likely(user == v->in_user)) return;
    v->in_user = user;
    u64 now = clock_of(v);
    if (user) {
        v->user_since = now;
        long_window_user_begins(v->shadow, &v->paging);
    } else if (!vcpu_long_mode(v)) {
        shadow_user_ran(v->shadow, now - v->user_since);
    } else {
        long_window_user_ran(v->shadow, now - v->user_since);
    }
}

void vcpu_update_mode(struct vcpu *v)
{
    note_privilege(v);
    v->mode = state_bits(v) | segment_bits(v) << MODE_SEG_SHIFT;
    set_tables(v);
}

/* The bits of the mode key that depend on the privilege. In 64-bit mode without MODE_STEP and MODE_ALIGN no others
 * change with it. */
static inline u32 ring_bits64(const struct vcpu *v)
{
    u32 bits = v->cpl;
    if (v->cpl <= vcpu_iopl(v)) bits |= MODE_IOPL;
    if (v->cpl > 0 && (v->paging.cr4 & CR4_TSD)) bits |= MODE_TSD;
    if (v->cpl == 3 && v->shadow->has_window)
        bits |= MODE_WINDOW | (v->shadow->window_same ? (u32)MODE_SAME : 0);
    return bits;
}

void vcpu_update_privilege(struct vcpu *v)
{
    note_privilege(v);
    bool code64 = (v->mode & (MODE_CODE64 | MODE_STEP | MODE_ALIGN)) == MODE_CODE64 && vcpu_code64(v);
    if (code64 && !(v->eflags & (FL_TF | FL_AC))) {
        const u32 others = MODE_CPL | MODE_STACK_HIGH | MODE_IOPL | MODE_TSD | MODE_WINDOW | (u32)MODE_SAME;
        v->mode = (v->mode & ~others) | ring_bits64(v);
        set_tables(v);
        return;
    }
    const u32 changing = 3u << 2 * SEG_CS | 3u << 2 * SEG_SS, all = (1u << 2 * SEG_COUNT) - 1;
    u32 kept = v->mode >> MODE_SEG_SHIFT & all & ~changing;
    u32 bits = kept | class_of(v, SEG_CS) << 2 * SEG_CS | class_of(v, SEG_SS) << 2 * SEG_SS;
    v->mode = state_bits(v) | bits << MODE_SEG_SHIFT;
    set_tables(v);
}

/* The image after RESET (SDM 3A table 9-1): FCW 40h, all registers zero and valid, MXCSR 1F80h. */
static void reset_fpu(struct vcpu *v)
{
    enum { FXSAVE_FCW = 0, FXSAVE_FTW = 4, FXSAVE_MXCSR = 24 };
    memset(v->fpu, 0, sizeof v->fpu);
    v->fpu[FXSAVE_FCW] = 0x40;
    v->fpu[FXSAVE_FTW] = 0xff;
    v->fpu[FXSAVE_MXCSR] = 0x80;
    v->fpu[FXSAVE_MXCSR + 1] = 0x1f;
    v->xcr0 = XCR0_X87;
    v->fpu_ymm = v->fpu_zmm = false;
    v->fpu_used = 0;
}

static void reset_registers(struct vcpu *v)
{
    enum { DATA = AR_P | AR_S | AR_WRITABLE | AR_ACCESSED, LDT = AR_P | 2, TSS_BUSY = AR_P | 11 };
    memset(v->gpr, 0, sizeof v->gpr);
    memset(v->gpr_high, 0, sizeof v->gpr_high);
    memset(&v->base64, 0, sizeof v->base64);
    v->gpr[REG_EDX] = v->model->signature;
    v->rip = 0xfff0;
    v->eflags = FL_ONE;
    v->cpl = 0;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = (struct segment){.limit = 0xffff, .access = DATA};
    v->seg[SEG_CS].selector = 0xf000;
    v->seg[SEG_CS].base = 0xffff0000;
    v->ldtr = (struct segment){.limit = 0xffff, .access = LDT};
    v->tr = (struct segment){.limit = 0xffff, .access = TSS_BUSY};
    v->gdtr = v->idtr = (struct desc_table){.limit = 0xffff};
    v->paging = (struct paging){.cr0 = CR0_CD | CR0_NW | CR0_ET,
                                .maxphyaddr = v->model->maxphyaddr,
                                .has_1gb_pages = v->model->x1_edx & X1D_PAGE1GB};
    v->cr2 = 0;
    memset(v->dr, 0, sizeof v->dr);
    v->dr[6] = 0xffff0ff0;
    v->dr[7] = 0x400;
}

static void reset_msrs(struct vcpu *v)
{
    v->sysenter_cs = v->sysenter_esp = v->sysenter_eip = 0;
    v->star = v->lstar = v->cstar = v->fmask = v->kernel_gs_base = 0;
    v->tsc_offset = v->host && v->host->tsc ? -v->host->tsc(v->host->machine) : 0;
    v->tsc_adjust = 0;
    v->apic_base = 0xfee00000 | APIC_BASE_BSP;
    if (v->host && v->host->apic) v->apic_base |= APIC_BASE_ENABLED;
    v->pat = 0x0007040600070406;
    v->misc_enable = MISC_FAST_STRINGS | MISC_READ_ONLY;
    v->cpuid_faults = false;
    v->debugctl = v->mcg_status = v->tsc_aux = 0;
    v->pvclock_time = v->pvclock_wall = 0;
    v->mtrr_def_type = 0;
    memset(v->mtrr_fixed, 0, sizeof v->mtrr_fixed);
    memset(v->mtrr_base, 0, sizeof v->mtrr_base);
    memset(v->mtrr_mask, 0, sizeof v->mtrr_mask);
}

static void begin_anew(struct vcpu *v)
{
    reset_registers(v);
    v->inhibit = 0;
    v->halted = v->nmi_masked = v->nmi_latched = v->in_new_task = false;
    v->debug_trap = 0;
    v->delivering = 0;
    __atomic_and_fetch(&v->pending, ~(u32)(PENDING_NMI | PENDING_DEBUG), __ATOMIC_RELAXED);
    shadow_flush(v->shadow);
    shadow_load_root(v->shadow, &v->paging);
    vcpu_update_mode(v);
}

void vcpu_reset(struct vcpu *v)
{
    fpu_park(v); /* what follows calls libc */
    reset_fpu(v);
    reset_msrs(v);
    begin_anew(v);
}

void vcpu_init(struct vcpu *v)
{
    u32 caching = v->paging.cr0 & (CR0_CD | CR0_NW);
    fpu_lose_high(v);
    begin_anew(v);
    v->paging.cr0 = CR0_ET | caching;
    v->pvclock_time = v->pvclock_wall = 0;
}
