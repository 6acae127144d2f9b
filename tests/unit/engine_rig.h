/*
 * Two rigs with the same guest; the interpreter runs one, the translator the other. A test of one mechanism of the
 * translator runs a few instructions on both and compares registers and memory. The translator's counters show that
 * the mechanism was at work.
 *
 * Paging is on, at CPL 0. Linear addresses equal physical ones, and MIRROR_AT maps the same RAM once more. Each
 * exception leads to its own HLT.
 *
 *   GUEST(name, "instructions in GNU syntax") assembles 32-bit code; guest_code(name) is its bytes.
 */
#ifndef RINGER_TESTS_ENGINE_RIG_H
#define RINGER_TESTS_ENGINE_RIG_H

#include "exec_rig.h"
#include "translator/translator.h"

#include <string.h>

#define DIRECTORY_AT 0x100000u
#define TABLES_AT    0x101000u /* one for each 4 MB of RAM, then for MIRROR_AT the same */
#define RAM_TABLES   1u
#define RAM_END      (RAM_TABLES << 22)
#define MIRROR_AT    0x40000000u
#define HEAP_AT      0x200000u

enum { PTE_P = 1, PTE_RW = 2, PTE_A = 0x20, PTE_D = 0x40, PTE_ALL = PTE_P | PTE_RW | PTE_A | PTE_D };

/* HLT in the code itself, not in a handler. */
#define ENDED NO_FAULT

