/*
 * x87, MMX and SSE through host thunks: availability, pending and unmasked exceptions, alignment, whole states. The
 * guest must not see host pointers.
 */
#include "cpu/fxsave.h"
#include "cpu/interp_private.h"
#include "exec_rig.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* MXCSR as the host's own instruction leaves it, if that faults, and the instruction's length. */
static u32 host_mxcsr;
static unsigned host_bytes;

/* The interpreter raises SIMD exceptions on the host, and so do this file's host_...(). */
static void host_exception(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    u64 resume = interp_host_exception((u64)regs[REG_RIP]);
    if (!resume) host_mxcsr = uc->uc_mcontext.fpregs->mxcsr;
    regs[REG_RIP] = resume ? (greg_t)resume : regs[REG_RIP] + host_bytes;
}

static void catch_host_exceptions(void)
{
    struct sigaction action = {.sa_sigaction = host_exception, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGFPE, &action, NULL)) abort();
}

static void test_availability(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xd9, 0xe8); /* fld1 */
    v->paging.cr0 |= CR0_TS;
    CHECK_EQ(step(rig).vector, VEC_NM);
    LOAD(rig, 0x9b); /* fwait looks at TS only if MP is set */
    v->paging.cr0 |= CR0_TS;
    STEP_OK(rig);
    v->rip = RIG_CODE;
    v->paging.cr0 |= CR0_MP;
    CHECK_EQ(step(rig).vector, VEC_NM);
    LOAD(rig, 0x0f, 0x6f, 0xc1); /* movq mm0, mm1 */
    v->paging.cr0 |= CR0_EM;
    CHECK_EQ(step(rig).vector, VEC_UD);
    LOAD(rig, 0x0f, 0x58, 0xc1); /* addps */
    v->paging.cr4 &= ~(u32)CR4_OSFXSR;
    CHECK_EQ(step(rig).vector, VEC_UD);
    v->paging.cr4 |= CR4_OSFXSR;
    LOAD(rig, 0x0f, 0x58, 0xc1);
    v->paging.cr0 |= CR0_TS;
    CHECK_EQ(step(rig).vector, VEC_NM);
}

static void test_x87(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    /* fninit; fld1; fadd st0, st0; fstp qword [RIG_DATA] */
    LOAD(rig, 0xdb, 0xe3, 0xd9, 0xe8, 0xd8, 0xc0, 0xdd, 0x1d, 0, 0, 2, 0);
    for (unsigned n = 0; n < 4; n++)
        STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 8), 0x4000000000000000);

    /* fninit; fldcw [RIG_DATA]; fld1; fldz; fdivp; fld1 */
    LOAD(rig, 0xdb, 0xe3, 0xd9, 0x2d, 0, 0, 2, 0, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xd9, 0xe8);
    phys_write(&rig->phys, RIG_DATA, 2, 0x37b); /* divide by zero unmasked */
    for (unsigned n = 0; n < 5; n++)
        STEP_OK(rig);
    CHECK_EQ(step(rig).vector, VEC_MF); /* raised by the next one */
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE + 14);

    /* fninit; fld1; fcomi; its flags are EFLAGS */
    LOAD(rig, 0xdb, 0xe3, 0xd9, 0xe8, 0xdb, 0xf0);
    v->eflags |= FL_CF | FL_PF;
    for (unsigned n = 0; n < 3; n++)
        STEP_OK(rig);
    CHECK_EQ(flags(rig), FL_ZF);

    /* fninit; fld1; fnstsw ax; fnstenv [RIG_DATA] */
    LOAD(rig, 0xdb, 0xe3, 0xd9, 0xe8, 0xdf, 0xe0, 0xd9, 0x35, 0, 0, 2, 0);
    v->gpr[REG_EAX] = 0x12345678;
    for (unsigned n = 0; n < 4; n++)
        STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX], 0x12343800);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 4), 0xffff037f);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 8, 4), 0xffff3fff);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 12, 8), 0);
}

