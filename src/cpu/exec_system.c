/*
 * The system instructions: descriptor tables, task register, control and debug registers, MSRs, software
 * interrupts, and queries about descriptors (LAR, LSL, VERR, VERW, ARPL). Most of Robin & Irvine's sensitive
 * but unprivileged instructions are here.
 */
#include "cpuid.h"
#include "exec.h"
#include "pvclock.h"
#include "stack_frame.h"

static void require_ring0(struct vcpu *v)
{
    if (v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
}

/* For instructions that exist only in protected mode: #UD in real and virtual-8086 mode. */
static void require_protected(struct vcpu *v)
{
    if (!vcpu_protected(v)) fault_raise(v, VEC_UD);
}

/* SGDT, SIDT, SLDT, SMSW and STR show a program system state. CR4.UMIP forbids that. */
static void refuse_umip(struct vcpu *v)
{
    if ((v->paging.cr4 & CR4_UMIP) && v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
}

/* --- descriptor table registers: a 16-bit limit, then a base of 32 bits or in 64-bit mode of 64 --- */

enum { TABLE_BYTES = 6, TABLE_BYTES64 = 10 };

static unsigned table_bytes(const struct vcpu *v)
{
    return v->mode & MODE_CODE64 ? TABLE_BYTES64 : TABLE_BYTES;
}

static void store_table(struct vcpu *v, const struct insn *i, const struct desc_table *table)
{
    refuse_umip(v);
    u8 image[TABLE_BYTES64] = {table->limit, table->limit >> 8};
    unsigned bytes = table_bytes(v);
    for (unsigned n = 2; n < bytes; n++)
        image[n] = table->base >> 8 * (n - 2);
    mem_write_bytes(v, i->mem_seg, exec_address(v, i), image, bytes);
}

/* With a 16-bit operand size the base has only 24 bits. */
static void load_table(struct vcpu *v, const struct insn *i, struct desc_table *table)
{
    u8 image[TABLE_BYTES64];
    u64 base = 0;
    unsigned bytes = table_bytes(v);
    require_ring0(v);
    mem_read_bytes(v, i->mem_seg, exec_address(v, i), image, bytes);
    for (unsigned n = 2; n < bytes; n++)
        base |= (u64)image[n] << 8 * (n - 2);
    if (i->operand_bytes == 2) base &= 0xffffff;
    if (!is_canonical(base)) fault_raise_error(v, VEC_GP, 0);
    table->limit = image[0] | image[1] << 8;
    table->base = base;
}

void exec_sgdt(struct vcpu *v, const struct insn *i)
{
    store_table(v, i, &v->gdtr);
}
void exec_sidt(struct vcpu *v, const struct insn *i)
{
    store_table(v, i, &v->idtr);
}
void exec_lgdt(struct vcpu *v, const struct insn *i)
{
    load_table(v, i, &v->gdtr);
    for (unsigned n = 0; n < SEG_COUNT; n++)
        v->seg[n].comparable = false; /* loaded from another table */
}
void exec_lidt(struct vcpu *v, const struct insn *i)
{
    load_table(v, i, &v->idtr);
}

void exec_sldt(struct vcpu *v, const struct insn *i)
{
    require_protected(v);
    refuse_umip(v);
    exec_write(v, i, 0, v->ldtr.selector);
}

void exec_str(struct vcpu *v, const struct insn *i)
{
    require_protected(v);
    refuse_umip(v);
    exec_write(v, i, 0, v->tr.selector);
}

void exec_lldt(struct vcpu *v, const struct insn *i)
{
    require_protected(v);
    require_ring0(v);
    segment_load_ldtr(v, exec_read(v, i, 0));
}

void exec_ltr(struct vcpu *v, const struct insn *i)
{
    require_protected(v);
    require_ring0(v);
    segment_load_tr(v, exec_read(v, i, 0));
}

/* --- queries about descriptors: ZF is the answer, and no selector raises a fault --- */

static void answer(struct vcpu *v, bool yes)
{
    v->eflags = yes ? v->eflags | FL_ZF : v->eflags & ~(u32)FL_ZF;
}

/* May code of the current privilege query the descriptor through this selector? `system_types` is the set of
 * system descriptors that the instruction accepts. */
static bool visible(struct vcpu *v, u16 selector, u32 system_types, struct descriptor *d)
{
    if (selector_null(selector) || !descriptor_read(v, selector, d)) return false;
    if (descriptor_conforming(d)) return true;
    unsigned type = descriptor_system_type(d), dpl = descriptor_dpl(d);
    if (!(descriptor_access(d) & AR_S) && !(system_types >> type & 1)) return false;
    return dpl >= v->cpl && dpl >= selector_rpl(selector);
}

enum {
    /* IA-32e mode has no 16-bit TSS and no task gates (SDM 2A LAR, LSL). */
    LSL_TYPES_LONG = 1 << SYS_LDT | 1 << SYS_TSS32 | 1 << SYS_TSS32_BUSY,
    LAR_TYPES_LONG = LSL_TYPES_LONG | 1 << SYS_CALL32,
    LSL_TYPES = 1 << SYS_TSS16 | 1 << SYS_LDT | 1 << SYS_TSS16_BUSY | 1 << SYS_TSS32 | 1 << SYS_TSS32_BUSY,
    LAR_TYPES = LSL_TYPES | 1 << SYS_CALL16 | 1 << SYS_TASK_GATE | 1 << SYS_CALL32,
};

void exec_lar(struct vcpu *v, const struct insn *i)
{
    struct descriptor d;
    require_protected(v);
    bool yes = visible(v, exec_read(v, i, 1), vcpu_long_mode(v) ? LAR_TYPES_LONG : LAR_TYPES, &d);
    if (yes) exec_write(v, i, 0, mask_bytes(d.high & 0x00ffff00, i->operand_bytes));
    answer(v, yes);
}

void exec_lsl(struct vcpu *v, const struct insn *i)
{
    struct descriptor d;
    require_protected(v);
    bool yes = visible(v, exec_read(v, i, 1), vcpu_long_mode(v) ? LSL_TYPES_LONG : LSL_TYPES, &d);
    if (yes) exec_write(v, i, 0, mask_bytes(descriptor_limit(&d), i->operand_bytes));
    answer(v, yes);
}

void exec_verr(struct vcpu *v, const struct insn *i)
{
    struct descriptor d;
    require_protected(v);
    answer(v, visible(v, exec_read(v, i, 0), 0, &d) && descriptor_readable(&d));
}

void exec_verw(struct vcpu *v, const struct insn *i)
{
    struct descriptor d;
    require_protected(v);
    answer(v, visible(v, exec_read(v, i, 0), 0, &d) && descriptor_writable_data(&d));
}

/* The destination need not be writable if there is nothing to write. */
void exec_arpl(struct vcpu *v, const struct insn *i)
{
    require_protected(v);
    u16 selector = exec_read(v, i, 0), rpl = selector_rpl(exec_read(v, i, 1));
    bool raise = selector_rpl(selector) < rpl;
    if (raise) exec_write(v, i, 0, (selector & ~SEL_RPL) | rpl);
    answer(v, raise);
}

/* --- control registers --- */

/* Memory gets a word, a register as much of CR0 as fits. */
void exec_smsw(struct vcpu *v, const struct insn *i)
{
    refuse_umip(v);
    exec_write(v, i, 0, mask_bytes(v->paging.cr0, i->op[0].bytes));
}

/* Writes PE, MP, EM and TS. LMSW can set PE but not clear it. */
void exec_lmsw(struct vcpu *v, const struct insn *i)
{
    enum { LMSW_BITS = CR0_PE | CR0_MP | CR0_EM | CR0_TS };
    require_ring0(v);
    u32 value = exec_read(v, i, 0) & LMSW_BITS, cr0 = v->paging.cr0;
    control_write(v, 0, (cr0 & ~(u32)LMSW_BITS) | value | (cr0 & CR0_PE));
}

void exec_clts(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    v->paging.cr0 &= ~(u32)CR0_TS;
    vcpu_update_mode(v);
}

void exec_mov_cr(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    if (i->op[0].kind == OPND_REG && i->op[0].reg_class == RC_CR)
        control_write(v, i->op[0].reg, vcpu_gpr_read(v, i->op[1].reg));
    else
        *vcpu_gpr(v, i->op[0].reg) = control_read(v, i->op[1].reg);
}

void exec_mov_dr(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    if (i->op[0].kind == OPND_REG && i->op[0].reg_class == RC_DR)
        debug_write(v, i->op[0].reg, vcpu_gpr_read(v, i->op[1].reg));
    else
        *vcpu_gpr(v, i->op[0].reg) = debug_read(v, i->op[1].reg);
}

void exec_invlpg(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    /* No segment checks; an address that is not canonical does nothing (SDM 2 "INVLPG"). */
    shadow_invlpg(v->shadow, segment_linear(v, i->mem_seg, exec_address(v, i)));
}

/* A PCID but 0 does not exist without CR4.PCIDE. The type is looked at before the descriptor is read. */
void exec_invpcid(struct vcpu *v, const struct insn *i)
{
    struct {
        u64 pcid, linear;
    } descriptor;
    require_ring0(v);
    u64 type = exec_read(v, i, 0);
    if (type >= INVPCID_TYPES) fault_raise_error(v, VEC_GP, 0);
    mem_read_bytes(v, i->mem_seg, exec_address(v, i), &descriptor, sizeof(descriptor));
    bool one = type == INVPCID_PAGE || type == INVPCID_ONE;
    bool bad = descriptor.pcid > CR3_PCID || (one && descriptor.pcid && !(v->paging.cr4 & CR4_PCIDE)) ||
               (type == INVPCID_PAGE && !is_canonical(descriptor.linear));
    if (bad) fault_raise_error(v, VEC_GP, 0);
    shadow_invpcid(v->shadow, &v->paging, (enum invpcid)type, (unsigned)descriptor.pcid, descriptor.linear);
}

/* There is no cache that would have to be written back. */
void exec_wbinvd(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
}
void exec_invd(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
}

/* --- the bases of FS and GS in 64-bit mode --- */

void exec_swapgs(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    syscall_swapgs(v);
}

static void require_fsgsbase(struct vcpu *v)
{
    if (!(v->paging.cr4 & CR4_FSGSBASE)) fault_raise(v, VEC_UD);
}
static void write_base(struct vcpu *v, const struct insn *i, enum seg seg)
{
    require_fsgsbase(v);
    u64 base = exec_read(v, i, 0);
    if (!is_canonical(base)) fault_raise_error(v, VEC_GP, 0);
    segment_set_base(v, seg, base);
}
void exec_rdfsbase(struct vcpu *v, const struct insn *i)
{
    require_fsgsbase(v);
    exec_write(v, i, 0, v->base64.fs);
}
void exec_rdgsbase(struct vcpu *v, const struct insn *i)
{
    require_fsgsbase(v);
    exec_write(v, i, 0, v->base64.gs);
}
void exec_wrfsbase(struct vcpu *v, const struct insn *i)
{
    write_base(v, i, SEG_FS);
}
void exec_wrgsbase(struct vcpu *v, const struct insn *i)
{
    write_base(v, i, SEG_GS);
}

/* --- MSRs, counters, identification --- */

static void set_edx_eax(struct vcpu *v, u64 value)
{
    v->gpr[REG_EAX] = (u32)value;
    v->gpr[REG_EDX] = value >> 32;
}

void exec_rdmsr(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    set_edx_eax(v, msr_read(v, (u32)v->gpr[REG_ECX]));
}

void exec_wrmsr(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    msr_write(v, (u32)v->gpr[REG_ECX], v->gpr[REG_EDX] << 32 | (u32)v->gpr[REG_EAX]);
}

static void read_tsc(struct vcpu *v)
{
    if ((v->paging.cr4 & CR4_TSD) && v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
    fpu_park(v);
    set_edx_eax(v, v->host->tsc(v->host->machine) + v->tsc_offset);
}

void exec_rdtsc(struct vcpu *v, const struct insn *i)
{
    read_tsc(v);
}

void exec_rdtscp(struct vcpu *v, const struct insn *i)
{
    read_tsc(v);
    v->gpr[REG_ECX] = (u32)v->tsc_aux;
}

/* There are no counters to read. */
void exec_rdpmc(struct vcpu *v, const struct insn *i)
{
    fault_raise_error(v, VEC_GP, 0);
}

void exec_cpuid(struct vcpu *v, const struct insn *i)
{
    if (v->cpuid_faults && v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
    cpuid(v);
}

/* KVM's hypercalls (Linux, Documentation/virt/kvm/x86/hypercalls.rst): EAX has the number and then the result.
 * Like KVM, this takes both vendors' instructions. All hypercalls but one belong to features that Ringer does not
 * offer. */
void exec_hypercall(struct vcpu *v, const struct insn *i)
{
    enum { VAPIC_POLL_IRQ = 1, KVM_EPERM = 1, KVM_ENOSYS = 1000 };
    if (!pvclock_offered(v)) fault_raise(v, VEC_UD); /* CPUID does not announce KVM */
    u32 number = (u32)v->gpr[REG_EAX];
    s64 result = number == VAPIC_POLL_IRQ ? 0 : -KVM_ENOSYS;
    if (v->cpl != 0) result = -KVM_EPERM;
    v->gpr[REG_EAX] = v->mode & MODE_CODE64 ? (u64)result : (u32)result;
}

void exec_hlt(struct vcpu *v, const struct insn *i)
{
    require_ring0(v);
    v->halted = true;
}

/* --- software interrupts and returns --- */

void exec_int(struct vcpu *v, const struct insn *i)
{
    interrupt_software(v, i->imm[0], i->length);
}
void exec_int3(struct vcpu *v, const struct insn *i)
{
    interrupt_deliver(v, VEC_BP, SOURCE_SOFTWARE, false, 0);
}
/* Raises #DB without a check of the gate's privilege, and sets no bit of DR6. */
void exec_int1(struct vcpu *v, const struct insn *i)
{
    interrupt_deliver(v, VEC_DB, SOURCE_EXCEPTION, false, 0);
}
void exec_into(struct vcpu *v, const struct insn *i)
{
    if (v->eflags & FL_OF) interrupt_deliver(v, VEC_OF, SOURCE_SOFTWARE, false, 0);
}

void exec_iret(struct vcpu *v, const struct insn *i)
{
    interrupt_return(v, i->operand_bytes);
}
void exec_sysenter(struct vcpu *v, const struct insn *i)
{
    sysenter(v);
}
void exec_sysexit(struct vcpu *v, const struct insn *i)
{
    sysexit(v, i->operand_bytes);
}
void exec_syscall(struct vcpu *v, const struct insn *i)
{
    syscall_enter(v);
}
void exec_sysret(struct vcpu *v, const struct insn *i)
{
    syscall_return(v, i->operand_bytes);
}
