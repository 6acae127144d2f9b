/*
 * SYSCALL, SYSRET and SWAPGS (SDM 2 "SYSCALL", "SYSRET", "SWAPGS"; AMD APM 3, the same).
 *
 *   STAR:  63-48 CS of SYSRET (SS: + 8; CS of 64-bit mode: + 16) | 47-32 CS of SYSCALL (SS: + 8) | 31-0 EIP in a
 *          legacy mode
 *   LSTAR, CSTAR: RIP of a SYSCALL from 64-bit and from compatibility mode.  FMASK: flags that SYSCALL clears
 *
 * What differs between the manufacturers' CPUs:
 *                                            Intel                     AMD
 *   outside 64-bit mode                      #UD                       there
 *   SYSRET to an address not canonical       #GP(0) in ring 0          goes there: #GP(0) in ring 3
 *   SS after SYSRET                          flat                      its selector alone changes
 */
#include "syscall.h"

#include "cpuid.h"
#include "descriptor.h"
#include "mode.h"

/* The flags that SYSRET takes from R11: not RF, VM and the reserved ones. */
#define SYSRET_FLAGS 0x3c7fd7u

/* Raises #UD where the instruction does not exist. */
static void require(struct vcpu *v)
{
    bool here = vcpu_code64(v) || (cpu_model_is_amd(v->model) && vcpu_pe(v) && !vcpu_vm86(v));
    if (!(v->paging.efer & EFER_SCE) || !here) fault_raise(v, VEC_UD);
}

/* 64-bit mode has the same classes of segments in all rings. */
static void update(struct vcpu *v)
{
    if ((v->mode & MODE_CODE64) && vcpu_code64(v))
        vcpu_update_privilege(v);
    else
        vcpu_update_mode(v);
}

static void enter_ring0(struct vcpu *v, bool code64, u64 rip)
{
    u16 cs = (u16)(v->star >> 32) & SEL_ERROR_MASK;
    v->seg[SEG_CS] = segment_flat_code(cs, 0, code64);
    v->seg[SEG_SS] = segment_flat_stack(cs + 8, 0);
    v->cpl = 0;
    v->rip = rip;
    update(v);
}

/*
 * The trap of TF follows the flags that SYSCALL and SYSRET leave, unlike that of other instructions: FMASK with TF
 * keeps a user's single step out of the kernel, and after SYSRET to a program that is stepped the trap is due at once.
 * (No manual says so; the public advisory XSA-204 does.)
 */
static void trap_by_new_flags(struct vcpu *v)
{
    if (v->eflags & FL_TF) vcpu_trap_debug(v, DR6_BS);
}

void syscall_enter(struct vcpu *v)
{
    require(v);
    if (!vcpu_long_mode(v)) {
        v->gpr[REG_ECX] = v->rip;
        v->eflags &= ~(u32)(FL_VM | FL_IF | FL_RF);
        enter_ring0(v, false, (u32)v->star);
        trap_by_new_flags(v);
        return;
    }
    v->gpr[REG_ECX] = v->rip;
    *vcpu_gpr(v, 11) = v->eflags & ~(u32)FL_RF;
    v->eflags &= ~((u32)v->fmask | FL_RF);
    v->eflags |= FL_ONE;
    enter_ring0(v, true, vcpu_code64(v) ? v->lstar : v->cstar);
    trap_by_new_flags(v);
}

/* `bytes` is the operand size: 8 goes to 64-bit mode. */
void syscall_return(struct vcpu *v, unsigned bytes)
{
    bool amd = cpu_model_is_amd(v->model), code64 = bytes == 8;
    u16 selector = (u16)(v->star >> 48) & SEL_ERROR_MASK, ss = (selector + 8) | 3;
    u64 rip = v->gpr[REG_ECX];
    require(v);
    if (v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
    if (code64 && !amd && !is_canonical(rip)) fault_raise_error(v, VEC_GP, 0);
    if (vcpu_long_mode(v))
        v->eflags = (vcpu_gpr_read(v, 11) & SYSRET_FLAGS) | FL_ONE;
    else
        v->eflags |= FL_IF;
    v->seg[SEG_CS] = segment_flat_code((selector + (code64 ? 16 : 0)) | 3, 3, code64);
    if (amd)
        v->seg[SEG_SS].selector = ss;
    else
        v->seg[SEG_SS] = segment_flat_stack(ss, 3);
    v->cpl = 3;
    v->rip = code64 ? rip : (u32)rip;
    update(v);
    trap_by_new_flags(v);
    vcpu_recheck_interrupts(v);
}

void syscall_swapgs(struct vcpu *v)
{
    u64 base = v->base64.gs;
    segment_set_base(v, SEG_GS, v->kernel_gs_base);
    v->kernel_gs_base = base;
}
