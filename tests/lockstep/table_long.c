/*
 * The forms of the instruction table that 64-bit mode alone has: each is decoded, and executed by the interpreter in
 * rings 0 and 3. It must trap where its row says so.
 */
#include "table_long.h"

#include "check.h"
#include "cpu/fault.h"
#include "cpu/isa.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

static const struct long_form {
    const char *form;
    u8 bytes[4], length;
} long_forms[] = {
#define FORM(name, code)                                                                                     \
    {                                                                                                        \
        (name), code, sizeof(code) - 1                                                                       \
    }
    FORM("PUSHFQ", "\x9c"),
    FORM("POPFQ", "\x9d"),
    FORM("SWAPGS", "\x0f\x01\xf8"),
    FORM("RDFSBASE", "\xf3\x0f\xae\xc0"),
    FORM("RDGSBASE", "\xf3\x0f\xae\xc8"),
    FORM("WRFSBASE", "\xf3\x0f\xae\xd0"),
    FORM("WRGSBASE", "\xf3\x0f\xae\xd8"),
    FORM("IRETQ", "\x48\xcf"),
    FORM("SYSCALL", "\x0f\x05"),
    FORM("SYSRET", "\x0f\x07"),
#undef FORM
};

bool long_form_known(const char *form)
{
    for (unsigned n = 0; n < ARRAY_SIZE(long_forms); n++)
        if (!strcmp(long_forms[n].form, form)) return true;
    return false;
}

enum { STACK_AT = 0x8000, GDT_AT = 0x1000, CODE0 = 8, DATA0 = 16, CODE3 = 0x2b, DATA3 = 0x23 };

/* 64-bit mode with linear addresses that are physical ones: no hardware has that, and the forms do not care. */
static void enter_long_mode(struct rig *rig, unsigned cpl)
{
    static const u64 gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                              0, 0x00cff3000000ffff, 0x00affb000000ffff};
    struct vcpu *v = &rig->vcpu;
    u16 cs = cpl ? CODE3 : CODE0, ss = cpl ? DATA3 : DATA0;
    rig_load(rig, "", 1);
    phys_write_bytes(&rig->phys, GDT_AT, gdt, sizeof(gdt));
    v->gdtr = (struct desc_table){GDT_AT, sizeof(gdt) - 1};
    v->paging.efer = EFER_LMA | EFER_LME | EFER_SCE;
    v->paging.cr4 |= CR4_PAE | CR4_FSGSBASE;
    v->seg[SEG_CS].access = AR_P | AR_S | AR_CODE | AR_READABLE | AR_L | cpl << AR_DPL_SHIFT;
    v->seg[SEG_CS].selector = cs;
    v->seg[SEG_SS].selector = ss;
    v->cpl = (u8)cpl;
    v->gpr[REG_ESP] = STACK_AT;
    const u64 frame[] = {RIG_CODE, cs, FL_ONE, STACK_AT, ss}; /* for IRETQ */
    phys_write_bytes(&rig->phys, STACK_AT, frame, sizeof(frame));
    vcpu_update_mode(v);
}

static __attribute__((noinline)) u8 execute(struct vcpu *v, const struct insn *i)
{
    if (FAULT_CATCH(v)) return v->fault.vector;
    v->insn_start = v->rip;
    v->rip += i->length;
    i->row->execute(v, i);
    return ISA_NO_TRAP;
}

void check_long_forms(void)
{
    struct rig *rig = rig_create();
    rig->vcpu.model = cpu_model_find("max64");
    for (unsigned n = 0; n < ARRAY_SIZE(long_forms); n++)
        for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
            const struct isa_mode mode = {.protected = true, .cpl = (u8)cpl};
            u8 bytes[INSN_MAX_BYTES] = {0};
            struct insn i;
            memcpy(bytes, long_forms[n].bytes, long_forms[n].length);
            CHECK_EQ(insn_decode(&i, bytes, sizeof(bytes), CODE_64), long_forms[n].length);
            CHECK(!strcmp(i.row->name, long_forms[n].form));
            enter_long_mode(rig, cpl);
            u8 vector = execute(&rig->vcpu, &i), expected = isa_trap(i.row, &mode);
            if (vector != expected)
                printf("%s at CPL %u: vector %u, the row says %u\n", i.row->name, cpl, vector, expected);
            CHECK_EQ(vector, expected);
        }
    rig_destroy(rig);
}
