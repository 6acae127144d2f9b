/* Code that changes: patched by itself, by others, by a debugger; generated; mapped twice; copied on write. */
#define _GNU_SOURCE
#include "hazards.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

/* mov $value, %eax; ret */
static void make_constant(u8 *at, u32 value)
{
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
}
static u32 call(const void *code)
{
    return ((u32(*)(void))(uintptr_t)code)();
}

SNIPPET(c_self, /* adds ECX and changes what it adds: ECX, ECX - 1, ... 1 */
        "xor %eax, %eax\n 1: add $0x11111111, %eax\n 2: mov %ecx, -4(%ebx)\n dec %ecx\n jns 1b\n ret");
#define SELF_PATCH 7 /* offset of 2: */

static void self(void)
{
    u8 *code = map(NULL, 2 * PAGE, RWX);
    for (u32 round = 0; round < 40; round++) {
        /* also with a loop that crosses a page boundary */
        u8 *at = code + (round & 1 ? PAGE - 5 : 64) - round / 8;
        memcpy(at, c_self, 32);
        u32 sum, count = 3000;
        __asm__ volatile("call *%3"
                         : "=a"(sum), "+c"(count)
                         : "b"(at + SELF_PATCH), "r"(at)
                         : "memory", "cc");
        check_eq(sum, 0x11111111 + 3000 * 3001 / 2);
    }
}

static void boundary(void)
{
    u8 *code = map(NULL, 2 * PAGE, RWX);
    for (u32 before = 1; before < 6; before++) {
        u8 *at = code + PAGE - before;
        make_constant(at, 0);
        for (u32 n = 1; n < 500; n++) {
            at[1 + n % 4] = (u8)n;
            u32 value;
            memcpy(&value, at + 1, 4);
            check_eq(call(at), value);
        }
        /* The second page is unmapped, and another one is mapped there. */
        catch_faults();
        mprotect(code + PAGE, PAGE, PROT_NONE);
        u32 stack[64];
        struct regs in = {.esp = (u32)(stack + 32)};
        stack[32] = 0;
        run_until_fault(at, &in);
        check_eq(caught.signal, SIGSEGV);
        check_eq(caught.address, code + PAGE);
        check_eq(caught.eip, before == 5 ? at + 5 : at);
        map(code + PAGE, PAGE, RWX);
        u32 value;
        memcpy(&value, at + 1, 4);
        if (before < 6) at[5] = 0xc3;
        check_eq(call(at), value);
    }
}

static void generate(void)
{
    for (u32 round = 0; round < 30; round++) {
        u8 *code = map((void *)0x50000000, 16 * PAGE, RWX);
        u32 sum = 0, expected = 0;
        for (u32 n = 0; n < 2000; n++) {
            u8 *at = code + n * 29;
            make_constant(at, n * round);
            sum += call(at);
            expected += n * round;
        }
        for (u32 n = 0; n < 2000; n += 3)
            sum += call(code + n * 29), expected += n * round;
        check_eq(sum, expected);
        munmap(code, 16 * PAGE);
    }
}

static void two_mappings(void)
{
    int fd = memory_file(4 * PAGE);
    u8 *a = mmap(NULL, 4 * PAGE, RWX, MAP_SHARED, fd, 0);
    u8 *b = mmap(NULL, 4 * PAGE, RWX, MAP_SHARED, fd, 0);
    u8 *w = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (u32 n = 0; n < 3000; n++) {
        u32 at = PAGE - 3 + n % 3 * 8;
        make_constant((n & 1 ? a : w) + at, n);
        check_eq(call(b + at), n);
        make_constant(b + at, n + 1);
        check_eq(call(a + at), n + 1);
    }
    /* the kernel writes it in a system call */
    u8 bytes[6];
    for (u32 n = 0; n < 300; n++) {
        make_constant(bytes, n * 3);
        check_eq(pwrite(fd, bytes, 6, 100), 6);
        check_eq(call(a + 100), n * 3);
        check_eq(call(b + 100), n * 3);
    }
}

