/*
 * The system instructions, from their bytes: rules of privilege, IOPL and virtual-8086 mode, and the sensitive
 * instructions that do not trap (Robin & Irvine 2000). Hazard: an instruction that runs unchecked and shows the guest
 * the wrong machine.
 */
#include "cpu/insn.h"
#include "cpu/isa.h"
#include "cpu_fixture.h"

static struct cpu_fixture fixture;

enum { DATA_AT = 0x15000 };

/* Execute one instruction at EIP 7000h. The vector it raises (EIP is back at its start then), or DONE. */
static __attribute__((noinline)) int execute(struct cpu_fixture *f, const char *bytes, unsigned count)
{
    static struct insn insn;
    struct vcpu *v = f->v;
    v->rip = 0x7000;
    v->inhibit = 0;
    if (insn_decode(&insn, (const u8 *)bytes, count, vcpu_code32(v)) != (int)count) return -2;
    if (FAULT_CATCH(v)) {
        v->rip = 0x7000;
        return v->fault.vector;
    }
    v->rip += count;
    insn.row->execute(v, &insn);
    return DONE;
}
#define RUN(bytes) execute(&fixture, bytes, sizeof bytes - 1)

static void test_privilege(void)
{
    /* In ring 0, in ring 3, in real mode. */
    static const struct {
        const char *bytes;
        unsigned count;
        int ring0, ring3, real;
    } rows[] = {
        {"\xf4", 1, DONE, VEC_GP, DONE},                 /* hlt */
        {"\x0f\x06", 2, DONE, VEC_GP, DONE},             /* clts */
        {"\x0f\x09", 2, DONE, VEC_GP, DONE},             /* wbinvd */
        {"\x0f\x20\xc0", 3, DONE, VEC_GP, DONE},         /* mov eax, cr0 */
        {"\x0f\x22\xd0", 3, DONE, VEC_GP, DONE},         /* mov cr2, eax */
        {"\x0f\x21\xf8", 3, DONE, VEC_GP, DONE},         /* mov eax, dr7 */
        {"\x0f\x01\xe0", 3, DONE, DONE, DONE},           /* smsw eax */
        {"\x0f\x01\xf0", 3, DONE, VEC_GP, DONE},         /* lmsw ax */
        {"\x0f\x00\xc0", 3, DONE, DONE, VEC_UD},         /* sldt eax */
        {"\x0f\x00\xc8", 3, DONE, DONE, VEC_UD},         /* str eax */
        {"\x0f\x00\xd0", 3, DONE, VEC_GP, VEC_UD},       /* lldt ax */
        {"\x0f\x00\xe0", 3, DONE, DONE, VEC_UD},         /* verr ax */
        {"\x0f\x32", 2, VEC_GP, VEC_GP, VEC_GP},         /* rdmsr of what is not there */
        {"\x0f\x33", 2, VEC_GP, VEC_GP, VEC_GP},         /* rdpmc */
        {"\x0f\x31", 2, DONE, DONE, DONE},               /* rdtsc */
        {"\x0f\x01\x38", 3, DONE, VEC_GP, DONE},         /* invlpg [eax] */
        {"\x66\x0f\x38\x82\x00", 5, DONE, VEC_GP, DONE}, /* invpcid eax, [eax] */
        {"\xfa", 1, DONE, VEC_GP, DONE},                 /* cli */
        {"\xfb", 1, DONE, VEC_GP, DONE},                 /* sti */
        {"\xe4\x60", 2, DONE, VEC_GP, DONE},             /* in al, 60h */
        {"\xee", 1, DONE, VEC_GP, DONE},                 /* out dx, al */
    };
    struct vcpu *v = fixture.v;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned mode = 0; mode < 3; mode++) {
            fixture_protected(&fixture, mode == 1 ? 3 : 0);
            if (mode == 1) v->tr.limit = 0x67; /* no port bitmap */
            if (mode == 2) v->paging.cr0 &= ~(u32)CR0_PE;
            v->gpr[REG_EAX] = 0;
            v->gpr[REG_ECX] = 0x12345;
            vcpu_update_mode(v);
            int expected = mode == 0 ? rows[i].ring0 : mode == 1 ? rows[i].ring3 : rows[i].real;
            CHECK_EQ(execute(&fixture, rows[i].bytes, rows[i].count), expected);
            if (expected != DONE && expected != VEC_UD) CHECK_EQ(v->fault.error, 0);
        }
    }
    fixture_protected(&fixture, 3);
    v->paging.cr4 |= CR4_UMIP | CR4_TSD;
    CHECK_EQ(RUN("\x0f\x01\xe0"), VEC_GP);
    CHECK_EQ(RUN("\x0f\x00\xc8"), VEC_GP);
    CHECK_EQ(RUN("\x0f\x31"), VEC_GP);
    CHECK_EQ(RUN("\x0f\x01\x05\x00\x50\x01\x00"), VEC_GP); /* sgdt [15000h] */
}

