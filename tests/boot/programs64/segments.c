/*
 * 32-bit and 16-bit code, stacks and data segments in a 64-bit process, from descriptors of the LDT (modify_ldt): far
 * calls there and back, limits, bases, and returns by IRET to a 16-bit stack. What lies above 32 bits in the registers
 * is looked at afterwards.
 */
#define _GNU_SOURCE
#include "hazards64.h"

#include <asm/ldt.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AREA ((u8 *)0x60000000) /* code, data and stack of the small modes; the fourth page is not there */
#define TOP  (0x60000000 + 3 * PAGE)

enum { DATA, STACK, CODE }; /* "contents" of a struct user_desc; STACK expands down */

static bool offered = true;

static u16 segment(u32 entry, u32 base, u32 limit, u32 contents, bool big, bool pages)
{
    struct user_desc desc = {.entry_number = entry,
                             .base_addr = base,
                             .limit = limit,
                             .seg_32bit = big,
                             .contents = contents & 3,
                             .limit_in_pages = pages,
                             .useable = 1};
    if (syscall(SYS_modify_ldt, 1, &desc, sizeof desc)) {
        /* The cloud kernel has no 16-bit segments. */
        if (errno == EINVAL || errno == ENOSYS)
            offered = false;
        else
            check_eq(errno, 0);
    }
    return (u16)(entry << 3 | 7);
}

/* A far pointer for LCALL with a 32-bit operand. */
struct __attribute__((packed)) far32 {
    u32 offset;
    u16 selector;
};
struct far32 far_target;

SNIPPET(g_call_far, "lcall *far_target\n nop");

static struct regs64 start(void)
{
    /* Code of 32 bits needs DS and ES, which a 64-bit process has null. */
    __asm__ volatile("mov %0, %%ds\n mov %0, %%es" : : "r"(0x2b));
    struct regs64 in = {.rsp = TOP - 256,
                        .r8 = 1ull << 63 | 8,
                        .r9 = ~9ull,
                        .r10 = 10ull << 40,
                        .r11 = 11ull << 50,
                        .r12 = ~12ull,
                        .r13 = 13ull << 33,
                        .r14 = 14ull << 32,
                        .r15 = ~15ull};
    in.rbx = 0xb0b0b0b000000100ull;
    in.rsi = 0x5151515100000000ull + (u64)AREA;
    in.rdi = 0xd1d1d1d100000000ull + (u64)AREA + 64;
    return in;
}

static void extended_are(const struct regs64 *in)
{
    check(!memcmp(&caught64.regs.r8, &in->r8, 8 * sizeof(u64)));
}

/* Run code that was copied to AREA + at, by a far call to selector:offset. It returns by LRET, to INT3. */
static void run_far(const u8 *code, u32 at, u16 selector, u32 offset, struct regs64 *in)
{
    memcpy(AREA + at, code, 128);
    far_target = (struct far32){offset, selector};
    run_until_fault64(g_call_far, in);
    extended_are(in);
}

/* 32-bit code. 40h to 47h are INC and DEC there; a sum of addresses wraps at 4 GB; PUSH has 4 bytes. */
SNIPPET(g_code32,
        ".code32\n push %ebp\n mov %esp, %ebp\n xor %eax, %eax\n .byte 0x40, 0x40\n mov $1000, %ecx\n"
        "1: add %ecx, %eax\n loop 1b\n mov %eax, (%esi)\n mov -0x10(%edi,%ebx,1), %edx\n push $0x12345678\n "
        "pop 8(%esi)\n"
        "call 2f\n 2: pop %ecx\n sub %ebp, %esp\n mov %esp, %ebx\n mov %ebp, %esp\n pop %ebp\n .byte 0xcb\n "
        ".code64");
SNIPPET(g_fault32, ".code32\n .byte 0x40\n mov (%edi), %eax\n .byte 0xcb\n .code64");
SNIPPET(g_int3_32, ".code32\n push %es\n pop %es\n mov $0x80000000, %eax\n int3\n .byte 0xcb\n .code64");
SNIPPET(g_int80_32, ".code32\n mov $20, %eax\n int $0x80\n .byte 0xcb\n .code64");

