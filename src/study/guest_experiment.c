#include "guest_experiment.h"

#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/insn.h"
#include "cpu/isa.h"
#include "cpu/rig.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (4u << 20)

/* Physical (and linear) addresses. Real and virtual-8086 code has the low ones. */
enum {
    CODE_LOW = 0x7000,
    MEMORY_LOW = 0xa000,
    STACK_LOW = 0xf000,
    HANDLER = 0x8000,
    STACK_OF_CPL0 = 0x9000,
    TABLES = 0x10000, /* and these the tables: GDT, IDT, LDT, TSS, a page each */
    TABLES_ELSEWHERE = 0x20000,
    MEMORY_32 = 0x300000,
    STACK_32 = 0x302000,
    END_OF_USE = 0x303000,
};
enum { GDT, IDT = 0x1000, LDT = 0x2000, TSS = 0x3000, SECOND_TSS = 0x6000 };

/* Selectors. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x1b,
    DATA3 = 0x23,
    TASK = 0x28,
    LOCAL = 0x30,
    SECOND_TASK = 0x68,
    TASK_ELSEWHERE = 0x38,
    LOCAL_ELSEWHERE = 0x40,
};
#define FLAT           (AR_G | AR_DB)
#define FLAT64         (AR_G | AR_L)
#define VECTOR_INT_N   0x20
#define GDT_LIMIT      0xff
#define OTHER_MODEL    "pentium3"
#define OTHER_MODEL_64 "qemu64"

struct guest_experiment {
    struct rig *rig;
    struct vcpu *v; /* the rig's */
    u64 tsc;
    bool port_used;
};

/* --- the CPU's requests to the machine --- */

static u32 port_read(void *machine, u16 port, unsigned size)
{
    ((struct guest_experiment *)machine)->port_used = true;
    return 0xa5a5a5a5;
}
static void port_write(void *machine, u16 port, unsigned size, u32 value)
{
    ((struct guest_experiment *)machine)->port_used = true;
}
static u64 tsc(void *machine)
{
    return ((struct guest_experiment *)machine)->tsc;
}

struct guest_experiment *guest_experiment_open(void)
{
    struct guest_experiment *g = calloc(1, sizeof(*g));
    if (!g) return NULL;
    g->rig = rig_open(RAM_BYTES);
    if (!g->rig) {
        free(g);
        return NULL;
    }
    g->v = &g->rig->vcpu;
    g->rig->host =
        (struct vcpu_host){.port_read = port_read, .port_write = port_write, .tsc = tsc, .machine = g};
    return g;
}

void guest_experiment_close(struct guest_experiment *g)
{
    if (!g) return;
    rig_close(g->rig);
    free(g);
}

/* --- the tables --- */

static void put(struct guest_experiment *g, u32 at, unsigned bytes, u64 value)
{
    memcpy(g->rig->phys.ram + at, &value, bytes);
}

static void put_gate(struct guest_experiment *g, u32 table, u8 vector, const struct guest_setting *s)
{
    u32 at = table + vector * (s->code64 ? 16u : 8u);
    put(g, at, 4, (u32)CODE0 << 16 | HANDLER);
    put(g, at + 4, 4, (u32)(0x8e | s->gate_dpl << AR_DPL_SHIFT) << 8);
}

static u32 tables_of(const struct guest_setting *s)
{
    return s->elsewhere ? TABLES_ELSEWHERE : TABLES;
}

static void put_tables(struct guest_experiment *g, const struct guest_setting *s)
{
    static const u8 vectors[] = {VEC_DB, VEC_BP, VEC_OF, VECTOR_INT_N};
    u32 at = tables_of(s), gdt = at + GDT;
    u16 task = s->elsewhere ? TASK_ELSEWHERE : TASK, local = s->elsewhere ? LOCAL_ELSEWHERE : LOCAL;
    u32 code = s->code64 ? FLAT64 : FLAT;
    rig_put_descriptor(g->rig, gdt, CODE0, 0, 0xfffff, code | 0x9b);
    /* Elsewhere the same selector names a lesser descriptor, which LAR, LSL, VERR and VERW show. */
    if (s->elsewhere)
        rig_put_descriptor(g->rig, gdt, DATA0, 0, 0x7ffff, FLAT | 0x19);
    else
        rig_put_descriptor(g->rig, gdt, DATA0, 0, 0xfffff, FLAT | 0x93);
    rig_put_descriptor(g->rig, gdt, CODE3, 0, 0xfffff, code | 0xfb);
    rig_put_descriptor(g->rig, gdt, DATA3, 0, 0xfffff, FLAT | 0xf3);
    if (!s->code64) { /* there these have 16 bytes each, and no instruction reads them */
        rig_put_descriptor(g->rig, gdt, task, at + TSS, 0x2067, 0x8b);
        rig_put_descriptor(g->rig, gdt, local, at + LDT, 0x1f, 0x82);
    }
    rig_put_descriptor(g->rig, gdt, SECOND_TASK, at + SECOND_TSS, 0x67, 0x89);
    put(g, at + TSS + 4, 4, STACK_OF_CPL0);
    if (!s->code64) put(g, at + TSS + 8, 4, DATA0);
    put(g, at + TSS + 102, 2, 0x68);
    for (unsigned n = 0; n < sizeof(vectors); n++)
        put_gate(g, at + IDT, vectors[n], s);
}

