/* Addresses of 64-bit mode: those that are not canonical, that wrap, that belong to the kernel, that cross 4 GB, and
 * any at all. */
#define _GNU_SOURCE
#include "hazards64.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOW          ((u8 *)0x60000000) /* two pages below 4 GB */
#define HOLE_BEGIN   0x0000800000000000ull
#define HOLE_END     0xffff800000000000ull
#define USER_END     0x00007ffffffff000ull
#define SI_OF_KERNEL 0x80 /* si_code of an exception without an address: #GP and #SS */

SNIPPET(a_load, "mov (%rsi), %rax");
SNIPPET(a_load1, "movb (%rsi), %al");
SNIPPET(a_load_r9, "mov (%r9), %r10");
SNIPPET(a_load_xmm, "movups (%rsi), %xmm9");
SNIPPET(a_store, "mov %rax, (%rsi)");
SNIPPET(a_store_r13, "mov %r12, (%r13)");
SNIPPET(a_add, "add %rax, (%rsi)");
SNIPPET(a_xchg, "xchg %rax, (%rsi)");
SNIPPET(a_cmpxchg16b, "cmpxchg16b (%rsi)");
SNIPPET(a_lods, "lodsq");
SNIPPET(a_rep_stos, "rep stosq");
SNIPPET(a_fld, "fldl (%rsi)");
SNIPPET(a_load_bp, "mov (%rbp), %rax");
SNIPPET(a_store_sp, "mov %rax, 8(%rsp)");
SNIPPET(a_push, "push %rax");
SNIPPET(a_push_r15, "push %r15");
SNIPPET(a_pop, "pop %rax");
SNIPPET(a_call, "call a_ret");
SNIPPET(a_enter, "enter $16, $0");
SNIPPET(a_leave, "leave");
SNIPPET(a_ret, "ret");
SNIPPET(a_ret_n, "ret $32");
SNIPPET(a_jmp_reg, "jmp *%rax");
SNIPPET(a_jmp_r11, "jmp *%r11");
SNIPPET(a_jmp_mem, "jmp *(%rsi)");
SNIPPET(a_call_reg, "call *%rax");
SNIPPET(a_call_mem, "call *(%rsi)");
enum { CALL_BYTES = 2 }; /* of each of the two */

#define EACH(p, list) (const u8 *const *p = list; p < list + sizeof list / sizeof *list; p++)
static const u8 *const by_data[] = {a_load, a_load1, a_load_r9,    a_load_xmm, a_store,    a_store_r13,
                                    a_add,  a_xchg,  a_cmpxchg16b, a_lods,     a_rep_stos, a_fld};
static const u8 *const by_stack[] = {a_load_bp, a_store_sp, a_push, a_push_r15, a_pop,
                                     a_call,    a_enter,    a_ret,  a_ret_n};

static struct regs64 regs_at(u64 address)
{
    return (struct regs64){.rax = 1,
                           .rbx = 2,
                           .rcx = 3,
                           .rdx = 4,
                           .rsi = address,
                           .rdi = address,
                           .rbp = address,
                           .rsp = address,
                           .r8 = 5,
                           .r9 = address,
                           .r10 = 6,
                           .r11 = 7,
                           .r12 = 8,
                           .r13 = address,
                           .r14 = 9,
                           .r15 = 10};
}

/* The instruction faults and has changed nothing. */
static void expect_fault(int line, const u8 *code, const struct regs64 *in, int signal, int si_code,
                         u64 address)
{
    for (int n = 0; n < 3; n++) {
        run_until_fault64(code, in);
        check_at(__FILE__, line, caught64.signal == signal, "signal", caught64.signal, signal);
        check_at(__FILE__, line, caught64.code == si_code, "si_code", caught64.code, si_code);
        check_at(__FILE__, line, caught64.address == address, "address", (long)caught64.address,
                 (long)address);
        check_at(__FILE__, line, caught64.rip == (u64)code, "RIP", (long)caught64.rip, (long)code);
        check_at(__FILE__, line, !memcmp(&caught64.regs, in, sizeof *in), "registers unchanged",
                 (long)caught64.regs.rsp, (long)in->rsp);
    }
}
#define FAULTS(code, in, ...) expect_fault(__LINE__, code, in, __VA_ARGS__)

static void not_canonical(void)
{
    static const u64 addresses[] = {HOLE_BEGIN, 0x1234567890abcde0ull, HOLE_END - 64,
                                    1ull << 63, 1ull << 48 | 0x1000,   0x00ff000000000000ull};
    for (u32 n = 0; n < sizeof addresses / sizeof *addresses; n++) {
        struct regs64 in = regs_at(addresses[n]);
        for
            EACH(p, by_data)
        FAULTS(*p, &in, SIGSEGV, SI_OF_KERNEL, 0); /* #GP: SDM 1 3.3.7.1 */
        if (in.rsp == HOLE_BEGIN) in.rsp += 64;    /* a push there writes to a canonical address */
        for
            EACH(p, by_stack)
        FAULTS(*p, &in, SIGBUS, SI_OF_KERNEL, 0); /* #SS */
    }
}

