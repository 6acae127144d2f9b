#include "small_machine.h"

#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "cpu/interp_private.h"
#include "cpu/rig.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BYTES    (8u << 20)
#define GDT_AT       0x1000u
#define IDT_AT       0x2000u
#define TSS_AT       0x4000u
#define STACK_TOP    0x9000u
#define HANDLERS_AT  0x10000u
#define HANDLER_STEP 16u

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define KERNEL_TR 0x18

#define ACCESS_CODE 0xc09b /* as in struct segment; DPL 0 */
#define ACCESS_DATA 0xc093
#define ACCESS_TSS  0x008b
#define DPL_3       0x60

struct small_machine {
    struct rig *rig;
    bool translates;
};

/* --- making one --- */

static void put(struct small_machine *m, u32 at, const void *bytes, unsigned count)
{
    memcpy(m->rig->phys.ram + at, bytes, count);
}

static void put_tables(struct small_machine *m)
{
    rig_put_descriptor(m->rig, GDT_AT, KERNEL_CS, 0, 0xfffff, ACCESS_CODE);
    rig_put_descriptor(m->rig, GDT_AT, KERNEL_DS, 0, 0xfffff, ACCESS_DATA);
    rig_put_descriptor(m->rig, GDT_AT, KERNEL_TR, TSS_AT, 0x67, ACCESS_TSS);
    rig_put_descriptor(m->rig, GDT_AT, USER_CS, 0, 0xfffff, ACCESS_CODE | DPL_3);
    rig_put_descriptor(m->rig, GDT_AT, USER_DS, 0, 0xfffff, ACCESS_DATA | DPL_3);
    for (unsigned vector = 0; vector < 256; vector++) {
        u32 offset = HANDLERS_AT + vector * HANDLER_STEP;
        u32 access = vector == VECTOR_END ? 0xee : 0x8e;
        u64 gate = (offset & 0xffff) | (u64)KERNEL_CS << 16 | (u64)access << 40 | (u64)(offset >> 16) << 48;
        put(m, IDT_AT + 8 * vector, &gate, sizeof(gate));
        m->rig->phys.ram[offset] = 0xf4; /* HLT */
    }
    u32 stack[2] = {STACK_TOP, KERNEL_DS};
    put(m, TSS_AT + 4, stack, sizeof(stack));
    u16 io_map = 0x68;
    put(m, TSS_AT + 102, &io_map, sizeof(io_map));
}

static struct segment flat(u16 selector, u32 access)
{
    return (struct segment){.base = 0, .limit = 0xffffffff, .access = access, .selector = selector};
}

static void set_system(struct vcpu *v)
{
    v->gdtr = (struct desc_table){.base = GDT_AT, .limit = 0x2f};
    v->idtr = (struct desc_table){.base = IDT_AT, .limit = 0x7ff};
    v->tr = (struct segment){.base = TSS_AT, .limit = 0x67, .access = ACCESS_TSS, .selector = KERNEL_TR};
    v->ldtr = (struct segment){.access = AR_UNUSABLE};
    v->paging.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE;
    v->paging.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
}

static void set_user(struct vcpu *v)
{
    v->seg[SEG_CS] = flat(USER_CS, ACCESS_CODE | DPL_3);
    v->seg[SEG_DS] = v->seg[SEG_ES] = v->seg[SEG_SS] = flat(USER_DS, ACCESS_DATA | DPL_3);
    v->seg[SEG_FS] = v->seg[SEG_GS] = (struct segment){.access = AR_UNUSABLE};
    v->cpl = 3;
}

struct small_machine *small_machine_create(const struct translator_config *config)
{
    struct small_machine *m = calloc(1, sizeof(*m));
    if (!m) return NULL;
    m->rig = rig_open(RAM_BYTES);
    if (!m->rig || (config && translator_init(&m->rig->vcpu, config))) {
        fprintf(stderr, "cannot make the engines\n");
        if (m->rig) rig_close(m->rig);
        free(m);
        return NULL;
    }
    struct vcpu *v = &m->rig->vcpu;
    m->translates = config;
    if (config) m->rig->translated_code_written = translator_code_written;
    put_tables(m);
    set_system(v);
    set_user(v);
    vcpu_update_mode(v);
    return m;
}

