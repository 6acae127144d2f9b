/* 64-bit code that changes: in place, over page boundaries, through a second mapping, in another process. */
#define _GNU_SOURCE
#include "hazards64.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* movabs $value, %rax; ret */
#define CONSTANT_BYTES 11
static void make_constant(u8 *at, u64 value)
{
    at[0] = 0x48, at[1] = 0xb8;
    memcpy(at + 2, &value, 8);
    at[10] = 0xc3;
}
static u64 call(const void *code)
{
    return ((u64(*)(void))(uintptr_t)code)();
}

SNIPPET(c_self64, /* adds R9D and changes what it adds: R9D, R9D - 1, ... 1 */
        "xor %eax, %eax\n 1: add $0x11111111, %rax\n 2: mov %r9d, -4(%r8)\n dec %r9d\n jns 1b\n ret");
#define SELF_PATCH 8 /* offset of 2: */

static void self(void)
{
    u8 *code = map(NULL, 2 * PAGE, RWX);
    for (u32 round = 0; round < 40; round++) {
        u8 *at = code + (round & 1 ? PAGE - 5 : 64) - round / 8;
        memcpy(at, c_self64, 32);
        u64 sum;
        register u64 patch __asm__("r8") = (u64)at + SELF_PATCH;
        register u64 count __asm__("r9") = 3000;
        __asm__ volatile("call *%3" : "=&a"(sum), "+r"(count) : "r"(patch), "r"(at) : "memory", "cc");
        check_eq(sum, 0x11111111 + 3000 * 3001 / 2);
    }
    munmap(code, 2 * PAGE);
}

/* What a compiler at run time does: one page with a mapping to write and others to execute, far from each other. */
static void two_mappings(void)
{
    int fd = memory_file(4 * PAGE);
    u8 *writable = mmap((void *)(3 * GB4), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    u8 *text[] = {
        mmap((void *)(0x7000 * GB4), 4 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0),
        mmap((void *)0x50000000, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0)};
    for (u32 n = 0; n < 3000; n++) {
        u32 at = PAGE - 3 - n % 7 + n % 3 * 16;
        u64 value = (u64)n << 40 | n;
        make_constant(writable + at, value);
        check_eq(call(text[0] + at), value);
        check_eq(call(text[1] + at), value);
    }
    u8 bytes[CONSTANT_BYTES];
    for (u32 n = 0; n < 300; n++) { /* by system call */
        make_constant(bytes, n * 3);
        check_eq(pwrite(fd, bytes, sizeof bytes, 100), sizeof bytes);
        check_eq(call(text[n & 1] + 100), n * 3);
    }
    int to[2], from[2];
    if (pipe(to) || pipe(from)) _exit(3);
    int pid = fork(); /* another process runs what this one writes */
    if (!pid) {
        u32 n;
        while (read(to[0], &n, 4) == 4 && n) {
            u64 value = call(text[n & 1] + 200);
            if (write(from[1], &value, 8) != 8) _exit(4);
        }
        _exit(0);
    }
    for (u32 n = 1; n < 400; n++) {
        u64 value = 0;
        make_constant(writable + 200, ~0ull / n);
        check_eq(write(to[1], &n, 4), 4);
        check_eq(read(from[0], &value, 8), 8);
        check_eq(value, ~0ull / n);
    }
    check_eq(write(to[1], &(u32){0}, 4), 4);
    check_eq(wait_for(pid), 0);
    munmap(writable, 4 * PAGE);
    munmap(text[0], 4 * PAGE);
    munmap(text[1], 4 * PAGE);
    close(fd);
}

/* Rights that alternate, as W^X has them, and private copies that part when written. */
static void alternating(void)
{
    int fd = memory_file(PAGE);
    u8 bytes[CONSTANT_BYTES];
    make_constant(bytes, 7);
    check_eq(pwrite(fd, bytes, sizeof bytes, 0), sizeof bytes);
    for (u32 round = 0; round < 100; round++) {
        u8 *text = mmap((void *)(5 * GB4), PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
        check_eq(call(text), 7);
        int pid = fork();
        mprotect(text, PAGE, PROT_READ | PROT_WRITE);
        make_constant(text, pid ? round : 1000);
        struct regs64 in = {.rsp = (u64)(u64[8]){0}};
        run_until_fault64(text, &in); /* no right to execute: NX */
        check(caught64.signal == SIGSEGV && caught64.address == (u64)text && caught64.rip == (u64)text);
        mprotect(text, PAGE, PROT_READ | PROT_EXEC);
        u64 own = call(text);
        if (!pid) _exit(own != 1000);
        check_eq(own, round);
        check_eq(wait_for(pid), 0);
        check_eq(call(text), round);
    }
    close(fd);
}

/* Invalid instructions whose last byte changes: they become valid ones that change EAX from 5 to 6. */
static void becomes_valid(void)
{
    static const struct {
        u8 invalid[3], bytes, last;
    } changes[] = {
        {{0xff, 0xff}, 2, 0xc0},       /* INC EAX */
        {{0x66, 0xff, 0xff}, 3, 0xc0}, /* INC AX */
    };
    u8 *code = map(NULL, PAGE, RWX);
    for (u32 n = 0; n < sizeof changes / sizeof *changes; n++) {
        memcpy(code, changes[n].invalid, changes[n].bytes);
        code[changes[n].bytes] = 0xc3;
        struct regs64 in = {.rsp = (u64)(u64[8]){0}};
        run_until_fault64(code, &in);
        check(caught64.signal == SIGILL && caught64.rip == (u64)code);
        code[changes[n].bytes - 1] = changes[n].last;
        u64 value = 5;
        __asm__ volatile("call *%1" : "+a"(value) : "r"(code) : "memory", "cc");
        check_eq(value, 6);
    }
    munmap(code, PAGE);
}

static void twice(void (*run)(void))
{
    catch_faults64();
    run();
    burn();
    run();
}
static void run_self(void)
{
    twice(self);
}
static void run_two_mappings(void)
{
    twice(two_mappings);
}
static void run_alternating(void)
{
    twice(alternating);
}

static void run_becomes_valid(void)
{
    twice(becomes_valid);
}

const struct test tests_code64[] = {
    {"code-patches-itself", run_self},
    {"code-mapped-twice", run_two_mappings},
    {"code-write-xor-execute", run_alternating},
    {"code-becomes-valid", run_becomes_valid},
    {0},
};
