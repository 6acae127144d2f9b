/*
 * Edges (translator/edge.c) by themselves: an edge leads directly to its target as long as the target is unchanged,
 * passes on the flags, and is cut when something is pending. Hazards: a jump to stale code, or to a page that maps
 * another frame now; lost flags; a loop that no kick ends.
 */
#include "engine_rig.h"
#include "translator/build.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

static struct engines engines;

static const struct counters *counters(void)
{
    return &engines.translator->counters;
}

static u32 reg(unsigned n)
{
    return (u32)engines.translator->vcpu.gpr[n];
}

/* --- direct edges --- */

GUEST(loop, "mov $1000, %ecx; 1: inc %eax; test $1, %al; jz 2f; inc %edx; 2: dec %ecx; jnz 1b; hlt");

static void test_chains(void)
{
    CHECK_EQ(engines_run_guest(&engines, loop), ENDED);
    CHECK_EQ(reg(REG_EDX), 500);
    CHECK(counters()->chains_made > 0);
    CHECK(counters()->block_lookups < 20);
}

/* The second block changes its own first instruction from INC to DEC during the loop: the edge to it must go. */
GUEST(modified, "mov $10, %ecx; 1: jmp 2f; .skip 100, 0xf4; 2: inc %eax; cmp $5, %ecx; jne 3f;"
                "movb $0x48, 2b - guest_modified + 0x10000; 3: dec %ecx; jnz 1b; hlt");

static void test_target_changes(void)
{
    CHECK_EQ(engines_run_guest(&engines, modified), ENDED);
    CHECK_EQ(reg(REG_EAX), 2); /* 6 up, 4 down */
    CHECK(counters()->blocks_invalidated > 0);
    CHECK(counters()->chains_broken > 0);
}

/* --- from page to page --- */

#define PAGE_2 ".skip 0x1000 - (. - guest_pages), 0xf4;"
#define OTHER  (RIG_CODE + 16 * PAGE_SIZE)

/* In round 5 the second page gets another frame, with code that subtracts instead of adding. CF must survive the edge,
 * unlinked and linked. */
GUEST(pages,
      "mov %ebp, %ecx; 1: stc; jmp 4f; 3: cmp $5, %ecx; jne 2f; mov %ebx, (%esi); 2: dec %ecx; jnz 1b; "
      "hlt;" PAGE_2 "4: adc $0, %eax; pushf; pop %edx; lea 1(%edi), %edi; jmp 3b");
#define ADC_TO_SBB 1 /* of the second page's bytes: 83 /2 becomes 83 /3 */

static void test_frame_changes(void)
{
    engines_load(&engines, guest_pages, guest_end_pages, RIG_CODE);
    struct rig *const rigs[] = {engines.interpreter, engines.translator};
    for (unsigned n = 0; n < 2; n++) {
        phys_write_bytes(&rigs[n]->phys, OTHER, guest_pages + PAGE_SIZE,
                         (u32)(guest_end_pages - guest_pages) - PAGE_SIZE);
        phys_write(&rigs[n]->phys, OTHER + ADC_TO_SBB, 1, 0xd8);
    }
    engines_set(&engines, REG_ESI, pte_at(RIG_CODE + PAGE_SIZE));
    engines_set(&engines, REG_EBX, OTHER | PTE_ALL);
    engines_set(&engines, REG_EBP, 10);
    CHECK_EQ(engines_run(&engines), ENDED);
    CHECK_EQ(reg(REG_EDI), 10);
    CHECK_EQ(reg(REG_EAX), 2); /* 6 up, 4 down */
}

/* While the page stays the edges lead there without C code. */
static void test_frame_stays(void)
{
    engines_load(&engines, guest_pages, guest_end_pages, RIG_CODE);
    engines_set(&engines, REG_ESI, HEAP_AT);
    engines_set(&engines, REG_EBP, 1000);
    CHECK_EQ(engines_run(&engines), ENDED);
    CHECK_EQ(reg(REG_EAX), 1000);
    CHECK(counters()->block_lookups + counters()->block_probe_hits < 50);
}

