/*
 * A vCPU in a small memory with a GDT, IDT, LDT and two tasks made by hand, for the tests of the CPU's system
 * side.
 */
#ifndef RINGER_TESTS_CPU_FIXTURE_H
#define RINGER_TESTS_CPU_FIXTURE_H

#include "check.h"
#include "cpu/cpuid.h"
#include "cpu/rig.h"
#include "cpu/system.h"

#include <stdlib.h>
#include <string.h>

/* Physical (and linear) addresses. */
enum {
    AT_GDT = 0x1000,
    AT_IDT = 0x2000,
    AT_LDT = 0x3000,
    AT_TSS = 0x4000,
    AT_TASK2 = 0x5000,
    AT_TASK16 = 0x6000,
    AT_STACK0 = 0x9000,
    AT_STACK3 = 0xb000,
    AT_TASK2_STACK = 0xd000,
    AT_HANDLER = 0x8000,
    AT_PAGE_DIRECTORY = 0x10000,
    AT_PAGE_TABLE = 0x11000,
};

/* Selectors; RPL 0 unless the name says otherwise. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x1b,
    DATA3 = 0x23,
    TSS = 0x28,
    LDT = 0x30,
    CONFORMING = 0x38,
    DATA_ABSENT = 0x40,
    CODE_ABSENT = 0x48,
    READ_ONLY = 0x50,
    EXECUTE_ONLY = 0x58,
    CALL_GATE = 0x60,
    TASK2 = 0x68,
    TASK_GATE_SEL = 0x70,
    CODE16 = 0x78,
    STACK16 = 0x80,
    CALL_GATE16 = 0x88,
    TASK16 = 0x90,
    CODE_SMALL = 0x98,
    DATA1 = 0xa1,
    BUSY_TSS = 0xa8,
    GATE_ABSENT = 0xb0,
    GATE_TO_DATA = 0xb8,
    TINY_TSS = 0xc0,
    DATA_DOWN = 0xc8,
    BEYOND = 0x200,
    IN_LDT = 0x0c,
    BEYOND_LDT = 0x2c,
};

struct cpu_fixture {
    struct rig *rig;
    struct vcpu *v; /* the rig's */
    u64 tsc;
    u32 last_port, last_value;
};

static u32 fixture_port_read(void *machine, u16 port, unsigned size)
{
    ((struct cpu_fixture *)machine)->last_port = port;
    return 0xa5a5a5a5;
}
static void fixture_port_write(void *machine, u16 port, unsigned size, u32 value)
{
    ((struct cpu_fixture *)machine)->last_port = port;
    ((struct cpu_fixture *)machine)->last_value = value;
}
static u64 fixture_tsc(void *machine)
{
    return ((struct cpu_fixture *)machine)->tsc;
}

static inline void poke(struct cpu_fixture *f, u64 gpa, unsigned size, u64 value)
{
    phys_write(&f->rig->phys, gpa, size, value);
}
static inline u64 peek(struct cpu_fixture *f, u64 gpa, unsigned size)
{
    return phys_read(&f->rig->phys, gpa, size);
}

static inline void put_descriptor(struct cpu_fixture *f, u32 table, u16 selector, u32 base, u32 limit,
                                  u32 access)
{
    rig_put_descriptor(f->rig, table, selector, base, limit, access);
}
static inline void put_gate(struct cpu_fixture *f, u32 at, u16 selector, u32 offset, u32 access,
                            unsigned parameters)
{
    poke(f, at, 4, (u32)selector << 16 | (offset & 0xffff));
    poke(f, at + 4, 4, (offset & 0xffff0000) | access << 8 | parameters);
}
static inline void put_vector(struct cpu_fixture *f, u8 vector, u16 selector, u32 offset, u32 access)
{
    put_gate(f, AT_IDT + vector * 8, selector, offset, access, 0);
}

#define FLAT (AR_G | AR_DB)

