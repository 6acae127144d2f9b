/*
 * The interpreter's routines, a few of each family: results, flags, and state that a fault must not change. The
 * native oracle (tests/lockstep) varies the operands. This test covers what the oracle cannot see: privilege of
 * pages, EIP at limits, traps.
 */
#include "exec_rig.h"

static void test_arithmetic(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x01, 0xd8); /* add eax, ebx */
    v->gpr[REG_EAX] = 0x7fffffff;
    v->gpr[REG_EBX] = 1;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 0x80000000);
    CHECK_EQ(flags(rig), FL_OF | FL_SF | FL_AF | FL_PF);
    CHECK_EQ(v->rip, RIG_CODE + 2);

    LOAD(rig, 0x00, 0xe7); /* add bh, ah: the other bytes stay */
    v->gpr[REG_EAX] = 0x1234ff00;
    v->gpr[REG_EBX] = 0x55550166;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EBX], 0x55550066);
    CHECK_EQ(flags(rig), FL_CF | FL_ZF | FL_AF | FL_PF);

    LOAD(rig, 0x66, 0x40); /* inc ax keeps CF */
    v->gpr[REG_EAX] = 0x1ffff;
    v->eflags |= FL_CF;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 0x10000);
    CHECK_EQ(flags(rig), FL_CF | FL_ZF | FL_AF | FL_PF);

    LOAD(rig, 0xf7, 0xf3); /* div ebx: quotient of 33 bits */
    v->gpr[REG_EDX] = 5;
    v->gpr[REG_EBX] = 5;
    CHECK_EQ(step(rig).vector, VEC_DE);
    CHECK_EQ(v->gpr[REG_EDX], 5);

    LOAD(rig, 0xf7, 0xfb); /* idiv ebx: -2^31 / -1 */
    v->gpr[REG_EAX] = 0x80000000;
    v->gpr[REG_EDX] = 0xffffffff;
    v->gpr[REG_EBX] = 0xffffffff;
    CHECK_EQ(step(rig).vector, VEC_DE);

    LOAD(rig, 0xf6, 0xfb);    /* idiv bl: AX */
    v->gpr[REG_EAX] = 0xfff9; /* -7 */
    v->gpr[REG_EBX] = 2;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 0xfffd); /* -1, -3 */

    LOAD(rig, 0xd5, 0x0a); /* aad */
    v->gpr[REG_EAX] = 0x0907;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 97);

    LOAD(rig, 0x27); /* daa */
    v->gpr[REG_EAX] = 0x9c;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 0x02);
    CHECK(v->eflags & FL_CF);

    LOAD(rig, 0xd4, 0x00); /* aam 0 */
    CHECK_EQ(step(rig).vector, VEC_DE);
}

/* All values of AL, with both values of CF and AF. Hosts without 32-bit code have no other test of these flags. */
static void test_decimal_flags(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    static const u8 code[][2] = {{0x27},     {0x2f},       {0x37},     {0x3f},
                                 {0xd4, 10}, {0xd4, 0xaf}, {0xd5, 10}, {0xd5, 0xaf}};
    for (unsigned n = 0; n < 4 * 256 * ARRAY_SIZE(code); n++) {
        rig_load(rig, code[n / 1024], sizeof(code[0]));
        with_handlers(rig);
        v->gpr[REG_EAX] = (n & 0xff) | 0x0300;
        v->eflags |= (n & 0x100 ? FL_CF : 0) | (n & 0x200 ? FL_AF : 0);
        STEP_OK(rig);
        u8 result = (u8)v->gpr[REG_EAX];
        u32 expected =
            (result & 0x80 ? FL_SF : 0) | (result ? 0 : FL_ZF) | (__builtin_popcount(result) % 2 ? 0 : FL_PF);
        CHECK_EQ(flags(rig) & (FL_SF | FL_ZF | FL_PF), expected);
    }
}

static void test_bits(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x0f, 0xab, 0x03); /* bts [ebx], eax with a bit number far below */
    v->gpr[REG_EBX] = RIG_DATA;
    v->gpr[REG_EAX] = (u32)-33;
    phys_write(&rig->phys, RIG_DATA - 8, 4, 0);
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA - 8, 4), 0x80000000);

    LOAD(rig, 0x0f, 0xbc, 0xc3); /* bsf of 0 leaves the destination */
    v->gpr[REG_EAX] = 77;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 77);
    CHECK(v->eflags & FL_ZF);

    LOAD(rig, 0xd3, 0xe0); /* shl eax, cl with CL = 0 leaves the flags */
    v->eflags |= FL_CF | FL_OF | FL_PF;
    v->gpr[REG_ECX] = 32;
    STEP_OK(rig);
    CHECK_EQ(flags(rig), FL_CF | FL_OF | FL_PF);

    LOAD(rig, 0xf3, 0x0f, 0xbd, 0xc3); /* lzcnt on a CPU without it is bsr */
    v->gpr[REG_EBX] = 0x100;
    v->model = cpu_model_find("pentium3");
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 8);
    v->model = cpu_model_find("max");
}

