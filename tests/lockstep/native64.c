#include "native64.h"

#include "cpu/cpuid.h"
#include "cpu/mode.h"
#include "study/native_fx.h"

#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

/* As native64_enter.S pops it: the registers by number, and what IRETQ takes. The stack pointer among the registers is
 * not used. */
struct native64_entry {
    u64 gpr[GPR_COUNT], rip, cs, rflags, rsp, ss;
};

void native64_enter(const struct native64_entry *entry);
_Noreturn void native64_leave(void);
extern const u8 native64_exit[];
/* The x87, SSE, AVX and AVX-512 state before the test, and after one without a signal, as XSAVE has it. */
_Alignas(64) u8 native64_image[4096];
u32 native64_components;           /* for XSAVE: the guest's; 0: the host has no AVX, and FXSAVE serves */
u64 native64_saved[GPR_COUNT + 1]; /* the registers and the flags after a test without a signal */

static const int greg_of[GPR_COUNT] = {13 /* REG_RAX */,
                                       14 /* RCX */,
                                       12 /* RDX */,
                                       11 /* RBX */,
                                       15 /* RSP */,
                                       10 /* RBP */,
                                       9 /* RSI */,
                                       8 /* RDI */,
                                       0,
                                       1,
                                       2,
                                       3,
                                       4,
                                       5,
                                       6,
                                       7 /* R8 to R15 */};
enum { GREG_RIP = 16, GREG_EFLAGS = 17, GREG_TRAPNO = 20 };

/* The components that FXSAVE does not have: where state64.fx has them, and where this CPU's XSAVE has them. Intel's
 * CPUs have those of AVX-512 at other offsets than AMD's. */
static struct component {
    u16 number, at, bytes;
    u16 native_at; /* 0: the guest has no such component */
} components[] = {
    {2, FX_YMM, FX_YMM_END64 - FX_YMM, 0},
    {5, FX_OPMASK, FX_ZMM - FX_OPMASK, 0},
    {6, FX_ZMM, FX_ZMM_END64 - FX_ZMM, 0},
    {7, FX_ZMM16, FX_ALL - FX_ZMM16, 0},
};

static bool find_components(void)
{
    u32 size, offset, c, d, all = cpu_model_xcr0(cpu_model_find("max64"));
    native64_components = all & XCR0_AVX ? all : 0;
    for (unsigned n = 0; n < ARRAY_SIZE(components); n++) {
        if (!(native64_components >> components[n].number & 1)) continue;
        __cpuid_count(0xd, components[n].number, size, offset, c, d);
        if (size != components[n].bytes || offset + size > sizeof(native64_image)) return false;
        components[n].native_at = (u16)offset;
    }
    return true;
}

/* To `fx`, from an area of XSAVE in which the components `present` are not in their initial state. */
static void take_components(u8 *fx, const u8 *area, u32 present)
{
    for (unsigned n = 0; n < ARRAY_SIZE(components); n++) {
        const struct component *c = &components[n];
        if (c->native_at && (present >> c->number & 1))
            memcpy(fx + c->at, area + c->native_at, c->bytes);
        else
            memset(fx + c->at, 0, c->bytes);
    }
}

static struct state64 *test_out;             /* not NULL while the test's instruction runs */
static struct sigaction engine_action[NSIG]; /* of the translator */

static void end(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    const greg_t *gregs = uc->uc_mcontext.gregs;
    const u8 *frame = (const u8 *)uc->uc_mcontext.fpregs;
    struct state64 *out = test_out;
    if (!out) {
        if (!engine_action[signal].sa_sigaction) abort();
        engine_action[signal].sa_sigaction(signal, info, context);
        return;
    }
    test_out = NULL;
    for (unsigned n = 0; n < GPR_COUNT; n++)
        out->gpr[n] = (u64)gregs[greg_of[n]];
    out->rip = (u64)gregs[GREG_RIP];
    out->eflags = (u32)gregs[GREG_EFLAGS];
    out->vector = (u8)gregs[GREG_TRAPNO];
    native_get_fx(frame, out->fx, FX_YMM);
    take_components(out->fx, frame, native_components(frame));
    native64_leave();
}

