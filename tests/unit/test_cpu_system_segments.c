/*
 * Segment loads, far transfers and task switches, compared with the exceptions and stack images of SDM 2 and 3A.
 * Hazard: a wrong error code or a half-done transfer, which shows only as a later crash of the guest.
 */
#include "cpu_fixture.h"

static struct cpu_fixture fixture;

static void test_segment_loads(void)
{
    struct cpu_fixture *f = &fixture;
    static const struct {
        unsigned cpl, seg, selector;
        int vector;
        unsigned error;
    } rows[] = {
        {0, SEG_DS, DATA0, DONE, 0},
        {0, SEG_DS, DATA3, DONE, 0},
        {0, SEG_DS, DATA0 | 3, VEC_GP, DATA0}, /* RPL weakens even ring 0 */
        {3, SEG_DS, DATA0, VEC_GP, DATA0},
        {3, SEG_ES, CONFORMING, DONE, 0},
        {0, SEG_DS, READ_ONLY, DONE, 0},
        {0, SEG_DS, EXECUTE_ONLY, VEC_GP, EXECUTE_ONLY},
        {0, SEG_FS, CODE0, DONE, 0},
        {0, SEG_DS, DATA_ABSENT, VEC_NP, DATA_ABSENT},
        {0, SEG_DS, TSS, VEC_GP, TSS},
        {0, SEG_DS, BEYOND, VEC_GP, BEYOND},
        {0, SEG_DS, IN_LDT, DONE, 0},
        {0, SEG_DS, BEYOND_LDT, VEC_GP, BEYOND_LDT},
        {0, SEG_GS, 3, DONE, 0},
        {0, SEG_SS, 0, VEC_GP, 0},
        {0, SEG_SS, 3, VEC_GP, 0},
        {0, SEG_SS, DATA0, DONE, 0},
        {0, SEG_SS, DATA3, VEC_GP, 0x20},
        {0, SEG_SS, READ_ONLY, VEC_GP, READ_ONLY},
        {0, SEG_SS, CODE0, VEC_GP, CODE0},
        {0, SEG_SS, DATA_ABSENT, VEC_SS, DATA_ABSENT},
        {3, SEG_SS, DATA3, DONE, 0},
        {3, SEG_SS, DATA3 & ~3, VEC_GP, 0x20},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, rows[i].cpl);
        EXPECT(f, rows[i].vector, LOAD, rows[i].seg, rows[i].selector);
        if (rows[i].vector == DONE)
            CHECK_EQ(f->v->seg[rows[i].seg].selector, rows[i].selector);
        else
            CHECK_EQ(f->v->fault.error, rows[i].error);
    }
    fixture_protected(f, 0);
    EXPECT(f, DONE, LOAD, SEG_DS, IN_LDT);
    CHECK_EQ(f->v->seg[SEG_DS].base, 0x100000);
    CHECK_EQ(f->v->seg[SEG_DS].limit, 0xffffffff);
    CHECK_EQ(peek(f, AT_LDT + 8 + 5, 1), 0x93); /* the accessed bit reaches memory */
    EXPECT_ERROR(f, VEC_GP, 0, LTR, 0);
    EXPECT_ERROR(f, VEC_GP, BUSY_TSS, LTR, BUSY_TSS);
    EXPECT(f, DONE, LTR, TASK2);
    CHECK_EQ(peek(f, AT_GDT + TASK2 + 5, 1), 0x8b);
    EXPECT_ERROR(f, VEC_GP, DATA0, LLDT, DATA0);
    EXPECT(f, DONE, LLDT, 0);
    EXPECT_ERROR(f, VEC_GP, IN_LDT, LOAD, SEG_DS, IN_LDT);
}

