/*
 * Compares the decoder's digest of an instruction (what it reads and writes) with the host CPU, if it
 * executes 32-bit code, and with the interpreter: random instructions run, and run again with one register
 * or flag changed.
 *
 * - A register or flag that changes is written by the digest.
 * - A register or flag that is not read by the digest has no influence on any other result.
 * - A flag that is killed by the digest gets the same value, whatever its old value is.
 *
 * Hazards: a check that is hoisted over a change of its register; a flag that is dropped although an
 * instruction reads it.
 */
#include "generate.h"
#include "random_run.h"
#include "small_machine.h"
#include "study/native.h"

#include "cpu/insn.h"

#include <string.h>

#define MAX_FAILURES 20

struct effects {
    struct generator generator;
    struct random random;
    struct small_machine *interpreter; /* NULL: the host */
    u64 run, failures;
};

static const char *const gpr_names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

static void complain(struct effects *e, const struct test_insn *t, const char *what, const char *which)
{
    char text[128];
    generate_format(&e->generator, t->bytes, t->length, CODE_AT, text, sizeof(text));
    printf("%-40s %s %s\n", text, what, which);
    e->failures++;
}

static void execute(struct effects *e, const struct test_insn *t, const struct state *in, const u8 *scratch,
                    struct state *out, u8 *after)
{
    u8 *memory = e->interpreter ? small_machine_scratch(e->interpreter) : native_scratch();
    memcpy(memory, scratch, SCRATCH_BYTES);
    if (!e->interpreter)
        native_run(t->bytes, t->length, in, out);
    else if (!small_machine_run(e->interpreter, t->bytes, t->length, in, out, 1000))
        out->vector = ~0u;
    memcpy(after, memory, SCRATCH_BYTES);
}

static void check_written(struct effects *e, const struct test_insn *t, const struct insn *i,
                          const struct state *in, const struct state *out)
{
    for (unsigned n = 0; n < 8; n++)
        if (in->gpr[n] != out->gpr[n] && !(i->gprs_written >> n & 1)) complain(e, t, "writes", gpr_names[n]);
    if ((in->eflags ^ out->eflags) & FLAGS_ARITH & ~(u32)i->flags_written) complain(e, t, "writes", "a flag");
}

/* The outcomes agree in everything but `gpr` (8: none) and `flags`. */
static bool agree(const struct state *a, const struct state *b, unsigned gpr, u32 flags)
{
    for (unsigned n = 0; n < 8; n++)
        if (n != gpr && a->gpr[n] != b->gpr[n]) return false;
    return a->vector == b->vector && !((a->eflags ^ b->eflags) & FLAGS_ARITH & ~flags) &&
           !memcmp(a->fx + 32, b->fx + 32, sizeof(a->fx) - 32);
}

static void check_read(struct effects *e, const struct test_insn *t, const struct insn *i,
                       const struct state *in, const u8 *scratch, const struct state *out, const u8 *after)
{
    static u8 other[SCRATCH_BYTES];
    struct state changed, end;
    u8 read = insn_gprs_read(i);
    for (unsigned n = 0; n < 8; n++) {
        if (read >> n & 1) continue;
        changed = *in;
        changed.gpr[n] ^= 0x5a5a5a5a;
        execute(e, t, &changed, scratch, &end, other);
        bool kept = (i->gprs_written >> n & 1) || end.gpr[n] == changed.gpr[n];
        if (!kept || !agree(out, &end, n, 0) || memcmp(after, other, SCRATCH_BYTES))
            complain(e, t, "reads", gpr_names[n]);
    }
    for (u32 flag = 1; flag <= FL_OF; flag <<= 1) {
        if (!(flag & FLAGS_ARITH) || (i->flags_read & flag)) continue;
        changed = *in;
        changed.eflags ^= flag;
        execute(e, t, &changed, scratch, &end, other);
        u32 own = i->flags_killed & flag ? 0 : flag;
        if (!agree(out, &end, 8, own) || memcmp(after, other, SCRATCH_BYTES))
            complain(e, t, "reads", "a flag");
    }
}

static void test_one(struct effects *e)
{
    static u8 scratch[SCRATCH_BYTES], after[SCRATCH_BYTES];
    struct test_insn t;
    struct state in, out;
    struct insn i;
    state_random(&in, &e->random);
    generate_single(&e->generator, &t, &in);
    if (!t.exposed) return;
    random_bytes(&e->random, scratch, sizeof(scratch));
    execute(e, &t, &in, scratch, &out, after);
    if (out.vector != VECTOR_END || insn_decode(&i, t.bytes, sizeof(t.bytes), true) <= 0) return;
    e->run++;
    check_written(e, &t, &i, &in, &out);
    check_read(e, &t, &i, &in, scratch, &out, after);
}

static void test(struct effects *e, const char *name, struct small_machine *machine, struct random_run run,
                 const char *filter)
{
    e->interpreter = machine;
    e->random.state = run.seed * 2 + 1;
    e->run = 0;
    generator_init(&e->generator, &e->random, filter);
    run.start = time(NULL);
    for (u64 n = 0; random_run_goes_on(&run, n) && e->failures < MAX_FAILURES; n++)
        test_one(e);
    printf("%s: %llu instructions, %llu failures\n", name, (unsigned long long)e->run,
           (unsigned long long)e->failures);
}

int main(int argc, char **argv)
{
    static struct effects e;
    struct small_machine *machine;
    const char *filter = NULL;
    const struct own_option own[] = {{"filter", "MNEMONIC", .text = &filter}, {0}};
    struct random_run run = {.seed = 1, .count = 100000};
    if (!random_run_parse(&run, own, argc, argv)) return 2;
    /* The interpreter executes SSE instructions on the host, where an unmasked exception becomes SIGFPE. */
    if (translator_install_signals() || native_init() || !(machine = small_machine_create(NULL))) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    if (native_works())
        test(&e, "the host", NULL, run, filter);
    else
        printf("the host executes no 32-bit code\n");
    test(&e, "the interpreter", machine, run, filter);
    return e.failures != 0;
}
