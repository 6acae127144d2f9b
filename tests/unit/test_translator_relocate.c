/*
 * Copies of blocks at another EIP (translator/relocate.c) by themselves. The same page of RAM is mapped at two linear
 * addresses. Its code is translated at the first address and copied for the second. Hazard: the copy keeps an address
 * of the original: a return address on the guest's stack, the EIP of a fault, the target of an edge, the entry with
 * which it checks the frame of another page.
 */
#include "engine_rig.h"

/* Code for pages below 80h has shorter constants and cannot be copied. */
#define CODE_AT 0x300000u

static struct engines engines;

static const struct counters *counters(void)
{
    return &engines.translator->counters;
}

/* Every way in which code can find out its address. The results are in registers and on the stack at the end. */
GUEST(call_next, "call 1f; 1: pop %eax; hlt");
GUEST(call_and_return, "mov $3, %ecx; 1: call 2f; dec %ecx; jnz 1b; hlt; 2: mov (%esp), %eax; inc %edx; ret");
GUEST(branches, "mov $7, %ecx; 1: test $1, %cl; jz 2f; add %ecx, %eax; jmp 3f; 2: sub %ecx, %edx; 3: dec "
                "%ecx; jnz 1b; hlt");
GUEST(divides_by_0, "mov $5, %eax; cdq; mov $0, %ecx; idiv %ecx; hlt");
GUEST(faults, "mov $1, %eax; mov %eax, 0x70000000; hlt");
GUEST(invalid, "inc %eax; ud2; hlt");
GUEST(interrupts, "inc %eax; int $5; hlt");
GUEST(callouts, "cpuid; sgdt (%esi); str %ax; smsw %dx; inc %ebx; hlt");
GUEST(strings, "mov $20, %ecx; mov %esi, %edi; add $64, %edi; cld; rep movsb; hlt");
GUEST(indirect,
      "call 1f; 1: pop %ecx; add $2f - 1b, %ecx; mov $5, %ebx; 3: call *%ecx; dec %ebx; jnz 3b; hlt;"
      "2: mov (%esp), %edx; inc %eax; ret");
GUEST(other_page,
      "mov $3, %ecx; 1: call 2f; dec %ecx; jnz 1b; hlt; .skip 0x1000 - (. - guest_other_page), 0xf4;"
      "2: mov (%esp), %eax; jmp 3f; .skip 0x2000 - (. - guest_other_page), 0xf4; 3: inc %edx; ret");
GUEST(
    crossing,
    "jmp 1f; .skip 0xffe - (. - guest_crossing), 0xf4; 1: mov $0x12345678, %eax; call 2f; 2: pop %ebx; hlt");

static const struct {
    const u8 *code, *end;
    u8 vector;
} guests[] = {
#define ROW(name, vector)                                                                                    \
    {                                                                                                        \
        guest_##name, guest_end_##name, vector                                                               \
    }
    ROW(call_next, ENDED), ROW(call_and_return, ENDED), ROW(branches, ENDED),   ROW(divides_by_0, VEC_DE),
    ROW(faults, VEC_PF),   ROW(invalid, VEC_UD),        ROW(interrupts, 5),     ROW(callouts, ENDED),
    ROW(strings, ENDED),   ROW(indirect, ENDED),        ROW(other_page, ENDED), ROW(crossing, ENDED),
#undef ROW
};

static void run_at(u32 at, u8 vector)
{
    engines_rewind(&engines, at);
    for (unsigned n = 0; n < 8; n++)
        if (n != REG_ESP) engines_set(&engines, n, 0);
    engines_set(&engines, REG_ESI, HEAP_AT);
    CHECK_EQ(engines_run(&engines), vector);
}

static void test_guest(unsigned g)
{
    unsigned before = check_failures;
    engines_load(&engines, guests[g].code, guests[g].end, CODE_AT);
    run_at(CODE_AT, guests[g].vector);
    u64 translated = counters()->blocks_translated;
    CHECK(translated > 0);
    CHECK_EQ(counters()->blocks_relocated, 0);
    for (unsigned n = 0; n < 2; n++) { /* the second time with all edges linked */
        run_at(MIRROR_AT + CODE_AT, guests[g].vector);
        if (!n) CHECK(counters()->blocks_relocated > 0);
        CHECK(counters()->blocks_translated < translated);
    }
    run_at(CODE_AT, guests[g].vector);
    CHECK_EQ(counters()->blocks_translated + counters()->blocks_relocated, 0);
    if (check_failures != before) printf("   that was guest %u\n", g);
}

/* An edge of the copy looks at the copy's own second page. */
static void test_own_page_changes(void)
{
    const u32 second = CODE_AT + PAGE_SIZE, other = CODE_AT + 16 * PAGE_SIZE;
    engines_load(&engines, guest_other_page, guest_end_other_page, CODE_AT);
    struct rig *const rigs[] = {engines.interpreter, engines.translator};
    for (unsigned n = 0; n < 2; n++)
        phys_write_bytes(&rigs[n]->phys, other, (const u8[]){0x83, 0xc0, 0x33, 0xc3},
                         4); /* add $33h, %eax; ret */
    run_at(CODE_AT, ENDED);
    run_at(MIRROR_AT + CODE_AT, ENDED);
    run_at(MIRROR_AT + CODE_AT, ENDED);
    engines_write(&engines, pte_at(MIRROR_AT + second), other | PTE_ALL);
    run_at(MIRROR_AT + CODE_AT, ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EAX], 3 * 0x33);
}

/* A copy has the current bytes. */
static void test_changed_code(void)
{
    engines_load(&engines, guest_call_next, guest_end_call_next, CODE_AT);
    run_at(CODE_AT, ENDED);
    engines_write(&engines, CODE_AT + 5, 0xf45b5058); /* pop %eax; push %eax; pop %ebx; hlt */
    run_at(MIRROR_AT + CODE_AT, ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EBX], MIRROR_AT + CODE_AT + 5);
}

/* A block in the first page of the address space is not relocated: its code may rely on the absence of a page before
 * it. */
static void test_first_page(void)
{
    engines_load(&engines, guest_branches, guest_end_branches, CODE_AT);
    engines_write(&engines, pte_at(0), CODE_AT | PTE_ALL);
    run_at(CODE_AT, ENDED);
    run_at(0, ENDED);
    CHECK_EQ(counters()->blocks_relocated, 0);
}

int main(void)
{
    struct translator_config config = translator_defaults();
    if (translator_install_signals()) abort();
    engines = engines_create(&config);
    for (unsigned g = 0; g < ARRAY_SIZE(guests); g++)
        test_guest(g);
    test_own_page_changes();
    test_changed_code();
    test_first_page();
    engines_destroy(&engines);
    config.no_relocation = true;
    engines = engines_create(&config);
    engines_load(&engines, guest_branches, guest_end_branches, CODE_AT);
    run_at(CODE_AT, ENDED);
    run_at(MIRROR_AT + CODE_AT, ENDED);
    CHECK_EQ(counters()->blocks_relocated, 0);
    engines_destroy(&engines);
    return check_report();
}