/* After the page has got another frame the edges lead to the new one without C code. */
static void test_edges_follow_the_frame(void)
{
    test_frame_changes();
    engines_rewind(&engines, RIG_CODE);
    engines_set(&engines, REG_ESI, HEAP_AT);
    engines_set(&engines, REG_EAX, 1000);
    engines_set(&engines, REG_EBP, 1000);
    CHECK_EQ(engines_run(&engines), ENDED);
    CHECK_EQ(reg(REG_EAX), 0);
    CHECK(counters()->block_lookups + counters()->block_probe_hits < 50);
}

/* The second page is taken away: the edge faults at its target's EIP. */
static void test_page_goes(void)
{
    engines_load(&engines, guest_pages, guest_end_pages, RIG_CODE);
    engines_set(&engines, REG_ESI, pte_at(RIG_CODE + PAGE_SIZE));
    engines_set(&engines, REG_EBP, 10);
    CHECK_EQ(engines_run(&engines), VEC_PF);
    CHECK_EQ(engines.translator->vcpu.cr2, RIG_CODE + PAGE_SIZE);
    CHECK_EQ(reg(REG_EDI), 6);
}

/* --- flags --- */

/* Each arithmetic flag is made in one block, passed over an edge of each kind, and read in another block. The low
 * bytes of EBX and EBP decide which flags ADD sets. */
#define READ_FLAGS "pushf; pop %eax; and $0x8d5, %eax; hlt"
GUEST(flags_same_page, "add %bl, %bh; jmp 1f; .skip 70, 0xf4; 1: " READ_FLAGS);
GUEST(flags_side_exit, "xor %edx, %edx; add %bl, %bh; jno 1f; jmp 2f; .skip 70, 0xf4; 1: 2: " READ_FLAGS);
GUEST(flags_backward, "jmp 2f; 1: " READ_FLAGS "; .skip 70, 0xf4; 2: add %bl, %bh; jmp 1b");
GUEST(flags_call, "add %bl, %bh; call 1f; " READ_FLAGS "; 1: ret");
GUEST(flags_indirect, "mov $1f - guest_flags_indirect + 0x10000, %ecx; add %bl, %bh; jmp *%ecx; .skip 70, "
                      "0xf4; 1: " READ_FLAGS);

static void test_flags(void)
{
    static const struct {
        const u8 *code, *end;
    } guest[] = {{guest_flags_same_page, guest_end_flags_same_page},
                 {guest_flags_side_exit, guest_end_flags_side_exit},
                 {guest_flags_backward, guest_end_flags_backward},
                 {guest_flags_call, guest_end_flags_call},
                 {guest_flags_indirect, guest_end_flags_indirect}};
    static const u16 values[] = {0x0000, 0x0101, 0xff01, 0x7f01, 0x8080, 0x80ff, 0x0f01, 0x4040, 0xf0e0};
    for (unsigned g = 0; g < ARRAY_SIZE(guest); g++) {
        engines_load(&engines, guest[g].code, guest[g].end, RIG_CODE);
        for (unsigned n = 0; n < 2 * ARRAY_SIZE(values); n++) { /* again with the edges linked */
            engines_rewind(&engines, RIG_CODE);
            engines_set(&engines, REG_EBX, values[n % ARRAY_SIZE(values)]);
            CHECK_EQ(engines_run(&engines), ENDED);
        }
    }
}

/* --- indirect branches --- */

/* 64 jumps through a table with ESI targets. Each target adds its number. */
GUEST(
    targets,
    "mov $64, %ecx; xor %edi, %edi; 1: mov %edi, %edx; shl $4, %edx; add $2f - guest_targets + 0x10000, %edx;"
    "jmp *%edx; .balign 16; 2:"
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12; add $\\n, %eax; jmp 3f; .balign 16; .endr;"
    "3: inc %edi; cmp %esi, %edi; jb 4f; xor %edi, %edi; 4: dec %ecx; jnz 1b; hlt");

static void test_indirect(void)
{
    static const u32 sums[] = {[1] = 64, [2] = 96, [12] = 400};
    for (u32 targets = 1; targets <= 12; targets++) {
        engines_load(&engines, guest_targets, guest_end_targets, RIG_CODE);
        engines_set(&engines, REG_ESI, targets);
        CHECK_EQ(engines_run(&engines), ENDED);
        if (sums[targets]) CHECK_EQ(reg(REG_EAX), sums[targets]);
        CHECK(counters()->sites_filled > 0);
        CHECK_EQ(counters()->sites_given_up, targets > 1);
    }
}

/* --- kicks --- */

