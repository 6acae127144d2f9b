/*
 * Delivery through the IVT and the IDT, virtual-8086 mode, double and triple faults, breakpoints (SDM 3A chapters 6
 * and 20, SDM 3B 17). Hazard: wrong error codes and frames, which show only when a guest crashes.
 */
#include "cpu_fixture.h"

static struct cpu_fixture fixture;

enum { INTERRUPT_GATE = 0x8e, TRAP_GATE = 0x8f, DPL3 = 0x60, GATE16 = 0x86 };

static void check_stack(struct cpu_fixture *f, u32 at, const u32 *image, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(peek(f, at + 4 * i, 4), image[i]);
}

static void test_gate_checks(void)
{
    struct cpu_fixture *f = &fixture;
    static const struct {
        u16 selector;
        u8 access;
        u32 offset;
        unsigned source;
        int vector;
        unsigned error;
    } rows[] = {
        {CODE0, INTERRUPT_GATE, AT_HANDLER, SOURCE_EXTERNAL, DONE, 0},
        {CODE0, INTERRUPT_GATE, AT_HANDLER, SOURCE_SOFTWARE, VEC_GP, 0x40 * 8 + 2},
        {CODE0, INTERRUPT_GATE | DPL3, AT_HANDLER, SOURCE_SOFTWARE, DONE, 0},
        {CODE0, 0x0e, AT_HANDLER, SOURCE_EXTERNAL, VEC_NP, 0x40 * 8 + 3},
        {CODE0, 0x6e, AT_HANDLER, SOURCE_SOFTWARE, VEC_NP, 0x40 * 8 + 2},
        {CODE0, 0x8c, AT_HANDLER, SOURCE_EXCEPTION, VEC_GP,
         0x40 * 8 + 3}, /* the IDT must not have a call gate */
        {0, INTERRUPT_GATE, AT_HANDLER, SOURCE_EXCEPTION, VEC_GP, 1},
        {BEYOND, INTERRUPT_GATE, AT_HANDLER, SOURCE_EXCEPTION, VEC_GP, BEYOND | 1},
        {DATA0, INTERRUPT_GATE, AT_HANDLER, SOURCE_EXCEPTION, VEC_GP, DATA0 | 1},
        {CODE_ABSENT, INTERRUPT_GATE, AT_HANDLER, SOURCE_EXCEPTION, VEC_NP, CODE_ABSENT | 1},
        {CODE_SMALL, INTERRUPT_GATE, 0x1000, SOURCE_EXCEPTION, VEC_GP, 1},
        {CODE_SMALL, INTERRUPT_GATE | DPL3, 0x1000, SOURCE_SOFTWARE, VEC_GP, 0},
        {CONFORMING, INTERRUPT_GATE, AT_HANDLER, SOURCE_EXTERNAL, DONE, 0},
        {TASK2, 0x85, 0, SOURCE_EXTERNAL, VEC_TS, 1}, /* the new task's CS is null */
        {BUSY_TSS, 0x85, 0, SOURCE_EXTERNAL, VEC_GP, BUSY_TSS | 1},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, 3);
        put_vector(f, 0x40, rows[i].selector, rows[i].offset, rows[i].access);
        EXPECT(f, rows[i].vector, INTERRUPT, 0x40, rows[i].source, false, 0);
        f->v->in_new_task = false;
        if (rows[i].vector != DONE) CHECK_EQ(f->v->fault.error, rows[i].error);
    }
    fixture_protected(f, 0);
    f->v->idtr.limit = 0x40 * 8 + 6;
    EXPECT_ERROR(f, VEC_GP, 0x40 * 8 + 3, INTERRUPT, 0x40, SOURCE_EXTERNAL);
}

