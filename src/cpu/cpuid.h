/*
 * CPUID as a policy: one table of models, each a list of features exposed. What is not exposed raises #UD (isa_exposed)
 * or #GP (control register bits, MSRs), so a guest finds exactly what it is told.
 */
#ifndef RINGER_CPU_CPUID_H
#define RINGER_CPU_CPUID_H

#include "vcpu.h"

struct cpu_model {
    const char *name;
    const char *brand;   /* 48 bytes at most */
    const char *vendor;  /* 12 characters */
    u32 signature;       /* leaf 1 EAX */
    u32 max_leaf;
    u32 f1_edx, f1_ecx, f7_ebx, f7_ecx, f7_edx, x1_edx, x1_ecx;
    u8 maxphyaddr;
};

/* By --cpu name: "pentium3", ..., "max" (all that Ringer implements and this host can execute). NULL when unknown. */
const struct cpu_model *cpu_model_find(const char *name);
/* The names, for messages: NULL-terminated. */
const char *const *cpu_model_names(void);

/* CPUID: EAX, ECX in; all four out, in v->gpr. */
void cpuid(struct vcpu *v);

/* Bits of CR4 that this model lets the guest set. */
u32 cpu_model_cr4(const struct cpu_model *model);

#endif
