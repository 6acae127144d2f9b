/*
 * The native oracle of 64-bit mode: random user-level instructions with random and boundary operands, each executed
 * on the host CPU and by an engine from the same state. Registers, defined flags, x87 and SSE state, memory and
 * the vector of a fault must be the same. The host is the truth.
 *
 * On the host an instruction runs in this process, between two signals. The handler of SIGUSR1 replaces the
 * interrupted state by that of the test, with TF set; the handler of what comes next (a single-step trap or a fault)
 * takes the state and puts the interrupted one back.
 *
 * With --blocks, random sequences of such instructions run by the interpreter and by the translator instead.
 *
 *     oracle64 [--seed N] [--count N] [--translate | --blocks]
 */
#include "rig.h"

#include "base/hash.h"
#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "cpu/interp_private.h"
#include "cpu/isa.h"
#include "translator/translator.h"

#include <Zydis/Zydis.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* Linear addresses of both, below 4 GB so that 67h reaches them. */
enum {
    CODE_AT = 0x900000,
    SCRATCH_AT = 0xa00000,
    SCRATCH_BYTES = 0x4000,
    SCRATCH_MIDDLE = SCRATCH_AT + SCRATCH_BYTES / 2,
};
/* Of the guest only. */
enum {
    PML4_AT = 0x10000,
    PDPT_AT = 0x11000,
    PD_AT = 0x12000,
    GDT_AT = 0x1000,
    TSS_AT = 0x1800,
    IDT_AT = 0x2000
};
enum { HANDLERS_AT = 0x4000, IST_AT = 0x8000 };
enum { NO_FAULT = 1 /* #DB: the single-step trap */ };
/* The first word of an XSAVE area's header. */
enum { XSTATE_BV = FX_BYTES };

struct state64 {
    u64 gpr[GPR_COUNT]; /* by number */
    u64 rip;
    u32 eflags;
    u8 vector;
    _Alignas(16) u8 fx[FX_YMM_END64]; /* as in vcpu.fpu */
};

static u64 seed_state = 1;
static u64 random64(void)
{
    return hash_splitmix(seed_state++ * HASH_MULTIPLIER);
}
static bool chance(unsigned percent)
{
    return random64() % 100 < percent;
}
static u64 boundary(void)
{
    static const u64 values[] = {0,          1,          0x7f,        0x80,       0xff,       0x7fff,
                                 0x8000,     0xffff,     0x7fffffff,  0x80000000, 0xffffffff, 1ull << 47,
                                 1ull << 63, ~0ull >> 1, ~0ull << 47, UINT64_MAX, 31,         63};
    u64 value = chance(50) ? random64() : values[random64() % ARRAY_SIZE(values)];
    return chance(20) ? (u64)(s32)value : chance(10) ? value >> random64() % 64 : value;
}

/* --- the host --- */

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

static bool host_init(void)
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

static void run_host(struct state64 *in, struct state64 *out)
{
    test_in = in;
    test_out = out;
    raise(SIGUSR1);
}

/* --- the guest --- */

static void guest_init(struct rig *rig)
{
    static const u64 gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                              0, 0x00cff3000000ffff, 0x00affb000000ffff};
    struct phys *phys = &rig->phys;
    rig->vcpu.model = cpu_model_find("max64");
    phys_write(phys, PML4_AT, 8, PDPT_AT | 7);
    phys_write(phys, PDPT_AT, 8, PD_AT | 7);
    /* Only what the host has too, and what the CPU itself needs at supervisor privilege. */
    for (u64 page = 0; page < 8; page++)
        phys_write(phys, PD_AT + page * 8, 8, page << 21 | 0x83);
    u64 table = 0x13000;
    for (unsigned n = 4; n <= 5; n++, table += PAGE_SIZE)
        phys_write(phys, PD_AT + n * 8, 8, table | 7);
    phys_write(phys, 0x13000 + (CODE_AT >> 12 & 511) * 8, 8, CODE_AT | 7);
    for (u64 at = SCRATCH_AT; at < SCRATCH_AT + SCRATCH_BYTES; at += PAGE_SIZE)
        phys_write(phys, 0x14000 + (at >> 12 & 511) * 8, 8, at | 7);
    phys_write_bytes(phys, GDT_AT, gdt, sizeof(gdt));
    phys_write(phys, TSS_AT + 36, 8, IST_AT);
    for (u64 n = 0; n < 32; n++) {
        u64 to = HANDLERS_AT + n * 16;
        phys_write(phys, IDT_AT + n * 16, 8, (u64)0x8e01 << 32 | (u64)8 << 16 | to);
        phys_write(phys, IDT_AT + n * 16 + 8, 8, 0);
        phys_write_bytes(phys, (u32)to, "\xf4", 1);
    }
}

