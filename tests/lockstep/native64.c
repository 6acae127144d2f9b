#include "native64.h"

#include "cpu/mode.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The first word of an XSAVE area's header. */
enum { XSTATE_BV = FX_BYTES };

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

static struct state64 *test_in, *test_out;
static greg_t saved_gregs[NGREG];
static u8 saved_fx[FX_YMM_END64];
static volatile bool in_test;
static struct sigaction engine_action[NSIG]; /* of the translator */

/* Is there an XSAVE area in the signal's frame, with AVX state? Its format is the standard one. Linux marks it in the last
 * bytes of the FXSAVE image (struct _fpx_sw_bytes). */
static bool has_ymm(const u8 *frame)
{
    enum { MARK_AT = 464, MARK = 0x46505853, FEATURES_AT = 472 };
    return load_any(frame + MARK_AT, 4) == MARK && (load_any(frame + FEATURES_AT, 8) & XCR0_AVX);
}

static void put_fx(ucontext_t *uc, const u8 *fx)
{
    u8 *to = (u8 *)uc->uc_mcontext.fpregs;
    memcpy(to, fx, FX_XMM_END64); /* the rest of it is the kernel's */
    if (!has_ymm(to)) return;
    to[XSTATE_BV] |= XCR0_X87 | XCR0_SSE | XCR0_AVX;
    memcpy(to + FX_YMM, fx + FX_YMM, FX_YMM_END64 - FX_YMM);
}

static void get_fx(const ucontext_t *uc, u8 *fx)
{
    const u8 *from = (const u8 *)uc->uc_mcontext.fpregs;
    memcpy(fx, from, FX_BYTES);
    memset(fx + FX_BYTES, 0, FX_YMM_END64 - FX_BYTES);
    if (has_ymm(from) && (from[XSTATE_BV] & XCR0_AVX))
        memcpy(fx + FX_YMM, from + FX_YMM, FX_YMM_END64 - FX_YMM);
}

static void begin(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *gregs = uc->uc_mcontext.gregs;
    memcpy(saved_gregs, gregs, sizeof(saved_gregs));
    get_fx(uc, saved_fx);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        gregs[greg_of[n]] = (greg_t)test_in->gpr[n];
    gregs[GREG_RIP] = (greg_t)test_in->rip;
    gregs[GREG_EFLAGS] = test_in->eflags | FL_TF | FL_IF;
    put_fx(uc, test_in->fx);
    in_test = true;
}

static void end(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *gregs = uc->uc_mcontext.gregs;
    if (!in_test) {
        if (!engine_action[signal].sa_sigaction) abort();
        engine_action[signal].sa_sigaction(signal, info, context);
        return;
    }
    in_test = false;
    for (unsigned n = 0; n < GPR_COUNT; n++)
        test_out->gpr[n] = (u64)gregs[greg_of[n]];
    test_out->rip = (u64)gregs[GREG_RIP];
    test_out->eflags = (u32)gregs[GREG_EFLAGS];
    test_out->vector = (u8)gregs[GREG_TRAPNO];
    get_fx(uc, test_out->fx);
    memcpy(gregs, saved_gregs, sizeof(saved_gregs));
    put_fx(uc, saved_fx);
}

static void *map_at(u64 at, u64 bytes, int protection)
{
    void *got = mmap((void *)(uintptr_t)at, bytes, protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return got == (void *)(uintptr_t)at ? got : NULL;
}

bool native64_init(void)
{
    static u8 stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    const int ends[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    if (sigaltstack(&alternate, NULL)) return false;
    action.sa_sigaction = begin;
    sigaction(SIGUSR1, &action, NULL);
    action.sa_sigaction = end;
    for (unsigned n = 0; n < ARRAY_SIZE(ends); n++)
        sigaction(ends[n], &action, &engine_action[ends[n]]);
    return map_at(CODE_AT, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) &&
           map_at(SCRATCH_AT, SCRATCH_BYTES, PROT_READ | PROT_WRITE);
}

void native64_run(struct state64 *in, struct state64 *out)
{
    test_in = in;
    test_out = out;
    raise(SIGUSR1);
}