static void test_legality(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xf0, 0x01, 0xc3); /* lock add ebx, eax */
    CHECK_EQ(step(rig).vector, VEC_UD);
    LOAD(rig, 0x0f, 0x0b);
    CHECK_EQ(step(rig).vector, VEC_UD);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE);
    LOAD(rig, 0xc5, 0xf8, 0x77); /* vzeroupper: no AVX */
    CHECK_EQ(step(rig).vector, VEC_UD);
    LOAD(rig, 0x0f, 0xc7, 0xf0); /* rdrand on a CPU without */
    v->model = cpu_model_find("pentium3");
    CHECK_EQ(step(rig).vector, VEC_UD);
    v->model = cpu_model_find("max");
    LOAD(rig, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90);
    CHECK_EQ(step(rig).vector, VEC_GP); /* 16 bytes */
    LOAD(rig, 0xf3, 0x0f, 0x1e, 0xfa);  /* endbr: a NOP */
    STEP_OK(rig);
    LOAD(rig, 0xc4, 0xe2, 0x78, 0xf2, 0xc1); /* andn, in real mode */
    v->paging.cr0 &= ~(u32)CR0_PE;
    vcpu_update_mode(v);
    phys_write(&rig->phys, 6 * 4, 4, 0x00005000); /* the vector table's #UD */
    v->idtr.base = 0;
    v->idtr.limit = 0x3ff;
    interp_step(v);
    CHECK_EQ(v->rip, 0x5000);
}

static void test_stack_and_branches(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x54); /* push esp: the old value */
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_STACK - 4, 4), RIG_STACK);

    LOAD(rig, 0x8f, 0x04, 0x24); /* pop [esp]: the new ESP */
    phys_write(&rig->phys, RIG_STACK, 8, 0x2222222211111111);
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_STACK + 4, 4), 0x11111111);
    CHECK_EQ(v->gpr[REG_ESP], RIG_STACK + 4);

    LOAD(rig, 0x60, 0x61); /* pusha, popa */
    for (unsigned n = 0; n < 8; n++)
        if (n != REG_ESP) v->gpr[n] = 0x1000 + n;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_ESP], RIG_STACK - 32);
    CHECK_EQ(phys_read(&rig->phys, RIG_STACK - 20, 4), RIG_STACK);
    for (unsigned n = 0; n < 8; n++)
        if (n != REG_ESP) v->gpr[n] = 0;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EDI], 0x1007);
    CHECK_EQ(v->gpr[REG_ESP], RIG_STACK);

    LOAD(rig, 0xc8, 0x10, 0x00, 0x02); /* enter 16, 2 */
    v->gpr[REG_EBP] = RIG_DATA;
    phys_write(&rig->phys, RIG_DATA - 4, 4, 0xabcd);
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EBP], RIG_STACK - 4);
    CHECK_EQ(phys_read(&rig->phys, RIG_STACK - 8, 4), 0xabcd);
    CHECK_EQ(phys_read(&rig->phys, RIG_STACK - 12, 4), RIG_STACK - 4);
    CHECK_EQ(v->gpr[REG_ESP], RIG_STACK - 12 - 16);

    LOAD(rig, 0xe8, 0x10, 0x00, 0x00, 0x00); /* call */
    STEP_OK(rig);
    CHECK_EQ(v->rip, RIG_CODE + 0x15);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE + 5);

    LOAD(rig, 0x66, 0xeb, 0x10); /* jmp with a 16-bit operand size: EIP is cut */
    STEP_OK(rig);
    CHECK_EQ(v->rip, (RIG_CODE + 0x13) & 0xffff);

    LOAD(rig, 0xeb, 0x10); /* beyond the limit of CS */
    v->seg[SEG_CS].limit = RIG_CODE + 8;
    vcpu_update_mode(v);
    struct outcome o = step(rig);
    CHECK_EQ(o.vector, VEC_GP);
    CHECK_EQ(o.error, 0);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP] + 4, 4), RIG_CODE);

    LOAD(rig, 0xb8, 1, 2, 3, 4); /* the instruction itself goes on beyond it */
    v->seg[SEG_CS].limit = RIG_CODE + 3;
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_GP);

    LOAD(rig, 0xe2, 0xfe); /* loop: CX only with a 16-bit address size */
    v->gpr[REG_ECX] = 0x10000;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_ECX], 0xffff);
    CHECK_EQ(v->rip, RIG_CODE);
}