static void test_real_mode(void)
{
    struct cpu_fixture *f = &fixture;
    vcpu_reset(f->v);
    CHECK_EQ(f->v->seg[SEG_CS].base + f->v->rip, 0xfffffff0u);
    EXPECT(f, DONE, JUMP, 0x1234, 0x10, 2);
    CHECK_EQ(f->v->seg[SEG_CS].base, 0x12340);
    CHECK_EQ(f->v->rip, 0x10);
    EXPECT_ERROR(f, VEC_GP, 0, JUMP, 0x1234, 0x10000, 4);
    EXPECT(f, DONE, LOAD, SEG_SS, 0x900);
    f->v->gpr[REG_ESP] = 0xabcd0002;
    EXPECT(f, DONE, CALL, 0x2000, 0x40, 2); /* SP wraps: CS at 0, IP at FFFEh; ESP's high half stays */
    CHECK_EQ(f->v->gpr[REG_ESP], 0xabcdfffe);
    CHECK_EQ(peek(f, 0x9000, 2), 0x1234);
    CHECK_EQ(peek(f, 0x9000 + 0xfffe, 2), 0x10);
    f->v->seg[SEG_SS].selector = 0x900;
    EXPECT(f, DONE, RETURN, 2, 4);
    CHECK_EQ(f->v->gpr[REG_ESP], 0xabcd0006);
    CHECK_EQ(f->v->seg[SEG_CS].selector, 0x1234);
    f->v->gpr[REG_ESP] = 1;
    EXPECT_ERROR(f, VEC_SS, 0, CALL, 0x2000, 0x40, 2); /* a word at FFFFh crosses the limit */
}

static void test_jumps(void)
{
    struct cpu_fixture *f = &fixture;
    static const struct {
        unsigned cpl, selector, offset;
        int vector;
        unsigned error;
    } rows[] = {
        {0, CODE0, 0x123, DONE, 0},
        {0, 0, 0, VEC_GP, 0},
        {0, BEYOND, 0, VEC_GP, BEYOND},
        {0, DATA0, 0, VEC_GP, DATA0},
        {0, CODE_ABSENT, 0, VEC_NP, CODE_ABSENT},
        {0, CODE_SMALL, 0x1000, VEC_GP, 0},
        {0, CODE_SMALL, 0xfff, DONE, 0},
        {0, CODE3, 0, VEC_GP, 0x18},
        {3, CODE0, 0, VEC_GP, CODE0},
        {3, CONFORMING, 0x10, DONE, 0},
        {3, CALL_GATE | 3, 0, VEC_GP, CODE0},
        {0, CALL_GATE, 0, DONE, 0},
        {3, GATE_ABSENT | 3, 0, VEC_NP, GATE_ABSENT},
        {0, GATE_TO_DATA, 0, VEC_GP, DATA0},
        {0, TSS, 0, VEC_GP, TSS},
        {0, LDT, 0, VEC_GP, LDT},
        {3, TASK2 | 3, 0, VEC_GP, TASK2},
        {0, TINY_TSS, 0, VEC_TS, TINY_TSS},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, rows[i].cpl);
        EXPECT(f, rows[i].vector, JUMP, rows[i].selector, rows[i].offset, 4);
        CHECK_EQ(f->v->cpl, rows[i].cpl);
        if (rows[i].vector != DONE) CHECK_EQ(f->v->fault.error, rows[i].error);
    }
    fixture_protected(f, 3);
    EXPECT(f, DONE, JUMP, CONFORMING, 0x10, 4);
    CHECK_EQ(f->v->seg[SEG_CS].selector, CONFORMING | 3);
}

