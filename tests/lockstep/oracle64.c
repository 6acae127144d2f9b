/*
 * The native oracle of 64-bit mode: random user-level instructions with random and boundary operands, each executed
 * on the host CPU and by an engine from the same state. Registers, defined flags, x87 and vector state, memory and
 * the vector of a fault must be the same. The host is the truth.
 */
#include "generate64.h"
#include "native64.h"
#include "random64.h"
#include "random_run.h"

#include "cpu/fxsave.h"
#include "cpu/isa.h"
#include "translator/translator.h"

#include <stdio.h>
#include <string.h>

static unsigned failures;
/* What the host does where CPUs differ. */
static bool alignment_first;        /* as the engines do; mem_check_aligned() */
static bool exchanges_behind_pause; /* as the engines do; insn_decode() */

/* Where the manual leaves a result undefined. */
static bool undefined_result(const struct test64 *t, const struct state64 *in, const struct state64 *host)
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
    case ZYDIS_MNEMONIC_XCHG: /* or PAUSE with REX.B */
        return t->z.mnemonic == ZYDIS_MNEMONIC_PAUSE && !exchanges_behind_pause;
    default: return false;
    }
}

static void run_on_host(const u8 *insn, unsigned bytes, const struct state64 *in, struct state64 *out)
{
    u8 code[INSN_MAX_BYTES + NATIVE64_JUMP_BYTES];
    memcpy(code, insn, bytes);
    native64_put_jump(code, bytes);
    memcpy((void *)CODE_AT, code, bytes + NATIVE64_JUMP_BYTES);
    native64_run(in, bytes, false, out);
}

static void ask_host(void)
{
    static const u8 movaps[] = {0x0f, 0x28, 0x45, 0x00}; /* MOVAPS xmm0, [rbp] */
    struct state64 in = {.rip = CODE_AT, .eflags = FL_ONE}, out = {0};
    in.gpr[REG_ESP] = SCRATCH_MIDDLE;
    in.gpr[REG_EBP] = CANONICAL_LOW_END + 1;
    run_on_host(movaps, sizeof(movaps), &in, &out);
    /* Does it find out that an operand is misaligned before it finds out that its address is not canonical? */
    alignment_first = out.vector == VEC_GP;

    static const u8 pause[] = {0xf3, 0x49, 0x90};
    in.gpr[8] = 1;
    run_on_host(pause, sizeof(pause), &in, &out);
    /* REX.B makes XCHG R8, RAX of 90h. What F3h and REX.B make of it, no manual says (SDM 2B PAUSE, SDM 2D XCHG, AMD
     * APM 3 PAUSE). AMD's CPUs and most of Intel's exchange. Those of 2023 (family 6, model CFh) execute PAUSE. */
    exchanges_behind_pause = out.gpr[REG_EAX] == 1;
}

/* One of them reports a misaligned operand, the other one an address that is not canonical. */
static bool differs_in_order(const struct state64 *host, const struct state64 *guest)
{
    bool pair = (host->vector == VEC_SS && guest->vector == VEC_GP) ||
                (host->vector == VEC_GP && guest->vector == VEC_SS);
    return pair && !alignment_first;
}

static void fail(const struct test64 *t, const char *what, unsigned number, u64 host, u64 guest)
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

/* Not the pointers of the last x87 instruction, the mask of MXCSR, reserved bytes and the header of an XSAVE area. */
static bool is_comparable(unsigned fx_byte)
{
    unsigned n = fx_byte;
    bool pointers = n >= 5 && n < FX_MXCSR, mask = n >= FX_MXCSR_MASK && n < FX_ST,
         padding = n >= FX_ST && n < FX_XMM && n % 16 >= 10, header = n >= FX_XMM_END64 && n < FX_YMM;
    return !(pointers || mask || padding || header);
}

/* VCVTPS2PH to an address that faults. Which comes first, that fault or a numeric exception, depends on the CPU (SDM 3A
 * table 6-2: one class of faults). Intel's CPUs of 2023 (family 6, model CFh) convert first: they raise #XM, or set the
 * flags of MXCSR before they fault. The engines and other CPUs fault and change nothing. */