static void not_canonical_targets(void)
{
    static u64 stack[64], target;
    static const u64 addresses[] = {HOLE_BEGIN, HOLE_END - 1, 0x1234567890abcdefull, 1ull << 63};
    for (u32 n = 0; n < sizeof addresses / sizeof *addresses; n++) {
        struct regs64 in = regs_at((u64)&target);
        in.rsp = (u64)(stack + 32);
        in.rax = in.r11 = stack[32] = target = addresses[n];
        static const u8 *const jumps[] = {a_jmp_reg, a_jmp_r11, a_jmp_mem, a_ret, a_ret_n};
        static const u8 *const calls[] = {a_call_reg, a_call_mem};
        stack[31] = 77;
        for
            EACH(p, jumps)
        FAULTS(*p, &in, SIGSEGV, SI_OF_KERNEL, 0); /* the #GP is the branch's: SDM 2, JMP, CALL, RET */
        check_eq(stack[31], 77);
        /* Below RSP, Intel's CPUs of 2023 (family 6, model CFh) leave the return address, and other CPUs nothing. */
        for (u32 k = 0; k < sizeof calls / sizeof *calls; k++) {
            stack[31] = 77;
            FAULTS(calls[k], &in, SIGSEGV, SI_OF_KERNEL, 0);
            check(stack[31] == 77 || stack[31] == (u64)calls[k] + CALL_BYTES);
        }
    }
    /* Canonical, but not the user's: the fault is the target's. */
    static const u64 kernels[] = {USER_END, HOLE_BEGIN - 1, HOLE_END, 0xffffffff81000000ull, ~0ull};
    for (u32 n = 0; n < sizeof kernels / sizeof *kernels; n++) {
        struct regs64 in = regs_at((u64)&target);
        in.rsp = (u64)(stack + 32);
        in.rax = kernels[n];
        run_until_fault64(a_jmp_reg, &in);
        check_eq(caught64.signal, SIGSEGV);
        check_eq(caught64.rip, kernels[n]);
    }
}

static void of_the_kernel(void)
{
    static const u64 addresses[] = {USER_END,
                                    HOLE_END,
                                    0xffff888000000000ull,
                                    0xffffc90000000000ull,
                                    0xffffffff81000000ull,
                                    0xffffffffff600000ull,
                                    0xffffffffff5ff000ull,
                                    0ull - 64};
    for (u32 n = 0; n < sizeof addresses / sizeof *addresses; n++) {
        struct regs64 in = regs_at(addresses[n]);
        for
            EACH(p, by_data)
            {
                run_until_fault64(*p, &in);
                check_eq(caught64.signal, SIGSEGV);
                check_eq(caught64.rip, *p);
                check_eq(caught64.address, addresses[n]);
            }
    }
}

SNIPPET(w_index, "mov 0x7fffffff(%rsi,%rcx,8), %rax");
SNIPPET(w_negative, "mov -0x20(%rsi), %rax");
SNIPPET(w_r12, "mov -0x80000000(%r12,%r13,2), %r14");
SNIPPET(w_addr32, "addr32 mov 0x7fffffff(%esi,%ecx,8), %rax");
SNIPPET(w_addr32_r, "addr32 mov 0x100(%r9d,%r10d,4), %r11");
SNIPPET(w_addr32_lea, "lea 0x7fffffff(%esi,%ecx,8), %rax\n lea (%r9d,%r10d,4), %edx");
SNIPPET(w_addr32_movs, "addr32 rep movsb");
SNIPPET(w_addr32_loop, "xor %eax, %eax\n 1: inc %eax\n addr32 loop 1b\n addr32 jrcxz 2f\n ud2\n 2: nop");