static void test_call_gates(void)
{
    struct cpu_fixture *f = &fixture;
    fixture_protected(f, 3);
    poke(f, AT_STACK3, 4, 0x1111);
    poke(f, AT_STACK3 + 4, 4, 0x2222);
    EXPECT(f, DONE, CALL, CALL_GATE | 3, 0, 4);
    CHECK_EQ(f->v->cpl, 0);
    CHECK_EQ(f->v->seg[SEG_CS].selector, CODE0);
    CHECK_EQ(f->v->rip, AT_HANDLER);
    CHECK_EQ(f->v->seg[SEG_SS].selector, DATA0);
    CHECK_EQ(f->v->gpr[REG_ESP], AT_STACK0 - 24);
    static const u32 image[] = {0x7000, CODE3, 0x1111, 0x2222, AT_STACK3, DATA3};
    for (unsigned i = 0; i < ARRAY_SIZE(image); i++)
        CHECK_EQ(peek(f, AT_STACK0 - 24 + 4 * i, 4), image[i]);
    /* ...and back: parameters leave both stacks, segments of ring 0 do not reach ring 3. */
    f->v->seg[SEG_ES] = (struct segment){0, 0xffffffff, FLAT | 0x93, DATA0, 0, 0};
    EXPECT(f, DONE, RETURN, 4, 8);
    CHECK_EQ(f->v->cpl, 3);
    CHECK_EQ(f->v->gpr[REG_ESP], AT_STACK3 + 8);
    CHECK_EQ(f->v->rip, 0x7000);
    CHECK_EQ(f->v->seg[SEG_ES].selector, 0);
    CHECK(f->v->seg[SEG_ES].access & AR_UNUSABLE);
    CHECK_EQ(f->v->seg[SEG_DS].selector, DATA3);

    fixture_protected(f, 3); /* 16-bit gate: words */
    poke(f, AT_STACK3, 2, 0x3333);
    EXPECT(f, DONE, CALL, CALL_GATE16 | 3, 0, 4);
    CHECK_EQ(f->v->gpr[REG_ESP], AT_STACK0 - 10);
    CHECK_EQ(peek(f, AT_STACK0 - 10, 2), 0x7000);
    CHECK_EQ(peek(f, AT_STACK0 - 6, 2), 0x3333);

    /* Impossible stacks: beyond the TSS's limit, null, wrong ring, not present, too small. */
    fixture_protected(f, 3);
    f->v->tr.limit = 10;
    EXPECT_ERROR(f, VEC_TS, TSS, CALL, CALL_GATE | 3, 0, 4);
    fixture_protected(f, 3);
    poke(f, AT_TSS + 8, 4, 0);
    EXPECT_ERROR(f, VEC_TS, 0, CALL, CALL_GATE | 3, 0, 4);
    poke(f, AT_TSS + 8, 4, DATA3);
    EXPECT_ERROR(f, VEC_TS, 0x20, CALL, CALL_GATE | 3, 0, 4);
    poke(f, AT_TSS + 8, 4, DATA_ABSENT);
    EXPECT_ERROR(f, VEC_SS, DATA_ABSENT, CALL, CALL_GATE | 3, 0, 4);
    poke(f, AT_TSS + 8, 4, DATA_DOWN);
    poke(f, AT_TSS + 4, 4, 0x1010); /* only 10h bytes above the expand-down limit */
    EXPECT_ERROR(f, VEC_SS, DATA_DOWN, CALL, CALL_GATE | 3, 0, 4);

    /* #PF on the inner stack leaves everything whole: the call is restarted. */
    fixture_protected(f, 3);
    fixture_paging(f);
    fixture_unmap(f, AT_STACK0 - 4);
    EXPECT(f, VEC_PF, CALL, CALL_GATE | 3, 0, 4);
    CHECK_EQ(f->v->fault_address & ~0xfffu, (AT_STACK0 - 4) & ~0xfffu);
    CHECK_EQ(f->v->fault.error & 7, 2); /* the processor's own write */
}

static void push32(struct cpu_fixture *f, u32 value)
{
    f->v->gpr[REG_ESP] -= 4;
    poke(f, f->v->gpr[REG_ESP], 4, value);
}

static void test_returns(void)
{
    struct cpu_fixture *f = &fixture;
    static const struct {
        unsigned cpl, cs, ss, eip;
        int vector;
        unsigned error;
    } rows[] = {
        {0, CODE0, 0, 0x10, DONE, 0},
        {0, CODE3, DATA3, 0x10, DONE, 0},
        {0, 0, 0, 0, VEC_GP, 0},
        {3, CODE0, DATA0, 0, VEC_GP, CODE0},
        {0, DATA0, 0, 0, VEC_GP, DATA0},
        {0, CODE_ABSENT, 0, 0, VEC_NP, CODE_ABSENT},
        {0, CODE_SMALL, 0, 0x1000, VEC_GP, 0},
        {0, CODE3, 0, 0, VEC_GP, 0},
        {0, CODE3, DATA0, 0, VEC_GP, DATA0},
        {0, CODE3, DATA0 | 3, 0, VEC_GP, DATA0},
        {0, CONFORMING | 3, DATA3, 0, DONE, 0},
        {0, BEYOND, 0, 0, VEC_GP, BEYOND},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned iret = 0; iret < 2; iret++) {
            fixture_protected(f, rows[i].cpl);
            push32(f, rows[i].ss);
            push32(f, AT_STACK3);
            if (iret) push32(f, FL_ONE | FL_CF);
            push32(f, rows[i].cs);
            push32(f, rows[i].eip);
            EXPECT(f, rows[i].vector, iret ? IRET : RETURN, 4, 0);
            if (rows[i].vector != DONE) {
                CHECK_EQ(f->v->fault.error, rows[i].error);
                continue;
            }
            CHECK_EQ(f->v->rip, rows[i].eip);
            CHECK_EQ(f->v->cpl, rows[i].cs & 3);
            if (rows[i].cs & 3) CHECK_EQ(f->v->gpr[REG_ESP], AT_STACK3);
        }
    }
}