static void *map_at(u64 at, u64 bytes, int protection)
{
    void *got = mmap((void *)(uintptr_t)at, bytes, protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return got == (void *)(uintptr_t)at ? got : NULL;
}

/* Linux has the stack grow to any address below it that is touched, as far as the limit allows. An instruction of a
 * test that touches one would not fault. So the stack grows now, as far as the engines may need it, and no further. */
static bool fix_stack(void)
{
    enum { STACK_BYTES = 1 << 20 };
    u8 stack[STACK_BYTES];
    memset(stack, 0, sizeof(stack));
    __asm__ volatile("" : : "r"(stack) : "memory"); /* GCC must not leave the stores out */
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    struct rlimit limit = {0};
    unsigned long start, end;
    while (maps && fgets(line, sizeof(line), maps))
        if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
            limit.rlim_cur = end - start;
    if (maps) fclose(maps);
    limit.rlim_max = limit.rlim_cur;
    return limit.rlim_cur && !setrlimit(RLIMIT_STACK, &limit);
}

bool native64_init(void)
{
    static u8 stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    const int ends[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    if (sigaltstack(&alternate, NULL)) return false;
    if (!find_components()) return false;
    action.sa_sigaction = end;
    for (unsigned n = 0; n < ARRAY_SIZE(ends); n++)
        sigaction(ends[n], &action, &engine_action[ends[n]]);
    return fix_stack() && map_at(CODE_AT, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) &&
           map_at(SCRATCH_AT, SCRATCH_BYTES, PROT_READ | PROT_WRITE);
}

bool native64_has(u64 address)
{
    unsigned char resident;
    return !mincore((void *)(uintptr_t)(address & ~(u64)PAGE_MASK), 1, &resident);
}

void native64_put_jump(u8 *code, unsigned length)
{
    static const u8 jump[] = {0xff, 0x25, 0, 0, 0, 0}; /* JMP [RIP]: to the address that follows */
    u64 target = (u64)(uintptr_t)native64_exit;
    memcpy(code + length, jump, sizeof(jump));
    memcpy(code + length + sizeof(jump), &target, sizeof(target));
}

static void take_saved(struct state64 *out, u64 rip)
{
    test_out = NULL;
    memcpy(out->gpr, native64_saved, sizeof(out->gpr));
    out->eflags = (u32)native64_saved[GPR_COUNT];
    out->rip = rip;
    out->vector = NO_FAULT;
    memcpy(out->fx, native64_image, FX_YMM);
    take_components(out->fx, native64_image, native64_image[XSTATE_BV]);
}

void native64_run(const struct state64 *in, unsigned length, bool branches, struct state64 *out)
{
    struct native64_entry entry = {.rip = in->rip, .rflags = in->eflags | FL_IF, .rsp = in->gpr[REG_ESP]};
    if (branches) entry.rflags |= FL_TF;
    memcpy(entry.gpr, in->gpr, sizeof(entry.gpr));
    __asm__("mov %%cs, %0\n\tmov %%ss, %1" : "=r"(entry.cs), "=r"(entry.ss));
    memcpy(native64_image, in->fx, FX_XMM_END64);
    memset(native64_image + FX_XMM_END64, 0, FX_YMM - FX_XMM_END64);
    for (unsigned n = 0; n < ARRAY_SIZE(components); n++)
        if (components[n].native_at)
            memcpy(native64_image + components[n].native_at, in->fx + components[n].at, components[n].bytes);
    native64_image[XSTATE_BV] = (u8)native64_components;
    test_out = out;
    native64_enter(&entry);
    if (test_out) take_saved(out, in->rip + length);
}