static void guest_set(struct rig *rig, const struct state64 *in)
{
    struct vcpu *v = &rig->vcpu;
    vcpu_reset(v);
    v->paging.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
    v->paging.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    v->paging.cr3 = PML4_AT;
    v->paging.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    v->gdtr = (struct desc_table){GDT_AT, 0x2f};
    v->idtr = (struct desc_table){IDT_AT, 32 * 16 - 1};
    v->tr = (struct segment){.base = TSS_AT, .limit = 103, .access = AR_P | 11, .selector = 0x18};
    v->base64.tr = TSS_AT;
    for (unsigned s = 0; s < SEG_COUNT; s++)
        v->seg[s] = (struct segment){.limit = 0xffffffff,
                                     .selector = s == SEG_CS ? 0x2b : 0x23,
                                     .access = AR_P | AR_S | AR_DPL | AR_G | AR_WRITABLE | AR_ACCESSED |
                                               (s == SEG_CS ? AR_CODE | AR_L : AR_DB)};
    v->cpl = 3;
    shadow_load_root(v->shadow, &v->paging);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        *vcpu_gpr(v, n) = in->gpr[n];
    v->rip = in->rip;
    v->eflags = in->eflags | FL_IF;
    v->fpu_live = false;
    if (cpu_model_xcr0(v->model) & XCR0_AVX) {
        v->paging.cr4 |= CR4_OSXSAVE;
        v->xcr0 = cpu_model_xcr0(v->model);
        fpu_extend(v);
        memcpy(v->fpu + FX_YMM, in->fx + FX_YMM, FX_YMM_END64 - FX_YMM);
        v->fpu_upper = true;
    }
    memcpy(v->fpu, in->fx, FX_XMM_END64);
    vcpu_update_mode(v);
}

static void run_guest(struct rig *rig, const struct state64 *in, struct state64 *out, const u8 *code,
                      unsigned bytes, unsigned count, const u8 *scratch)
{
    struct vcpu *v = &rig->vcpu;
    phys_write_bytes(&rig->phys, CODE_AT, code, bytes);
    phys_write_bytes(&rig->phys, SCRATCH_AT, scratch, SCRATCH_BYTES);
    guest_set(rig, in);
    v->icount = 0;
    v->icount_limit = count;
    while (v->icount < count && v->cpl == 3)
        if (v->engine)
            translator_run(v);
        else
            interp_step(v);
    fpu_park(v);
    out->vector = NO_FAULT;
    out->rip = v->rip;
    out->eflags = v->eflags;
    for (unsigned n = 0; n < GPR_COUNT; n++)
        out->gpr[n] = vcpu_gpr_read(v, n);
    if (v->cpl == 0) { /* in a handler: what it interrupted is in its frame */
        out->vector = (u8)((v->rip - HANDLERS_AT) / 16);
        bool has_error = out->vector == 8 || (out->vector >= 10 && out->vector <= 14) || out->vector == 17;
        u64 frame = out->gpr[REG_ESP] + (has_error ? 8 : 0);
        out->rip = phys_read(&rig->phys, frame, 8);
        out->eflags = (u32)phys_read(&rig->phys, frame + 16, 8);
        out->gpr[REG_ESP] = phys_read(&rig->phys, frame + 24, 8);
    }
    memcpy(out->fx, v->fpu, sizeof(out->fx));
}

