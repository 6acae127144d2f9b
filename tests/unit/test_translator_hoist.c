/*
 * Hoisted checks (translator/hoist.c) by themselves: one check covers several accesses, and the guest cannot see a
 * difference. Hazards: an access that its own check would have refused; a fault at another instruction, or before
 * earlier stores are made; an address that counts as known although its register has changed.
 */
#include "engine_rig.h"

static struct engines engines;

#define PAGE_END (HEAP_AT + PAGE_SIZE)

/* --- one check for several accesses --- */

GUEST(together,
      "mov $0x200010, %ebx; mov %eax, (%ebx); mov %ecx, 4(%ebx); mov 4(%ebx), %edx; mov %edx, 8(%ebx); hlt");
GUEST(stack, "push %eax; push %ecx; pop %edx; pop %ebx; hlt");
GUEST(apart, "mov $0x200010, %ebx; mov %eax, (%ebx); mov %ecx, 0x1000(%ebx); hlt");

static void test_counts(void)
{
    const struct counters *c = &engines.translator->counters;
    CHECK_EQ(engines_run_guest(&engines, together), ENDED);
    CHECK_EQ(c->hoists, 1);
    CHECK_EQ(c->hoisted_checks, 3);
    CHECK_EQ(engines_run_guest(&engines, stack), ENDED);
    CHECK_EQ(c->hoists, 1);
    CHECK_EQ(c->hoisted_checks, 3);
    /* Addresses so far apart are in one page only by chance. */
    CHECK_EQ(engines_run_guest(&engines, apart), ENDED);
    CHECK_EQ(c->hoists + c->hoisted_checks, 0);
}

/* --- accesses that must fail --- */

/* The address is in a register, so the check finds out what is there. */
GUEST(stores, "mov %eax, (%ebx); mov %ecx, 4(%ebx); mov %edx, 8(%ebx); hlt");

static void set_stores(u32 at)
{
    engines_set(&engines, REG_EBX, at);
    engines_set(&engines, REG_EAX, 0x11111111);
    engines_set(&engines, REG_ECX, 0x22222222);
    engines_set(&engines, REG_EDX, 0x33333333);
}

/* The accesses before the one that faults have been made, and none behind it. The first run fills the shadow
 * entry of the page, without which every check fails. */
static void test_page_end(void)
{
    for (u32 back = 1; back < 16; back++) {
        engines_load(&engines, guest_stores, guest_end_stores, RIG_CODE);
        set_stores(HEAP_AT);
        CHECK_EQ(engines_run(&engines), ENDED);
        CHECK_EQ(engines.translator->counters.hoists, 1);
        engines_rewind(&engines, RIG_CODE);
        engines_write(&engines, pte_at(PAGE_END), 0);
        set_stores(PAGE_END - back);
        CHECK_EQ(engines_run(&engines), back < 12 ? VEC_PF : ENDED);
        CHECK_EQ(engines.translator->counters.hoists_failed, back < 12);
    }
}

/* The first block fills the read entry of the page, but no write entry. */
GUEST(store_after_loads, "mov (%ebx), %eax; jmp *%ebp; mov (%ebx), %eax; mov %ecx, 4(%ebx); hlt");

static u32 run_store_after_loads(u32 pte)
{
    engines_load(&engines, guest_store_after_loads, guest_end_store_after_loads, RIG_CODE);
    engines_write(&engines, HEAP_AT, 0x12345678);
    engines_write(&engines, pte_at(HEAP_AT), pte);
    engines_set(&engines, REG_EBX, HEAP_AT);
    engines_set(&engines, REG_EBP, RIG_CODE + 4);
    return engines_run(&engines);
}

/* A group with a store needs the right to write, and a group of loads does not. The accesses set the accessed and dirty
 * bits, not the check. */
