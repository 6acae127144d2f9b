/*
 * Accesses of instructions to memory: page-crossing accesses that must be all or nothing, error codes, fetches at the
 * end of a page, alignment checks, segments that refuse an access, writes to code.
 */
#include "exec_rig.h"

#include "cpu/isa.h"
#include "cpu/memory.h"

#define LAST 0x2fffeu /* two bytes before the end of a page */

static void test_crossing(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x89, 0x03); /* mov [ebx], eax */
    with_paging(rig);
    v->gpr[REG_EAX] = 0x44332211;
    v->gpr[REG_EBX] = LAST;
    phys_write(&rig->phys, LAST, 2, 0);
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, LAST, 2), 0x2211);
    CHECK_EQ(phys_read(&rig->phys, LAST + 2, 2), 0x4433);

    map_page(rig, 0x30000, 0x30000 | 5); /* the second page is read-only: nothing is written */
    phys_write(&rig->phys, LAST, 2, 0xeeee);
    v->rip = RIG_CODE;
    struct outcome o = step(rig);
    CHECK_EQ(o.vector, VEC_PF);
    CHECK_EQ(o.error, PF_PRESENT | PF_WRITE);
    CHECK_EQ(v->cr2, 0x30000);
    CHECK_EQ(phys_read(&rig->phys, LAST, 2), 0xeeee);

    LOAD(rig, 0x01, 0x03); /* add [ebx], eax: a write fault at once, flags as before */
    with_paging(rig);
    map_page(rig, 0x30000, 0);
    v->gpr[REG_EBX] = LAST;
    v->eflags |= FL_CF;
    o = step(rig);
    CHECK_EQ(o.vector, VEC_PF);
    CHECK_EQ(o.error, PF_WRITE);
    CHECK_EQ(flags(rig), FL_CF);

    LOAD(rig, 0x60); /* pusha into a page that is not there: nothing is pushed, ESP stays */
    with_paging(rig);
    map_page(rig, 0x31000, 0);
    v->gpr[REG_ESP] = 0x32010;
    phys_write(&rig->phys, 0x3200c, 4, 0x5a5a5a5a);
    if (FAULT_CATCH(v)) {
        CHECK_EQ(v->fault.vector, VEC_PF);
        CHECK_EQ(v->fault_address, 0x31ffc);
    } else {
        struct insn pusha;
        insn_decode(&pusha, (const u8 *)"\x60", 1, true);
        pusha.row->execute(v, &pusha);
        CHECK(!"a page fault");
    }
    CHECK_EQ(v->gpr[REG_ESP], 0x32010);
    CHECK_EQ(phys_read(&rig->phys, 0x3200c, 4), 0x5a5a5a5a);
}

static void test_fetch(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x90);
    with_paging(rig);
    static const u8 code[] = {0xb8, 0x78, 0x56, 0x34, 0x12}; /* mov eax, 12345678h over a page boundary */
    phys_write_bytes(&rig->phys, LAST, code, 2);
    phys_write_bytes(&rig->phys, 0x77000, code + 2, 3);
    map_page(rig, 0x30000, 0x77000 | 7);
    v->rip = LAST;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 0x12345678);
    CHECK_EQ(v->rip, LAST + 5);

    map_page(rig, 0x30000, 0);
    v->rip = LAST;
    struct outcome o = step(rig);
    CHECK_EQ(o.vector, VEC_PF);
    CHECK_EQ(v->cr2, 0x30000);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP] + 4, 4), LAST);

    /* a one-byte instruction at the end of a page does not look at the next */
    phys_write(&rig->phys, LAST + 1, 1, 0x40);
    v->rip = LAST + 1;
    STEP_OK(rig);
    CHECK_EQ(v->rip, 0x30000);
}