/* --- tests --- */

struct test {
    u8 bytes[INSN_MAX_BYTES];
    struct insn insn;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static bool has_repeat(const struct test *t)
{
    for (unsigned n = 0; n < t->z.raw.prefix_count; n++)
        if (t->bytes[n] == 0xf2 || t->bytes[n] == 0xf3) return true;
    return false;
}

static bool is_wanted(const struct rig *rig, const struct test *t)
{
    const struct insn *i = &t->insn;
    const struct isa_row *row = i->row;
    if (row == &isa_row_ud || row->privilege || row->sensitivity || row->manual) return false;
    if (!isa_exposed(rig->vcpu.model, i) || !isa_lock_is_legal(i)) return false;
    /* The host's own FS and GS; random numbers; whole states, whose reserved parts differ; a hypervisor's. */
    if (i->mem_seg == SEG_FS || i->mem_seg == SEG_GS) return false;
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_XSAVE: /* tests/guest/xsave.S */
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1: return false;
    case ZYDIS_MNEMONIC_NOP: return i->opcode != 0x0d; /* of a register: AMD raises #UD, Intel does nothing */
    default: break;
    }
    /* Behind F2h and F3h some CPUs take LOOPE and LOOPNE for each other. */
    bool loop = i->mnemonic == ZYDIS_MNEMONIC_LOOPE || i->mnemonic == ZYDIS_MNEMONIC_LOOPNE;
    if (loop && has_repeat(t)) return false;
    /* On Intel's CPUs 66h does nothing to near branches; on AMD's it truncates. */
    bool branch = row->treatment == TREAT_BRANCH || row->treatment == TREAT_END;
    return !(branch && (t->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE));
}

/* The three-byte form with any map, register, length and prefix, or the two-byte form. */
static unsigned put_vex(u8 *to)
{
    enum { BMI_OPCODES = 0xf0 };
    unsigned n = 0;
    if (chance(20)) {
        to[n++] = 0xc5;
        to[n++] = (u8)random64();
    } else {
        to[n++] = 0xc4;
        to[n++] = (u8)((random64() & 0xe0) | (1 + random64() % 3));
        to[n++] = (u8)random64();
    }
    if (chance(30)) to[n - 1] |= 0x78; /* no operand in vvvv */
    to[n++] = chance(15) ? (u8)(BMI_OPCODES + random64() % 8) : (u8)random64();
    return n;
}

static bool generate(const struct rig *rig, struct test *t)
{
    static ZydisDecoder decoder;
    unsigned n = 0;
    *t = (struct test){0};
    if (chance(15)) t->bytes[n++] = 0x66;
    if (chance(8)) t->bytes[n++] = 0x67;
    if (chance(5)) t->bytes[n++] = 0xf0;
    if (chance(20)) t->bytes[n++] = chance(50) ? 0xf2 : 0xf3;
    if (chance(70)) t->bytes[n++] = 0x40 | random64() % 16;
    if (chance(35)) {
        n = chance(95) ? 0 : n; /* no prefix but 67h and those of segments may come before VEX */
        n += put_vex(t->bytes + n);
    } else if (chance(40)) {
        t->bytes[n++] = 0x0f;
        if (chance(20)) t->bytes[n++] = chance(50) ? 0x38 : 0x3a;
    }
    for (; n < INSN_MAX_BYTES; n++)
        t->bytes[n] = (u8)random64();
    if (!decoder.stack_width) ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return insn_decode(&t->insn, t->bytes, INSN_MAX_BYTES, CODE_64) > 0 &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, t->bytes, INSN_MAX_BYTES, &t->z, t->operands)) &&
           is_wanted(rig, t);
}

