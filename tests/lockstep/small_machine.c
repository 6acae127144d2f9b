#include "small_machine.h"

#include "cpu/cpuid.h"
#include "cpu/interp.h"

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
    struct vcpu vcpu;
    struct phys phys;
    struct shadow shadow;
    struct counters counters;
    struct vcpu_host host;
    bool translates;
};

/* --- callbacks of phys and the vCPU; the FPU may be live in the first three --- */

#define GENERAL_REGS __attribute__((target("general-regs-only")))

GENERAL_REGS static void guarded_written(void *owner, u64 gpa, u64 bytes)
{
    struct small_machine *m = owner;
    u8 *flags = phys_flags(&m->phys, gpa);
    if (*flags & PHYS_TRACED) shadow_table_written(&m->shadow, gpa, bytes);
    if (!(*flags & PHYS_CODE)) return;
    bool left = interp_code_written(&m->vcpu, gpa, bytes);
    if (m->vcpu.engine && translator_code_written(&m->vcpu, gpa, bytes)) left = true;
    if (!left) *flags &= (u8)~PHYS_CODE;
}

GENERAL_REGS static void protect(void *owner, u64 gpa_page)
{
    struct small_machine *m = owner;
    shadow_drop_writes(&m->shadow, gpa_page);
}

GENERAL_REGS static void before_device(void *owner)
{
    struct small_machine *m = owner;
    fpu_park(&m->vcpu);
}

static u32 port_read(void *machine, u16 port, unsigned size)
{
    return ~0u;
}
static void port_write(void *machine, u16 port, unsigned size, u32 value) {}
static int acknowledge(void *machine)
{
    return -1;
}
static u64 tsc(void *machine)
{
    return 0;
}
static void ferr(void *machine, bool level) {}

/* --- making one --- */

static void put(struct small_machine *m, u32 at, const void *bytes, unsigned count)
{
    memcpy(m->phys.ram + at, bytes, count);
}

static void put_descriptor(struct small_machine *m, u16 selector, u32 base, u32 limit, u32 access)
{
    u64 d = (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(access & 0xff) << 40 |
            (u64)(limit >> 16 & 15) << 48 | (u64)(access >> 12 & 15) << 52 | (u64)(base >> 24) << 56;
    put(m, GDT_AT + (selector & ~7u), &d, sizeof(d));
}

static void put_tables(struct small_machine *m)
{
    put_descriptor(m, KERNEL_CS, 0, 0xfffff, ACCESS_CODE);
    put_descriptor(m, KERNEL_DS, 0, 0xfffff, ACCESS_DATA);
    put_descriptor(m, KERNEL_TR, TSS_AT, 0x67, ACCESS_TSS);
    put_descriptor(m, USER_CS, 0, 0xfffff, ACCESS_CODE | DPL_3);
    put_descriptor(m, USER_DS, 0, 0xfffff, ACCESS_DATA | DPL_3);
    for (unsigned vector = 0; vector < 256; vector++) {
        u32 offset = HANDLERS_AT + vector * HANDLER_STEP;
        u32 access = vector == VECTOR_END ? 0xee : 0x8e;
        u64 gate = (offset & 0xffff) | (u64)KERNEL_CS << 16 | (u64)access << 40 | (u64)(offset >> 16) << 48;
        put(m, IDT_AT + 8 * vector, &gate, sizeof(gate));
        m->phys.ram[offset] = 0xf4; /* HLT */
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
    struct small_machine *m = aligned_alloc(64, align_up(sizeof(*m), 64));
    if (!m) return NULL;
    memset(m, 0, sizeof(*m));
    if (phys_init(&m->phys, RAM_BYTES) || shadow_init(&m->shadow, &m->phys, &m->counters)) {
        free(m);
        return NULL;
    }
    m->phys.a20_mask = ~0ull;
    m->phys.guarded_written = guarded_written;
    m->phys.protect = protect;
    m->phys.before_device = before_device;
    m->phys.owner = m;
    m->host = (struct vcpu_host){.port_read = port_read,
                                 .port_write = port_write,
                                 .interrupt_acknowledge = acknowledge,
                                 .tsc = tsc,
                                 .ferr = ferr,
                                 .machine = m};
    struct vcpu *v = &m->vcpu;
    v->host = &m->host;
    v->phys = &m->phys;
    v->shadow = &m->shadow;
    v->model = cpu_model_find("max");
    v->counters = &m->counters;
    v->paging.maxphyaddr = v->model->maxphyaddr;
    if (interp_init(v) || (config && translator_init(v, config))) {
        fprintf(stderr, "cannot make the engines\n");
        shadow_destroy(&m->shadow);
        phys_destroy(&m->phys);
        free(m);
        return NULL;
    }
    m->translates = config;
    vcpu_reset(v);
    v->pending = 0;
    put_tables(m);
    set_system(v);
    set_user(v);
    vcpu_update_mode(v);
    return m;
}

void small_machine_destroy(struct small_machine *m)
{
    if (m->translates) translator_destroy(&m->vcpu);
    interp_destroy(&m->vcpu);
    shadow_destroy(&m->shadow);
    phys_destroy(&m->phys);
    free(m);
}

u8 *small_machine_scratch(struct small_machine *m)
{
    return m->phys.ram + SCRATCH_AT;
}
struct vcpu *small_machine_vcpu(struct small_machine *m)
{
    return &m->vcpu;
}

/* --- running --- */

static bool run_to_halt(struct small_machine *m, u64 instructions)
{
    struct vcpu *v = &m->vcpu;
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
    struct vcpu *v = &m->vcpu;
    phys_write_bytes(&m->phys, in->eip, code, bytes);
    phys_write_bytes(&m->phys, in->eip + bytes, end, sizeof(end));
    for (unsigned n = 0; n < 8; n++)
        v->gpr[n] = in->gpr[n];
    v->rip = in->eip;
    v->eflags = in->eflags;
    v->halted = false;
    v->inhibit = 0;
    v->pending = 0;
    set_user(v);
    fpu_park(v);
    memcpy(v->fpu, in->fx, 512);
    vcpu_update_mode(v);
    bool ended = run_to_halt(m, instructions);
    fpu_park(v);
    out->vector = (u32)(v->rip - HANDLERS_AT) / HANDLER_STEP;
    const u32 *frame = (const u32 *)(m->phys.ram + (u32)v->gpr[REG_ESP]);
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
    memcpy(out->fx, v->fpu, 512);
    return true;
}