static void forget_conversion(const struct test64 *t, const struct state64 *in, struct state64 *host,
                              const struct state64 *guest)
{
    enum { FLAGS = 0x3f };
    bool stores = t->insn.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PH && t->insn.op[0].kind == OPND_MEM;
    if (!stores || (guest->vector != VEC_GP && guest->vector != VEC_SS && guest->vector != VEC_PF)) return;
    if (host->vector == VEC_XM) host->vector = guest->vector;
    host->fx[FX_MXCSR] = (u8)((host->fx[FX_MXCSR] & ~FLAGS) | (in->fx[FX_MXCSR] & FLAGS));
}

static void compare(const struct test64 *t, const struct state64 *host, const struct state64 *guest)
{
    const ZydisAccessedFlags *f = t->z.cpu_flags;
    u32 flags = (FL_ARITH | FL_DF) & ~(f ? f->undefined : 0);
    if (differs_in_order(host, guest)) return;
    if (host->vector != guest->vector) {
        fail(t, "vector", 0, host->vector, guest->vector);
        return;
    }
    for (unsigned n = 0; n < GPR_COUNT; n++)
        if (host->gpr[n] != guest->gpr[n]) fail(t, "register", n, host->gpr[n], guest->gpr[n]);
    if (host->rip != guest->rip) fail(t, "rip", 0, host->rip, guest->rip);
    if ((host->eflags ^ guest->eflags) & flags)
        fail(t, "flags", 0, host->eflags & flags, guest->eflags & flags);
    if ((generate64_is_gather(t) || generate64_is_scatter(t)) && host->vector != NO_FAULT)
        return; /* CPUs have done more of its elements, or less */
    for (unsigned n = 0; n < FX_ALL; n += 8) {
        if (!memcmp(host->fx + n, guest->fx + n, 8)) continue;
        for (unsigned byte = n; byte < n + 8; byte++) {
            if (!is_comparable(byte) || host->fx[byte] == guest->fx[byte]) continue;
            fail(t, "FXSAVE byte", byte, host->fx[byte], guest->fx[byte]);
            return;
        }
    }
}

struct oracle {
    struct rig *rig;
    u8 scratch[SCRATCH_BYTES]; /* what both have before the instruction */
    u8 seen[ZYDIS_MNEMONIC_MAX_VALUE + 1];
    u64 run, forms, faults, evex;
    u64 own; /* instructions that did not run on the host, because it has what the guest does not have */
};

/* An address that the process has, and the guest does not: in or below its stack, in its data, its code, the guest's
 * RAM or a library. */
static u64 own_address(const struct oracle *o)
{
    const void *const addresses[] = {&addresses, o, own_address, o->rig->phys.ram, o->rig, memcpy};
    u64 at = (u64)(uintptr_t)addresses[random64_below(ARRAY_SIZE(addresses))] + random64_below(64);
    /* Below the stack it has nothing, unless the stack can grow. */
    return random64_chance(20) ? (u64)(uintptr_t)&addresses - (2u << 20) - random64_below(4u << 20) : at;
}

/* Before they raise #GP for a CALL's target that is not canonical, Intel's CPUs of 2023 (family 6, model CFh) write the
 * return address below the stack pointer, which stays unchanged. The engines and other CPUs write nothing (SDM 2A
 * CALL). No program can rely on it: what lies below its stack pointer may change at any time. */
static void forget_return_address(const struct oracle *o, const struct test64 *t, const struct state64 *in,
                                  const struct state64 *host)
{
    u64 at = in->gpr[REG_ESP] - 8, back = in->rip + t->insn.length;
    if (t->insn.mnemonic != ZYDIS_MNEMONIC_CALL || host->vector != VEC_GP) return;
    if (at < SCRATCH_AT || at > SCRATCH_AT + SCRATCH_BYTES - sizeof(back)) return;
    if (!memcmp((const void *)at, &back, sizeof(back)))
        memcpy((void *)at, o->scratch + (at - SCRATCH_AT), sizeof(back));
}

