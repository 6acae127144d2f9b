/*
 * Control registers, debug registers as MOV accesses them, and EFLAGS (SDM 3A 2.3-2.5, SDM 2 "MOV-Move to/from
 * Control Registers"). The caller has checked the privilege. The functions here check the value before they
 * change anything.
 */
#include "cpuid.h"
#include "interp_private.h"
#include "system.h"

#define CR0_DEFINED                                                                                          \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
/* Changes of these bits are reported to the shadow. */
#define CR0_PAGING (CR0_PE | CR0_WP | CR0_PG)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PCIDE)
/* In the source of MOV to CR3, with CR4.PCIDE: what the new PCID has cached is kept (SDM 3A 4.10.4.1). */
#define CR3_KEEPS (1ull << 63)
/* Changes of these bits reload the PDPTEs of PAE paging (SDM 3A 4.4.1). */
#define CR0_LOADS_PDPTES (CR0_PG | CR0_CD | CR0_NW)
#define CR4_LOADS_PDPTES (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)

#define DR6_FIXED    0xffff0ff0u
#define DR6_WRITABLE 0x0000e00fu
#define DR7_FIXED    (1u << 10)
#define DR7_WRITABLE 0xffff23ffu
#define DR7_GD       (1u << 13)

/* PAE paging, with its four PDPTEs in registers: not the four levels of IA-32e mode. */
static bool pae_paging(const struct vcpu *v, u32 cr0, u32 cr4)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(v->paging.efer & EFER_LME);
}

/* The four PDPTEs that these register values select. False: a reserved bit is set. */
static bool read_pdptes(struct vcpu *v, u32 cr0, u64 cr3, u32 cr4, struct paging *result)
{
    result->cr0 = cr0;
    result->cr3 = cr3;
    result->cr4 = cr4;
    result->efer = v->paging.efer;
    result->maxphyaddr = v->paging.maxphyaddr;
    return mmu_load_pdptes(v->phys, result);
}

static void load_pdptes(struct vcpu *v, u32 cr0, u64 cr3, u32 cr4)
{
    struct paging loaded;
    if (!read_pdptes(v, cr0, cr3, cr4, &loaded)) fault_raise_error(v, VEC_GP, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(loaded.pdpte); i++)
        v->paging.pdpte[i] = loaded.pdpte[i];
}

bool control_cr3_valid(struct vcpu *v, u32 cr3)
{
    struct paging scratch;
    return !pae_paging(v, v->paging.cr0, v->paging.cr4) ||
           read_pdptes(v, v->paging.cr0, cr3, v->paging.cr4, &scratch);
}

/* Paging is switched with EFER.LME set, so IA-32e mode begins or ends (SDM 3A 9.8.5). */
static void switch_long_mode(struct vcpu *v, bool begins)
{
    struct paging *p = &v->paging;
    bool code64 = v->seg[SEG_CS].access & AR_L;
    if (!begins) {
        if (code64) fault_raise_error(v, VEC_GP, 0);
        p->efer &= ~(u64)EFER_LMA;
        fpu_lose_high(v);
        return;
    }
    bool tss16 = (AR_TYPE(v->tr.access) & ~2u) == 1;
    if (!(p->cr4 & CR4_PAE) || code64 || tss16) fault_raise_error(v, VEC_GP, 0);
    fpu_lose_high(v);
    p->efer |= EFER_LMA;
    v->base64.fs = v->seg[SEG_FS].base;
    v->base64.gs = v->seg[SEG_GS].base;
    v->base64.ldtr = v->ldtr.base;
    v->base64.tr = v->tr.base;
}

static void write_cr0(struct vcpu *v, u64 value64)
{
    struct paging *p = &v->paging;
    if (value64 >> 32) fault_raise_error(v, VEC_GP, 0);
    u32 value = ((u32)value64 & CR0_DEFINED) | CR0_ET;
    bool bad = ((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD)) ||
               (!(value & CR0_PG) && (p->cr4 & CR4_PCIDE));
    if (bad) fault_raise_error(v, VEC_GP, 0);
    u32 changed = value ^ p->cr0;
    if ((changed & CR0_PG) && (p->efer & EFER_LME)) switch_long_mode(v, value & CR0_PG);
    if ((changed & CR0_LOADS_PDPTES) && pae_paging(v, value, p->cr4)) load_pdptes(v, value, p->cr3, p->cr4);
    p->cr0 = value;
    if (changed & CR0_PAGING) shadow_load_root(v->shadow, p);
}