/* Have the memory operand lie in the scratch area: by a register of its address, or by its displacement. */
static void aim(struct test *t, struct state64 *in)
{
    const struct insn *i = &t->insn;
    u64 to = SCRATCH_MIDDLE + random64() % 512, sum = i->mem_disp;
    if (chance(60)) to &= ~15ull;
    bool has_base = i->mem_base < INSN_RIP, has_index = i->mem_index != INSN_NO_REG;
    if (has_index && i->mem_index != i->mem_base) in->gpr[i->mem_index] = random64() % 256;
    if (has_base) {
        if (has_index) sum += in->gpr[i->mem_index] * i->mem_scale;
        if (has_index && i->mem_index == i->mem_base) return; /* let it be */
        in->gpr[i->mem_base] = to - sum;
    } else if (t->z.raw.disp.size == 32) {
        u32 value = (u32)(i->mem_base == INSN_RIP ? to - (CODE_AT + i->length) : to);
        if (has_index) in->gpr[i->mem_index] = 0;
        memcpy(t->bytes + t->z.raw.disp.offset, &value, 4);
    } else if (t->z.raw.disp.size == 64) {
        memcpy(t->bytes + t->z.raw.disp.offset, &to, 8);
    }
}

static bool is_gather(const struct test *t)
{
    return t->z.meta.category == ZYDIS_CATEGORY_AVX2GATHER;
}

/* Indices that stay within the scratch area. */
static void aim_gather(const struct test *t, struct state64 *in)
{
    unsigned index = (unsigned)(t->operands[1].mem.index - ZYDIS_REGISTER_XMM0) % 32;
    bool quads = t->insn.opcode & 1;
    for (unsigned n = 0; n < 4; n++) {
        u64 low = random64() % 512, high = quads ? 0 : random64() % 512;
        if (chance(50)) low = quads ? -low : (u32)-low;
        u64 value = low | high << 32;
        memcpy(in->fx + (n < 2 ? FX_XMM + 16 * index + 8 * n : FX_YMM + 16 * index + 8 * (n - 2)), &value, 8);
    }
}

static void prepare(struct test *t, struct state64 *in)
{
    *in = (struct state64){.rip = CODE_AT};
    for (unsigned n = 0; n < GPR_COUNT; n++)
        in->gpr[n] = boundary();
    /* A host may deliver no signal on a stack pointer that is not canonical. */
    in->gpr[REG_ESP] = chance(95) ? SCRATCH_MIDDLE + 8 * (random64() % 64) : (u32)random64();
    if (t->insn.mnemonic == ZYDIS_MNEMONIC_LEAVE || t->insn.mnemonic == ZYDIS_MNEMONIC_ENTER)
        in->gpr[REG_EBP] = SCRATCH_MIDDLE + 8 * (random64() % 64);
    if (t->z.meta.category == ZYDIS_CATEGORY_STRINGOP) {
        in->gpr[REG_ESI] = SCRATCH_MIDDLE + random64() % 128;
        in->gpr[REG_EDI] = SCRATCH_MIDDLE + random64() % 128;
        /* A single-step trap comes after each iteration. */
        if (t->insn.prefixes & (PFX_REP | PFX_REPNE)) in->gpr[REG_ECX] = random64() % 2;
    } else if (chance(92)) {
        for (unsigned n = 0; n < t->insn.operand_count; n++)
            if (t->insn.op[n].kind == OPND_MEM) aim(t, in);
    }
    in->eflags = FL_ONE | ((u32)random64() & (FL_ARITH | (chance(20) ? FL_DF : 0)));
    for (unsigned n = FX_XMM; n < FX_YMM_END64; n += 8) {
        u64 value = boundary();
        if (n == FX_XMM_END64) n = FX_YMM;
        memcpy(in->fx + n, &value, 8);
    }
    if (is_gather(t) && chance(90)) aim_gather(t, in);
    for (unsigned n = 32; n < 160; n += 16) {
        u64 value = random64() | 1ull << 63;
        u16 exponent = (u16)(0x3fff + random64() % 64 - 32);
        memcpy(in->fx + n, &value, 8);
        memcpy(in->fx + n + 8, &exponent, 2);
    }
    memcpy(in->fx, "\x7f\x03", 2);
    in->fx[4] = (u8)random64();
    memcpy(in->fx + 24, "\x80\x1f", 2);
    if (chance(30)) in->fx[25] |= (u8)(random64() & 0x60); /* rounding */
    if (chance(8)) in->fx[25] &= (u8)(random64() | 0x60);  /* unmasked exceptions: #XM */
}