static void compare_memory(const struct oracle *o, const struct test64 *t, const struct state64 *host)
{
    const u8 *a = (const u8 *)SCRATCH_AT, *b = o->rig->phys.ram + SCRATCH_AT;
    /* ENTER and scatters may have written some of their values before they fault. */
    bool partial =
        (t->insn.mnemonic == ZYDIS_MNEMONIC_ENTER || generate64_is_scatter(t)) && host->vector != NO_FAULT;
    if (partial || !memcmp(a, b, SCRATCH_BYTES)) return;
    unsigned n = 0;
    while (a[n] == b[n])
        n++;
    fail(t, "memory", n, a[n], b[n]);
}

static void test_one(struct oracle *o)
{
    struct test64 t;
    u8 code[INSN_MAX_BYTES + NATIVE64_JUMP_BYTES];
    struct state64 in, host = {0}, guest = {0};
    if (!generate64(o->rig, &t)) return;
    generate64_state(&t, &in);
    /* Not scatters: elements beside the one that faults could be at addresses that the process has. */
    if (random64_below(256) == 0 && !generate64_is_scatter(&t)) generate64_aim(&t, &in, own_address(o));
    if (o->run % 512 == 0) random64_fill(o->scratch, SCRATCH_BYTES);
    memcpy(code, t.bytes, INSN_MAX_BYTES);
    native64_put_jump(code, t.insn.length);
    machine64_run(o->rig, &in, &guest, code, sizeof(code), 1, o->scratch);
    /* The host would not fault there, and it would change the process. */
    if (guest.vector == VEC_PF && native64_has(guest.fault_address)) {
        o->own++;
        return;
    }
    if (memcmp((void *)SCRATCH_AT, o->scratch, SCRATCH_BYTES))
        memcpy((void *)SCRATCH_AT, o->scratch, SCRATCH_BYTES);
    memcpy((void *)CODE_AT, code, sizeof(code));
    native64_run(&in, t.insn.length, isa_ends_block(&t.insn), &host);
    o->run++;
    o->forms += !o->seen[t.insn.mnemonic];
    o->seen[t.insn.mnemonic] = 1;
    o->faults += host.vector != NO_FAULT;
    o->evex += generate64_is_evex(&t);
    if (undefined_result(&t, &in, &host)) return;
    forget_conversion(&t, &in, &host, &guest);
    compare(&t, &host, &guest);
    forget_return_address(o, &t, &in, &host);
    compare_memory(o, &t, &host);
}

int main(int argc, char **argv)
{
    bool translate = false;
    const struct own_option own[] = {{.name = "translate", .flag = &translate}, {0}};
    struct random_run run = {.seed = (u64)time(NULL), .count = 100000};
    static struct oracle o;
    if (!random_run_parse(&run, own, argc, argv)) return 2;
    random64_seed(run.seed);
    o.rig = machine64_create(translate, 1);
    if (!o.rig || translator_install_signals() || !native64_init()) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    ask_host();
    while (random_run_goes_on(&run, o.run) && failures < 100)
        test_one(&o);
    printf("%llu instructions of %llu mnemonics, %llu with EVEX, %llu faults, %u failures; %llu more at "
           "addresses of this process\n",
           (unsigned long long)o.run, (unsigned long long)o.forms, (unsigned long long)o.evex,
           (unsigned long long)o.faults, failures, (unsigned long long)o.own);
    /* Few addresses are the process's. An engine whose page faults say so more often computes false ones. */
    failures += o.own > o.run / 100 + 10;
    if (translate) {
        u64 blocks = o.rig->counters.blocks_translated;
        printf("%llu blocks translated\n", (unsigned long long)blocks);
        failures += blocks < o.run / 2; /* the rest are copies of instructions before, or the interpreter's */
    }
    rig_close(o.rig);
    return failures ? 1 : 0;
}