GUEST(spin, "1: incl (%esi); jmp 1b");
GUEST(spin_calls, "1: call 2f; jmp 1b; 2: incl (%esi); ret");
GUEST(spin_indirect, "mov $1f - guest_spin_indirect + 0x10000, %ecx; 1: incl (%esi); jmp *%ecx");
GUEST(spin_pages, "1: incl (%esi); jmp 2f; .skip 0x1000 - (. - guest_spin_pages), 0xf4; 2: jmp 1b");

/* A jump that has eight targets in turn, and then the last one for ever. */
GUEST(spin_last, "mov $5f - guest_spin_last + 0x10000, %ecx; 1: incl (%esi); jmp *%ecx;"
                 ".balign 16; 5: .rept 7; add $16, %ecx; jmp 1b; .balign 16; .endr; jmp 1b");

static pthread_t vcpu_thread;

/* Once the loop goes round. */
static void *kick(void *argument)
{
    struct rig *rig = argument;
    const u32 *rounds = (const u32 *)(rig->phys.ram + HEAP_AT);
    while (__atomic_load_n(rounds, __ATOMIC_RELAXED) < 10000)
        sched_yield();
    __atomic_or_fetch(&rig->vcpu.pending, PENDING_HOST, __ATOMIC_SEQ_CST);
    pthread_kill(vcpu_thread, KICK_SIGNAL);
    return NULL;
}

/* The kick comes when the loop has gone round 10,000 times. */
static void run_to_kick(void)
{
    struct rig *rig = engines.translator;
    struct vcpu *v = &rig->vcpu;
    pthread_t kicker;
    vcpu_thread = pthread_self();
    if (pthread_create(&kicker, NULL, kick, rig)) abort();
    CHECK_EQ(translator_run(v), EXIT_PENDING);
    fpu_park(v);
    pthread_join(kicker, NULL);
    CHECK(v->pending & PENDING_HOST);
    v->pending = 0;
}

static void begin_to_spin(const u8 *code, const u8 *end)
{
    struct vcpu *v = &engines.translator->vcpu;
    engines_load(&engines, code, end, RIG_CODE);
    v->gpr[REG_ESI] = HEAP_AT;
    v->icount_limit = v->icount_soft = UINT64_MAX;
}

static void test_kick(const u8 *code, const u8 *end)
{
    begin_to_spin(code, end);
    run_to_kick();
}

/* A branch that had many targets has one by now. A kick that finds its block running has it remember the target. Which
 * block a signal finds is chance, and outside IA-32e mode look-ups see what is pending before it comes. So all blocks
 * are cut off here, as if it had come. */
static void test_site_again(void)
{
    struct vcpu *v = &engines.translator->vcpu;
    struct cache *cache = &((struct engine *)v->engine)->cache;
    u64 return_top;
    begin_to_spin(guest_spin_last, guest_end_spin_last);
    run_to_kick();
    CHECK(counters()->sites_given_up > 0);
    u64 filled = counters()->sites_filled;
    for (u64 at = 0; at < cache->arena.used; at += 8)
        cut_off(v, (u64)(uintptr_t)cache->arena.exec + at, &return_top);
    CHECK(counters()->sites_tried_again > 0);
    *(u32 *)(engines.translator->phys.ram + HEAP_AT) = 0;
    run_to_kick();
    CHECK(counters()->sites_filled > filled);
}

int main(void)
{
    struct translator_config config = translator_defaults();
    alarm(60); /* a loop that nothing ends */
    if (translator_install_signals()) abort();
    engines = engines_create(&config);
    test_chains();
    test_target_changes();
    test_frame_stays();
    test_frame_changes();
    test_edges_follow_the_frame();
    test_page_goes();
    test_flags();
    test_indirect();
    for (unsigned n = 0; n < 20; n++) {
        test_kick(guest_spin, guest_end_spin);
        test_kick(guest_spin_calls, guest_end_spin_calls);
        test_kick(guest_spin_indirect, guest_end_spin_indirect);
        test_kick(guest_spin_pages, guest_end_spin_pages);
    }
    test_site_again();
    engines_destroy(&engines);
    config.no_chaining = true;
    engines = engines_create(&config);
    CHECK_EQ(engines_run_guest(&engines, loop), ENDED);
    CHECK_EQ(counters()->chains_made, 0);
    engines_destroy(&engines);
    return check_report();
}