/* Whether CVTPI2PS raises #MF on the host while an x87 exception is pending. */
static bool host_waits(void)
{
    static const u64 integers;
    static const u16 unmasked = 0x37b;
    host_mxcsr = 0;
    host_bytes = 7; /* with a plain register for a base: */
    __asm__ volatile("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\t.byte 0xde, 0xf9\n\t" /* fdivp */
                     ".byte 0x0f, 0x2a, 0x80, 0, 0, 0, 0\n\t" /* cvtpi2ps [rax + disp32], xmm0 */
                     "fnclex\n\tfninit"
                     :
                     : "m"(unmasked), "a"(&integers), "m"(integers)
                     : "xmm0", "st", "st(1)", "memory");
    return host_mxcsr;
}

/* CVTPI2PS of memory looks for pending x87 exceptions on some CPUs and not on others. Translated code is the
 * host's instruction, and the interpreter does the same. CVTPI2PD of memory looks on none, a register's form on all. */
static void test_pending(struct rig *rig)
{
    static const struct {
        u8 bytes[8], length;
        enum { NEVER, ALWAYS, AS_HOST } faults;
    } rows[] = {
        {{0x0f, 0x2a, 0x05, 0, 0, 2, 0}, 7, AS_HOST}, /* cvtpi2ps [RIG_DATA], xmm0 */
        {{0x66, 0x0f, 0x2a, 0x05, 0, 0, 2, 0}, 8, NEVER},
        {{0x0f, 0x2a, 0xc0}, 3, ALWAYS},
        {{0x66, 0x0f, 0x2a, 0xc0}, 4, ALWAYS},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++) {
        /* fninit; fldcw [RIG_DATA]; fld1; fldz; fdivp */
        u8 code[32] = {0xdb, 0xe3, 0xd9, 0x2d, 0, 0, 2, 0, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9};
        memcpy(code + 14, rows[n].bytes, rows[n].length);
        rig_load(rig, code, sizeof(code));
        with_handlers(rig);
        phys_write(&rig->phys, RIG_DATA, 2, 0x37b);
        for (unsigned k = 0; k < 5; k++)
            STEP_OK(rig);
        bool faults = rows[n].faults == ALWAYS || (rows[n].faults == AS_HOST && host_waits());
        CHECK_EQ(step(rig).vector, faults ? VEC_MF : NO_FAULT);
    }
}

static void test_sse(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x66, 0x0f, 0x6e, 0xc4, 0x66, 0x0f, 0x7e, 0xc1); /* movd xmm0, esp; movd ecx, xmm0 */
    STEP_OK(rig);
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_ECX], RIG_STACK);
    CHECK_EQ(v->gpr[REG_ESP], RIG_STACK);

    LOAD(rig, 0x0f, 0x28, 0x05, 4, 0, 2, 0); /* movaps xmm0, [RIG_DATA + 4] */
    struct outcome o = step(rig);
    CHECK_EQ(o.vector, VEC_GP);
    CHECK_EQ(o.error, 0);
    LOAD(rig, 0x0f, 0x10, 0x05, 0xf8, 0x0f, 2, 0, 0x0f, 0x11, 0x05, 4, 0, 3,
         0); /* movups, over a page boundary */
    phys_write(&rig->phys, RIG_DATA + 0xff8, 8, 0x1122334455667788);
    phys_write(&rig->phys, RIG_DATA + 0x1000, 8, 0x99aabbccddeeff00);
    STEP_OK(rig);
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, 0x30004, 8), 0x1122334455667788);
    CHECK_EQ(phys_read(&rig->phys, 0x3000c, 8), 0x99aabbccddeeff00);

    LOAD(rig, 0x0f, 0x2e, 0xc1); /* ucomiss */
    STEP_OK(rig);
    CHECK_EQ(flags(rig), FL_ZF);

    /* ldmxcsr [RIG_DATA]; divss xmm0, xmm1 (0 / 0) with the invalid exception unmasked */
    LOAD(rig, 0x0f, 0xae, 0x15, 0, 0, 2, 0, 0xf3, 0x0f, 0x5e, 0xc1);
    phys_write(&rig->phys, RIG_DATA, 4, 0x1f00);
    STEP_OK(rig);
    CHECK_EQ(step(rig).vector, VEC_XM);
    CHECK_EQ(*(u32 *)(v->fpu + 24), 0x1f01);
    CHECK_EQ(*(u32 *)(v->fpu + 160), 0); /* the destination stayed */
    LOAD(rig, 0x0f, 0xae, 0x15, 0, 0, 2, 0, 0xf3, 0x0f, 0x5e, 0xc1);
    v->paging.cr4 &= ~(u32)CR4_OSXMMEXCPT;
    STEP_OK(rig);
    CHECK_EQ(step(rig).vector, VEC_UD);

    LOAD(rig, 0x0f, 0xae, 0x15, 0, 0, 2, 0); /* reserved bits of MXCSR */
    phys_write(&rig->phys, RIG_DATA, 4, 0x11f80);
    CHECK_EQ(step(rig).vector, VEC_GP);
}

