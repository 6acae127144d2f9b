#include "native.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* At NATIVE_AT; native_entry.S knows it by offsets. */
struct native_frame {
    u32 in_gpr[8];
    u64 in_flags;
    u64 host_rsp;
    struct {
        u32 offset;
        u16 selector;
    } __attribute__((packed)) far_in;
    u8 pad[10];
    u32 out_gpr[8];
    u64 out_flags;
    u32 host_ds, host_es;
    u32 mxcsr;
    u32 components; /* for XSAVE; 0: the host has no AVX, and FXSAVE serves */
    _Alignas(512) u8 in_fx[FX_YMM_END];
    _Alignas(512) u8 out_fx[FX_YMM_END];
};
_Static_assert(offsetof(struct native_frame, in_flags) == 0x20, "native_entry.S");
_Static_assert(offsetof(struct native_frame, far_in) == 0x30, "native_entry.S");
_Static_assert(offsetof(struct native_frame, out_gpr) == 0x40, "native_entry.S");
_Static_assert(offsetof(struct native_frame, out_flags) == 0x60, "native_entry.S");
_Static_assert(offsetof(struct native_frame, mxcsr) == 0x70, "native_entry.S");
_Static_assert(offsetof(struct native_frame, components) == 0x74, "native_entry.S");
_Static_assert(offsetof(struct native_frame, in_fx) == 0x200, "native_entry.S");
_Static_assert(offsetof(struct native_frame, out_fx) == 0x600, "native_entry.S");

#define STUB_AT     (NATIVE_AT + 0x1000)
#define HOST_CS     0x33
#define FAR_JUMP    0xea
#define STACK_BYTES 65536

void native_enter(void);
extern const u8 native_stub[], native_stub_resume[], native_stub_end[];

/* A signal handler gets no argument from the program. */
static struct {
    bool running;
    struct state *out;
    struct sigaction before[NSIG];
} native;

static struct native_frame *frame(void)
{
    return (struct native_frame *)(uintptr_t)NATIVE_AT;
}

/* Linux keeps the exception's vector and error code in the frame. */
static void note_fault(const greg_t *g, const void *fx)
{
    static const u8 from[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
    struct state *out = native.out;
    for (unsigned n = 0; n < 8; n++)
        out->gpr[n] = (u32)g[from[n]];
    out->eflags = (u32)g[REG_EFL];
    out->eip = (u32)g[REG_RIP];
    out->vector = (u32)g[REG_TRAPNO];
    out->error = (u32)g[REG_ERR];
    native_get_fx(fx, out->fx, sizeof(out->fx));
}

static void handler(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    if (!native.running) {
        const struct sigaction *before = &native.before[signal];
        if (before->sa_flags & SA_SIGINFO)
            before->sa_sigaction(signal, info, context);
        else
            sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        return;
    }
    native.running = false;
    note_fault(g, uc->uc_mcontext.fpregs);
    g[REG_RIP] = (greg_t)(STUB_AT + (u64)(native_stub_resume - native_stub));
    g[REG_RSP] = (greg_t)frame()->host_rsp;
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | HOST_CS;
}

static int map_at(u32 address, size_t bytes, int protection)
{
    void *at = mmap((void *)(uintptr_t)address, bytes, protection,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return at == MAP_FAILED ? -errno : 0;
}

/* Some virtual machines (Linux' PVM) have no 32-bit user code. */
static bool has_compatibility_mode(void)
{
    enum { CODE32 = 0x40f800, CODE32_MASK = 0x60f800 }; /* D, not L; present, DPL 3, S, code (SDM 2 "LAR") */
    u32 access = 0, selector = USER_CS;
    __asm__("lar %1, %0" : "+r"(access) : "r"(selector) : "cc");
    return (access & CODE32_MASK) == CODE32;
}

int native_init(void)
{
    int all = PROT_READ | PROT_WRITE | PROT_EXEC, data = PROT_READ | PROT_WRITE;
    int failed = map_at(NATIVE_AT, 2 * PAGE_SIZE, all);
    if (!failed) failed = map_at(CODE_AT, CODE_BYTES, all);
    if (!failed) failed = map_at(SCRATCH_AT, SCRATCH_BYTES, data);
    if (failed) return failed;
    memcpy((void *)(uintptr_t)STUB_AT, native_stub, (size_t)(native_stub_end - native_stub));
    frame()->mxcsr = 0x1f80;
    frame()->components = __builtin_cpu_supports("avx") ? XCR0_X87 | XCR0_SSE | XCR0_AVX : 0;
    frame()->far_in.selector = USER_CS;

    static u8 stack[STACK_BYTES]; /* ESP is the guest's when a signal comes */
    if (sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof(stack)}, NULL) < 0) return -errno;
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (unsigned n = 0; n < ARRAY_SIZE(signals); n++)
        if (sigaction(signals[n], &action, &native.before[signals[n]]) < 0) return -errno;
    return 0;
}

void native_run(const u8 *code, unsigned bytes, const struct state *in, struct state *out)
{
    struct native_frame *f = frame();
    u8 *at = (u8 *)(uintptr_t)in->eip;
    u32 stub = STUB_AT;
    memcpy(at, code, bytes);
    at[bytes] = FAR_JUMP;
    memcpy(at + bytes + 1, &stub, 4);
    at[bytes + 5] = HOST_CS;
    at[bytes + 6] = 0;
    memcpy(f->in_gpr, in->gpr, sizeof(f->in_gpr));
    f->in_flags = in->eflags;
    f->far_in.offset = in->eip;
    memcpy(f->in_fx, in->fx, sizeof(in->fx));
    memset(f->in_fx + FX_BYTES, 0, FX_YMM - FX_BYTES);
    f->in_fx[XSTATE_BV] = (u8)f->components;
    memset(f->out_fx, 0, sizeof(f->out_fx));
    native.out = out;
    native.running = true;
    native_enter();
    if (!native.running) return; /* the handler has recorded how it ended */
    native.running = false;
    memcpy(out->gpr, f->out_gpr, sizeof(f->out_gpr));
    out->eflags = (u32)f->out_flags;
    out->eip = in->eip + bytes;
    out->vector = VECTOR_END;
    out->error = 0;
    memcpy(out->fx, f->out_fx, sizeof(out->fx));
}

bool native_works(void)
{
    static const u8 nop[] = {0x90};
    if (!has_compatibility_mode()) return false;
    struct state in = {.eip = CODE_AT, .eflags = FLAGS_IF | 2}, out = {0};
    in.gpr[4] = SCRATCH_AT + PAGE_SIZE;
    memcpy(in.fx, (u8[]){0x7f, 3}, 2);
    memcpy(in.fx + 24, (u8[]){0x80, 0x1f}, 2);
    native_run(nop, sizeof(nop), &in, &out);
    return out.vector == VECTOR_END;
}