/* Position-independent: a call, an indirect jump, a call through a register, a system call. It returns the address that
 * the call pushed minus its own address, so the result must be the same at every address. */
SNIPPET(c_movable,
        "push %ebx\n push %esi\n call 1f\n 1: pop %esi\n lea 2f-1b(%esi), %eax\n jmp *%eax\n ud2\n"
        "2: lea 4f-1b(%esi), %ecx\n call *%ecx\n 3: mov $20, %eax\n int $0x80\n mov %eax, %ebx\n"
        "call 4f\n sub %esi, %edx\n add %edx, %eax\n add %ebx, %eax\n xor %ecx, %ecx\n loop 5f\n 5:\n"
        "pop %esi\n pop %ebx\n ret\n"
        "4: mov (%esp), %edx\n mov $7, %eax\n ret\n"
        ".globl c_movable_fault\n c_movable_fault: nop\n call 6f\n 6: pop %ecx\n mov (%eax), %eax\n"
        ".globl c_movable_end\n c_movable_end:");
extern const u8 c_movable_fault[], c_movable_end[];

static void everywhere(u8 *text, u32 expected)
{
    check_eq(call(text), expected);
    u8 *faulting = text + (c_movable_fault - c_movable);
    u32 stack[64];
    struct regs in = {.eax = 16, .esp = (u32)(stack + 32)};
    run_until_fault(faulting, &in);
    check_eq(caught.signal, SIGSEGV);
    check_eq(caught.address, 16);
    check_eq(caught.eip, text + (c_movable_end - c_movable) - 2);
    check_eq(caught.regs.ecx, faulting + 6);
}

static void relocated(void)
{
    catch_faults();
    int fd = memory_file(2 * PAGE);
    u8 *text[8];
    pwrite(fd, c_movable, 256, 16);
    for (u32 n = 0; n < 8; n++)
        text[n] = (u8 *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) + 16;
    u32 expected = call(c_movable) - (u32)getpid();
    for (u32 round = 0; round < 20; round++) {
        for (u32 n = 0; n < 8; n++)
            everywhere(text[n], expected + (u32)getpid());
        if (round % 5) continue;
        int pid = fork(); /* and in another process, at yet another address */
        if (!pid) {
            u8 *own = (u8 *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) + 16;
            for (u32 n = 0; n < 10; n++) {
                everywhere(own, expected + (u32)getpid());
                everywhere(text[n % 8], expected + (u32)getpid());
            }
            _exit(caught.address != 16);
        }
        check_eq(wait_for(pid), 0);
    }
    /* A change reaches all copies. */
    u8 *w = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (u32 round = 0; round < 50; round++) {
        make_constant(w + 16, round);
        for (u32 n = 0; n < 8; n++)
            check_eq(call(text[n]), round);
    }
}

static void shared_text(void) /* one process patches what another runs */
{
    int fd = memory_file(PAGE), to[2], from[2];
    u8 *text = mmap(NULL, PAGE, RWX, MAP_SHARED, fd, 0);
    if (pipe(to) || pipe(from)) _exit(3);
    int pid = fork();
    if (!pid) {
        u8 *moved = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
        u32 command, answer;
        while (read(to[0], &command, 4) == 4 && command) {
            answer = call(command & 1 ? text : moved);
            if (write(from[1], &answer, 4) != 4) _exit(4);
        }
        _exit(0);
    }
    for (u32 n = 1; n < 500; n++) {
        u32 answer = 0;
        make_constant(text, n * 5);
        check_eq(write(to[1], &n, 4), 4);
        check_eq(read(from[0], &answer, 4), 4);
        check_eq(answer, n * 5);
        if (n % 16 == 0) check_eq(call(text), n * 5);
    }
    u32 end = 0;
    check_eq(write(to[1], &end, 4), 4);
    check_eq(wait_for(pid), 0);
}

