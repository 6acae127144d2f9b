/* Signals at any moment: the state of FPU and SSE registers, and the ways out of a handler. */
#define _GNU_SOURCE
#include "hazards.h"

#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile u32 ticks;
static volatile double scratch;

static void tick(int signal)
{
    (void)signal;
    ticks++;
    double x = ticks;
    for (u32 n = 0; n < 20; n++)
        x = x * 1.0000001 + 1;
    scratch = x;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n pxor %%xmm1, %%xmm1\n pcmpeqd %%xmm7, %%xmm7" : : : "memory");
}

/* Computes a sum and keeps its parts in x87 and SSE registers all the time. Returns false if one of them has
 * changed. */
static bool steady(u32 rounds, u32 seed)
{
    u32 out[8][4] __attribute__((aligned(16))), in[4] __attribute__((aligned(16)));
    double sum;
    for (u32 n = 0; n < 4; n++)
        in[n] = seed * (n + 1);
    u32 count = rounds;
    __asm__ volatile("movaps (%3), %%xmm0\n movaps %%xmm0, %%xmm1\n paddd %%xmm0, %%xmm1\n"
                     "movaps %%xmm1, %%xmm2\n paddd %%xmm0, %%xmm2\n movaps %%xmm2, %%xmm7\n"
                     "paddd %%xmm0, %%xmm7\n pxor %%xmm3, %%xmm3\n"
                     "fldz\n fld1\n"
                     "1: fadd %%st, %%st(1)\n paddd %%xmm0, %%xmm3\n dec %0\n jnz 1b\n"
                     "fstp %%st(0)\n fstpl %1\n"
                     "movaps %%xmm0, (%2)\n movaps %%xmm1, 16(%2)\n movaps %%xmm2, 32(%2)\n"
                     "movaps %%xmm3, 48(%2)\n movaps %%xmm7, 64(%2)\n"
                     : "+r"(count), "=m"(sum)
                     : "r"(out), "r"(in)
                     : "memory", "cc", "st");
    bool same = sum == rounds;
    for (u32 n = 0; n < 4; n++)
        same = same && out[0][n] == in[n] && out[1][n] == 2 * in[n] && out[2][n] == 3 * in[n] &&
               out[3][n] == rounds * in[n] && out[4][n] == 4 * in[n];
    return same;
}

static bool noisy(u32 seed)
{
    struct itimerval every = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &every, NULL);
    bool same = true;
    for (u32 n = 0; n < 400 || ticks < 20; n++) {
        same = same && steady(20000, seed + n);
        if (n % 50 == 0) usleep(100);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    return same;
}

static void storm(void)
{
    int pid[4];
    for (u32 n = 0; n < 4; n++) {
        if (!(pid[n] = fork())) _exit(!noisy(n * 1000));
    }
    for (u32 n = 0; n < 4; n++)
        check_eq(wait_for(pid[n]), 0);
}

/* --- handlers that do not return --- */

static sigjmp_buf out;
static void leave(int signal)
{
    siglongjmp(out, signal);
}

SNIPPET(i_fault, "mov 0, %eax");
SNIPPET(i_divide, "xor %ecx, %ecx\n div %ecx");
SNIPPET(i_undefined, "ud2");

static void leaving(void)
{
    static const struct {
        const u8 *code;
        int signal;
    } faults[] = {{i_fault, SIGSEGV}, {i_divide, SIGFPE}, {i_undefined, SIGILL}};
    for (volatile u32 n = 0; n < 300; n++) {
        int which = n % 3, got;
        signal(faults[which].signal, leave);
        if (!(got = sigsetjmp(out, 1))) ((void (*)(void))(uintptr_t)faults[which].code)();
        check_eq(got, faults[which].signal);
        check(steady(10, n));
    }
}

/* --- the handler finds all registers and may change them --- */

SNIPPET(i_skip, "mov (%esi), %eax\n add $1, %eax\n ret"); /* the load is 2 bytes long */
static u32 seen;
static void skip(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signal;
    seen += (u32)info->si_addr == (u32)regs[REG_ESI] && (u32)regs[REG_EIP] == (u32)i_skip;
    regs[REG_EIP] += 2;
    regs[REG_EAX] = 41;
}

static void changing(void)
{
    struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    seen = 0;
    for (u32 n = 0; n < 500; n++) {
        u32 result, local = 7;
        __asm__ volatile("call i_skip" : "=a"(result) : "S"(n % 5 ? 64 + n : (u32)&local) : "memory", "cc");
        check_eq(result, n % 5 ? 42 : 8);
    }
    check_eq(seen, 400);
    signal(SIGSEGV, SIG_DFL);
}

/* --- single steps, by the trap flag --- */

static volatile u32 steps;
static u32 step_eip[64];
static void step(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    if (steps < 64) step_eip[steps] = (u32)((ucontext_t *)context)->uc_mcontext.gregs[REG_EIP];
    steps++;
}
SNIPPET(i_steps,
        "pushf\n orl $0x100, (%esp)\n popf\n nop\n mov $3, %ecx\n 1: push %ecx\n pop %edx\n loop 1b\n"
        "pushf\n andl $0xfffffeff, (%esp)\n popf\n ret");

static void stepping(void)
{
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (u32 n = 0; n < 20; n++) {
        steps = 0;
        __asm__ volatile("call i_steps" : : : "ecx", "edx", "memory", "cc");
        check_eq(steps, 14); /* NOP, MOV, 3 times 3, PUSHF, AND, POPF */
        check_eq(step_eip[0] - (u32)i_steps, 10);
    }
    signal(SIGTRAP, SIG_DFL);
}

static void twice(void (*run)(void))
{
    run();
    burn();
    run();
}
static void run_leaving(void)
{
    twice(leaving);
}
static void run_changing(void)
{
    twice(changing);
}
static void run_stepping(void)
{
    twice(stepping);
}

const struct test tests_signals[] = {
    {"signals-storm", storm},
    {"signals-left", run_leaving},
    {"signals-that-change", run_changing},
    {"single-steps", run_stepping},
    {0},
};
