/*
 * The native oracle: random user-level instructions with random and boundary operands, each run on the host
 * CPU in 32-bit compatibility mode, by the interpreter and by the translator, from the same state. Registers,
 * defined flags, FPU and SSE state, memory, and faults must be the same. Instructions that the CPU model does not
 * expose must raise #UD instead.
 *
 * The host gives the right answer, so this finds errors in tables that interpreter and translator share.
 */
#include "generate.h"
#include "random_run.h"
#include "small_machine.h"
#include "study/native.h"

#include "base/hash.h"
#include "cpu/interp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct engine_under_test {
    const char *name;
    struct small_machine *machine;
};

struct oracle {
    struct generator generator;
    struct random random;
    struct engine_under_test engines[2];
    unsigned engine_count;
    bool strict; /* undefined flags and results too */
    FILE *quiet;
    u8 reported[ZYDIS_MNEMONIC_MAX_VALUE + 1];
    u64 run, wild, unexposed, faults, failures;
};

#define MAX_FAILURES 100
#define SKIPPED      77 /* for ctest */
/* One instruction, INT 81h and HLT. A repeated string instruction may count once for each iteration. */
#define BUDGET 64

static void report(struct oracle *o, const struct test_insn *i, const struct state *in,
                   const struct state *expected, const struct state *actual, const char *engine)
{
    char text[128];
    generate_format(&o->generator, i->bytes, i->length, in->eip, text, sizeof(text));
    printf("FAIL (%s) %s   bytes", engine, text);
    for (unsigned n = 0; n < i->length; n++)
        printf(" %02x", i->bytes[n]);
    printf("\n before:\n");
    state_print(in, stdout);
    printf(" native:\n");
    state_print(expected, stdout);
    printf(" %s:\n", engine);
    state_print(actual, stdout);
}

static unsigned compare_scratch(struct small_machine *m, const u8 *expected, const char *engine, FILE *out)
{
    const u8 *a = small_machine_scratch(m);
    unsigned count = 0;
    for (unsigned n = 0; n < SCRATCH_BYTES; n++)
        if (a[n] != expected[n] && count++ < 32)
            fprintf(out, "  [%x] native %02x, %s %02x\n", SCRATCH_AT + n, expected[n], engine, a[n]);
    return count;
}

/* New bytes around the operand in all copies of the scratch area. */
static void scatter(struct oracle *o, const struct test_insn *i, u8 *before)
{
    u8 fresh[160];
    u32 at = i->target ? i->target - 16 : SCRATCH_AT + 0x1000;
    unsigned bytes = i->target_bytes + 32 < sizeof(fresh) ? i->target_bytes + 32 : sizeof(fresh);
    if (at + bytes > SCRATCH_AT + SCRATCH_BYTES) bytes = SCRATCH_AT + SCRATCH_BYTES - at;
    random_bytes(&o->random, fresh, bytes);
    if (random_chance(&o->random, 50) && i->target)
        random_bytes(&o->random, fresh + 16, bytes - 16); /* boundary value at the operand */
    memcpy(before + (at - SCRATCH_AT), fresh, bytes);
}

/* Results that the manual leaves undefined, or in which CPUs differ. */
static bool undefined_result(const struct test_insn *i, const struct state *in, const struct state *expected)
{
    unsigned count;
    switch (i->info.mnemonic) {
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: /* by more than 16 of a word */
        count = i->op[2].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? (u8)i->op[2].imm.value.u : (u8)in->gpr[1];
        return i->op[0].size == 16 && (count & 31) > 16;
    case ZYDIS_MNEMONIC_VPEXTRD:
    case ZYDIS_MNEMONIC_VPINSRD: /* Intel's CPUs ignore W here, AMD's raise #UD */ return i->info.raw.vex.W;
    case ZYDIS_MNEMONIC_NOP: /* 0F 0D of a register: AMD raises #UD, Intel does nothing */
        return i->info.opcode_map == ZYDIS_OPCODE_MAP_0F && i->info.opcode == 0x0d;
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_VMASKMOVDQU: return expected->vector != VECTOR_END;
    default: return false;
    }
}