static void test_exchange(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xf0, 0x0f, 0xb1, 0x0b); /* lock cmpxchg [ebx], ecx */
    v->gpr[REG_EBX] = RIG_DATA;
    v->gpr[REG_EAX] = 1;
    v->gpr[REG_ECX] = 9;
    phys_write(&rig->phys, RIG_DATA, 8, 0x100000002);
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 2);
    CHECK(!(v->eflags & FL_ZF));
    v->rip = RIG_CODE;
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 4), 9);
    CHECK(v->eflags & FL_ZF);

    LOAD(rig, 0x0f, 0xc7, 0x0b); /* cmpxchg8b [ebx] */
    v->gpr[REG_EBX] = RIG_DATA;
    v->gpr[REG_EAX] = 9;
    v->gpr[REG_EDX] = 1;
    v->gpr[REG_ECX] = 0x77;
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 8), 0x7700000000 | RIG_DATA);

    LOAD(rig, 0x0f, 0xc1, 0xc0); /* xadd eax, eax */
    v->gpr[REG_EAX] = 3;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 6);

    LOAD(rig, 0x0f, 0x44, 0x03); /* cmovz eax, [ebx] reads though it does not move */
    v->seg[SEG_DS].limit = 0xff;
    vcpu_update_mode(v);
    v->gpr[REG_EBX] = 0x100;
    CHECK_EQ(step(rig).vector, VEC_GP);
}

static void test_traps(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x90, 0x90);
    v->eflags |= FL_TF;
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_DB);
    CHECK(v->dr[6] & (1 << 14));
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE + 1);
    CHECK(!(v->eflags & FL_TF));

    LOAD(rig, 0x8e, 0xd0, 0x90); /* mov ss, eax; nop: the trap comes after the NOP */
    v->gpr[REG_EAX] = 16;
    v->eflags |= FL_TF;
    vcpu_update_mode(v);
    STEP_OK(rig);
    CHECK_EQ(v->inhibit, INHIBIT_MOV_SS);
    CHECK_EQ(step(rig).vector, VEC_DB);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE + 3);

    LOAD(rig, 0x90); /* an instruction breakpoint is a fault; RF lets it pass */
    v->dr[0] = RIG_CODE;
    v->dr[7] |= 1;
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_DB);
    CHECK_EQ(v->dr[6] & 0xf, 1);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE);
    CHECK(!(phys_read(&rig->phys, v->gpr[REG_ESP] + 8, 4) &
            FL_RF)); /* its handler is to set it (SDM 3B 17.3.1.1) */
    v->rip = RIG_CODE;
    v->halted = false;
    v->eflags |= FL_RF;
    STEP_OK(rig);
    CHECK(!(v->eflags & FL_RF));

    LOAD(rig, 0xa3, 0, 0, 2, 0); /* mov [RIG_DATA], eax: a data breakpoint is a trap */
    v->dr[1] = RIG_DATA;
    v->dr[7] |= 4 | 0xd << 20; /* 4 bytes, writes */
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_DB);
    CHECK_EQ(v->dr[6] & 0xf, 2);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE + 5);
}

static void test_run(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    u64 begun = v->icount;
    LOAD(rig, 0xb9, 100, 0, 0, 0, 0x49, 0x75, 0xfd, 0xf4); /* mov ecx, 100; dec ecx; jnz; hlt */
    v->icount_limit = begun + 51;
    CHECK_EQ(interp_run(v), EXIT_BUDGET);
    CHECK_EQ(v->icount, begun + 51);
    CHECK_EQ(v->gpr[REG_ECX], 75);
    v->pending = PENDING_HOST;
    v->icount_limit = UINT64_MAX;
    CHECK_EQ(interp_run(v), EXIT_PENDING);
    CHECK_EQ(v->gpr[REG_ECX], 75);
    v->inhibit = INHIBIT_STI; /* in an interrupt shadow one more instruction begins */
    CHECK_EQ(interp_run(v), EXIT_PENDING);
    CHECK_EQ(v->gpr[REG_ECX], 74);
    v->pending = 0;
    CHECK_EQ(interp_run(v), EXIT_HALT);
    CHECK_EQ(v->icount, begun + 202);

    LOAD(rig, 0x0f, 0x0b); /* it counts although it faults */
    begun = v->icount;
    step(rig);
    CHECK_EQ(v->icount, begun + 1);
}

int main(void)
{
    struct rig *rig = rig_create();
    test_arithmetic(rig);
    test_decimal_flags(rig);
    test_bits(rig);
    test_legality(rig);
    test_stack_and_branches(rig);
    test_exchange(rig);
    test_traps(rig);
    test_run(rig);
    rig_close(rig);
    return check_report();
}
