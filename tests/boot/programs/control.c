/* Control flow in which calls and returns do not nest. */
#define _GNU_SOURCE
#include "hazards.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

static jmp_buf out;

static __attribute__((noinline)) u32 dive(u32 depth, u32 leave)
{
    volatile u32 keep = depth;
    if (leave && depth == 0) longjmp(out, 7);
    u32 below = depth ? dive(depth - 1, leave) : 0;
    return below + keep;
}

static void jumps(void)
{
    for (u32 n = 0; n < 300; n++) {
        volatile u32 landed = 0;
        if (!setjmp(out)) {
            dive(n % 100 * 7, 1);
            landed = 100;
        } else {
            landed += 1;
        }
        check_eq(landed, 1);
        check_eq(dive(n, 0), n * (n + 1) / 2);
    }
}

static void recursion(void)
{
    for (u32 n = 0; n < 5; n++)
        check_eq(dive(30000 + n, 0), (30000u + n) * (30001u + n) / 2);
}

static ucontext_t contexts[4];
static u32 order[4000], switches;

static void coroutine(u32 own)
{
    for (u32 n = 0; n < 500; n++) {
        order[switches++] = own;
        dive(own * 3, 0);
        swapcontext(&contexts[own], &contexts[own % 3 + 1]);
    }
    setcontext(&contexts[0]);
}

static void coroutines(void)
{
    static u8 stack[4][65536];
    switches = 0;
    for (u32 n = 1; n < 4; n++) {
        getcontext(&contexts[n]);
        contexts[n].uc_stack = (stack_t){.ss_sp = stack[n], .ss_size = sizeof stack[n]};
        makecontext(&contexts[n], (void (*)(void))coroutine, 1, n);
    }
    swapcontext(&contexts[0], &contexts[1]);
    check_eq(switches, 1500);
    for (u32 n = 0; n < switches; n++)
        check_eq(order[n], n % 3 + 1);
}

/* Returns to addresses from which no call came. EAX: how often it arrived where it should. */
SNIPPET(c_returns, "xor %eax, %eax\n mov $1000, %ecx\n"
                   "1: push $2f\n ret\n ud2\n"     /* pushed */
                   "2: inc %eax\n call 3f\n ud2\n" /* changed by the callee */
                   "3: movl $4f, (%esp)\n ret\n ud2\n"
                   "4: inc %eax\n call 5f\n 5: pop %edx\n" /* a call that never returns */
                   "cmp $5b, %edx\n jne 9f\n inc %eax\n"
                   "call 6f\n inc %eax\n jmp 7f\n" /* returns out of two calls at once */
                   "6: call 8f\n ud2\n 8: add $4, %esp\n ret\n"
                   "7: push $0\n push $10f\n ret $4\n ud2\n"
                   "10: inc %eax\n dec %ecx\n jnz 1b\n 9: ret\n");

static void returns(void)
{
    u32 count;
    __asm__ volatile("call c_returns" : "=a"(count) : : "ecx", "edx", "memory", "cc");
    check_eq(count, 5000);
}

/* Unwinding as C++ does it: clean-ups on the way. */
static u32 cleaned;
static void clean(u32 *value)
{
    cleaned += *value;
}
static struct _Unwind_Exception exception;

static __attribute__((noinline)) _Unwind_Reason_Code
stop_function(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
              struct _Unwind_Exception *object, struct _Unwind_Context *context, void *argument)
{
    (void)version, (void)class, (void)object;
    if ((actions & _UA_END_OF_STACK) || _Unwind_GetCFA(context) > (_Unwind_Word)(uintptr_t)argument)
        longjmp(out, 1);
    return _URC_NO_REASON;
}

static __attribute__((noinline)) void nest(u32 depth, void *top)
{
    u32 value __attribute__((cleanup(clean))) = depth;
    if (depth == 0) _Unwind_ForcedUnwind(&exception, stop_function, top);
    if (depth) nest(depth - 1, top);
    __asm__ volatile("");
}

static void unwinding(void)
{
    for (volatile u32 n = 1; n < 60; n++) {
        cleaned = 0;
        if (!setjmp(out)) nest(n, __builtin_frame_address(0));
        check_eq(cleaned, n * (n + 1) / 2);
    }
}

static void twice(void (*run)(void))
{
    run();
    burn();
    run();
}
static void run_jumps(void)
{
    twice(jumps);
}
static void run_recursion(void)
{
    twice(recursion);
}
static void run_coroutines(void)
{
    twice(coroutines);
}
static void run_returns(void)
{
    twice(returns);
}
static void run_unwinding(void)
{
    twice(unwinding);
}

const struct test tests_control[] = {
    {"long-jumps", run_jumps},    {"deep-recursion", run_recursion}, {"coroutines", run_coroutines},
    {"odd-returns", run_returns}, {"unwinding", run_unwinding},      {0},
};