/* AMD's CPUs have bit 17 in MXCSR, and later CPUs may have others. The guest's CPU has none of them. */
static void expect_reserved_mxcsr(const struct test_insn *i, const struct state *in, const u8 *before,
                                  struct state *expected)
{
    enum { MXCSR_BITS = 0xffff, FXRSTOR_MXCSR = 24 };
    bool fxrstor = i->info.mnemonic == ZYDIS_MNEMONIC_FXRSTOR;
    bool ldmxcsr = i->info.mnemonic == ZYDIS_MNEMONIC_LDMXCSR || i->info.mnemonic == ZYDIS_MNEMONIC_VLDMXCSR;
    if ((!fxrstor && !ldmxcsr) || expected->vector != VECTOR_END) return;
    u32 mxcsr;
    memcpy(&mxcsr, before + (i->target - SCRATCH_AT) + (fxrstor ? FXRSTOR_MXCSR : 0), sizeof(mxcsr));
    if (!(mxcsr & ~MXCSR_BITS)) return;
    *expected = *in;
    expected->vector = 13;
}

/* Intel's CPUs of 2023 (family 6, model CFh) set TOP to 0, as an MMX instruction does (SDM 1 9.5.1), although its store
 * raises #GP. The engines leave it as it was, as other CPUs do. The registers are the same, in another order. */
static void expect_top_unchanged(const struct test_insn *i, const struct state *in, struct state *expected)
{
    enum { TOP_SHIFT = 11, TOP = 7 << TOP_SHIFT };
    bool stores_mmx = i->info.operand_count >= 2 && i->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                      i->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                      ZydisRegisterGetClass(i->op[1].reg.value) == ZYDIS_REGCLASS_MMX;
    u16 before, after;
    memcpy(&before, in->fx + FX_FSW, sizeof(before));
    memcpy(&after, expected->fx + FX_FSW, sizeof(after));
    if (!stores_mmx || expected->vector != 13 || after != (before & ~TOP)) return;
    for (unsigned n = 0; n < 8; n++)
        if (memcmp(in->fx + FX_ST + 16 * n, expected->fx + FX_ST + 16 * ((n + (before >> TOP_SHIFT)) & 7),
                   10))
            return;
    memcpy(expected->fx + FX_FSW, in->fx + FX_FSW, sizeof(before));
    memcpy(expected->fx + FX_ST, in->fx + FX_ST, FX_XMM - FX_ST);
}

/* A store to CS, of a conversion with a numeric exception. Which comes first, that exception or #GP, depends on the CPU
 * (SDM 3A table 6-2: one class of faults). On Intel's CPUs of 2023 (family 6, model CFh) it is the exception. An x87
 * store is suppressed then, and raises no #GP. VCVTPS2PH raises #XM, or sets the flags of MXCSR before it raises #GP.
 * The engines and other CPUs raise #GP and change nothing. */
static bool converted_before_fault(const struct test_insn *i, const struct state *native)
{
    enum { FSW_ES = 1 << 7 };
    const ZydisDecodedOperand *to = &i->op[0];
    if (!i->info.operand_count || to->type != ZYDIS_OPERAND_TYPE_MEMORY) return false;
    if (to->mem.segment != ZYDIS_REGISTER_CS) return false;
    switch (i->info.mnemonic) {
    case ZYDIS_MNEMONIC_FST:
    case ZYDIS_MNEMONIC_FSTP:
    case ZYDIS_MNEMONIC_FIST:
    case ZYDIS_MNEMONIC_FISTP:
    case ZYDIS_MNEMONIC_FISTTP:
    case ZYDIS_MNEMONIC_FBSTP: return native->vector == VECTOR_END && (native->fx[FX_FSW] & FSW_ES);
    case ZYDIS_MNEMONIC_VCVTPS2PH: return native->vector == 13 || native->vector == 19;
    default: return false;
    }
}

