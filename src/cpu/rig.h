/*
 * A rig: a vCPU and RAM, without board and devices. The experiments and listings of `study` run in it, and so do tests.
 * Ports read as ones, the TSC stands still, no interrupt comes; an owner that wants more changes `host`.
 */
#ifndef RINGER_CPU_RIG_H
#define RINGER_CPU_RIG_H

#include "vcpu.h"

#include "base/counters.h"
#include "mmu/phys.h"
#include "mmu/shadow.h"

struct rig {
    struct phys phys;
    struct shadow shadow;
    struct counters counters;
    struct vcpu_host host;
    struct vcpu vcpu;
    /* An engine that keeps translated code sets this: interp_code_written() for its blocks. */
    bool (*translated_code_written)(struct vcpu *v, u64 gpa, u64 bytes);
};

/* The CPU is the model "max", after a reset; the interpreter can run. NULL: the host has no memory left. */
struct rig *rig_open(u64 ram_bytes);
void rig_close(struct rig *rig);

/* Into a descriptor table at this address. access: as in struct segment (bits 7-0 and 15-12). */
void rig_put_descriptor(struct rig *rig, u64 table, u16 selector, u32 base, u32 limit, u32 access);

#endif