/* The host CPU's MXCSR after DPPS xmm0, xmm1, FFh. */
static u32 host_dpps(const u32 *a, const u32 *b, u32 mxcsr)
{
    static const u32 quiet = 0x1f80;
    host_mxcsr = 0;
    host_bytes = 6;
    u32 after;
    __asm__ volatile("movups (%1), %%xmm0\n\tmovups (%2), %%xmm1\n\tldmxcsr %3\n\t"
                     "dpps $0xff, %%xmm1, %%xmm0\n\tstmxcsr %0\n\tldmxcsr %4"
                     : "=m"(after)
                     : "r"(a), "r"(b), "m"(mxcsr), "m"(quiet)
                     : "xmm0", "xmm1", "memory");
    return host_mxcsr ? host_mxcsr : after;
}

/* DPPS multiplies and then adds, each with exceptions of its own, and stops at the first one that is
 * unmasked. Which flags it has set by then depends on the CPU: the guest gets the host's. */
static void test_dot_product(struct rig *rig)
{
    static const u32 tiny = 0x00800001, half = 0x3f000001, denormal = 1, one = 0x3f800000,
                     largest = 0x7f7fffff, signalling = 0x7f800001;
    static const struct {
        u32 a[4], b[4], mxcsr;
    } rows[] = {
        {{tiny, tiny, tiny, tiny}, {half, half, half, half}, 0x1e80}, /* underflow, then a denormal operand */
        {{denormal, one, one, one}, {one, one, one, one}, 0x1e80},
        {{largest, largest, one, one}, {one, one, tiny, half}, 0x1b80}, /* overflow in the sum */
        {{largest, one, one, one}, {largest, one, one, signalling}, 0x1f00},
        {{tiny, one, one, one}, {half, one, one, one}, 0x1780},
        {{tiny, one, one, one}, {half, one, one, one}, 0x0f80},
        {{one, one, one, one}, {one, one, one, one}, 0},
    };
    struct vcpu *v = &rig->vcpu;
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++) {
        u32 expected = host_dpps(rows[n].a, rows[n].b, rows[n].mxcsr);
        LOAD(rig, 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff); /* dpps xmm0, xmm1, 0xff */
        memcpy(v->fpu + 160, rows[n].a, 16);
        memcpy(v->fpu + 176, rows[n].b, 16);
        memcpy(v->fpu + 24, &rows[n].mxcsr, 4);
        CHECK_EQ(step(rig).vector, host_mxcsr ? VEC_XM : NO_FAULT);
        CHECK_EQ(*(u32 *)(v->fpu + 24), expected);
        CHECK(host_mxcsr == 0 || !memcmp(v->fpu + 160, rows[n].a, 16));
    }
}

