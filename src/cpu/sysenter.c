/*
 * SYSENTER and SYSEXIT: flat rings 0 and 3 without descriptor loads (SDM 3A 5.8.7; in IA-32e mode 5.8.7.1, where
 * AMD's CPUs do not have them: AMD APM 3 SYSENTER).
 */
#include "cpuid.h"
#include "descriptor.h"
#include "syscall.h"

/* The new CS and SS are neighbours in the GDT. */
static void enter_flat(struct vcpu *v, u16 cs, unsigned cpl, bool code64, u64 rip, u64 rsp)
{
    v->seg[SEG_CS] = segment_flat_code(cs | cpl, cpl, code64);
    v->seg[SEG_SS] = segment_flat_stack((cs + 8) | cpl, cpl);
    v->cpl = cpl;
    v->rip = rip;
    v->gpr[REG_ESP] = rsp;
    if (vcpu_long_mode(v))
        vcpu_update_mode(v); /* the width of code may change, and with it what all segments are */
    else
        vcpu_update_privilege(v);
}

void sysenter(struct vcpu *v)
{
    bool long_mode = vcpu_long_mode(v);
    u16 cs = v->sysenter_cs & SEL_ERROR_MASK;
    if (long_mode && cpu_model_is_amd(v->model)) fault_raise(v, VEC_UD);
    if (!vcpu_pe(v) || !cs) fault_raise_error(v, VEC_GP, 0);
    v->eflags &= ~(u32)(FL_VM | FL_IF | FL_RF);
    u64 rip = long_mode ? v->sysenter_eip : (u32)v->sysenter_eip;
    enter_flat(v, cs, 0, long_mode, rip, long_mode ? v->sysenter_esp : (u32)v->sysenter_esp);
}

/* `bytes` is the operand size: 8 goes to 64-bit mode. */
void sysexit(struct vcpu *v, unsigned bytes)
{
    bool code64 = bytes == 8;
    u16 cs = v->sysenter_cs & SEL_ERROR_MASK;
    u64 rip = v->gpr[REG_EDX], rsp = v->gpr[REG_ECX];
    if (vcpu_long_mode(v) && cpu_model_is_amd(v->model)) fault_raise(v, VEC_UD);
    if (!vcpu_pe(v) || !cs || v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
    if (code64 && (!is_canonical(rip) || !is_canonical(rsp))) fault_raise_error(v, VEC_GP, 0);
    enter_flat(v, cs + (code64 ? 32 : 16), 3, code64, code64 ? rip : (u32)rip, code64 ? rsp : (u32)rsp);
}