static void test_rights(void)
{
    struct rig *rig = engines.translator;
    CHECK_EQ(run_store_after_loads(HEAP_AT | PTE_P | PTE_A | PTE_D), VEC_PF);
    CHECK_EQ(rig->vcpu.gpr[REG_EAX], 0x12345678);
    CHECK_EQ(rig->vcpu.cr2, HEAP_AT + 4);
    CHECK_EQ(rig->counters.hoists_failed, 1);
    CHECK_EQ(run_store_after_loads(HEAP_AT | PTE_P | PTE_RW), ENDED);
    CHECK_EQ(phys_read(&rig->phys, pte_at(HEAP_AT), 4), HEAP_AT | PTE_ALL);
}

GUEST(fault_before_store, "mov (%ebx), %eax; mov (%esi), %edx; mov %ecx, 4(%ebx); hlt");
static void test_dirty_too_early(void)
{
    engines_load(&engines, guest_fault_before_store, guest_end_fault_before_store, RIG_CODE);
    engines_write(&engines, pte_at(HEAP_AT), HEAP_AT | PTE_P | PTE_RW);
    engines_set(&engines, REG_EBX, HEAP_AT);
    engines_set(&engines, REG_ESI, 0x70000000); /* nothing is there */
    CHECK_EQ(engines_run(&engines), VEC_PF);
    CHECK_EQ(phys_read(&engines.translator->phys, pte_at(HEAP_AT), 4), HEAP_AT | PTE_P | PTE_RW | PTE_A);
}

/* --- entries that are dropped within the block --- */

/* A store to a page table takes away the page that was checked. */
GUEST(unmap, "mov %eax, (%ebx); movl $0, (%esi); mov %ecx, 4(%ebx); mov %edx, 8(%ebx); hlt");

static void test_entry_goes(void)
{
    engines_load(&engines, guest_unmap, guest_end_unmap, RIG_CODE);
    engines_set(&engines, REG_EBX, HEAP_AT);
    engines_set(&engines, REG_ESI, pte_at(HEAP_AT + 16 * PAGE_SIZE));
    CHECK_EQ(engines_run(&engines), ENDED);
    engines_rewind(&engines, RIG_CODE);
    engines_set(&engines, REG_ESI, pte_at(HEAP_AT));
    CHECK_EQ(engines_run(&engines), VEC_PF);
    CHECK_EQ(engines.translator->vcpu.cr2, HEAP_AT + 4);
    CHECK_EQ(engines.translator->counters.hoists_left, 1);
}

/* --- registers that instructions change --- */