static inline void fixture_tables(struct cpu_fixture *f)
{
    put_descriptor(f, AT_GDT, CODE0, 0, 0xfffff, FLAT | 0x9b);
    put_descriptor(f, AT_GDT, DATA0, 0, 0xfffff, FLAT | 0x93);
    put_descriptor(f, AT_GDT, CODE3, 0, 0xfffff, FLAT | 0xfb);
    put_descriptor(f, AT_GDT, DATA3, 0, 0xfffff, FLAT | 0xf3);
    put_descriptor(f, AT_GDT, TSS, AT_TSS, 0x2067, 0x8b);
    put_descriptor(f, AT_GDT, LDT, AT_LDT, 0x1f, 0x82);
    put_descriptor(f, AT_GDT, CONFORMING, 0, 0xfffff, FLAT | 0x9f);
    put_descriptor(f, AT_GDT, DATA_ABSENT, 0, 0xfffff, FLAT | 0x13);
    put_descriptor(f, AT_GDT, CODE_ABSENT, 0, 0xfffff, FLAT | 0x1b);
    put_descriptor(f, AT_GDT, READ_ONLY, 0, 0xfffff, FLAT | 0x90);
    put_descriptor(f, AT_GDT, EXECUTE_ONLY, 0, 0xfffff, FLAT | 0x99);
    put_gate(f, AT_GDT + CALL_GATE, CODE0, AT_HANDLER, 0xec, 2);
    put_descriptor(f, AT_GDT, TASK2, AT_TASK2, 0x67, 0x89);
    put_gate(f, AT_GDT + TASK_GATE_SEL, TASK2, 0, 0xe5, 0);
    put_descriptor(f, AT_GDT, CODE16, 0, 0xffff, 0x9b);
    put_descriptor(f, AT_GDT, STACK16, 0, 0xffff, 0x93);
    put_gate(f, AT_GDT + CALL_GATE16, CODE0, AT_HANDLER, 0xe4, 1);
    put_descriptor(f, AT_GDT, TASK16, AT_TASK16, 0x2b, 0x81);
    put_descriptor(f, AT_GDT, CODE_SMALL, 0, 0xfff, AR_DB | 0x9b);
    put_descriptor(f, AT_GDT, DATA1, 0, 0xfffff, FLAT | 0xb3);
    put_descriptor(f, AT_GDT, BUSY_TSS, AT_TASK2, 0x67, 0x8b);
    put_gate(f, AT_GDT + GATE_ABSENT, CODE0, AT_HANDLER, 0x6c, 0);
    put_gate(f, AT_GDT + GATE_TO_DATA, DATA0, AT_HANDLER, 0xec, 0);
    put_descriptor(f, AT_GDT, TINY_TSS, AT_TASK2, 0x66, 0x89);
    put_descriptor(f, AT_GDT, DATA_DOWN, 0, 0xfff, AR_DB | 0x97);
    put_descriptor(f, AT_LDT, IN_LDT, 0x100000, 0xfffff, FLAT | 0x92);

    poke(f, AT_TSS + 4, 4, AT_STACK0);
    poke(f, AT_TSS + 8, 4, DATA0);
    poke(f, AT_TSS + 102, 2, 0x68);
}

/* Protected mode, paging off, flat segments, in ring 0 or 3, interrupts on, IOPL 0. */
static inline void fixture_protected(struct cpu_fixture *f, unsigned cpl)
{
    struct vcpu *v = f->v;
    vcpu_reset(v);
    for (u32 at = 0x1000; at < 0x20000; at += 8)
        poke(f, at, 8, 0);
    fixture_tables(f);
    v->gdtr = (struct desc_table){AT_GDT, 0xff};
    v->idtr = (struct desc_table){AT_IDT, 0x7ff};
    v->paging.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP;
    u32 dpl = cpl << AR_DPL_SHIFT;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = (struct segment){0, 0xffffffff, FLAT | 0x93 | dpl, cpl ? DATA3 : DATA0, 0, 0};
    v->seg[SEG_CS] = (struct segment){0, 0xffffffff, FLAT | 0x9b | dpl, cpl ? CODE3 : CODE0, 0, 0};
    v->tr = (struct segment){AT_TSS, 0x2067, 0x8b, TSS, 0, 0};
    v->ldtr = (struct segment){AT_LDT, 0x1f, 0x82, LDT, 0, 0};
    v->cpl = cpl;
    v->eflags = FL_ONE | FL_IF;
    v->rip = 0x7000;
    v->gpr[REG_ESP] = cpl ? AT_STACK3 : AT_STACK0;
    shadow_load_root(v->shadow, &v->paging);
    vcpu_update_mode(v);
}

