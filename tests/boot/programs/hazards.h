/*
 * What the hazard programs share. Each test is a function that runs in its own child process, which must print nothing
 * and exit with 0. A failed check() prints its name, and the test goes on. The program contains the expected results,
 * so it can also run on the host or under QEMU.
 */
#ifndef HAZARDS_H
#define HAZARDS_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGE 4096u

struct test {
    const char *name;
    void (*run)(void);
};
extern const struct test tests_code[], tests_control[], tests_memory[], tests_precise[], tests_process[],
    tests_segments[], tests_signals[];
/* The lists that a program runs; NULL at the end. */
extern const struct test *const test_groups[];

void check_at(const char *file, int line, bool holds, const char *text, long a, long b);
#define check(condition) check_at(__FILE__, __LINE__, (condition), #condition, 0, 0)
#define check_eq(a, b)                                                                                       \
    do {                                                                                                     \
        long a_ = (long)(a), b_ = (long)(b);                                                                 \
        check_at(__FILE__, __LINE__, a_ == b_, #a " == " #b, a_, b_);                                        \
    } while (0)

/* Runs user code for some 30 ms, because hot code is treated differently. */
void burn(void);
u32 random_u32(void);
/* Anonymous memory or die; at: where, or NULL. */
u8 *map(void *at, size_t bytes, int protection);
/* A file of that size in memory. */
int memory_file(size_t bytes);
/* Wait for a child: its exit code, or 1000 + its signal. */
int wait_for(int pid);

/* --- faults --- */

struct regs {
    u32 eax, ebx, ecx, edx, esi, edi, ebp, esp;
};
struct caught {
    int signal, code;
    u32 address, eip, eflags, ds, es, fs, gs, cs;
    struct regs regs;
};
extern struct caught caught;

/* Install a handler, with a stack of its own, of the signals that faults become. */
void handle_faults(void (*handler)(int signal, siginfo_t *info, void *context));
/* In a handler: the signal's own action, which ends the test, when the handler returns. */
void die_by(int number);

void catch_faults(void);
/* Jump to code with these registers. It runs until it faults (for example by INT3); `caught` has the fault. */
void run_until_fault(const void *code, const struct regs *in);

/* Code as a symbol; it ends in INT3. */
#define SNIPPET(name, ...)                                                                                   \
    __asm__(".pushsection .text\n.globl " #name "\n" #name ":\n" __VA_ARGS__ "\nint3\n.popsection\n");       \
    extern const u8 name[]

#endif