static void test_iret_flags(void)
{
    struct cpu_fixture *f = &fixture;
    u32 all = FL_ARITH | FL_IF | FL_DF | FL_IOPL | FL_AC | FL_ID | FL_ONE;
    static const struct {
        unsigned cpl, iopl;
        u32 changed;
    } rows[] = {{0, 0, FL_IF | FL_IOPL}, {3, 0, 0}, {3, 3, FL_IF | FL_IOPL /* stays 3 */}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, rows[i].cpl);
        f->v->eflags = FL_ONE | rows[i].iopl << FL_IOPL_SHIFT;
        push32(f, all);
        push32(f, f->v->seg[SEG_CS].selector);
        push32(f, 0x10);
        EXPECT(f, DONE, IRET, 4);
        CHECK_EQ(f->v->eflags, (all & ~(u32)(FL_IF | FL_IOPL)) | rows[i].changed);
    }
}

static void put_task(struct cpu_fixture *f, u32 at, u32 eip, u32 eflags)
{
    poke(f, at + 0x20, 4, eip);
    poke(f, at + 0x24, 4, eflags);
    for (unsigned i = 0; i < 8; i++)
        poke(f, at + 0x28 + 4 * i, 4, i == REG_ESP ? AT_TASK2_STACK : 0x100 + i);
    for (unsigned i = 0; i < 6; i++)
        poke(f, at + 0x48 + 4 * i, 4, i == SEG_CS ? CODE0 : DATA0);
    poke(f, at + 0x60, 4, LDT);
    poke(f, at + 0x64, 4, 0x680000);
}

static void test_task_switches(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 0);
    put_task(f, AT_TASK2, 0x1230, FL_ONE);
    v->gpr[REG_EBX] = 0x5555;
    v->dr[7] |= 3;
    EXPECT(f, DONE, CALL, TASK2, 0, 4);
    CHECK_EQ(v->rip, 0x1230);
    CHECK_EQ(v->tr.selector, TASK2);
    CHECK_EQ(v->gpr[REG_EBX], 0x103);
    CHECK_EQ(v->gpr[REG_ESP], AT_TASK2_STACK);
    CHECK_EQ(v->eflags, FL_ONE | FL_NT);
    CHECK(v->paging.cr0 & CR0_TS);
    CHECK_EQ(v->dr[7] & 3, 2); /* local enables are cleared */
    CHECK_EQ(peek(f, AT_TASK2, 2), TSS);
    CHECK_EQ(peek(f, AT_GDT + TSS + 5, 1), 0x8b); /* both are busy */
    CHECK_EQ(peek(f, AT_GDT + TASK2 + 5, 1), 0x8b);
    CHECK_EQ(peek(f, AT_TSS + 0x20, 4), 0x7000);
    CHECK_EQ(peek(f, AT_TSS + 0x34, 4), 0x5555);
    CHECK_EQ(peek(f, AT_TSS + 0x4c, 2), CODE0);
    EXPECT(f, DONE, IRET, 4); /* back along the link */
    CHECK_EQ(v->rip, 0x7000);
    CHECK_EQ(v->tr.selector, TSS);
    CHECK_EQ(v->gpr[REG_EBX], 0x5555);
    CHECK_EQ(peek(f, AT_GDT + TASK2 + 5, 1), 0x89);
    CHECK_EQ(peek(f, AT_TASK2 + 0x24, 4) & FL_NT, 0);

    fixture_protected(f, 3); /* through a task gate: its DPL counts instead of the TSS's */
    put_task(f, AT_TASK2, 0x1230, FL_ONE);
    poke(f, AT_TASK2 + 0x64, 2, 1);
    EXPECT(f, DONE, JUMP, TASK_GATE_SEL | 3, 0, 4);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->eflags, FL_ONE);
    CHECK_EQ(peek(f, AT_GDT + TSS + 5, 1), 0x89);
    CHECK(v->debug_trap & 1 << 15); /* the T bit traps before the first instruction */
    CHECK(v->pending & PENDING_DEBUG);
    v->debug_trap = 0;
    v->pending = 0;

    fixture_protected(f, 0); /* 16-bit task: high halves of registers are ones */
    poke(f, AT_TASK16 + 0x0e, 2, 0x444);
    poke(f, AT_TASK16 + 0x10, 2, FL_ONE);
    poke(f, AT_TASK16 + 0x1a, 2, 0xd000);
    for (unsigned i = 0; i < 4; i++)
        poke(f, AT_TASK16 + 0x22 + 2 * i, 2, i == SEG_CS ? CODE0 : DATA0);
    EXPECT(f, DONE, JUMP, TASK16, 0, 4);
    CHECK_EQ(v->rip, 0x444);
    CHECK_EQ(v->gpr[REG_ESP], 0xffffd000);
    CHECK(v->seg[SEG_FS].access & AR_UNUSABLE);
    CHECK_EQ(peek(f, AT_TSS + 0x20, 4), 0x7000);
}

