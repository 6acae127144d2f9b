/*
 * For tests of the interpreter: the rig with an IDT, and single steps that report which handler was reached.
 */
#ifndef RINGER_TESTS_EXEC_RIG_H
#define RINGER_TESTS_EXEC_RIG_H

#include "check.h"
#include "rig.h"

#define NO_FAULT 0xff

/* The vector an instruction raised, or NO_FAULT. */
struct outcome {
    u8 vector;
    u32 error;
};

/* A handler for each vector: HLT at RIG_HANDLERS + vector * 16, by 32-bit interrupt gates. */
#define RIG_IDT      0x1000u
#define RIG_GDT      0x2000u
#define RIG_HANDLERS 0x3000u

static inline void with_handlers(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    static const u64 gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    phys_write_bytes(&rig->phys, RIG_GDT, gdt, sizeof(gdt));
    for (u32 n = 0; n < 32; n++) {
        u64 gate = (8u << 16 | (RIG_HANDLERS + n * 16)) | (u64)0x8e00 << 32;
        phys_write_bytes(&rig->phys, RIG_IDT + n * 8, &gate, 8);
        phys_write_bytes(&rig->phys, RIG_HANDLERS + n * 16, "\xf4", 1);
    }
    v->gdtr.base = RIG_GDT;
    v->gdtr.limit = sizeof(gdt) - 1;
    v->idtr.base = RIG_IDT;
    v->idtr.limit = 32 * 8 - 1;
}

/* One instruction. */
static inline struct outcome step(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    enum exit_reason reason = interp_step(v);
#ifdef RINGER_SANITIZED
    CHECK(!v->fpu_live); /* the sanitizers' run-time may use SSE anywhere; see cpu/fpu_state.c */
#endif
    fpu_park(v); /* the test is library code */
    CHECK(reason == EXIT_NONE || reason == EXIT_HALT);
    if (v->rip < RIG_HANDLERS || v->rip >= RIG_HANDLERS + 32 * 16) return (struct outcome){NO_FAULT, 0};
    u8 vector = (u8)((v->rip - RIG_HANDLERS) / 16);
    bool has_error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
    return (struct outcome){vector, has_error ? (u32)phys_read(&rig->phys, v->gpr[REG_ESP], 4) : 0};
}

#define LOAD(rig, ...)                                                                                       \
    do {                                                                                                     \
        static const u8 code[] = {__VA_ARGS__};                                                              \
        rig_load(rig, code, sizeof(code));                                                                   \
        with_handlers(rig);                                                                                  \
    } while (0)

#define STEP_OK(rig) CHECK_EQ(step(rig).vector, NO_FAULT)

static inline u32 flags(const struct rig *rig)
{
    return rig->vcpu.eflags & FL_ARITH;
}

/* Two-level paging, the first 4 MB mapped to themselves for everyone; then single pages can be changed. */
#define RIG_DIRECTORY 0x5000u
#define RIG_TABLE     0x6000u

static inline void map_page(struct rig *rig, u32 linear, u32 entry)
{
    phys_write(&rig->phys, RIG_TABLE + (linear >> 12) * 4, 4, entry);
    shadow_flush(&rig->shadow);
}
static inline void with_paging(struct rig *rig)
{
    phys_write(&rig->phys, RIG_DIRECTORY, 4, RIG_TABLE | 7);
    for (u32 n = 0; n < 1024; n++)
        phys_write(&rig->phys, RIG_TABLE + n * 4, 4, n << 12 | 7);
    rig->vcpu.paging.cr3 = RIG_DIRECTORY;
    rig->vcpu.paging.cr0 |= CR0_PG | CR0_WP;
    shadow_load_root(&rig->shadow, &rig->vcpu.paging);
    vcpu_update_mode(&rig->vcpu);
}

#endif
