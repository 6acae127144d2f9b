/*
 * KVM's paravirtual clock. CPUID announces it (cpuid.c); two MSRs take the guest's addresses (msr.c).
 */
#ifndef RINGER_CPU_PVCLOCK_H
#define RINGER_CPU_PVCLOCK_H

#include "vcpu.h"

#define MSR_PVCLOCK_WALL 0x4b564d00 /* MSR_KVM_WALL_CLOCK_NEW */
#define MSR_PVCLOCK_TIME 0x4b564d01 /* MSR_KVM_SYSTEM_TIME_NEW */
/* Their older numbers, MSR_KVM_WALL_CLOCK and MSR_KVM_SYSTEM_TIME. Linux before 2.6.35 knows no others. */
#define MSR_PVCLOCK_OLD_WALL 0x11
#define MSR_PVCLOCK_OLD_TIME 0x12

bool pvclock_offered(const struct vcpu *v);
/* Writes of the two MSRs. False: raise #GP(0). */
bool pvclock_set_time(struct vcpu *v, u64 value);
bool pvclock_set_wall(struct vcpu *v, u64 value);
/* The guest's TSC was moved: write the values again if the guest uses the clock. */
void pvclock_refresh(struct vcpu *v);

/* Tell the guest that the host did not run it for a while, so that its watchdogs do not report a lockup. */
void pvclock_guest_stopped(struct vcpu *v);

/* Ticks to nanoseconds: (ticks << shift) * multiplier / 2^32. */
struct pvclock_scale {
    u32 multiplier;
    s8 shift;
};
struct pvclock_scale pvclock_scale(u64 hz);

#endif