/* Where the manual leaves a result undefined. */
static bool undefined_result(const struct test *t, const struct state64 *in, const struct state64 *host)
{
    switch (t->insn.mnemonic) {
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
        u64 count = t->insn.op[2].kind == OPND_IMM ? t->insn.imm[0] : in->gpr[REG_ECX];
        return t->insn.op[0].bytes == 2 && (count & 31) > 16;
    }
    case ZYDIS_MNEMONIC_MASKMOVQ:
        return host->vector != NO_FAULT; /* the tags have changed, or not */
    /* Bytes that the mask leaves out may raise page faults, or not (SDM 2B MASKMOVDQU). */
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU: return host->vector != NO_FAULT;
    case ZYDIS_MNEMONIC_BSWAP: return t->insn.op[0].bytes == 2;
    default: return false;
    }
}

static unsigned failures;

static void fail(const struct test *t, const char *what, unsigned number, u64 host, u64 guest)
{
    char text[128];
    insn_format(&t->insn, CODE_AT, CODE_64, text, sizeof(text));
    printf("%s:", text);
    for (unsigned n = 0; n < t->insn.length; n++)
        printf(" %02x", t->bytes[n]);
    printf(": %s %u: host %llx, engine %llx\n", what, number, (unsigned long long)host,
           (unsigned long long)guest);
    failures++;
}

static void compare(const struct test *t, const struct state64 *host, const struct state64 *guest)
{
    const ZydisAccessedFlags *f = t->z.cpu_flags;
    u32 flags = (FL_ARITH | FL_DF) & ~(f ? f->undefined : 0);
    if (host->vector != guest->vector) {
        fail(t, "vector", 0, host->vector, guest->vector);
        return;
    }
    for (unsigned n = 0; n < GPR_COUNT; n++)
        if (host->gpr[n] != guest->gpr[n]) fail(t, "register", n, host->gpr[n], guest->gpr[n]);
    if (host->rip != guest->rip) fail(t, "rip", 0, host->rip, guest->rip);
    if ((host->eflags ^ guest->eflags) & flags)
        fail(t, "flags", 0, host->eflags & flags, guest->eflags & flags);
    if (is_gather(t) && host->vector != NO_FAULT) return; /* CPUs have done more of its elements, or less */
    for (unsigned n = 0; n < FX_YMM_END64; n++) {
        bool pointers = n >= 5 && n < 24, mask = n >= 28 && n < 32,
             padding = n >= 32 && n < 160 && n % 16 >= 10, header = n >= FX_XMM_END64 && n < FX_YMM;
        if (pointers || mask || padding || header || host->fx[n] == guest->fx[n]) continue;
        fail(t, "FXSAVE byte", n, host->fx[n], guest->fx[n]);
        break;
    }
}

/* --- blocks --- */

enum { BLOCK_INSNS = 16, BLOCK_BYTES = BLOCK_INSNS * INSN_MAX_BYTES + 2 };
/* These point into the scratch area. No instruction of a block writes them, but for pushes and pops. */
enum { POINTERS = 1 << REG_ESP | 1 << REG_EBP | 1 << REG_ESI | 1 << 9 | 1 << 12 };