static void test_frames(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 3);
    put_vector(f, 13, CODE0, AT_HANDLER, INTERRUPT_GATE);
    v->eflags |= FL_TF | FL_NT | FL_AC;
    EXPECT(f, DONE, INTERRUPT, 13, SOURCE_EXCEPTION, true, 0x1234);
    check_stack(f, AT_STACK0 - 24,
                (u32[]){0x1234, 0x7000, CODE3, FL_ONE | FL_IF | FL_TF | FL_NT | FL_AC, AT_STACK3, DATA3}, 6);
    CHECK_EQ(v->gpr[REG_ESP], AT_STACK0 - 24);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->eflags, FL_ONE | FL_AC);
    CHECK(v->read_table == v->shadow->table[SHADOW_SUPERVISOR].read);
    v->gpr[REG_ESP] += 4;
    EXPECT(f, DONE, IRET, 4);
    CHECK_EQ(v->cpl, 3);
    CHECK_EQ(v->gpr[REG_ESP], AT_STACK3);

    fixture_protected(f, 0); /* same ring: a trap gate leaves IF */
    put_vector(f, 3, CODE0, AT_HANDLER, TRAP_GATE);
    EXPECT(f, DONE, INTERRUPT, 3, SOURCE_SOFTWARE);
    check_stack(f, AT_STACK0 - 12, (u32[]){0x7000, CODE0, FL_ONE | FL_IF}, 3);
    CHECK(v->eflags & FL_IF);

    fixture_protected(f, 0); /* a 16-bit gate pushes words */
    put_vector(f, 3, CODE0, AT_HANDLER, GATE16);
    EXPECT(f, DONE, INTERRUPT, 3, SOURCE_SOFTWARE);
    CHECK_EQ(v->gpr[REG_ESP], AT_STACK0 - 6);
    CHECK_EQ(peek(f, AT_STACK0 - 6, 2), 0x7000);

    fixture_protected(f, 0); /* a 16-bit stack keeps ESP's high half and wraps */
    put_vector(f, 3, CODE0, AT_HANDLER, TRAP_GATE);
    v->seg[SEG_SS] = (struct segment){0x30000, 0xffff, 0x93, STACK16, 0, 0};
    v->gpr[REG_ESP] = 0xdead0004;
    EXPECT(f, DONE, INTERRUPT, 3, SOURCE_SOFTWARE);
    CHECK_EQ(v->gpr[REG_ESP], 0xdeadfff8);
    CHECK_EQ(peek(f, 0x30000, 4), FL_ONE | FL_IF);
    CHECK_EQ(peek(f, 0x3fff8, 4), 0x7000);
}

static void test_real_mode(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    vcpu_reset(v);
    poke(f, 0x21 * 4, 4, 0x12340056);
    v->eflags = FL_ONE | FL_IF | FL_TF | FL_CF;
    v->gpr[REG_ESP] = 0x8000;
    v->rip = 0x100;
    EXPECT(f, DONE, INT_N, 0x21);
    CHECK_EQ(v->seg[SEG_CS].base, 0x12340);
    CHECK_EQ(v->rip, 0x56);
    CHECK_EQ(v->eflags, FL_ONE | FL_CF);
    CHECK_EQ(peek(f, 0x7ffa, 2), 0x100);
    CHECK_EQ(peek(f, 0x7ffc, 2), 0xf000);
    CHECK_EQ(peek(f, 0x7ffe, 2), FL_ONE | FL_IF | FL_TF | FL_CF);
    EXPECT(f, DONE, IRET, 2);
    CHECK_EQ(v->gpr[REG_ESP], 0x8000);
    CHECK_EQ(v->eflags, FL_ONE | FL_IF | FL_TF | FL_CF);
}

/* Ring 0 of the fixture, with a virtual-8086 frame to IRET to. */
static void enter_vm86(struct cpu_fixture *f, u32 iopl)
{
    static const u32 frame[] = {0x10, 0x2000, 0, 0x100, 0x3000, 0x11, 0x12, 0x13, 0x14};
    fixture_protected(f, 0);
    f->v->gpr[REG_ESP] = AT_STACK0 - sizeof frame;
    for (unsigned i = 0; i < ARRAY_SIZE(frame); i++)
        poke(f, AT_STACK0 - sizeof frame + 4 * i, 4, frame[i]);
    poke(f, AT_STACK0 - sizeof frame + 8, 4, FL_VM | FL_IF | iopl << FL_IOPL_SHIFT | FL_ONE);
    EXPECT(f, DONE, IRET, 4);
}