/* Each instruction, with its length in front; 0 ends the list. */
#define INSN(text) ".byte 2f - 1f\n1: " text "\n2:\n"
/* clang-format off */
GUEST(instructions,
      INSN("mov %eax, %ebx") INSN("mov $5, %ecx") INSN("mov $7, %dl") INSN("mov $7, %bh")
      INSN("mov $9, %si") INSN("lea 4(%eax), %ecx") INSN("lea (%eax, %ecx), %edx") INSN("lea 8(%ebx), %bx")
      INSN("add $8, %eax") INSN("add $8, %cx") INSN("add $8, %cl") INSN("add %ecx, %eax")
      INSN("adc $0, %edi") INSN("sub $8, %ebp") INSN("sub %eax, %ebx") INSN("sbb %ecx, %ecx")
      INSN("inc %eax") INSN("inc %bx") INSN("dec %ecx") INSN("dec %dl") INSN("neg %esi") INSN("not %edi")
      INSN("and $-16, %ebp") INSN("or $12, %eax") INSN("xor %edx, %edx") INSN("shl $1, %ecx")
      INSN("sar $1, %ebx") INSN("ror $3, %esi") INSN("shld $4, %eax, %edx") INSN("mul %ecx")
      INSN("mulb %cl") INSN("imul %ecx") INSN("imul %eax, %ebx") INSN("imul $3, %eax, %edi") INSN("cdq")
      INSN("cwd") INSN("cbw") INSN("cwde") INSN("xchg %eax, %ecx") INSN("xchg %ah, %bl")
      INSN("xadd %eax, %edx") INSN("cmpxchg %ebx, %ecx") INSN("cmpxchg %ecx, (%edi)") INSN("bswap %esi")
      INSN("bsf %eax, %ebx") INSN("bsr %ecx, %edx") INSN("bts %eax, %ecx") INSN("btr $1, %ebp")
      INSN("sete %al") INSN("setne %bh") INSN("cmove %eax, %ecx") INSN("cmovne %ebx, %esi")
      INSN("movzbl %al, %ebx") INSN("movswl %cx, %edi") INSN("pop %ecx") INSN("pop %edi") INSN("push %eax")
      INSN("pushf; pop %esi") INSN("pusha") INSN("popa") INSN("leave") INSN("enter $8, $0") INSN("lahf")
      INSN("sahf") INSN("cpuid") INSN("xlat") INSN("lodsb") INSN("lodsl") INSN("stosl") INSN("movsl")
      INSN("scasb") INSN("cmpsl") INSN("rep stosb") INSN("aaa") INSN("aas") INSN("daa") INSN("aam")
      INSN("aad") INSN("cld") INSN("nop") INSN("popcnt %eax, %ebx") INSN("movd %xmm0, %ecx")
      INSN("movmskps %xmm0, %ebx") INSN("pextrw $0, %xmm0, %eax") INSN("cvttss2si %xmm0, %edx")
      INSN("crc32b %al, %ecx") INSN("str %ax") INSN("sldt %ebx") INSN("smsw %cx") INSN("lar %cx, %edx")
      INSN("lsl %cx, %esi") INSN("movbe (%edi), %ecx") INSN("mov %ds, %eax") INSN("mov %cr3, %ebx")
      INSN("mov %dr7, %ecx") ".byte 0");
/* clang-format on */

/* An access by a register, an instruction that may change the register, and three more accesses, which must use the new
 * value. The interpreter gives the right result, which is often a fault. */
static void test_followed(void)
{
    static const u8 registers[] = {REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_EBP, REG_ESI, REG_EDI};
    unsigned tried = 0;
    for (const u8 *insn = guest_instructions; *insn; insn += 1 + *insn)
        for (unsigned r = 0; r < ARRAY_SIZE(registers); r++) {
            u8 code[64] = {0};
            unsigned bytes = 0;
            for (unsigned n = 0; n < 4; n++) {
                /* mov dword [reg + 4n], n + 1 */
                const u8 store[] = {0xc7, 0x40 | registers[r], (u8)(4 * n), (u8)(n + 1), 0, 0, 0};
                memcpy(code + bytes, store, sizeof(store));
                bytes += sizeof(store);
                if (n) continue;
                memcpy(code + bytes, insn + 1, *insn);
                bytes += *insn;
            }
            code[bytes++] = 0xf4;
            unsigned before = check_failures;
            engines_load(&engines, code, code + bytes, RIG_CODE);
            for (unsigned run = 0; run < 2; run++) { /* the first one fills the shadow entries */
                engines_rewind(&engines, RIG_CODE);
                for (unsigned n = 0; n < ARRAY_SIZE(registers); n++)
                    engines_set(&engines, registers[n], HEAP_AT + 0x10040 * n);
                engines_set(&engines, REG_ESP, HEAP_AT + 0x180000);
                engines_run(&engines);
            }
            if (check_failures != before)
                printf("   that was instruction %u, of %u bytes, and register %u\n", tried, *insn,
                       registers[r]);
            tried++;
        }
    CHECK(tried > 600);
}

int main(void)
{
    struct translator_config config = translator_defaults();
    engines = engines_create(&config);
    test_counts();
    test_page_end();
    test_rights();
    test_dirty_too_early();
    test_entry_goes();
    test_followed();
    engines_destroy(&engines);
    /* --no-hoisting turns it off. */
    config.no_hoisting = true;
    engines = engines_create(&config);
    CHECK_EQ(engines_run_guest(&engines, together), ENDED);
    CHECK_EQ(engines.translator->counters.hoists, 0);
    engines_destroy(&engines);
    return check_report();
}
