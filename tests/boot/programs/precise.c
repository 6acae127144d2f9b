/*
 * Faults in the middle of instructions: nothing but the fault has happened, and its address is exact. There are three
 * pages, and the middle one is missing or read-only in turns.
 */
#define _GNU_SOURCE
#include "hazards.h"

#include <string.h>
#include <sys/mman.h>

#define AREA   ((u8 *)0x60000000)
#define HOLE   (AREA + PAGE)
#define BEHIND (AREA + 2 * PAGE)
#define AT(p)  ((u32)(p))

static void fill(void)
{
    for (u32 n = 0; n < PAGE; n++)
        AREA[n] = BEHIND[n] = (u8)(n * 7 + 1);
}

static bool is_filled(u32 except, u32 bytes)
{
    for (u32 n = 0; n < PAGE; n++) {
        if (AREA[n] != (u8)(n * 7 + 1) && AT(AREA) + n - except >= bytes) return false;
        if (BEHIND[n] != (u8)(n * 7 + 1) && AT(BEHIND) + n - except >= bytes) return false;
    }
    return true;
}

SNIPPET(s_load1, "movb (%esi), %al");
SNIPPET(s_load2, "movw (%esi), %ax");
SNIPPET(s_load4, "mov (%esi), %eax");
SNIPPET(s_load_ah, "movb (%esi), %ah");
SNIPPET(s_load8, "movq (%esi), %xmm0");
SNIPPET(s_load16, "movups (%esi), %xmm0");
SNIPPET(s_fld, "fldl (%esi)");
SNIPPET(s_store1, "movb %al, (%esi)");
SNIPPET(s_store2, "movw %ax, (%esi)");
SNIPPET(s_store4, "mov %eax, (%esi)");
SNIPPET(s_store_bh, "movb %bh, (%esi)");
SNIPPET(s_store8, "movq %xmm0, (%esi)");
SNIPPET(s_store16, "movups %xmm0, (%esi)");
SNIPPET(s_fst, "fstl (%esi)");
SNIPPET(s_add, "add %eax, (%esi)");
SNIPPET(s_inc, "incl (%esi)");
SNIPPET(s_xchg, "xchg %eax, (%esi)");
SNIPPET(s_push, "push %eax");
SNIPPET(s_push_mem, "push (%esi)");
SNIPPET(s_pop_mem, "pop (%esi)");
SNIPPET(s_pop, "pop %eax");
SNIPPET(s_pop_esp, "pop %esp");
SNIPPET(s_ret, "ret");
SNIPPET(s_ret_n, "ret $16");
SNIPPET(s_call, "call s_ret");
SNIPPET(s_call_reg, "call *%ebx");
SNIPPET(s_call_mem, "call *(%esi)");
SNIPPET(s_jmp_mem, "jmp *(%esi)");
SNIPPET(s_leave, "leave");
SNIPPET(s_enter, "enter $8, $0");
SNIPPET(s_pusha, "pusha");
SNIPPET(s_popa, "popa");
SNIPPET(s_pushf, "pushf");
SNIPPET(s_movs, "movsl");
SNIPPET(s_stos, "stosl");
SNIPPET(s_lods, "lodsl");
SNIPPET(s_cmps, "cmpsl");
SNIPPET(s_scas, "scasl");
SNIPPET(s_rep_movs, "rep movsl");
SNIPPET(s_rep_movsb, "rep movsb");
SNIPPET(s_rep_stos, "rep stosl");
SNIPPET(s_rep_lods, "rep lodsb");
SNIPPET(s_repe_cmps, "repe cmpsb");
SNIPPET(s_repne_scas, "repne scasb");
SNIPPET(s_rep_movs_down, "std\n rep movsl");
SNIPPET(s_bts, "bts %eax, (%esi)");
SNIPPET(s_cmpxchg, "cmpxchg %ecx, (%esi)");
SNIPPET(s_cmpxchg8b, "cmpxchg8b (%esi)");
SNIPPET(s_shld, "shld $3, %eax, (%esi)");
SNIPPET(s_xadd, "xadd %eax, (%esi)");
SNIPPET(s_setz, "setz (%esi)");
SNIPPET(s_mul, "mull (%esi)");
SNIPPET(s_div, "divl (%esi)");
SNIPPET(s_bound, "bound %eax, (%esi)");
SNIPPET(s_cmov, "stc\n cmovc (%esi), %eax");
SNIPPET(s_movzx, "movzwl (%esi), %eax");
SNIPPET(s_index, "mov 0x7fffffff(%esi,%ecx,8), %eax");