static void test_interrupt_flag(void)
{
    struct vcpu *v = fixture.v;
    fixture_protected(&fixture, 0);
    CHECK_EQ(RUN("\xfb"), DONE);
    CHECK_EQ(v->inhibit, 0); /* IF was set already */
    CHECK_EQ(RUN("\xfa"), DONE);
    CHECK_EQ(v->eflags & FL_IF, 0);
    v->interrupt_line = true;
    v->pending = 0;
    CHECK_EQ(RUN("\xfb"), DONE);
    CHECK_EQ(v->inhibit, INHIBIT_STI);
    CHECK_EQ(v->pending, PENDING_INTERRUPT);
    v->interrupt_line = false;

    fixture_protected(&fixture, 3); /* POPF below IOPL leaves IF and IOPL in silence */
    poke(&fixture, AT_STACK3, 4, FL_CF | FL_IOPL | FL_NT | FL_ID);
    CHECK_EQ(RUN("\x9d"), DONE);
    CHECK_EQ(v->eflags, FL_ONE | FL_IF | FL_CF | FL_NT | FL_ID);
    CHECK_EQ(RUN("\x9c"), DONE);
    CHECK_EQ(peek(&fixture, AT_STACK3, 4), FL_ONE | FL_IF | FL_CF | FL_NT | FL_ID);

    fixture_protected(&fixture, 3); /* CR4.PVI: ring 3 has a flag of its own */
    v->paging.cr4 |= CR4_PVI;
    CHECK_EQ(RUN("\xfb"), DONE);
    CHECK_EQ(v->eflags & (FL_VIF | FL_IF), FL_VIF | FL_IF);
    v->eflags |= FL_VIP;
    CHECK_EQ(RUN("\xfb"), VEC_GP);
    CHECK_EQ(RUN("\xfa"), DONE);
    CHECK_EQ(v->eflags & FL_VIF, 0);
}

/* PUSHF and POPF of virtual-8086 code. */
static void test_vm86_flags(void)
{
    struct vcpu *v = fixture.v;
    for (unsigned vme = 0; vme < 2; vme++) {
        fixture_protected(&fixture, 3);
        v->eflags |= FL_VM;
        for (unsigned seg = 0; seg < SEG_COUNT; seg++)
            segment_set_real(v, seg, 0x1000);
        v->gpr[REG_ESP] = 0x8000;
        if (vme) v->paging.cr4 |= CR4_VME;
        CHECK_EQ(RUN("\x9c"), vme ? DONE : VEC_GP);
        CHECK_EQ(RUN("\x66\x9c"), VEC_GP); /* 32-bit forms always trap */
        if (vme) CHECK_EQ(peek(&fixture, 0x17ffe, 2), FL_ONE | FL_IOPL);
        poke(&fixture, 0x17ffe, 2, FL_IF);
        v->gpr[REG_ESP] = 0x7ffe;
        CHECK_EQ(RUN("\x9d"), vme ? DONE : VEC_GP);
        if (vme) CHECK_EQ(v->eflags, FL_ONE | FL_IF | FL_VIF | FL_VM);
        v->eflags |= FL_IOPL;
        v->gpr[REG_ESP] = 0x7ffe;
        poke(&fixture, 0x17ffe, 2, 0);
        CHECK_EQ(RUN("\x9d"), DONE);
        CHECK_EQ(v->eflags & (FL_IF | FL_IOPL | FL_VM), FL_IOPL | FL_VM);
    }
}

static void test_descriptor_questions(void)
{
    static const struct {
        unsigned cpl;
        u16 selector;
        u32 lar, lsl;
        bool readable, writable;
    } rows[] = {
        {0, CODE0, 0xcf9b00, 0xffffffff, true, false},
        {0, DATA0, 0xcf9300, 0xffffffff, true, true},
        {3, DATA0, 0, 0, false, false},
        {3, CONFORMING, 0xcf9f00, 0xffffffff, true, false},
        {0, EXECUTE_ONLY, 0xcf9900, 0xffffffff, false, false},
        {0, READ_ONLY, 0xcf9000, 0xffffffff, true, false},
        {0, TSS, 0x8b00, 0x2067, false, false},
        {0, CALL_GATE, 0xec00, 0, false, false},
        {0, DATA0 | 3, 0, 0, false, false},
        {0, 0, 0, 0, false, false},
        {0, BEYOND, 0, 0, false, false},
        {3, DATA3, 0xcff300, 0xffffffff, true, true},
    };
    struct vcpu *v = fixture.v;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_protected(&fixture, rows[i].cpl);
        v->gpr[REG_ECX] = rows[i].selector;
        v->gpr[REG_EAX] = 0;
        CHECK_EQ(RUN("\x0f\x02\xc1"), DONE); /* lar eax, ecx */
        CHECK_EQ(v->gpr[REG_EAX], rows[i].lar);
        CHECK_EQ(!!(v->eflags & FL_ZF), rows[i].lar != 0);
        v->gpr[REG_EAX] = 0;
        CHECK_EQ(RUN("\x0f\x03\xc1"), DONE); /* lsl eax, ecx */
        CHECK_EQ(v->gpr[REG_EAX], rows[i].lsl);
        CHECK_EQ(!!(v->eflags & FL_ZF), rows[i].lsl != 0);
        CHECK_EQ(RUN("\x0f\x00\xe1"), DONE); /* verr cx */
        CHECK_EQ(!!(v->eflags & FL_ZF), rows[i].readable);
        CHECK_EQ(RUN("\x0f\x00\xe9"), DONE); /* verw cx */
        CHECK_EQ(!!(v->eflags & FL_ZF), rows[i].writable);
    }
    fixture_protected(&fixture, 0);
    v->gpr[REG_EAX] = 0x10;
    v->gpr[REG_ECX] = 0x23;
    CHECK_EQ(RUN("\x63\xc8"), DONE); /* arpl ax, cx */
    CHECK_EQ(v->gpr[REG_EAX], 0x13);
    CHECK(v->eflags & FL_ZF);
}

