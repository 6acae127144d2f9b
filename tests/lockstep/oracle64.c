/*
 * The native oracle of 64-bit mode: random user-level instructions with random and boundary operands, each executed
 * on the host CPU and by an engine from the same state. Registers, defined flags, x87 and SSE state, memory and
 * the vector of a fault must be the same. The host is the truth.
 */
#include "generate64.h"
#include "native64.h"

#include "translator/translator.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    default: return false;
    }
}

static unsigned failures;

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

static void compare(const struct test64 *t, const struct state64 *host, const struct state64 *guest)
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
    if (generate64_is_gather(t) && host->vector != NO_FAULT)
        return; /* CPUs have done more of its elements, or less */
    for (unsigned n = 0; n < FX_YMM_END64; n++) {
        bool pointers = n >= 5 && n < 24, mask = n >= 28 && n < 32,
             padding = n >= 32 && n < 160 && n % 16 >= 10, header = n >= FX_XMM_END64 && n < FX_YMM;
        if (pointers || mask || padding || header || host->fx[n] == guest->fx[n]) continue;
        fail(t, "FXSAVE byte", n, host->fx[n], guest->fx[n]);
        break;
    }
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--seed N] [--count N | --seconds N] [--translate]\n", program);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"seconds", required_argument, NULL, 'n'},
                                            {"translate", no_argument, NULL, 't'},
                                            {0}};
    bool translate = false;
    u64 seed = (u64)time(NULL), count = 100000, seconds = 0, run = 0, faults = 0, forms = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's': seed = strtoull(optarg, NULL, 0); break;
        case 'c': count = strtoull(optarg, NULL, 0); break;
        case 'n': seconds = strtoull(optarg, NULL, 0); break;
        case 't': translate = true; break;
        default: return usage(argv[0]);
        }
    }
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    random64_seed(seed);
    static u8 seen[ZYDIS_MNEMONIC_MAX_VALUE + 1], scratch[SCRATCH_BYTES];
    struct rig *rig = machine64_create(translate, 1);
    if (!rig || translator_install_signals() || !native64_init()) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    time_t start = time(NULL);
    while ((seconds ? time(NULL) - start < (time_t)seconds : run < count) && failures < 100) {
        struct test64 t;
        struct state64 in, host = {0}, guest = {0};
        if (!generate64(rig, &t)) continue;
        generate64_state(&t, &in);
        if (run % 64 == 0)
            for (unsigned n = 0; n < SCRATCH_BYTES; n += 8)
                memcpy(scratch + n, &(u64){random64_boundary()}, 8);
        memcpy((void *)SCRATCH_AT, scratch, SCRATCH_BYTES);
        memcpy((void *)CODE_AT, t.bytes, INSN_MAX_BYTES);
        native64_run(&in, &host);
        machine64_run(rig, &in, &guest, t.bytes, INSN_MAX_BYTES, 1, scratch);
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
    printf("%llu instructions of %llu mnemonics, %llu faults, %u failures\n", (unsigned long long)run,
           (unsigned long long)forms, (unsigned long long)faults, failures);
    if (translate) {
        u64 blocks = rig->counters.blocks_translated;
        printf("%llu blocks translated\n", (unsigned long long)blocks);
        failures += blocks < run / 2; /* the rest are copies of instructions before, or the interpreter's */
    }
    rig_destroy(rig);
    return failures ? 1 : 0;
}
