/*
 * The shadow return stack (translator/returns.c) by itself: when it is kept and when it is emptied. A guest's return
 * goes to the address on the guest's stack. Hazard: a return to code that has changed, or that belongs to another
 * mode or address space.
 */
#include "engine_rig.h"
#include "translator/returns.h"

/* --- the stack, without code --- */

struct bare {
    struct vcpu *v;
    struct returns returns;
    struct cache cache;
};

/* As a CALL in translated code does. */
static void push(struct bare *b)
{
    b->v->scratch.return_top -= sizeof(u64);
}

static u64 depth(const struct bare *b)
{
    return (b->v->scratch.return_base - b->v->scratch.return_top) / sizeof(u64);
}

/* Is the stack empty after returns_select(), on a vCPU that has called twice? */
static bool is_emptied(struct bare *b)
{
    u64 resets = b->v->counters->return_stack_resets;
    returns_select(b->v, &b->returns, &b->cache);
    bool emptied = !depth(b);
    CHECK_EQ(b->v->counters->return_stack_resets - resets, emptied);
    while (depth(b) < 2)
        push(b);
    return emptied;
}

static void test_what_empties(void)
{
    struct rig *rig = rig_create();
    struct bare b = {.v = &rig->vcpu, .cache = {.counters = &rig->counters}};
    struct vcpu *v = b.v;
    u32 table;
    rig_load(rig, "", 0);
    CHECK_EQ(returns_init(&b.returns), 0);
    returns_select(v, &b.returns, &b.cache);
    CHECK_EQ(depth(&b), 0);
    push(&b);
    push(&b);
    CHECK(!is_emptied(&b));
    v->mode ^= MODE_CODE32;
    CHECK(is_emptied(&b));
    CHECK(!is_emptied(&b));
    rig->shadow.exec_drops++;
    CHECK(is_emptied(&b));
    rig->shadow.data_drops++;
    CHECK(!is_emptied(&b));
    b.cache.turns++;
    CHECK(is_emptied(&b));
    v->exec_table = &table;
    CHECK(is_emptied(&b));
    CHECK(!is_emptied(&b));
    /* Each privilege has its own, which waits while the other one is used. */
    u64 supervisor = v->scratch.return_top;
    v->cpl = 3;
    returns_select(v, &b.returns, &b.cache);
    CHECK_EQ(depth(&b), 0);
    push(&b);
    u64 user = v->scratch.return_top;
    v->cpl = 0;
    CHECK(!is_emptied(&b));
    CHECK_EQ(v->scratch.return_top, supervisor);
    v->cpl = 3;
    returns_select(v, &b.returns, &b.cache);
    CHECK_EQ(v->scratch.return_top, user);
    /* An exec entry that is dropped while the stack waits empties it too. */
    v->cpl = 0;
    returns_select(v, &b.returns, &b.cache);
    rig->shadow.exec_drops++;
    returns_select(v, &b.returns, &b.cache);
    v->cpl = 3;
    returns_select(v, &b.returns, &b.cache);
    CHECK_EQ(depth(&b), 0);
    /* A full stack reaches the page below it. A fault at any other address has another cause. */
    u64 guard = (u64)(uintptr_t)b.returns.current->guard;
    CHECK_EQ(returns_overflow(v, &b.returns, guard + PAGE_SIZE - 8), v->scratch.return_base);
    CHECK_EQ(returns_overflow(v, &b.returns, guard), v->scratch.return_base);
    CHECK_EQ(returns_overflow(v, &b.returns, guard - 1), 0);
    CHECK_EQ(returns_overflow(v, &b.returns, guard + PAGE_SIZE), 0);
    CHECK_EQ(rig->counters.return_stack_overflows, 2);
    returns_destroy(&b.returns);
    rig_close(rig);
}

/* --- with guest code --- */

static struct engines engines;

GUEST(paired,
      "mov $1000, %ecx; 1: call 2f; dec %ecx; jnz 1b; hlt; 2: call 3f; inc %eax; ret; 3: inc %edx; ret");
GUEST(moved, "mov $100, %ecx; 1: call 2f; hlt; dec %ecx; jnz 1b; hlt; 2: incl (%esp); ret");
GUEST(popped, "mov $100, %ecx; 1: call 2f; dec %ecx; jnz 1b; hlt; 2: call 3f; hlt; 3: pop %eax; ret");
GUEST(pushed, "mov $100, %ecx; 1: push $2f - guest_pushed + 0x10000; ret; hlt; 2: dec %ecx; jnz 1b; hlt");
GUEST(deep, "mov $40000, %ecx; call 2f; hlt; 2: inc %eax; dec %ecx; jz 3f; call 2b; 3: ret");
GUEST(swapped, "mov $100, %ecx; 1: call 2f; inc %ebx; dec %ecx; jnz 1b; hlt;"
               "2: mov %esp, %edx; mov $0x280000, %esp; call 3f; hlt; 3: mov %edx, %esp; ret");

static void test_guests(void)
{
    const struct counters *c = &engines.translator->counters;
    CHECK_EQ(engines_run_guest(&engines, paired), ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EDX], 1000);
    CHECK_EQ(engines.translator->vcpu.scratch.return_misses, 0);
    CHECK(c->block_lookups < 20);
    CHECK_EQ(engines_run_guest(&engines, moved), ENDED);
    CHECK(engines.translator->vcpu.scratch.return_misses >= 100);
    CHECK_EQ(engines_run_guest(&engines, popped), ENDED);
    CHECK_EQ(engines_run_guest(&engines, pushed), ENDED);
    CHECK_EQ(engines_run_guest(&engines, swapped), ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EBX], 100);
    CHECK_EQ(engines_run_guest(&engines, deep), ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EAX], 40000);
    CHECK_EQ(c->return_stack_overflows, 1);
}

/* While the callee runs, in a page of its own, the page it will return to gets another frame with other code. */
GUEST(caller, "call . + 0x1000; inc %eax; hlt");
GUEST(callee, "mov %ebx, (%esi); ret");

static void test_page_changes(void)
{
    const u32 other = RIG_CODE + 16 * PAGE_SIZE;
    engines_load(&engines, guest_caller, guest_end_caller, RIG_CODE);
    for (unsigned n = 0; n < 2; n++) {
        struct rig *rig = n ? engines.translator : engines.interpreter;
        phys_write_bytes(&rig->phys, RIG_CODE + PAGE_SIZE, guest_callee,
                         (u32)(guest_end_callee - guest_callee));
        phys_write_bytes(&rig->phys, other, guest_caller, (u32)(guest_end_caller - guest_caller));
        phys_write(&rig->phys, other + 5, 1, 0x48); /* dec %eax there */
    }
    engines_set(&engines, REG_ESI, pte_at(RIG_CODE));
    engines_set(&engines, REG_EBX, RIG_CODE | PTE_ALL); /* nothing new */
    CHECK_EQ(engines_run(&engines), ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EAX], 1);
    engines_rewind(&engines, RIG_CODE);
    engines_set(&engines, REG_EBX, other | PTE_ALL);
    CHECK_EQ(engines_run(&engines), ENDED);
    CHECK_EQ(engines.translator->vcpu.gpr[REG_EAX], 0);
    CHECK(engines.translator->counters.return_stack_resets + engines.translator->vcpu.scratch.return_misses >
          0);
}

int main(void)
{
    struct translator_config config = translator_defaults();
    test_what_empties();
    if (translator_install_signals()) abort();
    engines = engines_create(&config);
    test_guests();
    test_page_changes();
    engines_destroy(&engines);
    return check_report();
}