static void test_vm86(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    enter_vm86(f, 0);
    CHECK_EQ(v->cpl, 3);
    CHECK(v->eflags & FL_VM);
    CHECK_EQ(v->seg[SEG_CS].base, 0x20000);
    CHECK_EQ(v->seg[SEG_SS].base, 0x30000);
    CHECK_EQ(v->gpr[REG_ESP], 0x100);
    CHECK_EQ(v->seg[SEG_GS].selector, 0x14);
    CHECK_EQ(v->seg[SEG_ES].limit, 0xffff);

    put_vector(f, 0x30, CODE0, AT_HANDLER, INTERRUPT_GATE | DPL3);
    EXPECT_ERROR(f, VEC_GP, 0, INT_N, 0x30); /* IOPL < 3 */
    EXPECT_ERROR(f, VEC_GP, 0, IRET, 2);
    EXPECT(f, DONE, INTERRUPT, 0x30, SOURCE_EXTERNAL);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->eflags & FL_VM, 0);
    CHECK_EQ(v->gpr[REG_ESP], AT_STACK0 - 36);
    check_stack(f, AT_STACK0 - 36,
                (u32[]){0x10, 0x2000, FL_VM | FL_IF | FL_ONE, 0x100, 0x3000, 0x11, 0x12, 0x13, 0x14}, 9);
    CHECK(v->seg[SEG_DS].access & AR_UNUSABLE);
    CHECK_EQ(v->seg[SEG_DS].selector, 0);

    enter_vm86(f, 3);
    put_vector(f, 0x30, CODE0, AT_HANDLER, INTERRUPT_GATE | DPL3);
    EXPECT(f, DONE, INT_N, 0x30);
    CHECK_EQ(v->cpl, 0);

    enter_vm86(f, 0); /* a handler in another ring than 0 */
    put_vector(f, 0x30, CONFORMING, AT_HANDLER, INTERRUPT_GATE);
    EXPECT_ERROR(f, VEC_GP, CONFORMING | 1, INTERRUPT, 0x30, SOURCE_EXTERNAL);
}

static void test_vme(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    enter_vm86(f, 0);
    v->paging.cr4 |= CR4_VME;
    v->eflags |= FL_VIF;
    poke(f, AT_TSS + 102, 2, 0x88); /* the redirection bitmap at 68h: all clear */
    poke(f, 0x21 * 4, 4, 0x40000080);
    EXPECT(f, DONE, INT_N, 0x21);
    CHECK(v->eflags & FL_VM);
    CHECK_EQ(v->seg[SEG_CS].selector, 0x4000);
    CHECK_EQ(v->rip, 0x80);
    CHECK_EQ(v->eflags & (FL_VIF | FL_IF), FL_IF);
    CHECK_EQ(peek(f, 0x30000 + 0xfe, 2), FL_IF | FL_IOPL | FL_ONE); /* what the program sees */
    EXPECT(f, DONE, IRET, 2);
    CHECK(v->eflags & FL_VIF);
    CHECK_EQ(v->rip, 0x10);
    poke(f, AT_TSS + 0x68 + 0x21 / 8, 1, 1 << (0x21 & 7)); /* to the monitor instead */
    EXPECT_ERROR(f, VEC_GP, 0, INT_N, 0x21);
}

static __attribute__((noinline)) enum exit_reason deliver(struct vcpu *v, u8 vector, bool has_error,
                                                          u32 error)
{
    v->fault = (struct fault){vector, has_error, error};
    return exception_deliver(v);
}

static void test_escalation(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    /* Which second fault makes a double fault (SDM 3A table 6-5). The first handler's segment, or the page of its
     * gate, is not present. */
    static const struct {
        u8 first;
        bool page;
        unsigned delivered;
    } rows[] = {
        {VEC_UD, false, VEC_NP}, {VEC_GP, false, VEC_DF}, {VEC_PF, false, VEC_DF}, {VEC_DE, false, VEC_DF},
        {VEC_UD, true, VEC_PF},  {VEC_GP, true, VEC_PF},  {VEC_PF, true, VEC_DF},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, 3);
        fixture_paging(f);
        for (unsigned n = 0; n < 32; n++)
            put_vector(f, n, CODE0, 0x100 + n, INTERRUPT_GATE);
        if (rows[i].page) {
            put_descriptor(f, AT_GDT, CODE_ABSENT, 0, 0xfffff, FLAT | 0x9b);
            put_vector(f, rows[i].first, 0x2000, 0,
                       INTERRUPT_GATE); /* its descriptor is in a page that is not present */
            v->gdtr.limit = 0xffff;
            put_descriptor(f, AT_GDT, 0x2000, 0, 0xfffff, FLAT | 0x9b);
            fixture_unmap(f, AT_GDT + 0x2000);
        } else {
            put_vector(f, rows[i].first, CODE_ABSENT, 0, INTERRUPT_GATE);
        }
        v->fault_address = 0x1234;
        bool has_error = rows[i].first >= 10;
        CHECK_EQ(deliver(v, rows[i].first, has_error, 0), EXIT_NONE);
        CHECK_EQ(v->rip, 0x100 + rows[i].delivered);
        if (rows[i].delivered == VEC_DF) CHECK_EQ(peek(f, v->gpr[REG_ESP], 4), 0);
        if (rows[i].delivered == VEC_PF) CHECK_EQ(v->cr2, AT_GDT + 0x2000);
        if (rows[i].delivered == VEC_NP) CHECK_EQ(peek(f, v->gpr[REG_ESP], 4), CODE_ABSENT | 1);
    }
    fixture_protected(f, 0);
    v->idtr.limit = 0;
    CHECK_EQ(deliver(v, VEC_UD, false, 0), EXIT_SHUTDOWN);
}