static void set_segments(struct vcpu *v, const struct guest_setting *s)
{
    u32 dpl = (u32)s->cpl << AR_DPL_SHIFT;
    if (!s->protected || s->vm86) {
        for (enum seg seg = 0; seg < SEG_COUNT; seg++)
            v->seg[seg] = (struct segment){0, 0xffff, s->vm86 ? 0xf3 : 0x93, 0, 0, 0};
        return;
    }
    for (enum seg seg = 0; seg < SEG_COUNT; seg++)
        v->seg[seg] = (struct segment){0, 0xffffffff, FLAT | 0x93 | dpl, s->cpl ? DATA3 : DATA0, 0, 0};
    v->seg[SEG_CS] = (struct segment){
        0, 0xffffffff, (s->code64 ? FLAT64 : FLAT) | 0x9b | dpl, s->cpl ? CODE3 : CODE0, 0, 0};
}

/* 64-bit mode without paging: no hardware has that, and no form depends on it. */
static void enter_long_mode(struct vcpu *v, const struct guest_setting *s)
{
    v->model = cpu_model_find(s->elsewhere ? OTHER_MODEL_64 : "max64");
    v->paging.efer = EFER_LMA | EFER_LME | EFER_SCE;
    v->paging.cr4 |= CR4_PAE | CR4_FSGSBASE;
    v->base64.tr = v->tr.base;
    v->base64.ldtr = v->ldtr.base;
    v->base64.fs = v->base64.gs = 0x12345678;
    v->kernel_gs_base = s->elsewhere ? 0x2000 : 0x1000;
    v->star = (u64)CODE0 << 32 | (u64)(CODE3 - 16) << 48; /* SDM 2B SYSCALL, SYSRET */
    v->lstar = HANDLER;
    v->fmask = FL_IF;
}

static void set_up(struct guest_experiment *g, const struct guest_setting *s)
{
    struct vcpu *v = g->v;
    u32 at = tables_of(s);
    g->tsc = 0; /* a reset makes the TSC 0 */
    vcpu_reset(v);
    memset(g->rig->phys.ram, 0, END_OF_USE);
    put_tables(g, s);
    v->model = cpu_model_find(s->elsewhere ? OTHER_MODEL : "max");
    g->tsc = s->elsewhere ? 0x7654321 : 0x1234567;
    g->port_used = false;
    v->gdtr = (struct desc_table){at + GDT, GDT_LIMIT};
    v->idtr = (struct desc_table){s->protected ? at + IDT : 0, s->protected ? 0x7ff : 0x3ff};
    v->paging.cr0 = (s->protected ? CR0_PE : 0) | CR0_ET | CR0_NE | CR0_WP | CR0_TS;
    v->paging.cr4 |= CR4_OSXSAVE;
    if (s->other_mode) v->paging.cr0 ^= CR0_MP | CR0_NE;
    if (s->other_mode) v->xcr0 |= XCR0_SSE;
    if (s->tsd) v->paging.cr4 |= CR4_TSD;
    if (s->pce) v->paging.cr4 |= CR4_PCE;
    if (s->umip) v->paging.cr4 |= CR4_UMIP;
    v->cpuid_faults = s->cpuid_faults;
    set_segments(v, s);
    v->tr = (struct segment){
        at + TSS, s->port_allowed ? 0x2067 : 0x67, 0x8b, s->elsewhere ? TASK_ELSEWHERE : TASK, 0, 0};
    v->ldtr = (struct segment){at + LDT, 0x1f, 0x82, s->elsewhere ? LOCAL_ELSEWHERE : LOCAL, 0, 0};
    v->cpl = s->cpl;
    v->eflags = FL_ONE | FL_IF | (u32)s->iopl << FL_IOPL_SHIFT | (s->vm86 ? FL_VM : 0);
    v->sysenter_cs = s->elsewhere ? CODE0 | 4 : CODE0;
    v->sysenter_eip = HANDLER;
    v->sysenter_esp = STACK_OF_CPL0;
    if (s->elsewhere) v->dr[0] = 0x5555;
    if (s->code64) enter_long_mode(v, s);
    shadow_load_root(v->shadow, &v->paging);
    vcpu_update_mode(v);
}

/* --- one run --- */

static __attribute__((noinline)) u8 execute(struct vcpu *v, const struct insn *i)
{
    if (FAULT_CATCH(v)) return v->fault.vector;
    v->insn_start = v->rip;
    v->rip += i->length;
    i->row->execute(v, i);
    return ISA_NO_TRAP;
}