static void code_of_32_bits(void)
{
    u16 flat = segment(0, 0, 0xfffff, CODE, true, true),
        based = segment(1, (u32)(u64)AREA + 0x100, 0xfff, CODE, true, false);
    for (u32 n = 0; n < 20; n++) {
        struct regs64 in = start();
        *(u32 *)(AREA + 64 - 16 + 0x100) = n * 7;
        in.rax = ~0ull;
        u16 selector = n & 1 ? flat : based;
        run_far(g_code32, 0x400, selector, n & 1 ? 0x60000400 : 0x300, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.rip, g_call_far + 9);
        check_eq(caught64.cs, 0x33);
        check_eq(caught64.regs.rax, 500502); /* the upper halves are gone: zero */
        check_eq(*(u32 *)AREA, 500502);
        check_eq(*(u32 *)(AREA + 8), 0x12345678);
        check_eq(caught64.regs.rdx, n * 7);
        check_eq(caught64.regs.rbx, 0);
        check_eq(caught64.regs.rsp, in.rsp);

        in.rdi = TOP;
        run_far(g_fault32, 0x500, selector, n & 1 ? 0x60000500 : 0x400, &in);
        check_eq(caught64.signal, SIGSEGV);
        check_eq(caught64.address, TOP);
        check_eq(caught64.cs, selector);
        check_eq(caught64.rip, (n & 1 ? 0x60000500 : 0x400) + 1);
        in.rdi = 0xfffffffe; /* over the end of the 4 GB: the kernel has nothing there */
        run_far(g_fault32, 0x500, selector, n & 1 ? 0x60000500 : 0x400, &in);
        check_eq(caught64.signal, SIGSEGV);

        run_far(g_int3_32, 0x600, selector, n & 1 ? 0x60000600 : 0x500, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.cs, selector);
        check_eq(caught64.rip, (n & 1 ? 0x60000600 : 0x500) + 8);
        check_eq(caught64.regs.rax, 0x80000000);
        /* The kernel's 32-bit entry from a 64-bit process. */
        run_far(g_int80_32, 0x700, selector, n & 1 ? 0x60000700 : 0x600, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, getpid());
    }
    /* The limit of the code segment: the fetch of the first byte beyond it is #GP. */
    struct regs64 in = start();
    u16 tight = segment(2, (u32)(u64)AREA, 0x4ff, CODE, true, false);
    memset(AREA + 0x4f0, 0x90, 64);
    far_target = (struct far32){0x4f0, tight};
    run_until_fault64(g_call_far, &in);
    check_eq(caught64.signal, SIGSEGV);
    check_eq(caught64.rip, 0x500);
    check_eq(caught64.cs, tight);
    far_target.offset = 0x500; /* and a far call beyond it faults itself */
    run_until_fault64(g_call_far, &in);
    check_eq(caught64.signal, SIGSEGV);
    check_eq(caught64.rip, g_call_far);
    check_eq(caught64.regs.rsp, in.rsp);
}

/* The kernel's own 32-bit user segment, without an LDT. */
static void compatibility(void)
{
    for (u32 n = 0; n < 20; n++) {
        struct regs64 in = start();
        *(u32 *)(AREA + 64 - 16 + 0x100) = n;
        run_far(g_code32, 0x400, 0x23, 0x60000400, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, 500502);
        check_eq(caught64.regs.rdx, n);
    }
}

/* 16-bit code on the flat stack. Its loop counts CX, its addresses have 16 bits. */
SNIPPET(g_code16, ".code16\n mov $0x4321, %ax\n mov $300, %cx\n 1: inc %dx\n loop 1b\n mov $0xfff0, %bx\n"
                  "mov %cs:2f-g_code16(%bx), %bp\n .byte 0x66, 0xcb\n .skip 16\n 2: .code64");

static void code_of_16_bits(void)
{
    u16 small = segment(3, (u32)(u64)AREA + 0x800, 0xffff, CODE, false, false);
    if (!offered) return;
    for (u32 n = 0; n < 20; n++) {
        struct regs64 in = start();
        in.rax = 0x1111222233334444ull, in.rcx = 0xcccccccc, in.rdx = 0xdddd0000ull, in.rbp = 0xbbbbbbbb;
        run_far(g_code16, 0x800, small, 0, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax & 0xffffffff, 0x33334321);
        check_eq(caught64.regs.rcx & 0xffffffff, 0xcccc0000);
        check_eq(caught64.regs.rdx & 0xffffffff, 0xdddd0000 + 300);
        check_eq(caught64.regs.rbx & 0xffff, 0xfff0);
        check_eq(caught64.regs.rsp, in.rsp);
    }
}

/* Data segments in 64-bit mode: GS has the descriptor's base, DS and ES have base 0 and no limit. */
SNIPPET(g_gs, "mov %ebx, %gs\n mov %gs:(%rsi), %rax\n mov %gs:-8(%rsi,%rcx,2), %rdx\n addr32 mov %gs:(%esi), "
              "%r8\n mov %gs, %ecx");
