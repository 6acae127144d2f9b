/*
 * Random blocks: straight-line code with forward branches, calls and a loop around it, run by the interpreter
 * and by the translator from the same state. They test what single instructions do not: live and dead flags, registers
 * cached over instructions, checks hoisted over accesses, side exits, chained loops.
 *
 * A block with a difference is cut to the shortest prefix that still differs.
 */
#include "base/hash.h"
#include "generate.h"
#include "random_run.h"
#include "small_machine.h"

#include <string.h>

#define MAX_INSNS   40
#define BLOCK_BYTES 1024
#define BUDGET      20000
#define COUNTER_AT  (SCRATCH_AT + 0x80) /* out of reach of operands */

struct piece {
    u8 bytes[16];
    unsigned length;
    bool uses_stack;
};

struct program {
    struct piece pieces[MAX_INSNS];
    unsigned count;
    u8 code[BLOCK_BYTES];
    unsigned bytes;
};

struct blocks {
    struct generator generator;
    struct random random;
    struct small_machine *interpreter, *translator;
    u64 failures;
    FILE *quiet;
};

static void random_program(struct blocks *b, struct program *p)
{
    p->count = 1 + random_below(&b->random, MAX_INSNS);
    for (unsigned n = 0; n < p->count; n++) {
        struct test_insn i;
        generate_for_block(&b->generator, &i);
        memcpy(p->pieces[n].bytes, i.bytes, sizeof(i.bytes));
        p->pieces[n].length = i.length;
        p->pieces[n].uses_stack = generate_uses_stack(&i);
    }
}

static void emit(struct program *p, const void *bytes, unsigned count)
{
    memcpy(p->code + p->bytes, bytes, count);
    p->bytes += count;
}

static void emit32(struct program *p, u32 v)
{
    emit(p, &v, 4);
}

/* What surrounds the instruction from `n` on: nothing, a conditional jump over it, or a call of it. */
static void emit_piece(struct program *p, const struct piece *piece, unsigned shape)
{
    u8 length = (u8)piece->length;
    switch (piece->uses_stack && shape % 8 == 1 ? 0 : shape % 8) {
    case 0: /* Jcc over it */
        emit(p, (u8[]){(u8)(0x70 | (shape >> 3 & 15)), length}, 2);
        emit(p, piece->bytes, length);
        break;
    case 1: /* CALL +2; JMP over; it; RET */
        emit(p, (u8[]){0xe8, 2, 0, 0, 0, 0xeb, (u8)(length + 1)}, 7);
        emit(p, piece->bytes, length);
        emit(p, (u8[]){0xc3}, 1);
        break;
    default: emit(p, piece->bytes, length); break;
    }
}

/* The first `count` pieces, `times` over (with more than one: a loop on a counter in memory, which costs
 * flags). */
static void assemble(struct program *p, unsigned count, unsigned times, const u8 *shapes)
{
    p->bytes = 0;
    if (times > 1) {
        emit(p, (u8[]){0xc7, 0x05}, 2); /* MOV DWORD PTR [COUNTER_AT], times */
        emit32(p, COUNTER_AT);
        emit32(p, times);
    }
    unsigned top = p->bytes;
    for (unsigned n = 0; n < count; n++)
        emit_piece(p, &p->pieces[n], shapes[n]);
    if (times > 1) {
        emit(p, (u8[]){0xff, 0x0d}, 2); /* DEC DWORD PTR [COUNTER_AT] */
        emit32(p, COUNTER_AT);
        emit(p, (u8[]){0x0f, 0x85}, 2); /* JNZ top */
        emit32(p, top - (p->bytes + 4));
    }
}