static void copied_text(void) /* a write separates private mappings */
{
    int fd = memory_file(2 * PAGE);
    u8 bytes[6];
    make_constant(bytes, 100);
    pwrite(fd, bytes, 6, 50);
    for (u32 round = 0; round < 20; round++) {
        u8 *text = mmap(NULL, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
        u8 *other = mmap(NULL, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
        check_eq(call(text + 50), 100);
        check_eq(call(other + 50), 100);
        int pid = fork();
        mprotect(text, PAGE, RWX);
        make_constant(text + 50, pid ? 200 : 300);
        mprotect(text, PAGE, PROT_READ | PROT_EXEC);
        u32 own = call(text + 50), others = call(other + 50);
        if (!pid) _exit(own != 300 || others != 100);
        check_eq(own, 200);
        check_eq(others, 100);
        check_eq(wait_for(pid), 0);
        check_eq(call(text + 50), 200);
        munmap(text, 2 * PAGE);
        munmap(other, 2 * PAGE);
    }
}

static __attribute__((noinline)) u32 apply(u32 (*function)(u32), u32 n)
{
    return function(n);
}
static void trampolines(void) /* code on the stack: other functions again and again at the same address */
{
    for (u32 n = 0; n < 2000; n++) {
        u32 add(u32 more)
        {
            return n + more;
        }
        u32 multiply(u32 by)
        {
            return n * by;
        }
        check_eq(apply(n & 1 ? add : multiply, 5), n & 1 ? n + 5 : n * 5);
    }
}

static __attribute__((noinline)) void stop_here(volatile u32 *counter)
{
    ++*counter;
    __asm__ volatile("");
}

static void debugger(void) /* INT3 into a running child, single steps, and the byte back */
{
    int pid = fork();
    if (!pid) {
        volatile u32 counter = 0;
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        for (u32 n = 0; n < 1000; n++)
            stop_here(&counter);
        _exit(counter != 1000);
    }
    int status;
    long at = (long)stop_here, word;
    waitpid(pid, &status, 0);
    word = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
    u32 hits = 0, steps = 0;
    long eip_at = offsetof(
        struct { u32 r[17]; }, r[12]); /* struct user_regs_struct: EIP */
    for (; hits < 60; hits++) {
        ptrace(PTRACE_POKETEXT, pid, at, (word & ~0xffl) | 0xcc);
        ptrace(PTRACE_CONT, pid, 0, 0);
        waitpid(pid, &status, 0);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) break;
        check_eq(ptrace(PTRACE_PEEKUSER, pid, eip_at, 0), at + 1);
        ptrace(PTRACE_POKETEXT, pid, at, word);
        ptrace(PTRACE_POKEUSER, pid, eip_at, at);
        for (u32 n = 0; n < hits % 7 + 1; n++, steps++) {
            long before = ptrace(PTRACE_PEEKUSER, pid, eip_at, 0);
            ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
            waitpid(pid, &status, 0);
            check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
            check(ptrace(PTRACE_PEEKUSER, pid, eip_at, 0) != before);
        }
    }
    check_eq(hits, 60);
    ptrace(PTRACE_CONT, pid, 0, 0);
    check_eq(wait_for(pid), 0);
    volatile u32 counter = 0; /* and the text of this process is unchanged */
    stop_here(&counter);
    check_eq(counter, 1);
}

static void twice(void (*run)(void))
{
    run();
    burn();
    run();
}
static void run_self(void)
{
    twice(self);
}
static void run_boundary(void)
{
    twice(boundary);
}
static void run_generate(void)
{
    twice(generate);
}
static void run_two_mappings(void)
{
    twice(two_mappings);
}
static void run_relocated(void)
{
    twice(relocated);
}
static void run_shared_text(void)
{
    twice(shared_text);
}
static void run_copied_text(void)
{
    twice(copied_text);
}
static void run_trampolines(void)
{
    twice(trampolines);
}
static void run_debugger(void)
{
    twice(debugger);
}

const struct test tests_code[] = {
    {"code-patches-itself", run_self},         {"code-over-boundary", run_boundary},
    {"code-generated", run_generate},          {"code-mapped-twice", run_two_mappings},
    {"code-relocated", run_relocated},         {"code-shared", run_shared_text},
    {"code-copied-on-write", run_copied_text}, {"code-on-the-stack", run_trampolines},
    {"code-debugged", run_debugger},           {0},
};