SNIPPET(g_es, "mov %ebx, %es\n mov %ebx, %ds\n mov %es:(%rsi), %rax\n mov (%rsi), %rdx\n mov %es, %ecx");
SNIPPET(g_load_bad, "mov %ebx, %ds");

static void data(void)
{
    for (u32 n = 0; n < 3 * PAGE / 8; n++)
        ((u64 *)AREA)[n] = n * 3;
    for (u32 n = 0; n < 40; n++) {
        u16 selector = segment(4, (u32)(u64)AREA + n * 8, 0xf, DATA, true, false);
        struct regs64 in = start();
        in.rbx = selector, in.rsi = 0x800, in.rcx = 8;
        run_until_fault64(g_gs, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, (0x100 + n) * 3); /* beyond the limit, which does not count */
        check_eq(caught64.regs.rdx, (0x101 + n) * 3);
        check_eq(caught64.regs.r8, (0x100 + n) * 3);
        check_eq(caught64.regs.rcx, selector);
        in.rsi = (u64)AREA + 0x800;
        run_until_fault64(g_es, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rax, 0x300);
        check_eq(caught64.regs.rdx, 0x300);
        check_eq(caught64.regs.rcx, selector);
    }
    struct regs64 in = start();
    in.rbx = 200 << 3 | 7; /* no such descriptor */
    run_until_fault64(g_load_bad, &in);
    check_eq(caught64.signal, SIGSEGV);
    check_eq(caught64.rip, g_load_bad);
    check_eq(caught64.code, 0x80);
}

/* A stack at the edges of its segment, in 32-bit code: the limit is #SS. EBX: the selector, EDX: where the stack
 * begins. */
SNIPPET(g_edge, ".code32\n mov %esp, %ebp\n mov %ss, %eax\n mov %ebx, %ss\n mov %edx, %esp\n"
                ".globl g_edge_push\n g_edge_push: push %ecx\n pop %edi\n mov %eax, %ss\n mov %ebp, %esp\n "
                ".byte 0xcb\n .code64");
extern const u8 g_edge_push[];

