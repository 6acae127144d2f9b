/*
 * The guest's x87/MMX/SSE/AVX/AVX-512 state: in the host's registers (fpu_live) or in v->fpu.
 *
 * The upper halves of the YMM registers belong to it once the guest has enabled AVX (fpu_ymm). FXSAVE and moves of the
 * upper halves take half the time of XSAVE and XRSTOR. Where all of them are 0, which is the rule behind VZEROUPPER,
 * loading is one VZEROUPPER: host CPUs execute SSE instructions faster when they know that (SDM optimization manual,
 * "mixing AVX code with SSE code"). The same holds for the upper halves of the ZMM registers (fpu_zmm). A state that
 * uses none of AVX-512 is neither saved nor loaded but cleared: few programs use it.
 *
 * This is the only C file that touches those registers, and it is not instrumented by the sanitizers. Their
 * run-time uses vector registers anywhere, even in code that is compiled for general registers only. So in a
 * sanitized build the state is live within a function of this file and within translated code, and nowhere
 * else: entry.S calls fpu_load() before translated code and fpu_park() after it. lint/live_state checks both.
 *
 * The guest always finds 0 in the pointers to the last x87 instruction and its operand (FIP, FDP, FCS, FDS,
 * FOP), because translated code would put host addresses there. CPUID says that FCS and FDS are not kept and
 * that FDP is kept for exceptions only. A handler that reads FIP finds 0.
 */
#include "interp.h"
#include "interp_private.h"

#define MXCSR_DEFAULT 0x1f80u