static void test_segments(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x64, 0xa1, 0, 0, 0, 0); /* mov eax, fs:[0] */
    v->seg[SEG_FS] = (struct segment){.access = AR_UNUSABLE};
    vcpu_update_mode(v);
    struct outcome o = step(rig);
    CHECK_EQ(o.vector, VEC_GP);
    CHECK_EQ(o.error, 0);

    LOAD(rig, 0x64, 0xa1, 0, 0x10, 0, 0); /* expand-down: valid above the limit */
    v->seg[SEG_FS].access |= AR_EXPAND_DOWN;
    v->seg[SEG_FS].limit = 0xfff;
    v->seg[SEG_FS].base = RIG_DATA;
    vcpu_update_mode(v);
    STEP_OK(rig);
    v->rip = RIG_CODE;
    v->seg[SEG_FS].limit = 0x1000;
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_GP);

    LOAD(rig, 0x2e, 0xa3, 0, 0, 2, 0); /* mov cs:[20000h], eax */
    CHECK_EQ(step(rig).vector, VEC_GP);

    LOAD(rig, 0x8b, 0x45, 0x00); /* mov eax, [ebp]: SS */
    v->seg[SEG_SS].limit = RIG_STACK;
    vcpu_update_mode(v);
    v->gpr[REG_EBP] = RIG_STACK - 2;
    o = step(rig);
    CHECK_EQ(o.vector, VEC_SS);
}

static void test_alignment(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x8b, 0x03); /* mov eax, [ebx] in ring 3 */
    v->gpr[REG_EBX] = RIG_DATA + 2;
    v->cpl = 3;
    v->paging.cr0 |= CR0_AM;
    vcpu_update_mode(v);
    STEP_OK(rig);
    v->rip = RIG_CODE;
    v->eflags |= FL_AC;
    vcpu_update_mode(v);
    if (FAULT_CATCH(v)) {
        CHECK_EQ(v->fault.vector, VEC_AC);
    } else {
        mem_read(v, SEG_DS, RIG_DATA + 2, 4);
        CHECK(!"an alignment check");
    }
}

/* FXSAVE's image has an alignment of its own, and a 16-byte operand too: #AC is for others. */
static void test_alignment_of_sse(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x0f, 0xae, 0x03, 0x0f, 0x10, 0x43, 1); /* fxsave [ebx]; movups xmm0, [ebx + 1] */
    v->gpr[REG_EBX] = RIG_DATA + 16;
    v->cpl = 3;
    v->paging.cr0 |= CR0_AM;
    v->eflags |= FL_AC;
    vcpu_update_mode(v);
    STEP_OK(rig);
    STEP_OK(rig);
}

/* ARPL with nothing to raise does not write, so a read-only segment or page does not fault. */
static void test_arpl(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x63, 0x0b); /* arpl [ebx], cx */
    with_paging(rig);
    map_page(rig, RIG_DATA, RIG_DATA | 5);
    phys_write(&rig->phys, RIG_DATA, 2, 0x13);
    v->gpr[REG_EBX] = RIG_DATA;
    v->gpr[REG_ECX] = 3;
    v->eflags |= FL_ZF;
    v->seg[SEG_DS].access &= ~(u32)AR_WRITABLE;
    vcpu_update_mode(v);
    STEP_OK(rig);
    CHECK(!(v->eflags & FL_ZF));

    phys_write(&rig->phys, RIG_DATA, 2, 0x11);
    v->rip = RIG_CODE;
    CHECK_EQ(step(rig).vector, VEC_GP);
    CHECK(!(v->eflags & FL_ZF));
    v->seg[SEG_DS].access |= AR_WRITABLE;
    v->rip = RIG_CODE;
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_PF);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 2), 0x11);
}

static void test_code_writes(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xc6, 0x05, 0x08, 0, 1, 0, 0x42, 0x90, 0x40); /* mov byte [RIG_CODE + 8], 42h; nop; inc eax */
    v->rip = RIG_CODE + 8;
    STEP_OK(rig); /* decoded as INC EAX */
    CHECK_EQ(v->gpr[REG_EAX], 1);
    CHECK(*phys_flags(&rig->phys, RIG_CODE) & PHYS_CODE);
    v->rip = RIG_CODE;
    STEP_OK(rig);
    STEP_OK(rig);
    STEP_OK(rig); /* INC EDX now */
    CHECK_EQ(v->gpr[REG_EAX], 1);
    CHECK_EQ(v->gpr[REG_EDX], v->model->signature + 1u);

    /* a write over the whole page leaves nothing decoded in it */
    CHECK(!interp_code_written(v, RIG_CODE, PAGE_SIZE));
}

int main(void)
{
    struct rig *rig = rig_create();
    test_crossing(rig);
    test_fetch(rig);
    test_segments(rig);
    test_alignment(rig);
    test_alignment_of_sse(rig);
    test_arpl(rig);
    test_code_writes(rig);
    rig_close(rig);
    return check_report();
}
