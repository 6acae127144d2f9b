/* Segments that are not flat, in user code: a base, a limit, code in the LDT. */
#define _GNU_SOURCE
#include "hazards.h"

#include <asm/ldt.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static u8 *area; /* four pages; the fourth is not mapped */

static u16 segment(u32 entry, u32 base, u32 limit, u32 contents, bool pages, bool read_only)
{
    struct user_desc desc = {.entry_number = entry,
                             .base_addr = base,
                             .limit = limit,
                             .seg_32bit = 1,
                             .contents = contents & 3,
                             .read_exec_only = read_only,
                             .limit_in_pages = pages,
                             .useable = 1};
    check_eq(syscall(SYS_modify_ldt, 1, &desc, sizeof desc), 0);
    return (u16)(entry << 3 | 7);
}

SNIPPET(g_read, "mov %ebx, %es\n mov %es:(%esi), %eax");
SNIPPET(g_write, "mov %ebx, %es\n mov %ecx, %es:(%esi)");
SNIPPET(g_fs, "mov %ebx, %fs\n mov %fs:4(%esi), %eax\n add %eax, %fs:8(%esi)\n mov %fs:8(%esi), %edx");
SNIPPET(g_stos, "mov %ebx, %es\n rep stosl");
SNIPPET(g_ds, "mov %ebx, %ds\n mov (%esi), %eax\n push (%esi)\n pop %edx\n mov %edx, 8(%esi)");

static void expect(const u8 *code, u32 at, const struct regs *in, int signal)
{
    run_until_fault(code, in);
    check_eq(caught.signal, signal);
    if (signal == SIGSEGV) check_eq(caught.eip, code + at);
}

static void data(void)
{
    u32 stack[64];
    for (u32 n = 0; n < 3 * PAGE / 4; n++)
        ((u32 *)area)[n] = n * 3;
    u16 based = segment(1, (u32)area + 100, 0x7ff, 0, false, false);
    u16 only = segment(2, (u32)area + 100, 0x7ff, 0, false, true);
    u16 down = segment(3, (u32)area, 0xfff, 1, false, false); /* expands down */
    u16 high = segment(4, (u32)area - 0x10000000, 0xfffff, 0, true, false);
    for (u32 n = 0; n < 4; n++) {
        struct regs in = {.ebx = based, .esi = 0x10, .ecx = 0x1234, .esp = (u32)(stack + 32)};
        expect(g_read, 2, &in, SIGTRAP);
        check_eq(caught.regs.eax, (100 + 0x10) / 4 * 3);
        in.esi = 0x7fc;
        expect(g_read, 2, &in, SIGTRAP);
        check_eq(caught.regs.eax, (100 + 0x7fc) / 4 * 3);
        expect(g_write, 2, &in, SIGTRAP);
        check_eq(*(u32 *)(area + 100 + 0x7fc), 0x1234);
        *(u32 *)(area + 100 + 0x7fc) = (100 + 0x7fc) / 4 * 3;
        in.esi = 0x7fd; /* the limit */
        expect(g_read, 2, &in, SIGSEGV);
        check_eq(caught.address, 0);
        expect(g_write, 2, &in, SIGSEGV);
        in.esi = 0xfffffff0;
        expect(g_read, 2, &in, SIGSEGV);
        in.ebx = only;
        in.esi = 0x10;
        expect(g_read, 2, &in, SIGTRAP);
        expect(g_write, 2, &in, SIGSEGV);
        in.ebx = down;
        expect(g_read, 2, &in, SIGSEGV);
        in.esi = 0x1000;
        expect(g_read, 2, &in, SIGTRAP);
        check_eq(caught.regs.eax, 0x1000 / 4 * 3);
        in.ebx = high; /* the linear address wraps */
        in.esi = 0x10000000 + 40;
        expect(g_read, 2, &in, SIGTRAP);
        check_eq(caught.regs.eax, 30);
        in.esi = 0x10000000 + 3 * PAGE; /* within the limit, but not mapped */
        expect(g_read, 2, &in, SIGSEGV);
        check_eq(caught.address, area + 3 * PAGE);
        in.ebx = 0; /* a null selector */
        expect(g_read, 2, &in, SIGSEGV);

        in = (struct regs){.ebx = based, .esi = 0x20, .esp = (u32)(stack + 32)};
        *(u32 *)(area + 100 + 0x28) = 5;
        expect(g_fs, 2, &in, SIGTRAP);
        check_eq(caught.regs.edx, (100 + 0x24) / 4 * 3 + 5);
        check_eq(caught.fs, based);
        expect(g_ds, 2, &in, SIGTRAP);
        check_eq(caught.regs.edx, (100 + 0x20) / 4 * 3);
        check_eq(caught.ds, based);
        check_eq(*(u32 *)(area + 100 + 0x28), (100 + 0x20) / 4 * 3);

        in = (struct regs){
            .ebx = based, .edi = 0x7c0, .ecx = 100, .eax = 0x5a5a5a5a, .esp = (u32)(stack + 32)};
        expect(g_stos, 2, &in, SIGSEGV); /* up to the limit */
        check_eq(caught.regs.ecx, 100 - 16);
        check_eq(caught.regs.edi, 0x800);
        check_eq(*(u32 *)(area + 100 + 0x7fc), 0x5a5a5a5a);
        check_eq(*(u32 *)(area + 100 + 0x800), (100 + 0x800) / 4 * 3);
        for (u32 k = 0; k < 3 * PAGE / 4; k++)
            ((u32 *)area)[k] = k * 3;
    }
    /* The descriptor changes under the same selector. */
    for (u32 n = 0; n < 50; n++) {
        segment(1, (u32)area + n * 4, 0xff, 0, false, false);
        struct regs in = {.ebx = based, .esi = 0, .esp = (u32)(stack + 32)};
        expect(g_read, 2, &in, SIGTRAP);
        check_eq(caught.regs.eax, n * 3);
    }
}