static void write_cr3(struct vcpu *v, u64 value)
{
    struct paging *p = &v->paging;
    bool kept = (p->cr4 & CR4_PCIDE) && (value & CR3_KEEPS);
    if (kept) value &= ~CR3_KEEPS;
    if (value >> (vcpu_long_mode(v) ? p->maxphyaddr : 32)) fault_raise_error(v, VEC_GP, 0);
    if (pae_paging(v, p->cr0, p->cr4)) load_pdptes(v, p->cr0, value, p->cr4);
    p->cr3 = value;
    if (kept)
        shadow_switch_root(v->shadow, p);
    else
        shadow_load_root(v->shadow, p);
}

static void write_cr4(struct vcpu *v, u64 value64)
{
    struct paging *p = &v->paging;
    u32 value = (u32)value64;
    if (value64 & ~(u64)cpu_model_cr4(v->model)) fault_raise_error(v, VEC_GP, 0);
    if (vcpu_long_mode(v) && !(value & CR4_PAE)) fault_raise_error(v, VEC_GP, 0);
    u32 changed = value ^ p->cr4;
    if ((changed & value & CR4_PCIDE) && (!vcpu_long_mode(v) || (p->cr3 & CR3_PCID)))
        fault_raise_error(v, VEC_GP, 0);
    if ((changed & CR4_LOADS_PDPTES) && pae_paging(v, p->cr0, value)) load_pdptes(v, p->cr0, p->cr3, value);
    p->cr4 = value;
    if (changed & CR4_PAGING) shadow_load_root(v->shadow, p);
}

/* CR8: bits 7 to 4 of the local APIC's task priority (SDM 3A 10.8.6.1). */
static u64 read_cr8(struct vcpu *v)
{
    const struct vcpu_apic *apic = v->host->apic;
    if (!apic) return 0;
    fpu_shelter(v);
    return apic->task_priority(v->host->machine) >> 4;
}

static void write_cr8(struct vcpu *v, u64 value)
{
    const struct vcpu_apic *apic = v->host->apic;
    if (value & ~15ull) fault_raise_error(v, VEC_GP, 0);
    if (!apic) return;
    fpu_shelter(v);
    apic->set_task_priority(v->host->machine, (u8)(value << 4));
}

u64 control_read(struct vcpu *v, unsigned cr)
{
    switch (cr) {
    case 0: return v->paging.cr0;
    case 2: return v->cr2;
    case 3: return v->paging.cr3;
    case 8:
        if (cpu_model_has_long_mode(v->model)) return read_cr8(v);
        fault_raise(v, VEC_UD);
    case 4:
        if (cpu_model_cr4(v->model)) return v->paging.cr4;
        /* fallthrough */
    default: fault_raise(v, VEC_UD);
    }
}

void control_write(struct vcpu *v, unsigned cr, u64 value)
{
    switch (cr) {
    case 0: write_cr0(v, value); break;
    case 2: v->cr2 = value; return;
    case 8:
        if (!cpu_model_has_long_mode(v->model)) fault_raise(v, VEC_UD);
        write_cr8(v, value);
        return;
    case 3: write_cr3(v, value); break;
    case 4: write_cr4(v, value); break;
    default: fault_raise(v, VEC_UD);
    }
    vcpu_update_mode(v);
}

/* DR4 and DR5 alias DR6 and DR7, or raise #UD if CR4.DE is set. With DR7.GD every access raises #DB (SDM 3B
 * 17.2). */
static unsigned check_debug_access(struct vcpu *v, unsigned dr)
{
    if (dr == 4 || dr == 5) {
        if (v->paging.cr4 & CR4_DE) fault_raise(v, VEC_UD);
        dr += 2;
    }
    if (v->dr[7] & DR7_GD) {
        v->dr[6] |= DR6_BD;
        fault_raise(v, VEC_DB);
    }
    return dr;
}

u64 debug_read(struct vcpu *v, unsigned dr)
{
    return v->dr[check_debug_access(v, dr)];
}

void debug_write(struct vcpu *v, unsigned dr, u64 value)
{
    dr = check_debug_access(v, dr);
    if (dr >= 6 && value >> 32) fault_raise_error(v, VEC_GP, 0);
    if (dr == 6) value = (value & DR6_WRITABLE) | DR6_FIXED;
    if (dr == 7) value = (value & DR7_WRITABLE) | DR7_FIXED;
    v->dr[dr] = value;
    vcpu_update_mode(v);
}

void eflags_write(struct vcpu *v, u32 value, u32 mask)
{
    mask &= ~(u32)(FL_VM | FL_VIF | FL_VIP);
    if (v->cpl > vcpu_iopl(v)) mask &= ~(u32)FL_IF;
    if (v->cpl > 0) mask &= ~(u32)FL_IOPL;
    v->eflags = (v->eflags & ~mask) | (value & mask) | FL_ONE;
    vcpu_update_mode(v);
    vcpu_recheck_interrupts(v);
}