static u32 control_changed(const struct guest_experiment *g, const struct vcpu *before)
{
    const struct vcpu *v = g->v;
    const u32 system = FL_IOPL | FL_NT | FL_VM | FL_RF | FL_AC | FL_VIF | FL_VIP | FL_ID;
    u32 parts = 0, flags = v->eflags ^ before->eflags;
    if (flags & FL_IF) parts |= CONTROL_IF;
    if (flags & system) parts |= CONTROL_FLAGS;
    if (v->inhibit != before->inhibit) parts |= CONTROL_INHIBIT;
    if (v->cpl != before->cpl) parts |= CONTROL_CPL;
    if (v->seg[SEG_CS].selector != before->seg[SEG_CS].selector || (u32)v->rip == HANDLER)
        parts |= CONTROL_CODE;
    if (memcmp(&v->paging, &before->paging, sizeof(v->paging)) != 0 || v->cr2 != before->cr2 ||
        v->xcr0 != before->xcr0)
        parts |= CONTROL_CR;
    if (memcmp(v->dr, before->dr, sizeof(v->dr)) != 0) parts |= CONTROL_DR;
    if (memcmp(&v->gdtr, &before->gdtr, sizeof(v->gdtr)) != 0 ||
        memcmp(&v->idtr, &before->idtr, sizeof(v->idtr)) != 0 || v->tr.selector != before->tr.selector ||
        v->ldtr.selector != before->ldtr.selector)
        parts |= CONTROL_TABLES;
    if (v->sysenter_cs != before->sysenter_cs || v->kernel_gs_base != before->kernel_gs_base)
        parts |= CONTROL_MSR;
    if (g->port_used) parts |= CONTROL_PORT;
    if (v->halted) parts |= CONTROL_HALT;
    return parts;
}

struct outcome guest_experiment_run(struct guest_experiment *g, const struct form_example *e,
                                    const struct guest_setting *s)
{
    static struct vcpu before;
    struct vcpu *v = g->v;
    enum code_size size = s->code64 ? CODE_64 : s->protected && !s->vm86 ? CODE_32 : CODE_16;
    bool low = size == CODE_16;
    u32 memory = low ? MEMORY_LOW : MEMORY_32, stack = low ? STACK_LOW : STACK_32;
    u8 bytes[INSN_MAX_BYTES], memory_before[8];
    struct insn i;
    set_up(g, s);
    form_decode(e, size, &i, bytes);
    struct form_context c = {
        .cs = s->kernel_selectors ? CODE0 : v->seg[SEG_CS].selector,
        .ss = s->kernel_selectors ? DATA0 : v->seg[SEG_SS].selector,
        .next = CODE_LOW,
        .flags = v->eflags ^ FL_IF,
        .stack_pointer = stack,
        .bytes = i.operand_bytes < 2 ? 2 : i.operand_bytes,
        .memory = g->rig->phys.ram + memory,
        .stack = g->rig->phys.ram + stack,
    };
    form_put_words(e, &c);
    v->rip = CODE_LOW;
    v->gpr[REG_EAX] = form_value(&c, e->eax);
    v->gpr[REG_ECX] = e->ecx;
    v->gpr[REG_EDX] = v->gpr[REG_EBX] = 0;
    v->gpr[REG_ESI] = v->gpr[REG_EDI] = memory;
    v->gpr[REG_ESP] = stack;
    if (e->traits & FORM_OVERFLOW) v->eflags |= FL_OF;
    if (e->traits & FORM_IF_CLEAR && !s->cpl) v->eflags &= ~(u32)FL_IF;
    before = *v;
    memcpy(memory_before, c.memory, sizeof(memory_before));

    u8 vector = execute(v, &i);
    fpu_park(v);
    struct outcome o = {.trapped = vector != ISA_NO_TRAP, .vector = vector};
    o.eax = (u32)v->gpr[REG_EAX];
    o.ecx = (u32)v->gpr[REG_ECX];
    o.edx = (u32)v->gpr[REG_EDX];
    o.ebx = (u32)v->gpr[REG_EBX];
    memcpy(o.memory, c.memory, sizeof(o.memory));
    outcome_keep_written(&o, (u32)before.gpr[REG_EAX], (u32)before.gpr[REG_ECX], memory_before);
    if (v->gpr[REG_ESP] < stack && stack - v->gpr[REG_ESP] <= 8)
        memcpy(&o.pushed, g->rig->phys.ram + v->gpr[REG_ESP] + (e->traits & FORM_RETURN ? c.bytes : 0),
               c.bytes < sizeof(o.pushed) ? c.bytes : sizeof(o.pushed));
    o.if_changed = (v->eflags ^ before.eflags) & FL_IF;
    o.zero = v->eflags & FL_ZF;
    o.carry = v->eflags & FL_CF;
    if (!o.trapped) o.control = control_changed(g, &before);
    o.entered = !o.trapped && before.cpl == 3 && v->cpl == 0;
    return o;
}