/* Far code: its EIP is relative to the segment's base. */
SNIPPET(g_far, "call 1f\n add $100, %eax\n lret\n 1: mov (%esp), %edx\n mov $5, %eax\n ret\n"
               ".globl g_far_bad\n g_far_bad: mov 16, %eax");
extern const u8 g_far_bad[];

static void code(void)
{
    static u8 text[256] __attribute__((aligned(16)));
    memcpy(text, g_far, 64);
    mprotect((void *)((u32)text & ~(PAGE - 1)), 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (u32 n = 0; n < 20; n++) {
        u16 selector = segment(5, (u32)text - n * 16, 0xfff, 2, false, false);
        struct __attribute__((packed)) {
            u32 offset;
            u16 selector;
        } target = {n * 16, selector};
        u32 value, seen;
        __asm__ volatile("lcall *%2" : "=&a"(value), "=&d"(seen) : "m"(target) : "memory", "cc");
        check_eq(value, 105);
        check_eq(seen, n * 16 + 5);
    }
}

static void thread_area(void)
{
    struct user_desc desc = {
        .entry_number = (u32)-1, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
    u32 stack[64];
    for (u32 n = 0; n < 100; n++) {
        desc.base_addr = (u32)area + n * 8;
        check_eq(syscall(SYS_set_thread_area, &desc), 0);
        struct regs in = {.ebx = desc.entry_number * 8 + 3, .esp = (u32)(stack + 32)};
        *(u32 *)(area + n * 8 + 4) = n;
        *(u32 *)(area + n * 8 + 8) = 7;
        run_until_fault(g_fs, &in);
        check_eq(caught.signal, SIGTRAP);
        check_eq(caught.regs.edx, n + 7);
    }
}

static void in_area(void (*run)(void))
{
    catch_faults();
    area = map(NULL, 4 * PAGE, PROT_READ | PROT_WRITE);
    munmap(area + 3 * PAGE, PAGE);
    run();
    burn();
    run();
}
static void run_data(void)
{
    in_area(data);
}
static void run_code(void)
{
    in_area(code);
}
static void run_thread_area(void)
{
    in_area(thread_area);
}

const struct test tests_segments[] = {
    {"segments-of-data", run_data},
    {"segments-of-code", run_code},
    {"segments-of-threads", run_thread_area},
    {0},
};