static unsigned run_both(struct blocks *b, const struct program *p, const struct state *in, const u8 *scratch,
                         FILE *out)
{
    static const char *const names[2] = {"interpreter", "translator"};
    struct state ends[2];
    struct small_machine *machines[2] = {b->interpreter, b->translator};
    bool ended[2];
    for (unsigned n = 0; n < 2; n++) {
        memcpy(small_machine_scratch(machines[n]), scratch, SCRATCH_BYTES);
        ended[n] = small_machine_run(machines[n], p->code, p->bytes, in, &ends[n], BUDGET);
    }
    if (!ended[0] && !ended[1]) return 0;
    if (ended[0] != ended[1]) {
        fprintf(out, "  only the %s ended\n", names[ended[1]]);
        return 1;
    }
    unsigned differences = state_compare(&ends[0], &ends[1], FLAGS_ARITH, names, out);
    const u8 *a = small_machine_scratch(machines[0]), *t = small_machine_scratch(machines[1]);
    for (unsigned n = 0; n < SCRATCH_BYTES; n++)
        if (a[n] != t[n]) {
            if (differences++ < 32)
                fprintf(out, "  [%x] interpreter %02x, translator %02x\n", SCRATCH_AT + n, a[n], t[n]);
        }
    return differences;
}

static void list(struct blocks *b, const struct program *p)
{
    for (unsigned at = 0; at < p->bytes;) {
        char text[128];
        ZydisDecodedInstruction info;
        ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&b->generator.decoder, p->code + at, p->bytes - at, &info, op)))
            break;
        generate_format(&b->generator, p->code + at, info.length, CODE_AT + at, text, sizeof(text));
        printf("  %06x  %-40s", CODE_AT + at, text);
        for (unsigned n = 0; n < info.length; n++)
            printf(" %02x", p->code[at + n]);
        printf("\n");
        at += info.length;
    }
}

static void shrink_and_report(struct blocks *b, struct program *p, const struct state *in, const u8 *scratch,
                              unsigned times, const u8 *shapes)
{
    unsigned count = p->count;
    while (count > 1) {
        assemble(p, count - 1, times, shapes);
        if (!run_both(b, p, in, scratch, b->quiet)) break;
        count--;
    }
    assemble(p, count, times, shapes);
    printf("FAIL after %u instructions, %u times\n", count, times);
    list(b, p);
    run_both(b, p, in, scratch, stdout);
    printf(" before:\n");
    state_print(in, stdout);
    b->failures++;
}

static void test_one(struct blocks *b)
{
    static u8 scratch[SCRATCH_BYTES];
    static struct program p;
    struct state in;
    u8 shapes[MAX_INSNS];
    state_random(&in, &b->random);
    in.gpr[4] = SCRATCH_AT + 0x2e00;
    in.gpr[6] = SCRATCH_AT + 0x1000;
    in.gpr[7] = SCRATCH_AT + 0x1c00;
    random_bytes(&b->random, scratch, sizeof(scratch));
    random_program(b, &p);
    for (unsigned n = 0; n < MAX_INSNS; n++)
        shapes[n] = (u8)random_next(&b->random);
    unsigned times = random_chance(&b->random, 50) ? 1 : 1 + random_below(&b->random, 8);
    assemble(&p, p.count, times, shapes);
    if (run_both(b, &p, &in, scratch, b->quiet)) shrink_and_report(b, &p, &in, scratch, times, shapes);
}

int main(int argc, char **argv)
{
    static struct blocks b;
    const char *filter = NULL;
    struct translator_config config = translator_defaults();
    const struct own_option own[] = {
        {"filter", "MNEMONIC", .text = &filter}, {.name = "forced-slow", .flag = &config.forced_slow}, {0}};
    struct random_run run = {.seed = (u64)time(NULL), .count = 10000};
    if (!random_run_parse(&run, own, argc, argv)) return 2;
    config.exact_flags = true;
    generate_print_features(stdout);
    fflush(stdout);
    b.random.state = (run.seed + 1) * HASH_MULTIPLIER;
    generator_init(&b.generator, &b.random, filter);
    b.interpreter = small_machine_create(NULL);
    b.translator = small_machine_create(&config);
    b.quiet = fopen("/dev/null", "w");
    if (!b.quiet || !b.interpreter || !b.translator || translator_install_signals()) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    u64 n = 0;
    for (; random_run_goes_on(&run, n) && b.failures < 5; n++)
        test_one(&b);
    printf("%llu blocks, %llu failures\n", (unsigned long long)n, (unsigned long long)b.failures);
    return b.failures != 0;
}