static void edges(void)
{
    u16 flat = segment(0, 0, 0xfffff, CODE, true, true);
    u16 up = segment(5, (u32)(u64)AREA, 0xfff, DATA, true, false),
        down = segment(6, (u32)(u64)AREA, 0xfff, STACK, true, false);
    u32 push = 0x60000a00 + (u32)(g_edge_push - g_edge);
    for (u32 n = 0; n < 10; n++) {
        struct regs64 in = start();
        in.rcx = 0x1234 + n;
        in.rbx = up, in.rdx = 0x1000; /* the last four bytes */
        run_far(g_edge, 0xa00, flat, 0x60000a00, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.regs.rdi, 0x1234 + n);
        check_eq(*(u32 *)(AREA + 0xffc), 0x1234 + n);
        static const u32 beyond[] = {0x1001, 0x1004, 0, 3};
        for (u32 k = 0; k < 4; k++) {
            in.rdx = beyond[k];
            run_far(g_edge, 0xa00, flat, 0x60000a00, &in);
            check_eq(caught64.signal, SIGBUS);
            check_eq(caught64.rip, push);
            check_eq(caught64.ss, up);
            check_eq(caught64.regs.rsp, beyond[k]);
        }
        in.rbx = down, in.rdx = 0x1004; /* offsets from 1000h on */
        run_far(g_edge, 0xa00, flat, 0x60000a00, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(*(u32 *)(AREA + 0x1000), 0x1234 + n);
        in.rdx = 0x1003;
        run_far(g_edge, 0xa00, flat, 0x60000a00, &in);
        check_eq(caught64.signal, SIGBUS);
        in.rdx = 3 * PAGE + 8; /* no limit, but no page: #PF */
        run_far(g_edge, 0xa00, flat, 0x60000a00, &in);
        check_eq(caught64.signal, SIGSEGV);
        check_eq(caught64.address, TOP + 4);
    }
}

/*
 * IRET to a 16-bit stack: it loads SP alone, so the kernel goes through a stack of its own for that (espfix64). The
 * handler of SIGUSR1 changes the frame, and sigreturn ends in 16-bit or 32-bit code with that stack. An INT3 there
 * shows what arrived.
 */
static u16 return_cs, return_ss;
static u64 return_rip, return_rsp;
static void change_frame(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    u64 segments = (u64)regs[REG_CSGSFS];
    regs[REG_CSGSFS] = (greg_t)((segments & 0x0000ffffffff0000ull) | return_cs | (u64)return_ss << 48);
    regs[REG_RIP] = (greg_t)return_rip;
    regs[REG_RSP] = (greg_t)return_rsp;
    regs[REG_RAX] = 0x4142;
}
/* kill(getpid(), 10) */
SNIPPET(g_raise, "mov $39, %eax\n syscall\n mov %eax, %edi\n mov $10, %esi\n mov $62, %eax\n syscall\n ud2");

static void sixteen_bit_stack(void)
{
    u16 stack = segment(7, (u32)(u64)AREA, 0xffff, DATA, false, false);
    u16 code32 = segment(0, 0, 0xfffff, CODE, true, true),
        code16 = segment(8, (u32)(u64)AREA + 0x800, 0xffff, CODE, false, false);
    if (!offered) return;
    struct sigaction action = {.sa_sigaction = change_frame, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    memset(AREA + 0x800, 0xcc, 64);
    for (u32 n = 0; n < 60; n++) {
        struct regs64 in = start();
        in.rsp = TOP - 512;
        return_ss = stack;
        return_cs = n % 3 == 0 ? code16 : n % 3 == 1 ? code32 : 0x23;
        return_rip = n % 3 == 0 ? 4 : 0x60000804;
        return_rsp = 0x1234500000000000ull * (n & 1) + 0xabcd0000 + 0x900 + n * 4;
        run_until_fault64(g_raise, &in);
        check_eq(caught64.signal, SIGTRAP);
        check_eq(caught64.cs, return_cs);
        check_eq(caught64.ss, stack);
        check_eq(caught64.rip, return_rip + 1);
        check_eq(caught64.regs.rsp & 0xffff, return_rsp & 0xffff);
        check_eq(caught64.regs.rax, 0x4142);
    }
}

/* Frames that no IRET and no SYSRET may accept: the process gets a signal, and the kernel lives. */
static void bad_frames(void)
{
    u16 data_segment = segment(9, 0, 0xfffff, DATA, true, true);
    struct sigaction action = {.sa_sigaction = change_frame, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    static const u64 rips[] = {0x0000800000000000ull, 0xffff7fffffffffffull, 1ull << 63,
                               0xffffffff81000000ull, 0x00007ffffffff000ull};
    for (u32 n = 0; n < 50; n++) {
        struct regs64 in = start();
        in.rsp = TOP - 512;
        return_cs = 0x33, return_ss = 0x2b, return_rsp = TOP - 600;
        return_rip = rips[n % 5]; /* SYSRET would raise #GP in the kernel: Intel's with the user's stack */
        run_until_fault64(g_raise, &in);
        check_eq(caught64.signal, SIGSEGV);
        check_eq(caught64.rip, return_rip);
        check_eq(caught64.regs.rsp, return_rsp);

        return_rip = (u64)g_raise; /* a stack that is not canonical is the next instruction's matter */
        return_rsp = 0x0000900000000000ull;
        return_rip = (u64)g_call_far;
        far_target = (struct far32){0x60000400, 0x23};
        run_until_fault64(g_raise, &in);
        check(caught64.signal == SIGBUS || caught64.signal == SIGSEGV);
        check_eq(caught64.rip, g_call_far);
        check_eq(caught64.regs.rsp, return_rsp);

        return_rsp = TOP - 600;
        return_cs = data_segment; /* no code segment: #GP in IRET */
        run_until_fault64(g_raise, &in);
        check_eq(caught64.signal, SIGSEGV);
        return_cs = 0x33;
        return_ss = 200 << 3 | 7;
        run_until_fault64(g_raise, &in);
        check_eq(caught64.signal, SIGSEGV);
    }
}

static void in_area(void (*run)(void))
{
    catch_faults64();
    map(AREA, 3 * PAGE, RWX);
    run();
    burn();
    run();
}
static void run_code32(void)
{
    in_area(code_of_32_bits);
}
static void run_compatibility(void)
{
    in_area(compatibility);
}
static void run_code16(void)
{
    in_area(code_of_16_bits);
}
static void run_data(void)
{
    in_area(data);
}
static void run_edges(void)
{
    in_area(edges);
}
static void run_stack16(void)
{
    in_area(sixteen_bit_stack);
}
static void run_bad_frames(void)
{
    in_area(bad_frames);
}

const struct test tests_segments64[] = {
    {"segments-32-bit-code", run_code32},    {"segments-compatibility", run_compatibility},
    {"segments-16-bit-code", run_code16},    {"segments-data", run_data},
    {"segments-stack-edge", run_edges},      {"segments-16-bit-stack", run_stack16},
    {"segments-bad-frames", run_bad_frames}, {0},
};