#define GUEST(name, text)                                                                                    \
    __asm__(".pushsection .rodata\n.code32\n.globl guest_" #name ", guest_end_" #name "\nguest_" #name       \
            ":\n" text "\nguest_end_" #name ":\n.code64\n.popsection\n");                                    \
    extern const u8 guest_##name[], guest_end_##name[]

struct engines {
    struct rig *interpreter, *translator;
};

static u64 no_time(void *machine)
{
    return 0;
}

static inline struct engines engines_create(const struct translator_config *config)
{
    struct engines e = {rig_create(), rig_create()};
    if (translator_init(&e.translator->vcpu, config)) abort();
    e.translator->translated_code_written = translator_code_written;
    e.interpreter->host.tsc = e.translator->host.tsc = no_time;
    return e;
}

static inline void engines_destroy(struct engines *e)
{
    translator_destroy(&e->translator->vcpu);
    rig_close(e->translator);
    rig_close(e->interpreter);
}

/* The address of the entry of a linear page. */
static inline u32 pte_at(u32 linear)
{
    u32 table = linear >= MIRROR_AT ? RAM_TABLES + ((linear - MIRROR_AT) >> 22) : linear >> 22;
    return TABLES_AT + table * PAGE_SIZE + (linear >> PAGE_SHIFT & 1023) * 4;
}

static inline void map_pages(struct rig *rig)
{
    for (u32 n = 0; n < RAM_TABLES; n++) {
        phys_write(&rig->phys, DIRECTORY_AT + n * 4, 4, (TABLES_AT + n * PAGE_SIZE) | PTE_ALL);
        phys_write(&rig->phys, DIRECTORY_AT + ((MIRROR_AT >> 22) + n) * 4, 4,
                   (TABLES_AT + (RAM_TABLES + n) * PAGE_SIZE) | PTE_ALL);
    }
    for (u32 at = 0; at < RAM_END; at += PAGE_SIZE) {
        phys_write(&rig->phys, pte_at(at), 4, at | PTE_ALL);
        phys_write(&rig->phys, pte_at(MIRROR_AT + at), 4, at | PTE_ALL);
    }
}

static inline void load_one(struct rig *rig, const u8 *code, u32 bytes, u32 at)
{
    struct vcpu *v = &rig->vcpu;
    memset(rig->phys.ram, 0, RAM_END);
    rig_load(rig, "", 0);
    with_handlers(rig);
    map_pages(rig);
    phys_write_bytes(&rig->phys, at % MIRROR_AT, code, bytes);
    shadow_flush(&rig->shadow);
    if (v->engine) translator_flush(v);
    v->paging.cr0 |= CR0_PG | CR0_WP;
    v->paging.cr3 = DIRECTORY_AT;
    shadow_load_root(&rig->shadow, &v->paging);
    memset(v->gpr, 0, sizeof(v->gpr)); /* EDX has the signature of the CPU */
    v->gpr[REG_ESP] = RAM_END;
    v->rip = at;
    v->pending = 0;
    v->scratch.return_misses = 0;
    /* The translator measures age in flushes. */
    rig->counters = (struct counters){.cache_flushes = rig->counters.cache_flushes};
    vcpu_update_mode(v);
}

/* Both machines at the start of the code at linear address `at`, in empty memory. */
static inline void engines_load(struct engines *e, const u8 *code, const u8 *end, u32 at)
{
    load_one(e->interpreter, code, (u32)(end - code), at);
    load_one(e->translator, code, (u32)(end - code), at);
}

static inline void engines_set(struct engines *e, unsigned reg, u32 value)
{
    e->interpreter->vcpu.gpr[reg] = e->translator->vcpu.gpr[reg] = value;
}

static inline void engines_write(struct engines *e, u64 gpa, u32 value)
{
    phys_write(&e->interpreter->phys, gpa, 4, value);
    phys_write(&e->translator->phys, gpa, 4, value);
}

/* Back to the start of the code, with blocks and shadow entries as they are, and counters at 0. */
static inline void engines_rewind(struct engines *e, u32 at)
{
    struct rig *const rigs[] = {e->interpreter, e->translator};
    for (unsigned n = 0; n < 2; n++) {
        u64 flushes = rigs[n]->counters.cache_flushes;
        rigs[n]->counters = (struct counters){.cache_flushes = flushes};
        rigs[n]->vcpu.gpr[REG_ESP] = RAM_END;
        rigs[n]->vcpu.rip = at;
    }
}

/* Enough for all of these tests: code that needs more does not end. */
#define ENGINE_BUDGET 10000000u

/* Runs to a HLT. Returns the vector of the handler that has it, ENDED for the HLT of the code itself, or ~0 if no HLT
 * came. */
static inline u32 run_one(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    v->halted = false;
    v->icount_limit = v->icount_soft = v->icount + ENGINE_BUDGET;
    for (;;) {
        enum exit_reason reason = v->engine ? translator_run(v) : interp_run(v);
        if (reason == EXIT_STEP) reason = interp_step(v);
        if (reason == EXIT_BUDGET || reason == EXIT_SHUTDOWN) return ~0u;
        if (reason == EXIT_HALT) break;
        v->pending = 0;
    }
    fpu_park(v);
    u32 vector = ((u32)v->rip - RIG_HANDLERS) / 16;
    return v->rip > RIG_HANDLERS && vector < 32 ? vector : ENDED;
}

/* Runs both; everything that a guest can see must be the same. Returns what run_one() returns. */
static inline u32 engines_run(struct engines *e)
{
    u32 vector = run_one(e->interpreter), other = run_one(e->translator);
    const struct vcpu *a = &e->interpreter->vcpu, *b = &e->translator->vcpu;
    CHECK_EQ(other, vector);
    for (unsigned n = 0; n < 8; n++)
        CHECK_EQ((u32)b->gpr[n], (u32)a->gpr[n]);
    CHECK_EQ(b->rip, a->rip);
    CHECK_EQ(b->cr2, a->cr2);
    const u8 *x = e->interpreter->phys.ram, *y = e->translator->phys.ram;
    u32 differ = memcmp(x, y, RAM_END) ? 0 : RAM_END;
    while (differ < RAM_END && x[differ] == y[differ])
        differ++;
    CHECK_EQ(differ, RAM_END); /* else: the first byte of RAM that differs */
    return vector;
}

/* The same for the code of a GUEST at RIG_CODE. */
#define engines_run_guest(e, name) (engines_load(e, guest_##name, guest_end_##name, RIG_CODE), engines_run(e))

#endif