static void test_tables_and_selectors(void)
{
    struct vcpu *v = fixture.v;
    fixture_protected(&fixture, 0);
    CHECK_EQ(RUN("\x0f\x01\x05\x00\x50\x01\x00"), DONE); /* sgdt [15000h] */
    CHECK_EQ(peek(&fixture, DATA_AT, 2), 0xff);
    CHECK_EQ(peek(&fixture, DATA_AT + 2, 4), AT_GDT);
    poke(&fixture, DATA_AT, 2, 0x123);
    poke(&fixture, DATA_AT + 2, 4, 0x87654321);
    CHECK_EQ(RUN("\x0f\x01\x1d\x00\x50\x01\x00"), DONE); /* lidt */
    CHECK_EQ(v->idtr.base, 0x87654321);
    CHECK_EQ(v->idtr.limit, 0x123);
    CHECK_EQ(RUN("\x66\x0f\x01\x1d\x00\x50\x01\x00"), DONE);
    CHECK_EQ(v->idtr.base, 0x654321);

    poke(&fixture, DATA_AT, 4, 0x9990);
    poke(&fixture, DATA_AT + 4, 2, STACK16);
    CHECK_EQ(RUN("\x0f\xb2\x25\x00\x50\x01\x00"), DONE); /* lss esp */
    CHECK_EQ(v->seg[SEG_SS].selector, STACK16);
    CHECK_EQ(v->gpr[REG_ESP], 0x9990);
    CHECK_EQ(v->inhibit, 0);
    poke(&fixture, 0x9990, 4, DATA0);
    v->gpr[REG_ESP] = 0xdead9990;
    CHECK_EQ(RUN("\x17"), DONE); /* pop ss: ESP moves as on the old, 16-bit stack */
    CHECK_EQ(v->gpr[REG_ESP], 0xdead9994);
    CHECK_EQ(v->inhibit, INHIBIT_MOV_SS);
    v->gpr[REG_EAX] = DATA3;
    CHECK_EQ(RUN("\x8e\xd0"), VEC_GP); /* mov ss, ax */
    CHECK_EQ(v->fault.error, DATA3 & ~3);
    v->gpr[REG_EAX] = 0xffffffff;
    CHECK_EQ(RUN("\x8c\xd0"), DONE); /* mov eax, ss */
    CHECK_EQ(v->gpr[REG_EAX], DATA0);
    CHECK_EQ(RUN("\xea\x78\x56\x34\x12\x08\x00"), DONE); /* jmp 8:12345678h */
    CHECK_EQ(v->rip, 0x12345678);
    CHECK_EQ(RUN("\xcd\x80"), VEC_GP); /* int 80h: beyond the IDT's limit */
    CHECK_EQ(v->fault.error, 0x80 * 8 + 2);
}

/* INVPCID eax, [15000h]: types, reserved bits, and PCIDs without CR4.PCIDE. */
static void test_invpcid(void)
{
    static const struct {
        u32 type, pcid, high;
        int expected;
    } rows[] = {
        {0, 0, 0, DONE},   {1, 0, 0, DONE},        {2, 0, 0, DONE},       {3, 0, 0, DONE},
        {4, 0, 0, VEC_GP}, {0, 1, 0, VEC_GP},      {1, 0xfff, 0, VEC_GP}, {2, 0xfff, 0, DONE},
        {3, 1, 0, DONE},   {2, 0x1000, 0, VEC_GP}, {3, 0, 1, VEC_GP},     {~0u, 0, 0, VEC_GP},
    };
    struct vcpu *v = fixture.v;
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++) {
        fixture_protected(&fixture, 0);
        v->gpr[REG_EAX] = rows[n].type;
        poke(&fixture, 0x15000, 4, rows[n].pcid);
        poke(&fixture, 0x15004, 4, rows[n].high);
        poke(&fixture, 0x15008, 4, 0x15000);
        CHECK_EQ(RUN("\x66\x0f\x38\x82\x05\x00\x50\x01\x00"), rows[n].expected);
    }
}

int main(void)
{
    fixture_init(&fixture);
    test_privilege();
    test_invpcid();
    test_interrupt_flag();
    test_vm86_flags();
    test_descriptor_questions();
    test_tables_and_selectors();
    fixture_destroy(&fixture);
    return check_report();
}
