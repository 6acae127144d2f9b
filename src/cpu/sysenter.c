/*
 * SYSENTER and SYSEXIT: flat rings 0 and 3 without descriptor loads (SDM 3A 5.8.7).
 */
#include "descriptor.h"

enum {
    FLAT_CODE = AR_G | AR_DB | AR_P | AR_S | AR_CODE | AR_READABLE | AR_ACCESSED,
    FLAT_DATA = AR_G | AR_DB | AR_P | AR_S | AR_WRITABLE | AR_ACCESSED
};

static void enter_flat(struct vcpu *v, u16 cs, u16 ss, unsigned cpl, u32 eip, u32 esp)
{
    u32 dpl = cpl << AR_DPL_SHIFT;
    v->seg[SEG_CS] = (struct segment){.limit = 0xffffffff, .access = FLAT_CODE | dpl, .selector = cs | cpl};
    v->seg[SEG_SS] = (struct segment){.limit = 0xffffffff, .access = FLAT_DATA | dpl, .selector = ss | cpl};
    v->cpl = cpl;
    v->rip = eip;
    v->gpr[REG_ESP] = esp;
    vcpu_update_privilege(v);
}

void sysenter(struct vcpu *v)
{
    u16 cs = v->sysenter_cs & SEL_ERROR_MASK;
    if (!vcpu_pe(v) || !cs) fault_raise_error(v, VEC_GP, 0);
    v->eflags &= ~(u32)(FL_VM | FL_IF | FL_RF);
    enter_flat(v, cs, cs + 8, 0, v->sysenter_eip, v->sysenter_esp);
}

void sysexit(struct vcpu *v)
{
    u16 cs = v->sysenter_cs & SEL_ERROR_MASK;
    if (!vcpu_pe(v) || !cs || v->cpl != 0) fault_raise_error(v, VEC_GP, 0);
    enter_flat(v, cs + 16, cs + 24, 3, v->gpr[REG_EDX], v->gpr[REG_ECX]);
}