/* What library code expects: all exceptions masked, empty x87 stack, no MMX. */
static void host_default(void)
{
    static const u32 mxcsr = MXCSR_DEFAULT;
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

/* --- AVX state --- */

/* Find out whether one of the upper halves in the image is not 0. */
static void note_upper(struct vcpu *v)
{
    u64 any = 0;
    for (unsigned at = FX_YMM; at < FX_YMM_END64; at += 8)
        any |= *(const u64 *)(v->fpu + at);
    v->fpu_used = (v->fpu_used & ~(u64)XCR0_AVX) | (any ? XCR0_AVX : 0);
}

/* An instruction for each of YMM0 to YMM7, or of YMM8 to YMM15, with its number n (in hexadecimal) and its register. */
#define EACH_LOW(X)                                                                                          \
    X("0", "0") X("1", "1") X("2", "2") X("3", "3") X("4", "4") X("5", "5") X("6", "6") X("7", "7")
#define EACH_HIGH(X)                                                                                         \
    X("8", "8") X("9", "9") X("a", "10") X("b", "11") X("c", "12") X("d", "13") X("e", "14") X("f", "15")

/* The upper halves to the image. */
static void upper_save(struct vcpu *v)
{
#define SAVE(n, register) "vextractf128 $1, %%ymm" register ", 0x" n "0(%1)\n\t"
    __asm__ volatile(EACH_LOW(SAVE) EACH_HIGH(SAVE) : "+m"(v->fpu) : "r"(v->fpu + FX_YMM));
#undef SAVE
    note_upper(v);
}

/* The lower halves are loaded already. */
static void upper_load(const struct vcpu *v)
{
    if (!(v->fpu_used & XCR0_AVX)) {
        __asm__ volatile("vzeroupper");
        return;
    }
#define LOAD(n, register) "vinsertf128 $1, 0x" n "0(%0), %%ymm" register ", %%ymm" register "\n\t"
    __asm__ volatile(EACH_LOW(LOAD) EACH_HIGH(LOAD) : : "r"(v->fpu + FX_YMM), "m"(v->fpu));
#undef LOAD
}

/* --- AVX-512 state: the part of the image from FX_OPMASK on --- */

enum { AT_ZMM = FX_ZMM - FX_OPMASK, AT_ZMM16 = FX_ZMM16 - FX_OPMASK, ZMM_BYTES = FX_ALL - FX_OPMASK };
_Static_assert(ZMM_BYTES == sizeof(((struct vcpu *)0)->fpu_shelter_zmm), "room for all of it");

/* An instruction for each of ZMM18 to ZMM31, and for each of ZMM16 to ZMM31. */
/* clang-format off */
#define EACH_LAST(X)                                                                                         \
    X("2", "18") X("3", "19") X("4", "20") X("5", "21") X("6", "22") X("7", "23") X("8", "24") X("9", "25")  \
    X("a", "26") X("b", "27") X("c", "28") X("d", "29") X("e", "30") X("f", "31")
#define EACH_LATE(X) X("0", "16") X("1", "17") EACH_LAST(X)
/* clang-format on */

/* The components of AVX-512 that are not 0. */
static u64 zmm_in_use(void)
{
    _Alignas(64) u64 late[16], masks[8], mask = 0, any_late, any_upper;
#define UNITE_LATE(n, register)  "vporq %%zmm" register ", %%zmm16, %%zmm16\n\t"
#define UNITE_UPPER(n, register) "vporq %%zmm" register ", %%zmm17, %%zmm17\n\t"
#define SAVE_MASK(n, number)     "kmovq %%k" number ", 0x" n "*8(%1)\n\t"
    __asm__ volatile("vmovdqu64 %%zmm16, (%0)\n\tvmovdqu64 %%zmm17, 64(%0)\n\t" EACH_LOW(
                         SAVE_MASK) "vporq %%zmm17, %%zmm16, %%zmm16\n\tvpxorq %%zmm17, %%zmm17, "
                                    "%%zmm17\n\t" EACH_LAST(UNITE_LATE) EACH_LOW(UNITE_UPPER)
                                        EACH_HIGH(UNITE_UPPER)
                     :
                     : "r"(late), "r"(masks)
                     : "memory");
    __asm__ volatile("vptestmq %%zmm16, %%zmm16, %%k1\n\tkmovq %%k1, %0\n\t"
                     "vptestmq %%zmm17, %%zmm17, %%k1\n\tkmovq %%k1, %1\n\t"
                     "kmovq %2, %%k1\n\tvmovdqu64 (%3), %%zmm16\n\tvmovdqu64 64(%3), %%zmm17"
                     : "=&r"(any_late), "=&r"(any_upper)
                     : "m"(masks[1]), "r"(late)
                     : "memory");
#undef UNITE_LATE
#undef UNITE_UPPER
#undef SAVE_MASK
    for (unsigned n = 0; n < ARRAY_SIZE(masks); n++)
        mask |= masks[n];
    return (mask ? XCR0_OPMASK : 0) | (any_upper >> 4 /* of its quadwords */ ? XCR0_ZMM : 0) |
           (any_late ? XCR0_ZMM16 : 0);
}

static void zmm_save(u8 *to)
{
#define SAVE_MASK(n, number)    "kmovq %%k" number ", 0x" n "*8(%0)\n\t"
#define SAVE_UPPER(n, register) "vextracti64x4 $1, %%zmm" register ", 0x" n "0*2(%1)\n\t"
#define SAVE(n, register)       "vmovdqu64 %%zmm" register ", 0x" n "0*4(%2)\n\t"
    __asm__ volatile(EACH_LOW(SAVE_MASK) EACH_LOW(SAVE_UPPER) EACH_HIGH(SAVE_UPPER) EACH_LATE(SAVE)
                     :
                     : "r"(to), "r"(to + AT_ZMM), "r"(to + AT_ZMM16)
                     : "memory");
#undef SAVE_MASK
#undef SAVE_UPPER
#undef SAVE
}

/* Those of them that are in use; the others become 0. The lower halves are loaded already, and the upper ones are 0. */
static void zmm_load(const u8 *from, u64 used)
{
#define LOAD_MASK(n, number)    "kmovq 0x" n "*8(%0), %%k" number "\n\t"
#define CLEAR_MASK(n, number)   "kxorq %%k" number ", %%k" number ", %%k" number "\n\t"
#define LOAD_UPPER(n, register) "vinserti64x4 $1, 0x" n "0*2(%0), %%zmm" register ", %%zmm" register "\n\t"
#define LOAD(n, register)       "vmovdqu64 0x" n "0*4(%0), %%zmm" register "\n\t"
#define CLEAR(n, register)      "vpxorq %%zmm" register ", %%zmm" register ", %%zmm" register "\n\t"
    if (used & XCR0_OPMASK)
        __asm__ volatile(EACH_LOW(LOAD_MASK) : : "r"(from) : "memory");
    else
        __asm__ volatile(EACH_LOW(CLEAR_MASK) : : : "memory");
    if (used & XCR0_ZMM16)
        __asm__ volatile(EACH_LATE(LOAD) : : "r"(from + AT_ZMM16) : "memory");
    else
        __asm__ volatile(EACH_LATE(CLEAR) : : : "memory");
    if (used & XCR0_ZMM)
        __asm__ volatile(EACH_LOW(LOAD_UPPER) EACH_HIGH(LOAD_UPPER) : : "r"(from + AT_ZMM) : "memory");
#undef LOAD_MASK
#undef CLEAR_MASK
#undef LOAD_UPPER
#undef LOAD
#undef CLEAR
}

static void zmm_to_image(struct vcpu *v)
{
    u8 *image = v->fpu + FX_OPMASK;
    u64 used = zmm_in_use();
    if (used) {
        zmm_save(image);
    } else if (v->fpu_used & XCR0_AVX512) {
        for (unsigned at = 0; at < ZMM_BYTES; at += 8)
            *(u64 *)(image + at) = 0;
    }
    v->fpu_used = (v->fpu_used & ~(u64)XCR0_AVX512) | used;
}

/* --- the shelter --- */

/* The YMM registers to the shelter, 32 bytes each, and whether one of the upper halves is not 0. */
static void ymm_save(struct vcpu *v)
{
#define SAVE(n, register) "vmovups %%ymm" register ", 0x" n "0*2(%0)\n\t"
    if (v->fpu_shelter_all) __asm__ volatile(EACH_HIGH(SAVE) : : "r"(v->fpu_shelter) : "memory");
    __asm__ volatile(EACH_LOW(SAVE) "vzeroupper" : : "r"(v->fpu_shelter) : "memory");
#undef SAVE
    u64 any = 0;
    for (unsigned at = 0; at < (v->fpu_shelter_all ? 512 : 256); at += 32)
        any |= *(const u64 *)(v->fpu_shelter + at + 16) | *(const u64 *)(v->fpu_shelter + at + 24);
    v->fpu_shelter_used = any ? XCR0_AVX : 0;
}

static void ymm_restore(struct vcpu *v)
{
    /* Loading zeros into the upper halves would make the guest's SSE instructions slow, as above. */
    if (!(v->fpu_shelter_used & XCR0_AVX)) {
#define LOAD(n, register) "movups 0x" n "0*2(%0), %%xmm" register "\n\t"
        __asm__ volatile("vzeroupper");
        if (v->fpu_shelter_all) __asm__ volatile(EACH_HIGH(LOAD) : : "r"(v->fpu_shelter) : "memory");
        __asm__ volatile(EACH_LOW(LOAD) : : "r"(v->fpu_shelter) : "memory");
#undef LOAD
        return;
    }
#define LOAD(n, register) "vmovups 0x" n "0*2(%0), %%ymm" register "\n\t"
    if (v->fpu_shelter_all) __asm__ volatile(EACH_HIGH(LOAD) : : "r"(v->fpu_shelter) : "memory");
    __asm__ volatile(EACH_LOW(LOAD) : : "r"(v->fpu_shelter) : "memory");
#undef LOAD
}

/* --- SSE state --- */

/* XMM8 to XMM15, which 64-bit code has. */
static void xmm_save_high(struct vcpu *v)
{
    __asm__ volatile("movups %%xmm8, 128(%0)\n\tmovups %%xmm9, 144(%0)\n\t"
                     "movups %%xmm10, 160(%0)\n\tmovups %%xmm11, 176(%0)\n\t"
                     "movups %%xmm12, 192(%0)\n\tmovups %%xmm13, 208(%0)\n\t"
                     "movups %%xmm14, 224(%0)\n\tmovups %%xmm15, 240(%0)"
                     :
                     : "r"(v->fpu_shelter)
                     : "memory");
}

static void xmm_restore_high(struct vcpu *v)
{
    __asm__ volatile("movups 128(%0), %%xmm8\n\tmovups 144(%0), %%xmm9\n\t"
                     "movups 160(%0), %%xmm10\n\tmovups 176(%0), %%xmm11\n\t"
                     "movups 192(%0), %%xmm12\n\tmovups 208(%0), %%xmm13\n\t"
                     "movups 224(%0), %%xmm14\n\tmovups 240(%0), %%xmm15"
                     :
                     : "r"(v->fpu_shelter)
                     : "memory");
}

/* The XMM registers that 32-bit code has; in IA-32e mode all. */
static void xmm_save(struct vcpu *v)
{
    v->fpu_shelter_all = vcpu_long_mode(v);
    if (v->fpu_ymm) {
        u64 used = v->fpu_zmm ? zmm_in_use() : 0;
        if (used) zmm_save(v->fpu_shelter_zmm);
        ymm_save(v);
        v->fpu_shelter_used |= used;
        return;
    }
    if (unlikely(v->fpu_shelter_all)) xmm_save_high(v);
    __asm__ volatile("movups %%xmm0, (%0)\n\tmovups %%xmm1, 16(%0)\n\t"
                     "movups %%xmm2, 32(%0)\n\tmovups %%xmm3, 48(%0)\n\t"
                     "movups %%xmm4, 64(%0)\n\tmovups %%xmm5, 80(%0)\n\t"
                     "movups %%xmm6, 96(%0)\n\tmovups %%xmm7, 112(%0)"
                     :
                     : "r"(v->fpu_shelter)
                     : "memory");
}

static void xmm_restore(struct vcpu *v)
{
    v->fpu_sheltered = false;
    if (v->fpu_ymm) {
        ymm_restore(v);
        if (v->fpu_zmm) zmm_load(v->fpu_shelter_zmm, v->fpu_shelter_used);
        return;
    }
    if (unlikely(v->fpu_shelter_all)) xmm_restore_high(v);
    __asm__ volatile("movups (%0), %%xmm0\n\tmovups 16(%0), %%xmm1\n\t"
                     "movups 32(%0), %%xmm2\n\tmovups 48(%0), %%xmm3\n\t"
                     "movups 64(%0), %%xmm4\n\tmovups 80(%0), %%xmm5\n\t"
                     "movups 96(%0), %%xmm6\n\tmovups 112(%0), %%xmm7"
                     :
                     : "r"(v->fpu_shelter)
                     : "memory");
}

/* --- the whole --- */

/* The registers from the ninth on: 0 in the image. */
static void clear_high(struct vcpu *v)
{
    for (unsigned at = 0; at < FX_XMM_END64 - FX_XMM_END; at += 8)
        *(u64 *)(v->fpu + FX_XMM_END + at) = *(u64 *)(v->fpu + FX_YMM_END + at) = 0;
}

/* Outside IA-32e mode the guest cannot reach the registers from the ninth on. The shelter does not keep them there, so
 * they have whatever the monitor's own code left in them. */
static void save(struct vcpu *v)
{
    if (v->fpu_sheltered) xmm_restore(v);
    __asm__ volatile("fxsave64 %0" : "+m"(v->fpu));
    if (v->fpu_ymm) upper_save(v);
    if (v->fpu_zmm) zmm_to_image(v);
    if (!vcpu_long_mode(v)) clear_high(v);
}

void fpu_lose_high(struct vcpu *v)
{
    fpu_park(v);
    clear_high(v);
}

void fpu_shelter(struct vcpu *v)
{
    if (!v->fpu_live || v->fpu_sheltered) return;
    if (v->instruments.fpu_always_park) {
        fpu_park(v);
        return;
    }
    xmm_save(v);
    v->fpu_sheltered = true;
    v->counters->fpu_shelters++;
}

void fpu_park(struct vcpu *v)
{
    if (!v->fpu_live) return;
    save(v);
    if (v->fpu_ymm) __asm__ volatile("vzeroupper");
    host_default();
    v->fpu_live = false;
    v->counters->fpu_parks++;
}

void fpu_snapshot(struct vcpu *v)
{
    if (v->fpu_live) save(v);
}

void fpu_snapshot_high(struct vcpu *v)
{
#define SAVE_LOW(n, register)   "movups %%xmm" register ", 0x" n "0(%0)\n\t"
#define SAVE_UPPER(n, register) "vextractf128 $1, %%ymm" register ", 0x" n "0(%0)\n\t"
    __asm__ volatile(EACH_HIGH(SAVE_LOW) : : "r"(v->fpu + FX_XMM) : "memory");
    if (v->fpu_ymm) __asm__ volatile(EACH_HIGH(SAVE_UPPER) : : "r"(v->fpu + FX_YMM) : "memory");
#undef SAVE_LOW
#undef SAVE_UPPER
}

void fpu_load(struct vcpu *v)
{
    if (v->fpu_live) {
        if (v->fpu_sheltered) xmm_restore(v);
        return;
    }
    __asm__ volatile("fxrstor64 %0" : : "m"(v->fpu));
    if (v->fpu_ymm) upper_load(v);
    if (v->fpu_zmm) zmm_load(v->fpu + FX_OPMASK, v->fpu_used);
    v->fpu_live = true;
}

/* Call after a use of the live state. It stays live, unless instrumented code comes next. */
static void done(struct vcpu *v)
{
#ifdef RINGER_SANITIZED
    fpu_park(v);
#endif
}

void fpu_image_loaded(struct vcpu *v)
{
    v->fpu_live = v->fpu_sheltered = false;
    if (v->fpu_used & XCR0_AVX) note_upper(v);
    fpu_settle(v);
}

void fpu_image_changed(struct vcpu *v)
{
    if (v->fpu_ymm) v->fpu_used |= XCR0_AVX;
    if (v->fpu_zmm) v->fpu_used |= XCR0_AVX512;
    fpu_image_loaded(v);
}

void fpu_extend(struct vcpu *v)
{
    bool zmm = v->xcr0 & XCR0_AVX512;
    if (v->fpu_ymm && (v->fpu_zmm || !zmm)) return;
    fpu_park(v);
    v->fpu_ymm = true;
    v->fpu_zmm |= zmm;
}

void fpu_settle(struct vcpu *v)
{
    fpu_load(v);
    done(v);
}

void fpu_enter_mmx(struct vcpu *v)
{
    u32 unused;
    fpu_load(v);
    __asm__ volatile("movd %%mm0, %0" : "=r"(unused));
    done(v);
}

void fpu_environment(struct vcpu *v, enum fpu_transfer what, void *image)
{
    fpu_load(v);
    switch (what) {
    case FPU_FNSTENV: __asm__ volatile("fnstenv (%0)" : : "r"(image) : "memory"); break;
    case FPU_FLDENV: __asm__ volatile("fldenv (%0)" : : "r"(image) : "memory"); break;
    case FPU_FNSAVE: __asm__ volatile("fnsave (%0)" : : "r"(image) : "memory"); break;
    case FPU_FRSTOR: __asm__ volatile("frstor (%0)" : : "r"(image) : "memory"); break;
    }
    done(v);
}

/* --- thunks (thunk.c) --- */

/* The host address at which the host CPU may raise #XM, for the signal handler. */
static _Thread_local u64 thunk_at;

u64 interp_host_exception(u64 pc)
{
    return pc == thunk_at ? (u64)(uintptr_t)thunk_raised : 0;
}

bool fpu_execute(struct vcpu *v, struct thunk_frame *frame)
{
    frame->raised = false;
    thunk_at = (u64)(uintptr_t)frame->code;
    fpu_load(v);
    thunk_call(frame);
    done(v);
    return !frame->raised;
}

/* --- questions to the host's CPU (host_probe.c) --- */

void fpu_try_cvtpi2ps(u64 *resume)
{
    static const u64 integers;
    static const u16 zero_divide_unmasked = 0x37b;
    __asm__ volatile("fninit\n\tfldcw %1\n\tfldz\n\tfld1\n\tfdiv %%st(1), %%st\n\t"
                     "lea 1f(%%rip), %%rax\n\tmov %%rax, %0\n\tcvtpi2ps %2, %%xmm0\n1:\tfnclex"
                     : "=m"(*resume)
                     : "m"(zero_divide_unmasked), "m"(integers)
                     : "rax");
    host_default();
}

void fpu_try_sha(u64 *resume)
{
    static _Alignas(16) const u8 operand[32];
    __asm__ volatile("lea 1f(%%rip), %%rax\n\tmov %%rax, %0\n\tsha256msg1 1+%1, %%xmm0\n1:"
                     : "=m"(*resume)
                     : "m"(operand)
                     : "rax");
}

void fpu_try_unused(u64 *resume)
{
    static _Alignas(64) const u8 operand[128];
    __asm__ volatile("lea 1f(%%rip), %%rax\n\tmov %%rax, %0\n\tkxorq %%k1, %%k1, %%k1\n\t"
                     "vmovdqa64 1+%1, %%zmm0%{%%k1%}\n1:\tvzeroupper"
                     : "=m"(*resume)
                     : "m"(operand)
                     : "rax");
}

/* --- parts of it --- */

bool fpu_error_pending(const struct vcpu *v)
{
    u16 fcw, fsw;
    if (v->fpu_live) {
        __asm__ volatile("fnstcw %0\n\tfnstsw %1" : "=m"(fcw), "=m"(fsw));
    } else {
        fcw = *(const u16 *)(v->fpu + FX_FCW);
        fsw = *(const u16 *)(v->fpu + FX_FSW);
    }
    return fsw & ~fcw & 0x3f; /* ES is equal to this only after the hardware has loaded the state */
}

u64 fpu_opmask(const struct vcpu *v, unsigned number)
{
    u64 live[8];
    if (!v->fpu_live) return *(const u64 *)(v->fpu + FX_OPMASK + 8 * number);
    if (v->fpu_sheltered && !(v->fpu_shelter_used & XCR0_OPMASK)) return 0;
    if (v->fpu_sheltered) return *(const u64 *)(v->fpu_shelter_zmm + 8 * number);
#define SAVE(n, name) "kmovq %%k" name ", 0x" n "*8(%0)\n\t"
    __asm__ volatile(EACH_LOW(SAVE) : : "r"(live) : "memory");
#undef SAVE
    return live[number];
}

u32 fpu_mxcsr(const struct vcpu *v)
{
    u32 mxcsr = *(const u32 *)(v->fpu + FX_MXCSR);
    if (v->fpu_live) __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr;
}

void fpu_set_mxcsr(struct vcpu *v, u32 mxcsr)
{
    if (v->fpu_live)
        __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    else
        *(u32 *)(v->fpu + FX_MXCSR) = mxcsr;
}
