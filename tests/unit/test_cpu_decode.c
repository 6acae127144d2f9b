/*
 * The digest of decoded instructions. The interpreter's routines and the translator rely on these facts, and another
 * version of Zydis might report them differently.
 */
#include "check.h"
#include "cpu/cpuid.h"
#include "cpu/isa.h"

#include <string.h>

static struct insn decode(const char *bytes, unsigned count, bool code32)
{
    struct insn i;
    u8 padded[INSN_MAX_BYTES] = {0};
    memcpy(padded, bytes, count);
    insn_decode(&i, padded, sizeof(padded), code32);
    return i;
}
#define DECODE(text, code32) decode(text, sizeof(text) - 1, code32)

static void test_sizes(void)
{
    struct insn i = DECODE("\xc3", true);
    CHECK_EQ(i.operand_bytes, 4);
    CHECK_EQ(i.stack_bytes, 4);
    i = DECODE("\x66\xc3", true);
    CHECK_EQ(i.operand_bytes, 2);
    i = DECODE("\x50", false);
    CHECK_EQ(i.stack_bytes, 2);
    i = DECODE("\x66\x50", false);
    CHECK_EQ(i.stack_bytes, 4);
    i = DECODE("\xf3\xa4", true);
    CHECK_EQ(i.operand_bytes, 1);
    CHECK(i.prefixes & PFX_REP);
    i = DECODE("\xf2\xa4", true);
    CHECK(i.prefixes & PFX_REPNE);
    i = DECODE("\x67\xe3\x05", true);
    CHECK_EQ(i.address_bytes, 2);
}

static void test_operands(void)
{
    struct insn i = DECODE("\x83\x03\xff", true); /* add dword [ebx], -1 */
    CHECK_EQ(i.op[0].kind, OPND_MEM);
    CHECK_EQ(i.op[0].bytes, 4);
    CHECK(i.op[0].read && i.op[0].written);
    CHECK_EQ((u32)i.imm[i.op[1].imm], 0xffffffff);
    i = DECODE("\x26\x8a\x67\xfc", true); /* mov ah, es:[edi-4] */
    CHECK_EQ(i.op[0].reg_class, RC_GPR8);
    CHECK_EQ(i.op[0].reg, 4);
    CHECK_EQ(i.mem_seg, SEG_ES);
    CHECK_EQ(i.mem_disp, 0xfffffffc);
    i = DECODE("\x64\xac", true); /* lodsb fs:[esi] */
    CHECK_EQ(i.mem_seg, SEG_FS);
    i = DECODE("\x64\xd7", true); /* xlat */
    CHECK_EQ(i.mem_seg, SEG_FS);
    i = DECODE("\x8b\x42\x10", false); /* mov ax, [bp+si+16]: SS */
    CHECK_EQ(i.mem_base, REG_EBP);
    CHECK_EQ(i.mem_index, REG_ESI);
    CHECK_EQ(i.mem_seg, SEG_SS);
    i = DECODE("\xc8\x10\x00\x03", true);
    CHECK_EQ(i.imm[0], 0x10);
    CHECK_EQ(i.imm[1], 3);
    i = DECODE("\xea\x78\x56\x34\x12\x08\x00", true);
    CHECK_EQ(i.op[0].kind, OPND_FAR);
    CHECK_EQ(i.imm[0], 0x12345678);
    CHECK_EQ(i.imm[1], 8);
}

static void test_rows(void)
{
    CHECK(!strcmp(DECODE("\xa5", true).row->name, "MOVSD"));
    CHECK(!strcmp(DECODE("\xf2\x0f\x10\xc1", true).row->name, "sse2"));
    CHECK(!strcmp(DECODE("\xf2\x0f\xc2\xc1\x00", true).row->name, "sse2"));
    CHECK(!strcmp(DECODE("\x0f\xfc\xc1", true).row->name, "mmx"));
    CHECK(!strcmp(DECODE("\xd9\xe8", true).row->name, "x87"));
    CHECK(!strcmp(DECODE("\xf3\x0f\x1e\xfa", true).row->name, "NOP"));
    CHECK(!strcmp(DECODE("\x0f\x0b", true).row->name, "UD2"));
    CHECK(!strcmp(DECODE("\xf0\x90", true).row->name, "(ud)"));
    CHECK(!strcmp(DECODE("\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e", true).row->name,
                  "(too long)"));
    struct insn i;
    CHECK_EQ(insn_decode(&i, (const u8 *)"\xb8\x01\x02", 3, true), -1);
}

static void test_exposure(void)
{
    const struct cpu_model *old = cpu_model_find("pentium"), *p3 = cpu_model_find("pentium3");
    struct insn cmov = DECODE("\x0f\x44\xc1", true), addps = DECODE("\x0f\x58\xc1", true),
                addpd = DECODE("\x66\x0f\x58\xc1", true), avx = DECODE("\xc5\xf8\x58\xc1", true),
                add = DECODE("\x01\xc1", true);
    CHECK(!isa_exposed(old, &cmov) && isa_exposed(p3, &cmov));
    CHECK(!isa_exposed(old, &addps) && isa_exposed(p3, &addps));
    CHECK(!isa_exposed(p3, &addpd) && isa_exposed(cpu_model_find("pentium4"), &addpd));
    CHECK(!isa_exposed(cpu_model_find("x86-64-v2"), &avx) && isa_exposed(cpu_model_find("x86-64-v3"), &avx));
    CHECK(isa_exposed(old, &add));
}

static void test_flags(void)
{
    CHECK_EQ(DECODE("\x01\xc1", true).flags_killed, FL_ARITH);
    CHECK_EQ(DECODE("\x11\xc1", true).flags_read, FL_CF);
    CHECK_EQ(DECODE("\xd3\xe0", true).flags_killed, 0); /* the count may be 0 */
    CHECK_EQ(DECODE("\xf3\xa6", true).flags_killed, 0); /* no iteration */
    CHECK_EQ(DECODE("\x0f\x44\xc1", true).flags_read, FL_ZF);
    CHECK_EQ(DECODE("\x40", true).flags_killed, FL_ARITH & ~FL_CF);
}

int main(void)
{
    test_sizes();
    test_operands();
    test_rows();
    test_exposure();
    test_flags();
    return check_report();
}