static struct regs base_regs(void)
{
    return (struct regs){0x11112222, 0x33334444, 0x5,        0x77778888,
                         AT(HOLE),   AT(AREA),   AT(BEHIND), AT(AREA) + 0x800};
}

static void same(int line, const struct regs *a, const struct regs *b)
{
    check_at(__FILE__, line, !memcmp(a, b, sizeof *a), "registers unchanged", (long)a->esp, (long)b->esp);
}

/* The instruction faults at `address`, changes nothing, and the saved EIP is its own. */
static void faults_at(int line, const u8 *code, const struct regs *in, u32 address)
{
    fill();
    for (int n = 0; n < 3; n++) {
        run_until_fault(code, in);
        check_at(__FILE__, line, caught.signal == SIGSEGV, "a fault", caught.signal, 0);
        check_at(__FILE__, line, caught.address == address, "its address", caught.address, address);
        check_at(__FILE__, line, caught.eip == AT(code), "its EIP", caught.eip, AT(code));
        same(line, &caught.regs, in);
    }
    check_at(__FILE__, line, is_filled(0, 0), "memory unchanged", 0, 0);
}
#define FAULTS(code, in, address) faults_at(__LINE__, code, in, AT(address))

static const u8 *const loads[] = {s_load1, s_load2, s_load4, s_load_ah, s_load8, s_load16,  s_fld,
                                  s_mul,   s_div,   s_movzx, s_jmp_mem, s_bound, s_push_mem};
static const u8 *const stores[] = {s_store1, s_store2, s_store4,  s_store_bh, s_store8, s_store16,
                                   s_fst,    s_add,    s_inc,     s_xchg,     s_shld,   s_pop_mem,
                                   s_xadd,   s_setz,   s_cmpxchg, s_cmpxchg8b};
/* Those of more than a byte, but the locked ones. */
static const u8 *const wide_loads[] = {s_load2, s_load4, s_load8, s_load16,
                                       s_fld,   s_mul,   s_movzx, s_push_mem};
static const u8 *const wide_stores[] = {s_store2, s_store4, s_store8, s_store16, s_fst,
                                        s_add,    s_inc,    s_shld,   s_pop_mem, s_xadd};
#define EACH(p, list) (const u8 *const *p = list; p < list + sizeof list / sizeof *list; p++)

static void simple_faults(void)
{
    struct regs in = base_regs();
    for
        EACH(p, loads)
    FAULTS(*p, &in, HOLE);
    for
        EACH(p, stores)
    FAULTS(*p, &in, HOLE);
    in.esi =
        AT(HOLE) - 1; /* across its beginning: the fault's address is the first byte of the missing page */
    for
        EACH(p, wide_loads)
    FAULTS(*p, &in, HOLE);
    for
        EACH(p, wide_stores)
    FAULTS(*p, &in, HOLE);
    in.esi = AT(BEHIND) - 1; /* across its end */
    for
        EACH(p, wide_loads)
    FAULTS(*p, &in, BEHIND - 1);
    for
        EACH(p, wide_stores)
    FAULTS(*p, &in, BEHIND - 1);
}

