/*
 * A rig (cpu/rig.h) for tests of the CPU and the translator: 16 MB of RAM, flat 32-bit protected mode at CPL 0, code at
 * RIG_CODE.
 */
#ifndef RINGER_TESTS_RIG_H
#define RINGER_TESTS_RIG_H

#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "cpu/mode.h"
#include "cpu/rig.h"
#include "cpu/system.h"

#include <stdlib.h>

#define RIG_CODE  0x10000u
#define RIG_DATA  0x20000u
#define RIG_STACK 0x40000u

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
    struct rig *rig = rig_open(16u << 20);
    if (!rig) abort();
    return rig;
}

#endif
