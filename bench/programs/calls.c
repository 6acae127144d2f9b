/*
 * Transfers of control: calls and returns, indirect calls with changing and with constant targets, an
 * interpreter that is a loop around a switch, and self-modifying code.
 */
#include "micro.h"
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

enum { FIB = 20, FIB_CALLS = 21891, TARGETS = 16, ORDER = 4096, PROGRAM = 4096, STEPS = 65536 };

static __attribute__((noinline, noclone)) uint32_t fib_of(uint32_t n)
{
    return n < 2 ? n : fib_of(n - 1) + fib_of(n - 2);
}

static uint32_t fib(uint32_t n)
{
    uint32_t sum = 0;
    while (n--)
        sum += fib_of(FIB);
    return sum;
}

/* TARGETS different functions. */
#define TARGET(i)                                                                                            \
    static __attribute__((noinline)) uint32_t target_##i(uint32_t x)                                         \
    {                                                                                                        \
        return (x ^ (i * 77u)) + (x >> (i + 1));                                                             \
    }
#define TARGET_LIST(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
TARGET_LIST(TARGET)
#define TARGET_NAME(i) target_##i,
static uint32_t (*const targets[TARGETS])(uint32_t) = {TARGET_LIST(TARGET_NAME)};
#undef TARGET
#undef TARGET_NAME
#undef TARGET_LIST

static uint32_t (*volatile order[ORDER])(uint32_t);

static void order_mixed(void)
{
    uint32_t state = 11;
    for (int i = 0; i < ORDER; i++)
        order[i] = targets[random_next(&state) % TARGETS];
}

static void order_one(void)
{
    for (int i = 0; i < ORDER; i++)
        order[i] = targets[3];
}

static uint32_t indirect(uint32_t n)
{
    uint32_t x = n;
    while (n--)
        for (int i = 0; i < ORDER; i++)
            x = order[i](x);
    return x;
}

/* A machine with four registers. Its program, jumps included, is random. */
enum opcode {
    ADD,
    SUB,
    XOR,
    SHIFT,
    LOAD,
    STORE,
    MOVE,
    MULTIPLY,
    SKIP_IF_ODD,
    INCREMENT,
    COMPARE,
    SWAP,
    OPCODES
};
static struct {
    uint8_t opcode, a, b;
} program[PROGRAM];

static void program_prepare(void)
{
    uint32_t state = 13;
    for (int i = 0; i < PROGRAM; i++) {
        program[i].opcode = (uint8_t)(random_next(&state) % OPCODES);
        program[i].a = random_next(&state) & 3;
        program[i].b = random_next(&state) & 3;
    }
}

static uint32_t interpreter(uint32_t n)
{
    static uint32_t memory[256];
    uint32_t r[4] = {1, 2, 3, 4}, pc = 0, t;
    for (uint32_t steps = n * STEPS; steps; steps--) {
        uint32_t *a = &r[program[pc].a], b = r[program[pc].b];
        switch ((enum opcode)program[pc].opcode) {
        case ADD: *a += b; break;
        case SUB: *a -= b; break;
        case XOR: *a ^= b; break;
        case SHIFT: *a = *a << 3 | *a >> 29; break;
        case LOAD: *a = memory[b & 255]; break;
        case STORE: memory[b & 255] = *a; break;
        case MOVE: *a = b; break;
        case MULTIPLY: *a = *a * 5 + b; break;
        case SKIP_IF_ODD: pc += *a & 1; break;
        case INCREMENT: *a += pc; break;
        case COMPARE: *a = *a < b ? b - *a : *a - b; break;
        case SWAP:
            t = *a;
            *a = r[3];
            r[3] = t;
            break;
        case OPCODES: break;
        }
        pc = (pc + 1) % PROGRAM;
    }
    return r[0] ^ r[1] ^ r[2] ^ r[3];
}

/* mov $imm32, %eax; ret: the immediate is rewritten before each call, as just-in-time compilers patch theirs. */
static uint8_t *code;

static void patch_prepare(void)
{
    static const uint8_t bytes[] = {0xb8, 0, 0, 0, 0, 0xc3};
    code = must_map(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(code, bytes, sizeof(bytes));
}

static uint32_t patch(uint32_t n)
{
    uint32_t (*function)(void) = (uint32_t(*)(void))(uintptr_t)code, sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(code + 1, &i, sizeof(i));
        __asm__ volatile("" ::: "memory");
        uint32_t got = function();
        must(got == i, "self-modifying code: the old code ran");
        sum += got;
    }
    return sum;
}

/* 64 functions of 16 bytes, each written and then called 16 times: code that is made, used, and made
 * again. */
static uint32_t generate(uint32_t n)
{
    enum { FUNCTIONS = 64, BYTES = 16, CALLS = 16 };
    uint32_t sum = 0;
    while (n--) {
        for (uint32_t i = 0; i < FUNCTIONS; i++) {
            uint8_t *p = code + i * BYTES;
            uint32_t value = n + i;
            p[0] = 0xb8;
            memcpy(p + 1, &value, sizeof(value));
            p[5] = 0xff; /* inc %eax, in the form that is not a REX prefix in 64-bit code */
            p[6] = 0xc0;
            p[7] = 0xc3;
        }
        __asm__ volatile("" ::: "memory");
        for (uint32_t i = 0; i < FUNCTIONS * CALLS; i++) {
            uint32_t (*function)(void) = (uint32_t(*)(void))(uintptr_t)(code + i % FUNCTIONS * BYTES);
            uint32_t got = function();
            must(got == n + i % FUNCTIONS + 1, "generated code: the old code ran");
            sum += got;
        }
    }
    return sum;
}

const struct test call_tests[] = {
    {"fib", "call", fib, FIB_CALLS, NULL, NULL},
    {"indirect-mixed", "call", indirect, ORDER, order_mixed, NULL},
    {"indirect-one", "call", indirect, ORDER, order_one, NULL},
    {"switch", "step", interpreter, STEPS, program_prepare, NULL},
    {"smc-patch", "patch and call", patch, 1, patch_prepare, NULL},
    {"smc-generate", "function made and called 16 times", generate, 64, patch_prepare, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
