/*
 * The operations of the nanobenchmarks that a 32-bit program can do on the host itself, with the same output
 * as kernel.S:
 *
 *     native NAME COUNT   prints "cycles NAME COUNT HEX", one line for each round
 *
 * A system call here is the host kernel's whole getppid(), which is more than entry and exit, so it is an upper bound
 * for a guest's.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 20
#define PAGE   4096u

static uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* The same loops as in operations.S. */

static void do_empty(uint32_t count)
{
    __asm__ volatile("1: decl %0; jnz 1b" : "+r"(count) : : "cc");
}

static void do_call_ret(uint32_t count)
{
    __asm__ volatile("1: call 2f; decl %0; jnz 1b; jmp 3f; 2: ret; 3:" : "+r"(count) : : "cc", "memory");
}

static void do_call_indirect(uint32_t count)
{
    __asm__ volatile("call 1f; 1: popl %%eax; addl $(2f - 1b), %%eax\n"
                     "4: call *%%eax; decl %0; jnz 4b; jmp 3f; 2: ret; 3:"
                     : "+r"(count)
                     :
                     : "eax", "cc", "memory");
}

static void do_syscall_int(uint32_t count)
{
    while (count--) {
        int number = SYS_getppid;
        __asm__ volatile("int $0x80" : "+a"(number) : : "memory");
    }
}

/* The kernel's own system call entry: SYSENTER or SYSCALL, depending on the host's CPU. */
static void do_syscall_sysenter(uint32_t count)
{
    uintptr_t entry = getauxval(AT_SYSINFO);
    while (count--) {
        int number = SYS_getppid;
        __asm__ volatile("call *%1" : "+a"(number) : "r"(entry) : "ecx", "edx", "memory");
    }
}

static void do_page_fault(uint32_t count)
{
    uint32_t bytes = 1024 * PAGE;
    volatile char *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise((void *)region, bytes, MADV_NOHUGEPAGE);
    for (count /= 1024; count--;) {
        for (uint32_t at = 0; at < bytes; at += PAGE)
            region[at] = 1;
        madvise((void *)region, bytes, MADV_DONTNEED);
    }
    munmap((void *)region, bytes);
}

static void do_pushf_popf(uint32_t count)
{
    __asm__ volatile("1: pushfl; popfl; decl %0; jnz 1b" : "+r"(count) : : "cc", "memory");
}

static void do_rdtsc(uint32_t count)
{
    while (count--)
        rdtsc();
}

static void do_segment_same(uint32_t count)
{
    uint32_t selector;
    __asm__ volatile("movl %%ds, %1; 1: movl %1, %%ds; decl %0; jnz 1b"
                     : "+r"(count), "=&r"(selector)
                     :
                     : "cc");
}

static char buffer[3 * PAGE] __attribute__((aligned(4096)));

static void do_rep_movs_4k(uint32_t count)
{
    while (count--) {
        const char *from = buffer;
        char *to = buffer + PAGE;
        uint32_t dwords = PAGE / 4;
        __asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(dwords) : : "memory");
    }
}

static void do_rep_stos_4k(uint32_t count)
{
    while (count--) {
        char *to = buffer;
        uint32_t dwords = PAGE / 4;
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(dwords) : "a"(0) : "memory");
    }
}

#define ROW(name)                                                                                            \
    {                                                                                                        \
#name, do_##name                                                                                     \
    }
static const struct {
    const char *name;
    void (*run)(uint32_t count);
} operations[] = {
    ROW(empty),       ROW(call_ret),   ROW(call_indirect), ROW(syscall_int),  ROW(syscall_sysenter),
    ROW(page_fault),  ROW(pushf_popf), ROW(rdtsc),         ROW(segment_same), ROW(rep_movs_4k),
    ROW(rep_stos_4k),
};

int main(int argc, char **argv)
{
    uint32_t count = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (!count) {
        fputs("usage: native NAME COUNT\n", stderr);
        return 2;
    }
    memset(buffer, 1, sizeof(buffer));
    for (unsigned n = 0; n < sizeof(operations) / sizeof(operations[0]); n++) {
        if (strcmp(operations[n].name, argv[1])) continue;
        for (unsigned round = 0; round < ROUNDS; round++) {
            uint64_t began = rdtsc();
            operations[n].run(count);
            printf("cycles %s %u %016llx\n", argv[1], count, (unsigned long long)(rdtsc() - began));
        }
    }
    return 0; /* an operation that only a kernel can do prints nothing */
}