static void test_exception_state(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    put_vector(f, VEC_PF, CODE0, AT_HANDLER, INTERRUPT_GATE);
    v->fault_address = 0xc0de0000;
    v->halted = true;
    CHECK_EQ(deliver(v, VEC_PF, true, 2), EXIT_NONE);
    CHECK_EQ(v->cr2, 0xc0de0000);
    CHECK_EQ(peek(f, AT_STACK0 - 16, 4), 2);
    CHECK_EQ(peek(f, AT_STACK0 - 4, 4), FL_ONE | FL_IF | FL_RF); /* restart must pass its breakpoint */
    CHECK_EQ(v->eflags, FL_ONE);

    fixture_protected(f, 0);
    put_vector(f, 0x40, CODE0, AT_HANDLER, INTERRUPT_GATE);
    put_vector(f, VEC_NMI, CODE0, AT_HANDLER, INTERRUPT_GATE);
    put_vector(f, VEC_DB, CODE0, AT_HANDLER, INTERRUPT_GATE);
    v->halted = true;
    CHECK_EQ(interrupt_external(v, 0x40), EXIT_NONE);
    CHECK(!v->halted);
    CHECK_EQ(peek(f, AT_STACK0 - 4, 4), FL_ONE | FL_IF);
    CHECK_EQ(interrupt_nmi(v), EXIT_NONE);
    CHECK(v->nmi_masked);
    EXPECT(f, DONE, IRET, 4);
    CHECK(!v->nmi_masked);
    v->dr[7] |= 1 << 13;
    CHECK_EQ(debug_trap_deliver(v, 1 << 14), EXIT_NONE);
    CHECK_EQ(v->dr[6], 0xffff4ff0);
    CHECK_EQ(v->dr[7] & 1 << 13, 0);
}

static void test_breakpoints(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    static const u32 address[] = {0x7000, 0x5001, 0x60, 0x9008};
    for (unsigned n = 0; n < 4; n++)
        EXPECT(f, DONE, WRITE_DR, n, .value = address[n]);
    /* 0: execute; 1: write, 2 bytes; 2: I/O, 1 byte; 3: access, 4 bytes */
    EXPECT(f, DONE, WRITE_DR, 7, .value = 0xff | 5u << 20 | 2u << 24 | 15u << 28);
    CHECK_EQ(debug_match_code(v, 0x7000), 1);
    CHECK_EQ(debug_match_code(v, 0x7001), 0);
    v->eflags |= FL_RF;
    CHECK_EQ(debug_match_code(v, 0x7000), 0);
    v->eflags &= ~(u32)FL_RF;
    static const struct {
        u32 at;
        unsigned bytes;
        bool write;
        u32 hits;
    } rows[] = {
        {0x5000, 1, true, 2}, {0x5001, 1, true, 2},  {0x5002, 1, true, 0},  {0x4ffe, 4, true, 2},
        {0x4ffc, 4, true, 0}, {0x5000, 4, false, 0}, {0x900b, 1, false, 8}, {0x900c, 4, true, 0},
        {0x9004, 8, true, 8}, {0x7000, 4, true, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        v->debug_trap = 0;
        debug_match_data(v, rows[i].at, rows[i].bytes, rows[i].write);
        CHECK_EQ(v->debug_trap, rows[i].hits);
    }
    v->debug_trap = 0;
    debug_match_io(v, 0x60, 1);
    CHECK_EQ(v->debug_trap, 0); /* CR4.DE is clear */
    v->paging.cr4 |= CR4_DE;
    debug_match_io(v, 0x5f, 2);
    CHECK_EQ(v->debug_trap, 4);
    v->debug_trap = 0;
    v->pending = 0;
}

int main(void)
{
    fixture_init(&fixture);
    test_gate_checks();
    test_frames();
    test_real_mode();
    test_vm86();
    test_vme();
    test_escalation();
    test_exception_state();
    test_breakpoints();
    fixture_destroy(&fixture);
    return check_report();
}