static void stack_faults(void)
{
    struct regs in = base_regs();
    static const u8 *const pushes[] = {s_push, s_call, s_call_reg, s_pushf};
    in.esi = AT(AREA);
    in.esp = AT(BEHIND);
    for
        EACH(p, pushes)
    FAULTS(*p, &in, BEHIND - 4);
    FAULTS(s_push_mem, &in, BEHIND - 4);
    FAULTS(s_call_mem, &in, BEHIND - 4);
    FAULTS(s_enter, &in, BEHIND - 4);
    FAULTS(s_pusha, &in, BEHIND - 4);
    in.esp = AT(BEHIND) + 2;
    for
        EACH(p, pushes)
    FAULTS(*p, &in, BEHIND - 2);
    in.esp = AT(HOLE);
    static const u8 *const pops[] = {s_pop, s_pop_esp, s_pop_mem, s_ret, s_ret_n};
    for
        EACH(p, pops)
    FAULTS(*p, &in, HOLE);
    in.esp = AT(HOLE) - 2;
    for
        EACH(p, pops)
    FAULTS(*p, &in, HOLE);
    in.esp = AT(HOLE) - 12;
    run_until_fault(s_popa, &in); /* processors differ in what the instruction has loaded by then */
    check(caught.signal == SIGSEGV && caught.address == AT(HOLE) && caught.regs.esp == in.esp);
    in.ebp = AT(HOLE);
    FAULTS(s_leave, &in, HOLE);
    in.ebp = AT(HOLE) - 1;
    FAULTS(s_leave, &in, HOLE);
    in = base_regs();
    FAULTS(s_call_mem, &in, HOLE);
    in.esi = 0xfffffffd; /* beyond user memory: up to the end of the address space, and across it */
    FAULTS(s_load1, &in, 0xfffffffd);
    FAULTS(s_store1, &in, 0xfffffffd);
}

static void strings(void)
{
    struct regs in = base_regs();
    in.edi = AT(AREA);
    FAULTS(s_movs, &in, HOLE);
    FAULTS(s_lods, &in, HOLE);
    FAULTS(s_cmps, &in, HOLE);
    in.esi = AT(AREA);
    in.edi = AT(HOLE);
    FAULTS(s_movs, &in, HOLE);
    FAULTS(s_stos, &in, HOLE);
    FAULTS(s_scas, &in, HOLE);
    in.esi = AT(HOLE) - 2;
    in.edi = AT(BEHIND);
    FAULTS(s_movs, &in, HOLE);

    /* Repeated string instructions stop in the middle, and their registers say where. */
    static const struct {
        const u8 *code;
        u32 ecx, esi, edi, done, size, is_source, is_dest;
    } reps[] = {
        {s_rep_movs, 100, 0, 1000 - 40, 10, 4, 0, 1},          {s_rep_movs, 100, 1000 - 40, 0, 10, 4, 1, 0},
        {s_rep_movsb, 300, 0, 1000 - 40, 40, 1, 0, 1},         {s_rep_movsb, 300, 1000 - 40, 0, 40, 1, 1, 0},
        {s_rep_stos, 100, 7, 1000 - 40, 10, 4, 0, 1},          {s_rep_lods, 300, 1000 - 40, 7, 40, 1, 1, 0},
        {s_repe_cmps, 300, 1000 - 40, 1000 - 40, 40, 1, 1, 1},
    };
    for (u32 n = 0; n < sizeof reps / sizeof *reps; n++) {
        u32 end = AT(HOLE) - 1000;
        in = base_regs();
        in.ecx = reps[n].ecx;
        in.esi = end + reps[n].esi;
        in.edi = end + reps[n].edi;
        if (reps[n].code == s_repe_cmps) in.edi = in.esi;
        fill();
        run_until_fault(reps[n].code, &in);
        check_eq(caught.signal, SIGSEGV);
        check_eq(caught.address, HOLE);
        check_eq(caught.eip, reps[n].code);
        check_eq(caught.regs.ecx, in.ecx - reps[n].done);
        bool moves_si = reps[n].code != s_rep_stos, moves_di = reps[n].code != s_rep_lods;
        check_eq(caught.regs.esi, in.esi + (moves_si ? reps[n].done * reps[n].size : 0));
        check_eq(caught.regs.edi, in.edi + (moves_di ? reps[n].done * reps[n].size : 0));
        u32 bytes = reps[n].done * reps[n].size;
        bool writes = reps[n].code == s_rep_movs || reps[n].code == s_rep_movsb || reps[n].code == s_rep_stos;
        check(is_filled(in.edi, writes ? bytes : 0));
    }
    in = base_regs(); /* downward, from behind the hole */
    in.ecx = 20;
    in.esi = AT(AREA) + 0x400;
    in.edi = AT(BEHIND) + 4 * 7;
    fill();
    run_until_fault(s_rep_movs_down + 1, &(struct regs){0}); /* DF clear, ECX 0: nothing */
    check_eq(caught.signal, SIGTRAP);
    run_until_fault(s_rep_movs_down, &in);
    check_eq(caught.signal, SIGSEGV);
    check_eq(caught.address, BEHIND - 4);
    check_eq(caught.regs.ecx, 20 - 8);
    check_eq(caught.regs.esi, in.esi - 32);
    check_eq(caught.regs.edi, BEHIND - 4);
    check(caught.eflags & 0x400);
    /* a scan that ends just before the hole does not fault */
    memset(AREA + PAGE - 100, 1, 99);
    AREA[PAGE - 1] = 2;
    in = base_regs();
    in.eax = 2;
    in.ecx = 1000;
    in.edi = AT(HOLE) - 100;
    run_until_fault(s_repne_scas, &in);
    check_eq(caught.signal, SIGTRAP);
    check_eq(caught.regs.ecx, 900);
    check_eq(caught.regs.edi, HOLE);
}