static void test_states(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    /* fninit; fld1; fxsave [RIG_DATA]; fninit; fxrstor [RIG_DATA]; fstp dword [RIG_DATA + 400h] */
    LOAD(rig, 0xdb, 0xe3, 0xd9, 0xe8, 0x0f, 0xae, 0x05, 0, 0, 2, 0, 0xdb, 0xe3, 0x0f, 0xae, 0x0d, 0, 0, 2, 0,
         0xd9, 0x1d, 0, 4, 2, 0);
    for (u32 n = 0; n < 512; n += 8)
        phys_write(&rig->phys, RIG_DATA + n, 8, 0x5555555555555555);
    for (unsigned n = 0; n < 6; n++)
        STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 8), 0x000000803800037f);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 8, 8), 0);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 16, 8), 0);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 24, 8), 0x0000ffff00001f80);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 32, 8), 0x8000000000000000);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 288, 8), 0x5555555555555555);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 0x400, 4), 0x3f800000);

    LOAD(rig, 0x0f, 0xae, 0x05, 8, 0, 2, 0); /* fxsave wants 16 bytes of alignment */
    CHECK_EQ(step(rig).vector, VEC_GP);

    /* fninit; fld1; fnsave [RIG_DATA]; fnstsw ax; frstor [RIG_DATA]; fnstsw ax */
    LOAD(rig, 0xdb, 0xe3, 0xd9, 0xe8, 0xdd, 0x35, 0, 0, 2, 0, 0xdf, 0xe0, 0xdd, 0x25, 0, 0, 2, 0, 0xdf, 0xe0);
    for (unsigned n = 0; n < 4; n++)
        STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX] & 0xffff, 0);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 28 + 8, 2), 0x3fff);
    STEP_OK(rig);
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EAX] & 0xffff, 0x3800);
}

static void test_masked_store(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x66, 0x0f, 0xf7, 0xc1); /* maskmovdqu xmm0, xmm1 */
    for (unsigned n = 0; n < 16; n++) {
        v->fpu[160 + n] = (u8)(0x10 + n);
        v->fpu[176 + n] = n == 2 || n == 9 ? 0x80 : 0x7f;
    }
    v->gpr[REG_EDI] = RIG_DATA;
    phys_write(&rig->phys, RIG_DATA, 8, 0);
    phys_write(&rig->phys, RIG_DATA + 8, 8, 0);
    STEP_OK(rig);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA, 8), 0x120000);
    CHECK_EQ(phys_read(&rig->phys, RIG_DATA + 8, 8), 0x1900);
}

/* The monitor's code uses XMM8 while the state is sheltered. */
static void shelter_and_spoil(struct vcpu *v)
{
    fpu_load(v);
    fpu_shelter(v);
    __asm__ volatile("pcmpeqd %%xmm8, %%xmm8" : : : "xmm8");
    fpu_park(v);
}

/* IA-32e mode keeps XMM8 to XMM15. Outside it the guest finds nothing of the monitor's in them when that mode begins
 * again. */
static void test_high_registers(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    u64 *xmm8 = (u64 *)(v->fpu + FX_XMM_END);
    fpu_park(v);
    v->paging.efer |= EFER_LMA;
    xmm8[1] = 0x1234;
    shelter_and_spoil(v);
    CHECK_EQ(xmm8[0], 0);
    CHECK_EQ(xmm8[1], 0x1234);
    v->paging.efer &= ~(u64)EFER_LMA;
    fpu_lose_high(v);
    CHECK_EQ(xmm8[1], 0);
    shelter_and_spoil(v);
    CHECK_EQ(xmm8[0], 0);
    CHECK_EQ(xmm8[1], 0);
}

int main(void)
{
    struct rig *rig = rig_create();
    catch_host_exceptions();
    test_availability(rig);
    test_x87(rig);
    test_pending(rig);
    test_sse(rig);
    if (rig->vcpu.model->f1_ecx & F1C_SSE4_1) test_dot_product(rig);
    test_states(rig);
    test_masked_store(rig);
    test_high_registers(rig);
    rig_close(rig);
    return check_report();
}