bool small_machine_enable_avx(struct small_machine *m)
{
    struct vcpu *v = &m->rig->vcpu;
    u64 xcr0 = cpu_model_xcr0(v->model);
    if (!(xcr0 & XCR0_AVX)) return false;
    v->paging.cr4 |= CR4_OSXSAVE;
    v->xcr0 = xcr0;
    fpu_extend(v);
    vcpu_update_mode(v);
    return true;
}

void small_machine_destroy(struct small_machine *m)
{
    if (m->translates) translator_destroy(&m->rig->vcpu);
    rig_close(m->rig);
    free(m);
}

u8 *small_machine_scratch(struct small_machine *m)
{
    return m->rig->phys.ram + SCRATCH_AT;
}
struct vcpu *small_machine_vcpu(struct small_machine *m)
{
    return &m->rig->vcpu;
}

/* --- running --- */

static bool run_to_halt(struct small_machine *m, u64 instructions)
{
    struct vcpu *v = &m->rig->vcpu;
    v->icount_limit = v->icount_soft = v->icount + instructions;
    for (;;) {
        enum exit_reason reason = m->translates ? translator_run(v) : interp_run(v);
        if (reason == EXIT_STEP) reason = interp_step(v);
        switch (reason) {
        case EXIT_HALT: return true;
        case EXIT_BUDGET: return false;
        case EXIT_SHUTDOWN: return false;
        default: v->pending = 0; break;
        }
    }
}

static bool has_error_code(u32 vector)
{
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

bool small_machine_run(struct small_machine *m, const u8 *code, unsigned bytes, const struct state *in,
                       struct state *out, u64 instructions)
{
    static const u8 end[] = {0xcd, VECTOR_END};
    struct vcpu *v = &m->rig->vcpu;
    phys_write_bytes(&m->rig->phys, in->eip, code, bytes);
    phys_write_bytes(&m->rig->phys, in->eip + bytes, end, sizeof(end));
    for (unsigned n = 0; n < 8; n++)
        v->gpr[n] = in->gpr[n];
    v->rip = in->eip;
    v->eflags = in->eflags;
    v->halted = false;
    v->inhibit = 0;
    v->pending = 0;
    set_user(v);
    fpu_park(v);
    memcpy(v->fpu, in->fx, FX_BYTES);
    if (v->xcr0 & XCR0_AVX) {
        memcpy(v->fpu + FX_YMM, in->fx + FX_YMM, FX_YMM_END - FX_YMM);
        v->fpu_used = XCR0_AVX;
    }
    vcpu_update_mode(v);
    bool ended = run_to_halt(m, instructions);
    fpu_park(v);
    out->vector = (u32)(v->rip - HANDLERS_AT) / HANDLER_STEP;
    const u32 *frame = (const u32 *)(m->rig->phys.ram + (u32)v->gpr[REG_ESP]);
    out->error = 0;
    if (!ended || v->gpr[REG_ESP] > STACK_TOP) {
        out->vector = ~0u;
        return false;
    }
    if (has_error_code(out->vector)) out->error = *frame++;
    for (unsigned n = 0; n < 8; n++)
        out->gpr[n] = (u32)v->gpr[n];
    out->eip = frame[0];
    out->eflags = frame[2];
    out->gpr[REG_ESP] = frame[3];
    if (out->vector == VECTOR_END) out->eip -= sizeof(end);
    memcpy(out->fx, v->fpu, FX_BYTES);
    memset(out->fx + FX_BYTES, 0, FX_YMM_END - FX_BYTES);
    if (v->xcr0 & XCR0_AVX) memcpy(out->fx + FX_YMM, v->fpu + FX_YMM, FX_YMM_END - FX_YMM);
    return true;
}
