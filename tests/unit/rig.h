/*
 * A bare machine for tests of the CPU and the translator: 16 MB of RAM, no devices, flat 32-bit protected mode at CPL
 * 0, code at RIG_CODE. There is no struct vcpu_host, so tests must not execute instructions that need a device.
 */
#ifndef RINGER_TESTS_RIG_H
#define RINGER_TESTS_RIG_H

#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "cpu/mode.h"
#include "cpu/system.h"

#include <stdlib.h>

#define RIG_CODE  0x10000u
#define RIG_DATA  0x20000u
#define RIG_STACK 0x40000u

struct rig {
    struct phys phys;
    struct shadow shadow;
    struct counters counters;
    struct vcpu_host host;
    struct vcpu vcpu;
    bool (*translated_code_written)(struct vcpu *v, u64 gpa, u64 bytes);
};

static void rig_guarded_written(void *owner, u64 gpa, u64 bytes)
{
    struct rig *rig = owner;
    u8 flags = *phys_flags(&rig->phys, gpa);
    if (flags & PHYS_TRACED) shadow_table_written(&rig->shadow, gpa, bytes);
    if (!(flags & PHYS_CODE)) return;
    bool left = interp_code_written(&rig->vcpu, gpa, bytes);
    if (rig->translated_code_written) left |= rig->translated_code_written(&rig->vcpu, gpa, bytes);
    if (!left) *phys_flags(&rig->phys, gpa) &= (u8)~PHYS_CODE;
}

static void rig_protect(void *owner, u64 gpa_page)
{
    struct rig *rig = owner;
    shadow_drop_writes(&rig->shadow, gpa_page);
}

static void rig_flat_segment(struct segment *s, bool code)
{
    *s = (struct segment){.limit = 0xffffffff,
                          .selector = code ? 8 : 16,
                          .access =
                              AR_P | AR_S | AR_DB | AR_G | AR_WRITABLE | AR_ACCESSED | (code ? AR_CODE : 0)};
}

/* Writes these bytes to RIG_CODE and puts the vCPU at their start. */
static inline void rig_load(struct rig *rig, const void *code, unsigned bytes)
{
    struct vcpu *v = &rig->vcpu;
    vcpu_reset(v);
    v->paging.cr0 |= CR0_PE | CR0_NE;
    v->paging.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    for (unsigned s = 0; s < SEG_COUNT; s++)
        rig_flat_segment(&v->seg[s], s == SEG_CS);
    v->gpr[REG_ESP] = RIG_STACK;
    v->rip = RIG_CODE;
    vcpu_update_mode(v);
    phys_write_bytes(&rig->phys, RIG_CODE, code, bytes);
}

static inline struct rig *rig_create(void)
{
    struct rig *rig = aligned_alloc(64, align_up(sizeof(*rig), 64));
    if (!rig) abort();
    *rig = (struct rig){0};
    struct vcpu *v = &rig->vcpu;
    if (phys_init(&rig->phys, 16u << 20) || shadow_init(&rig->shadow, &rig->phys, &rig->counters)) abort();
    rig->phys.owner = rig;
    rig->phys.guarded_written = rig_guarded_written;
    rig->phys.protect = rig_protect;
    v->phys = &rig->phys;
    v->shadow = &rig->shadow;
    v->counters = &rig->counters;
    v->host = &rig->host;
    v->model = cpu_model_find("max");
    v->icount_limit = v->icount_soft = UINT64_MAX;
    if (interp_init(v)) abort();
    return rig;
}

static inline void rig_destroy(struct rig *rig)
{
    interp_destroy(&rig->vcpu);
    shadow_destroy(&rig->shadow);
    phys_destroy(&rig->phys);
    free(rig);
}

#endif