static void wrapping(void)
{
    static u8 data[PAGE];
    for (u32 n = 0; n < PAGE; n++)
        data[n] = LOW[n] = (u8)random_u32();
    struct regs64 in = regs_at(0);
    for (u32 n = 0; n < 1000; n++) {
        u8 *base = n & 1 ? data : LOW;
        u64 to = (u64)base + random_u32() % (PAGE - 8), value;
        memcpy(&value, (void *)to, 8);
        in.rcx = (u64)random_u32() << 32 | random_u32();
        in.rsi = to - in.rcx * 8 - 0x7fffffff;
        run_until_fault64(w_index, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, value);
        in.r13 = in.rcx;
        in.r12 = to - in.r13 * 2 + 0x80000000;
        run_until_fault64(w_r12, &in);
        check_eq(caught64.regs.r14, value);
        /* With 67h the sum is cut to 32 bits; what is above in the registers does not count. */
        to = (u64)LOW + random_u32() % (PAGE - 8);
        memcpy(&value, (void *)to, 8);
        in.rsi = (u64)random_u32() << 32 | (u32)(to - in.rcx * 8 - 0x7fffffff);
        run_until_fault64(w_addr32, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, value);
        in.r10 = in.rcx;
        in.r9 = (u64)random_u32() << 32 | (u32)(to - in.r10 * 4 - 0x100);
        run_until_fault64(w_addr32_r, &in);
        check_eq(caught64.regs.r11, value);
        run_until_fault64(w_addr32_lea, &in);
        check_eq(caught64.regs.rax, (u32)(in.rsi + in.rcx * 8 + 0x7fffffff));
        check_eq(caught64.regs.rdx, (u32)(in.r9 + in.r10 * 4));
    }
    in = regs_at(16);
    run_until_fault64(w_negative, &in); /* around 0 */
    check_eq(caught64.address, -16);
    in.rsi = 0xdead000060000000ull + 5;
    in.rdi = 0xbeef000060001000ull;
    in.rcx = 0xf00d000000000000ull + 100;
    memset(LOW + PAGE, 0, PAGE);
    run_until_fault64(w_addr32_movs, &in);
    check_eq(caught64.signal, SIGTRAP);
    check_eq(caught64.regs.rcx, 0);
    check_eq(caught64.regs.rsi, LOW + 105);
    check_eq(caught64.regs.rdi, LOW + PAGE + 100);
    check(!memcmp(LOW + 5, LOW + PAGE, 100) && !LOW[PAGE + 100]);
    in.rcx = 0xf00d000000000000ull + 5;
    run_until_fault64(w_addr32_loop, &in);
    check_eq(caught64.signal, SIGTRAP);
    check_eq(caught64.regs.rax, 5);
}

/* Code at any address: constants, data behind and before it by RIP, calls, a loop. RAX: a sum that depends on the
 * data. */
SNIPPET(
    m_code,
    "mov m_data(%rip), %rax\n lea m_data(%rip), %rcx\n add 8(%rcx), %rax\n mov $1000, %r10d\n"
    "1: addq $3, m_data+16(%rip)\n dec %r10\n jnz 1b\n call 2f\n add m_data+16(%rip), %rax\n ret\n"
    "2: lea 3f(%rip), %r11\n jmp *%r11\n ud2\n 3: movabs $0x1122334455667788, %rdx\n add %rdx, %rax\n ret\n"
    ".balign 8\n .globl m_data\n m_data: .quad 1, 2, 0\n .globl m_end\n m_end:");
extern const u8 m_end[];