static void read_only(void)
{
    map(HOLE, PAGE, PROT_READ);
    check_eq(HOLE[0], 0); /* a page of zeros */
    struct regs in = base_regs();
    for
        EACH(p, stores)
    FAULTS(*p, &in, HOLE);
    check_eq(caught.code, SEGV_ACCERR);
    in.esi = AT(HOLE) - 1;
    for
        EACH(p, wide_stores)
    FAULTS(*p, &in, HOLE);
    in.esi = AT(BEHIND) - 1;
    for
        EACH(p, wide_stores)
    FAULTS(*p, &in, BEHIND - 1);
    in.eax = 8 * PAGE + 5; /* a bit string's far end */
    in.esi = AT(AREA);
    FAULTS(s_bts, &in, HOLE);
    in = base_regs();
    in.edi = AT(HOLE);
    in.ecx = 10;
    FAULTS(s_rep_stos, &in, HOLE);
    in.ecx = 0;
    run_until_fault(s_rep_stos, &in);
    check_eq(caught.signal, SIGTRAP);
    munmap(HOLE, PAGE);
}

static void wrapping(void)
{
    /* Effective addresses are 32-bit sums. */
    struct regs in = base_regs();
    fill();
    for (u32 n = 0; n < 1000; n++) {
        in.ecx = random_u32();
        u32 to = AT(AREA) + random_u32() % (PAGE - 4), value;
        in.esi = to - in.ecx * 8 - 0x7fffffff;
        memcpy(&value, (void *)to, 4);
        run_until_fault(s_index, &in);
        check_eq(caught.signal, SIGTRAP);
        check_eq(caught.regs.eax, value);
    }
    in.ecx = 0;
    in.esi = AT(HOLE) - 0x7fffffff;
    FAULTS(s_index, &in, HOLE);
}

SNIPPET(s_movaps_load, "movaps (%esi), %xmm0");
SNIPPET(s_movaps_store, "movaps %xmm0, (%esi)");
SNIPPET(s_addps, "addps (%esi), %xmm0");
SNIPPET(s_pand, "pand (%esi), %xmm0");
SNIPPET(s_ud2, "ud2");
SNIPPET(s_hlt, "hlt");
SNIPPET(s_cli, "cli");
SNIPPET(s_div0, "div %ecx");
SNIPPET(s_into, "mov $0x7fffffff, %eax\n inc %eax\n into");
SNIPPET(s_int81, "int $0x81");