/* Is it straight-line code that reaches memory only by the pointers? */
static bool suits_block(const struct test *t)
{
    const struct insn *i = &t->insn;
    u16 written = i->gprs_written;
    if (i->stack_effect == STACK_PUSH || i->stack_effect == STACK_POP) written &= (u16) ~(1u << REG_ESP);
    if ((written & POINTERS) || isa_ends_block(i) || t->z.meta.category == ZYDIS_CATEGORY_STRINGOP)
        return false;
    if (i->stack_effect == STACK_LEAVE || i->stack_effect == STACK_OTHER || (i->row->traits & ISA_DIVIDES))
        return false;
    for (unsigned n = 0; n < i->operand_count; n++) {
        const struct operand *o = &i->op[n];
        if (o->kind == OPND_REG && o->reg_class == RC_SEG) return false;
        if (o->kind != OPND_MEM) continue;
        bool bit_string = i->op[1].kind == OPND_REG && (i->row->emitter == EMITTER_bit_string);
        if (bit_string || i->mem_index != INSN_NO_REG || i->mem_base >= INSN_RIP || i->address_bytes != 8 ||
            !(POINTERS >> i->mem_base & 1) || t->z.raw.disp.size > 8)
            return false;
    }
    return true;
}

struct sequence {
    u8 code[BLOCK_BYTES];
    struct test test[BLOCK_INSNS];
    unsigned bytes, count;
};

static void generate_sequence(const struct rig *rig, struct sequence *s)
{
    s->bytes = 0;
    s->count = 1 + (unsigned)(random64() % BLOCK_INSNS);
    for (unsigned n = 0; n < s->count;) {
        struct test *t = &s->test[n];
        if (!generate(rig, t) || !suits_block(t)) continue;
        memcpy(s->code + s->bytes, t->bytes, t->insn.length);
        s->bytes += t->insn.length;
        n++;
    }
    memcpy(s->code + s->bytes, "\x0f\x0b", 2); /* UD2 ends the translator's block, and both runs */
    s->bytes += 2;
}

static unsigned differences(const struct state64 *a, const struct state64 *b, const u8 *memory_a,
                            const u8 *memory_b)
{
    unsigned count = memcmp(a->gpr, b->gpr, sizeof(a->gpr)) != 0;
    count += a->rip != b->rip || a->vector != b->vector || ((a->eflags ^ b->eflags) & (FL_ARITH | FL_DF));
    count += memcmp(a->fx + FX_XMM, b->fx + FX_XMM, FX_XMM_END64 - FX_XMM) ||
             memcmp(a->fx + FX_YMM, b->fx + FX_YMM, FX_YMM_END64 - FX_YMM) ||
             memcmp(a->fx + FX_MXCSR, b->fx + FX_MXCSR, 4);
    return count + (memcmp(memory_a, memory_b, SCRATCH_BYTES) != 0);
}

static void report(const struct sequence *s, const struct state64 *a, const struct state64 *b)
{
    for (unsigned n = 0; n < s->count; n++) {
        char text[128];
        insn_format(&s->test[n].insn, CODE_AT, CODE_64, text, sizeof(text));
        printf("  %s\n", text);
    }
    for (unsigned n = 0; n < GPR_COUNT; n++)
        if (a->gpr[n] != b->gpr[n])
            printf("  register %u: interpreter %llx, translator %llx\n", n, (unsigned long long)a->gpr[n],
                   (unsigned long long)b->gpr[n]);
    printf("  rip %llx %llx, vector %u %u, flags %x %x\n", (unsigned long long)a->rip,
           (unsigned long long)b->rip, a->vector, b->vector, a->eflags, b->eflags);
}

static void test_blocks(struct rig *interpreter, struct rig *translator, u64 count)
{
    static u8 scratch[SCRATCH_BYTES];
    for (u64 run = 0; run < count && failures < 10; run++) {
        static struct sequence s;
        struct state64 in, ends[2] = {{.vector = 0}, {.vector = 0}};
        generate_sequence(interpreter, &s);
        prepare(&s.test[0], &in);
        for (unsigned n = 0; n < GPR_COUNT; n++)
            if (POINTERS >> n & 1)
                in.gpr[n] = SCRATCH_MIDDLE + (random64() % 512 & (chance(70) ? ~7ull : ~0ull));
        for (unsigned n = 0; n < SCRATCH_BYTES; n += 8)
            memcpy(scratch + n, &(u64){boundary()}, 8);
        run_guest(interpreter, &in, &ends[0], s.code, s.bytes, s.count + 1, scratch);
        run_guest(translator, &in, &ends[1], s.code, s.bytes, s.count + 1, scratch);
        if (!differences(&ends[0], &ends[1], interpreter->phys.ram + SCRATCH_AT,
                         translator->phys.ram + SCRATCH_AT))
            continue;
        printf("FAIL\n");
        report(&s, &ends[0], &ends[1]);
        failures++;
    }
    printf("%llu blocks, %u failures; %llu hoisted checks\n", (unsigned long long)count, failures,
           (unsigned long long)translator->counters.hoists);
}

