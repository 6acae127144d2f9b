/*
 * Instructions that read and write EFLAGS: CLI, STI, PUSHF, POPF, with IOPL, virtual-8086 mode and the
 * virtual interrupt flag (SDM 2; SDM 3A 20.3, 20.4).
 */
#include "exec.h"

/* The flags that POPF replaces if the privilege allows it. The 32-bit and 64-bit forms also replace AC and ID, and
 * clear RF. */
enum {
    POPF_FLAGS16 = FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT,
    POPF_FLAGS32 = POPF_FLAGS16 | FL_AC | FL_ID | FL_RF,
};

/* Do CLI and STI act on VIF? They do if IOPL is too low, in virtual-8086 mode with CR4.VME and in ring 3 with
 * CR4.PVI. */
static bool virtual_interrupts(const struct vcpu *v)
{
    return v->cpl == 3 && (v->paging.cr4 & (vcpu_vm86(v) ? CR4_VME : CR4_PVI));
}

void exec_cli(struct vcpu *v, const struct insn *i)
{
    if (v->cpl <= vcpu_iopl(v))
        v->eflags &= ~(u32)FL_IF;
    else if (virtual_interrupts(v))
        v->eflags &= ~(u32)FL_VIF;
    else
        fault_raise_error(v, VEC_GP, 0);
}

void exec_sti(struct vcpu *v, const struct insn *i)
{
    if (v->cpl <= vcpu_iopl(v)) {
        /* STI inhibits interrupts for one more instruction, but only if IF was clear. */
        if (!(v->eflags & FL_IF)) v->inhibit |= INHIBIT_STI;
        v->eflags |= FL_IF;
        vcpu_recheck_interrupts(v);
    } else if (virtual_interrupts(v) && !(v->eflags & FL_VIP)) {
        v->eflags |= FL_VIF;
    } else {
        fault_raise_error(v, VEC_GP, 0);
    }
}

/* Do PUSHF and POPF act on VIF? In virtual-8086 mode with IOPL below 3 the 16-bit forms do so with CR4.VME. All
 * other forms raise #GP(0) there. */
static bool vme_flags(struct vcpu *v, unsigned bytes)
{
    if (!vcpu_vm86(v) || vcpu_iopl(v) == 3) return false;
    if (bytes != 2 || !(v->paging.cr4 & CR4_VME)) fault_raise_error(v, VEC_GP, 0);
    return true;
}

void exec_pushf(struct vcpu *v, const struct insn *i)
{
    u32 image = v->eflags & ~(u32)(FL_RF | FL_VM);
    if (vme_flags(v, i->stack_bytes)) image = (image & ~(u32)FL_IF) | FL_IOPL | (image & FL_VIF ? FL_IF : 0);
    exec_push_value(v, image, i->stack_bytes);
}

void exec_popf(struct vcpu *v, const struct insn *i)
{
    bool vme = vme_flags(v, i->stack_bytes);
    u32 image = (u32)exec_peek(v, 0, i->stack_bytes);
    if (vme) {
        if (((image & FL_IF) && (v->eflags & FL_VIP)) || (image & FL_TF)) fault_raise_error(v, VEC_GP, 0);
        v->eflags = (v->eflags & ~(u32)FL_VIF) | (image & FL_IF ? FL_VIF : 0);
    }
    exec_drop(v, i->stack_bytes);
    image &= ~(u32)FL_RF;
    eflags_write(v, image, i->stack_bytes >= 4 ? POPF_FLAGS32 : POPF_FLAGS16);
}