/* Faults of the second half belong to the new task. */
static void test_task_faults(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    static const struct {
        u32 field, value;
        int vector;
        unsigned error;
    } rows[] = {
        {0x60, DATA0, VEC_TS, DATA0},
        {0x60, IN_LDT, VEC_TS, IN_LDT},
        {0x4c, 0, VEC_TS, 0},
        {0x4c, DATA0, VEC_TS, DATA0},
        {0x4c, CODE_ABSENT, VEC_NP, CODE_ABSENT},
        {0x50, 0, VEC_TS, 0},
        {0x50, DATA3, VEC_TS, 0x20},
        {0x50, DATA_ABSENT, VEC_SS, DATA_ABSENT},
        {0x54, EXECUTE_ONLY, VEC_TS, EXECUTE_ONLY},
        {0x58, DATA_ABSENT, VEC_NP, DATA_ABSENT},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(f, 0);
        put_task(f, AT_TASK2, 0x1230, FL_ONE);
        poke(f, AT_TASK2 + rows[i].field, 4, rows[i].value);
        EXPECT_ERROR(f, rows[i].vector, rows[i].error, JUMP, TASK2, 0, 4);
        CHECK(v->in_new_task);
        CHECK_EQ(v->rip, 0x1230);
        CHECK_EQ(v->tr.selector, TASK2);
        v->in_new_task = false;
    }
    fixture_protected(f, 0); /* the first half: nothing has happened */
    fixture_paging(f);
    put_task(f, AT_TASK2, 0x1230, FL_ONE);
    poke(f, AT_TASK2 + 0x1c, 4, AT_PAGE_DIRECTORY);
    fixture_unmap(f, AT_TASK2);
    EXPECT(f, VEC_PF, JUMP, TASK2, 0, 4);
    CHECK_EQ(v->tr.selector, TSS);
    CHECK_EQ(peek(f, AT_GDT + TSS + 5, 1), 0x8b);
}

static void test_sysenter(void)
{
    struct cpu_fixture *f = &fixture;
    struct vcpu *v = f->v;
    fixture_protected(f, 3);
    EXPECT_ERROR(f, VEC_GP, 0, ENTER, 0);
    EXPECT(f, DONE, WRITE_MSR, 0x174, .value = CODE0);
    EXPECT(f, DONE, WRITE_MSR, 0x175, .value = AT_STACK0);
    EXPECT(f, DONE, WRITE_MSR, 0x176, .value = AT_HANDLER);
    EXPECT(f, DONE, ENTER, 0);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->seg[SEG_SS].selector, CODE0 + 8);
    CHECK_EQ(v->gpr[REG_ESP], AT_STACK0);
    CHECK_EQ(v->eflags & FL_IF, 0);
    v->gpr[REG_EDX] = 0x7000;
    v->gpr[REG_ECX] = AT_STACK3;
    EXPECT(f, DONE, EXIT, 0);
    CHECK_EQ(v->cpl, 3);
    CHECK_EQ(v->seg[SEG_CS].selector, CODE3);
    CHECK_EQ(v->seg[SEG_SS].selector, DATA3);
    EXPECT_ERROR(f, VEC_GP, 0, EXIT, 0);
}

int main(void)
{
    fixture_init(&fixture);
    test_segment_loads();
    test_real_mode();
    test_jumps();
    test_call_gates();
    test_returns();
    test_iret_flags();
    test_task_switches();
    test_task_faults();
    test_sysenter();
    fixture_destroy(&fixture);
    return check_report();
}