static struct rig *translating_rig(unsigned block_limit)
{
    struct rig *rig = rig_create();
    struct translator_config config = translator_defaults();
    config.exact_flags = true;
    if (block_limit) config.block_limit = block_limit;
    rig->vcpu.deterministic = true;
    rig->translated_code_written = translator_code_written;
    return translator_init(&rig->vcpu, &config) ? NULL : rig;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"translate", no_argument, NULL, 't'},
                                            {"blocks", no_argument, NULL, 'b'},
                                            {0}};
    bool translate = false, blocks = false;
    u64 seed = 1, count = 100000, run = 0, faults = 0, forms = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's') seed = strtoull(optarg, NULL, 0);
        if (option == 'c') count = strtoull(optarg, NULL, 0);
        if (option == 't') translate = true;
        if (option == 'b') blocks = true;
        if (option == '?') return 2;
    }
    seed_state = seed << 32;
    static u8 seen[ZYDIS_MNEMONIC_MAX_VALUE + 1], scratch[SCRATCH_BYTES];
    struct rig *rig = translate ? translating_rig(1) : rig_create();
    if (!rig || translator_install_signals()) return 3;
    if (blocks) {
        struct rig *translator = translating_rig(0);
        guest_init(rig);
        guest_init(translator);
        test_blocks(rig, translator, count);
        return failures ? 1 : 0;
    }
    if (!host_init()) {
        fprintf(stderr, "cannot map the scratch area\n");
        return 3;
    }
    guest_init(rig);
    while (run < count && failures < 100) {
        struct test t;
        struct state64 in, host = {0}, guest = {0};
        if (!generate(rig, &t)) continue;
        prepare(&t, &in);
        if (run % 64 == 0)
            for (unsigned n = 0; n < SCRATCH_BYTES; n += 8)
                memcpy(scratch + n, &(u64){boundary()}, 8);
        memcpy((void *)SCRATCH_AT, scratch, SCRATCH_BYTES);
        memcpy((void *)CODE_AT, t.bytes, INSN_MAX_BYTES);
        run_host(&in, &host);
        run_guest(rig, &in, &guest, t.bytes, INSN_MAX_BYTES, 1, scratch);
        run++;
        forms += !seen[t.insn.mnemonic];
        seen[t.insn.mnemonic] = 1;
        faults += host.vector != NO_FAULT;
        if (undefined_result(&t, &in, &host)) continue;
        compare(&t, &host, &guest);
        /* ENTER may have written some of its values before it faults. */
        bool partial = t.insn.mnemonic == ZYDIS_MNEMONIC_ENTER && host.vector != NO_FAULT;
        const u8 *a = (const u8 *)SCRATCH_AT, *b = rig->phys.ram + SCRATCH_AT;
        for (unsigned n = 0; n < SCRATCH_BYTES && !partial; n++)
            if (a[n] != b[n]) {
                fail(&t, "memory", n, a[n], b[n]);
                break;
            }
    }
    printf("seed %llu: %llu instructions of %llu mnemonics, %llu faults, %u failures\n",
           (unsigned long long)seed, (unsigned long long)run, (unsigned long long)forms,
           (unsigned long long)faults, failures);
    if (translate) {
        u64 blocks = rig->counters.blocks_translated;
        printf("%llu blocks translated\n", (unsigned long long)blocks);
        failures += blocks < run / 2; /* the rest are copies of instructions before, or the interpreter's */
    }
    rig_destroy(rig);
    return failures ? 1 : 0;
}