static void check_engine(struct oracle *o, const struct engine_under_test *e, const struct test_insn *i,
                         const struct state *in, const struct state *expected, const u8 *before)
{
    struct state actual, fault;
    u32 mask = o->strict ? FLAGS_ARITH : FLAGS_ARITH & ~generate_undefined_flags(i);
    const char *const names[2] = {"native", e->name};
    memcpy(small_machine_scratch(e->machine), before, SCRATCH_BYTES);
    bool ended = small_machine_run(e->machine, i->bytes, i->length, in, &actual, BUDGET);
    unsigned differences = !ended;
    if (ended && actual.vector == 13 && converted_before_fault(i, expected)) {
        fault = *in;
        fault.vector = 13;
        expected = &fault;
    }
    FILE *out = o->reported[i->info.mnemonic] ? o->quiet : stdout; /* one of a kind will do */
    if (!ended) fprintf(out, "%s: did not end\n", e->name);
    if (ended && i->exposed) {
        differences += state_compare(expected, &actual, mask, names, out);
        differences += compare_scratch(e->machine, native_scratch(), e->name, out);
    } else if (ended && (actual.vector != 6 || actual.eip != in->eip)) {
        fprintf(out, "%s: an instruction that no CPU model exposes did not raise #UD\n", e->name);
        differences++;
    }
    if (!differences) return;
    o->failures++;
    if (o->reported[i->info.mnemonic]++) return;
    report(o, i, in, expected, &actual, e->name);
}

static void test_one(struct oracle *o)
{
    static u8 before[SCRATCH_BYTES];
    struct test_insn i;
    struct state in, expected;
    state_random(&in, &o->random);
    if (o->generator.avx) state_random_ymm(&in, &o->random);
    generate_single(&o->generator, &i, &in);
    if (random_chance(&o->random, 10)) in.eip = CODE_AT + PAGE_SIZE - 1 - random_below(&o->random, i.length);
    scatter(o, &i, before);
    if (i.exposed) {
        memcpy(native_scratch(), before, SCRATCH_BYTES);
        native_run(i.bytes, i.length, &in, &expected);
        if (expected.vector == 14) { /* a wild address, which the guest does not have */
            o->wild++;
            return;
        }
        expect_reserved_mxcsr(&i, &in, before, &expected);
        expect_top_unchanged(&i, &in, &expected);
        if (expected.vector != VECTOR_END) o->faults++;
        if (!o->strict && undefined_result(&i, &in, &expected)) return;
    } else {
        expected = in;
        o->unexposed++;
    }
    o->run++;
    for (unsigned n = 0; n < o->engine_count; n++)
        check_engine(o, &o->engines[n], &i, &in, &expected, before);
}

static bool add_engine(struct oracle *o, const char *name, const struct translator_config *config)
{
    struct small_machine *m = small_machine_create(config);
    if (!m) return false;
    o->generator.avx = small_machine_enable_avx(m);
    o->engines[o->engine_count++] = (struct engine_under_test){name, m};
    return true;
}

int main(int argc, char **argv)
{
    static struct oracle o;
    const char *filter = NULL, *engine = "both";
    const struct own_option own[] = {{"filter", "MNEMONIC", .text = &filter},
                                     {"engine", "interp|translate|both", .text = &engine},
                                     {.name = "strict", .flag = &o.strict},
                                     {0}};
    struct random_run run = {.seed = (u64)time(NULL), .count = 100000};
    if (!random_run_parse(&run, own, argc, argv)) return 2;
    generate_print_features(stdout);
    fflush(stdout);
    o.random.state = (run.seed + 1) * HASH_MULTIPLIER;
    generator_init(&o.generator, &o.random, filter);

    struct translator_config config = translator_defaults();
    config.exact_flags = true;
    bool ready = (!strcmp(engine, "translate") || add_engine(&o, "interpreter", NULL)) &&
                 (!strcmp(engine, "interp") || add_engine(&o, "translator", &config));
    o.quiet = fopen("/dev/null", "w");
    int failed = ready && o.quiet ? translator_install_signals() : -ENOMEM;
    if (!failed) failed = native_init();
    if (failed) {
        fprintf(stderr, "cannot set up: %s\n", strerror(-failed));
        return 3;
    }
    if (!native_works()) {
        printf("skipped: this host runs no 32-bit code (no code segment %02xh)\n", USER_CS);
        return SKIPPED;
    }
    for (u64 n = 0; random_run_goes_on(&run, n) && o.failures < MAX_FAILURES; n++)
        test_one(&o);
    printf("%llu instructions, %llu of them faulted, %llu not exposed, %llu wild; %llu failures\n",
           (unsigned long long)o.run, (unsigned long long)o.faults, (unsigned long long)o.unexposed,
           (unsigned long long)o.wild, (unsigned long long)o.failures);
    return o.failures != 0;
}