/* Two-level paging, the first 4 MB mapped to themselves for everyone; AT_PAGE_TABLE holds the entries. */
static inline void fixture_paging(struct cpu_fixture *f)
{
    poke(f, AT_PAGE_DIRECTORY, 4, AT_PAGE_TABLE | 7);
    for (unsigned i = 0; i < 1024; i++)
        poke(f, AT_PAGE_TABLE + 4 * i, 4, i << 12 | 7);
    f->v->paging.cr3 = AT_PAGE_DIRECTORY;
    f->v->paging.cr0 |= CR0_PG;
    shadow_load_root(f->v->shadow, &f->v->paging);
    vcpu_update_mode(f->v);
}
static inline void fixture_unmap(struct cpu_fixture *f, u32 linear)
{
    poke(f, AT_PAGE_TABLE + (linear >> 12) * 4, 4, 0);
    shadow_flush(f->v->shadow);
}

static inline void fixture_init(struct cpu_fixture *f)
{
    *f = (struct cpu_fixture){.rig = rig_open(4 << 20)};
    if (!f->rig) exit(3);
    f->v = &f->rig->vcpu;
    f->rig->host = (struct vcpu_host){
        .port_read = fixture_port_read, .port_write = fixture_port_write, .tsc = fixture_tsc, .machine = f};
    vcpu_reset(f->v);
}
static inline void fixture_destroy(struct cpu_fixture *f)
{
    rig_close(f->rig);
}

/* The operation under test. */
struct operation {
    enum {
        LOAD,
        JUMP,
        CALL,
        RETURN,
        IRET,
        INTERRUPT,
        INT_N,
        SWITCH,
        LLDT,
        LTR,
        IO,
        WRITE_CR,
        WRITE_MSR,
        READ_MSR,
        WRITE_DR,
        ENTER,
        EXIT
    } what;
    unsigned a, b, c;
    u64 value;
};

static inline void operate(struct vcpu *v, const struct operation *o)
{
    switch (o->what) {
    case LOAD: segment_load(v, o->a, o->b); break;
    case JUMP: far_jump(v, o->a, o->b, o->c); break;
    case CALL: far_call(v, o->a, o->b, o->c); break;
    case RETURN: far_return(v, o->a, o->b); break;
    case IRET: interrupt_return(v, o->a); break;
    case INTERRUPT: interrupt_deliver(v, o->a, o->b, o->c, o->value); break;
    case INT_N: interrupt_software(v, o->a, 2); break;
    case SWITCH: task_switch(v, o->a, o->b, false, 0); break;
    case LLDT: segment_load_ldtr(v, o->a); break;
    case LTR: segment_load_tr(v, o->a); break;
    case IO: io_check(v, o->a, o->b); break;
    case WRITE_CR: control_write(v, o->a, o->value); break;
    case WRITE_MSR: msr_write(v, o->a, o->value); break;
    case READ_MSR: v->gpr[REG_EAX] = msr_read(v, o->a); break;
    case WRITE_DR: debug_write(v, o->a, o->value); break;
    case ENTER: sysenter(v); break;
    case EXIT: sysexit(v, 4); break;
    }
}

enum { DONE = -1 };
/* Returns the vector raised, or DONE. A fault must have changed no register, unless the new task raised it. */
static __attribute__((noinline, unused)) int attempt_operation(struct vcpu *v, const struct operation *o)
{
    static struct vcpu before;
    const struct vcpu *old = &before;
    before = *v;
    if (FAULT_CATCH(v)) {
        if (!v->in_new_task) {
            CHECK(!memcmp(old->gpr, v->gpr, sizeof v->gpr));
            CHECK(!memcmp(old->seg, v->seg, sizeof v->seg));
            CHECK(!memcmp(&old->ldtr, &v->ldtr, sizeof v->ldtr) && !memcmp(&old->tr, &v->tr, sizeof v->tr));
            CHECK(old->rip == v->rip && old->eflags == v->eflags && old->cpl == v->cpl &&
                  old->mode == v->mode);
            CHECK(!memcmp(&old->paging, &v->paging, sizeof v->paging));
        }
        return v->fault.vector;
    }
    operate(v, o);
    return DONE;
}

/* Operands that an operation does not have are left out. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define EXPECT(f, vector, ...) CHECK_EQ(attempt_operation((f)->v, &(struct operation){__VA_ARGS__}), vector)
#define EXPECT_ERROR(f, vector, code, ...)                                                                   \
    do {                                                                                                     \
        EXPECT(f, vector, __VA_ARGS__);                                                                      \
        CHECK_EQ((f)->v->fault.error, code);                                                                 \
    } while (0)

#endif