static void general_protection(void)
{
    struct regs in = base_regs();
    static const u8 *const unaligned[] = {s_movaps_load, s_movaps_store, s_addps, s_pand};
    in.esi = AT(AREA) + 8;
    for
        EACH(p, unaligned)
    FAULTS(*p, &in, 0);
    static const u8 *const privileged[] = {s_hlt, s_cli, s_int81};
    for
        EACH(p, privileged)
    FAULTS(*p, &in, 0);
    in.ecx = 0;
    for (int n = 0; n < 5; n++) {
        run_until_fault(s_div0, &in);
        check_eq(caught.signal, SIGFPE);
        check_eq(caught.code, FPE_INTDIV);
        check_eq(caught.eip, s_div0);
        check_eq(caught.address, s_div0);
        same(__LINE__, &caught.regs, &in);
        run_until_fault(s_ud2, &in);
        check_eq(caught.signal, SIGILL);
        check_eq(caught.address, s_ud2);
        same(__LINE__, &caught.regs, &in);
        run_until_fault(s_into, &in);
        check_eq(caught.signal, SIGSEGV); /* a trap: behind the INTO */
        check_eq(caught.eip, s_into + 7);
    }
}

SNIPPET(s_high_1, "mov (%esp), %ah\n mov 1(%esp), %bh\n mov 2(%esp), %ch\n mov 3(%esp), %dh");
SNIPPET(s_high_2, "mov %ah, (%esp)\n mov %bh, 1(%esp)\n mov %ch, 2(%esp,%ebp)\n mov %dh, 3(%esp)\n pop %esi");
SNIPPET(s_high_3, "add (%esp), %ah\n sub %bh, (%esp)\n xchg %ch, 1(%esp)\n xadd %dh, 2(%esp)\n pop %esi");
SNIPPET(s_high_4, "push %eax\n push 4(%esp)\n pop 8(%esp)\n mov 8(%esp), %ebx\n pop (%esp)\n pop %edx");

static void high_bytes(void)
{
    struct regs in = base_regs();
    in.ebp = 0;
    for (int n = 0; n < 3; n++) {
        memcpy(AREA + 0x800, "\x51\x52\x53\x54\x55\x56\x57\x58\x59\x5a\x5b\x5c", 12);
        run_until_fault(s_high_1, &in);
        check_eq(caught.regs.eax, 0x11115122);
        check_eq(caught.regs.ebx, 0x33335244);
        check_eq(caught.regs.ecx, 0x5305);
        check_eq(caught.regs.edx, 0x77775488);
        run_until_fault(s_high_2, &in);
        check_eq(caught.regs.esi, 0x88004422);
        check_eq(AREA[0x800], 0x22);
        check_eq(AREA[0x801], 0x44);
        check_eq(AREA[0x802], 0x00);
        check_eq(AREA[0x803], 0x88);
        memcpy(AREA + 0x800, "\x51\x52\x53\x54\x55\x56\x57\x58\x59\x5a\x5b\x5c", 12);
        run_until_fault(s_high_3, &in);
        check_eq(caught.regs.eax, 0x11117322);
        check_eq(caught.regs.ecx, 0x5205);
        check_eq(caught.regs.edx, 0x77775388);
        check_eq(caught.regs.esi, 0x54db000d);
        memcpy(AREA + 0x800, "\x51\x52\x53\x54\x55\x56\x57\x58\x59\x5a\x5b\x5c", 12);
        run_until_fault(s_high_4, &in);
        check_eq(caught.regs.ebx, 0x54535251);
        check_eq(caught.regs.edx, 0x11112222);
    }
}

static void in_area(void (*run)(void))
{
    catch_faults();
    map(AREA, PAGE, PROT_READ | PROT_WRITE);
    map(BEHIND, PAGE, PROT_READ | PROT_WRITE);
    run(); /* cold, then hot */
    burn();
    run();
}
static void run_simple(void)
{
    in_area(simple_faults);
}
static void run_stack(void)
{
    in_area(stack_faults);
}
static void run_strings(void)
{
    in_area(strings);
}
static void run_read_only(void)
{
    in_area(read_only);
}
static void run_wrapping(void)
{
    in_area(wrapping);
}
static void run_gp(void)
{
    in_area(general_protection);
}
static void run_high(void)
{
    in_area(high_bytes);
}

const struct test tests_precise[] = {
    {"precise-faults", run_simple},   {"precise-stack", run_stack},
    {"precise-strings", run_strings}, {"precise-read-only", run_read_only},
    {"address-wrap", run_wrapping},   {"general-protection", run_gp},
    {"high-bytes", run_high},         {0},
};