static u64 call(const void *code)
{
    u64 result;
    __asm__ volatile("call *%1"
                     : "=a"(result)
                     : "r"(code)
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

/* Linux lets the stack grow to each address that its limit of 8 MB allows, so there is no fault there. */
static bool stack_may_grow_to(u64 address)
{
    u64 stack = (u64)__builtin_frame_address(0);
    return address < stack && stack - address < 16u << 20;
}

static bool try_at(u64 address)
{
    if (stack_may_grow_to(address)) return false;
    u8 *at = mmap((void *)address, 2 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED) return false;
    check_eq(at, address);
    for (u32 n = 0; n < 2; n++) {
        u8 *code = at + (n ? PAGE - 31 : 64);
        memcpy(code, m_code, (size_t)(m_end - m_code));
        check_eq(call(code), 0x1122334455667788 + 3 + 3000);
        check_eq(call(code), 0x1122334455667788 + 3 + 6000);
    }
    *(u64 *)(at + 8) = address;
    int pid = fork();
    if (!pid) {
        *(u64 *)(at + 8) += 5;
        _exit(*(u64 *)(at + 8) != address + 5 || call(at + 64) != 0x1122334455667788 + 3 + 9000);
    }
    check_eq(wait_for(pid), 0);
    check_eq(*(u64 *)(at + 8), address);
    munmap(at, 2 * PAGE);
    struct regs64 in = regs_at(address);
    run_until_fault64(a_load, &in);
    check_eq(caught64.signal, SIGSEGV);
    check_eq(caught64.address, address);
    return true;
}

/* Programs where the monitor's own mappings may be: each power of two, below and above it, and at random. */
static void anywhere(void)
{
    u32 mapped = 0;
    for (u32 bit = 20; bit < 47; bit++)
        for (int side = -2; side < 2; side++)
            mapped += try_at((1ull << bit) + (u64)(side * (long)PAGE));
    static const u64 usual[] = {0x10000,           0x400000 - 2 * PAGE, 0x555555554000ull, 0x7ffff7dd0000ull,
                                0x7ffff7fc0000ull, 0x7f0000000000ull,   0x7fff00000000ull, 0x7fff7fff8000ull,
                                0x10007fff8000ull, USER_END - 2 * PAGE};
    for (u32 n = 0; n < sizeof usual / sizeof *usual; n++)
        mapped += try_at(usual[n]);
    for (u32 n = 0; n < 150; n++)
        mapped += try_at(((u64)random_u32() << 16 ^ random_u32()) % USER_END & ~(u64)(PAGE - 1));
    for (u32 n = 0; n < 100;
         n++) /* where this process, and so perhaps the monitor, has its libraries and stack */
        mapped += try_at(0x7f0000000000ull + ((u64)random_u32() << 12) % 0xffffff0000ull);
    check(mapped > 300);
}

SNIPPET(e_stack,
        "push %rax\n push %r15\n pop %rdx\n pop %rcx\n call 1f\n mov %rsp, %r8\n enter $64, $1\n leave\n"
        "pushf\n popf\n push %ax\n pop %bx\n jmp 2f\n 1: mov (%rsp), %r9\n ret $8\n 2: nop");
SNIPPET(e_string, "rep movsb");
SNIPPET(
    e_wide,
    "mov (%rsi), %rax\n add %rcx, (%rsi)\n movups (%rsi), %xmm1\n movups %xmm1, (%rdi)\n xchg %rdx, 3(%rsi)");

/* A stack, strings, operands and code across the boundary of two 4 GB segments. */
static void across_4gb(void)
{
    for (u64 boundary = 2 * GB4; boundary < 0x7f0000000000ull; boundary = boundary * 3 & ~(GB4 - 1)) {
        u8 *at = map((void *)(boundary - 2 * PAGE), 4 * PAGE, RWX);
        struct regs64 in = regs_at(0);
        in.rax = 0x1111, in.r15 = 0x2222, in.rbp = 0x3333;
        for (int offset = -64; offset <= 96; offset += 8) {
            for (int odd = 0; odd < 8; odd += 3) {
                in.rsp = boundary + (u64)(long)(offset + odd);
                run_until_fault64(e_stack, &in);
                check_eq(caught64.signal, SIGTRAP);
                check_eq(caught64.regs.rcx, 0x1111);
                check_eq(caught64.regs.rdx, 0x2222);
                check_eq(caught64.regs.r8, in.rsp + 8);
                check_eq(caught64.regs.rsp, in.rsp + 8);
                check_eq(caught64.regs.rbp, 0x3333);
                check_eq(caught64.regs.rbx & 0xffff, 0x1111);
            }
        }
        for (u32 n = 0; n < PAGE; n++)
            at[n] = (u8)(n * 11);
        in = regs_at(0);
        in.rsi = (u64)at, in.rdi = boundary - 1000, in.rcx = 2000;
        run_until_fault64(e_string, &in);
        check(caught64.regs.rdi == boundary + 1000 && !memcmp(at, (void *)(boundary - 1000), 2000));
        for (u64 offset = 1; offset < 8; offset++) {
            u64 value = 0x0123456789abcdefull * offset, seen;
            memcpy((void *)(boundary - offset), &value, 8);
            in.rsi = boundary - offset, in.rdi = boundary + 64 - offset, in.rcx = 5, in.rdx = 0;
            run_until_fault64(e_wide, &in);
            check_eq(caught64.regs.rax, value);
            memcpy(&seen, (void *)(boundary + 64 - offset), 8);
            check_eq(seen, value + 5);
        }
        for (u32 before = 1; before < (u32)(m_end - m_code); before += 3) {
            u8 *code = (u8 *)boundary - before;
            memcpy(code, m_code, (size_t)(m_end - m_code));
            check_eq(call(code), 0x1122334455667788 + 3 + 3000);
        }
        munmap(at, 4 * PAGE);
        in.rsi = boundary;
        run_until_fault64(a_load, &in);
        check_eq(caught64.address, boundary);
    }
}

static void with_low(void (*run)(void))
{
    catch_faults64();
    map(LOW, 2 * PAGE, PROT_READ | PROT_WRITE);
    run();
    burn();
    run();
}
static void run_not_canonical(void)
{
    with_low(not_canonical);
}
static void run_targets(void)
{
    with_low(not_canonical_targets);
}
static void run_kernel(void)
{
    with_low(of_the_kernel);
}
static void run_wrapping(void)
{
    with_low(wrapping);
}
static void run_anywhere(void)
{
    catch_faults64();
    anywhere();
}
static void run_across(void)
{
    with_low(across_4gb);
}

const struct test tests_addresses64[] = {
    {"not-canonical", run_not_canonical},
    {"not-canonical-targets", run_targets},
    {"kernel-addresses", run_kernel},
    {"address-wrap", run_wrapping},
    {"mapped-anywhere", run_anywhere},
    {"across-4gb", run_across},
    {0},
};
