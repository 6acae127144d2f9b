/*
 * Random blocks of 64-bit mode, by the interpreter and by the translator: registers, flags, memory, SSE state and
 * faults must be the same.
 */
#include "generate64.h"
#include "random64.h"
#include "random_run.h"

#include "cpu/isa.h"
#include "translator/translator.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK_INSNS = 16, BLOCK_BYTES = BLOCK_INSNS * INSN_MAX_BYTES + 2 };
/* These point into the scratch area. No instruction of a block writes them, but for pushes and pops. */
enum { POINTERS = 1 << REG_ESP | 1 << REG_EBP | 1 << REG_ESI | 1 << 9 | 1 << 12 };

/* Is it straight-line code that reaches memory only by the pointers? */
static bool suits_block(const struct test64 *t)
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
    struct test64 test[BLOCK_INSNS];
    unsigned bytes, count;
};

static void generate_sequence(const struct rig *rig, struct sequence *s)
{
    s->bytes = 0;
    s->count = 1 + (unsigned)(random64() % BLOCK_INSNS);
    for (unsigned n = 0; n < s->count;) {
        struct test64 *t = &s->test[n];
        if (!generate64(rig, t) || !suits_block(t)) continue;
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
             memcmp(a->fx + FX_YMM, b->fx + FX_YMM, FX_ALL - FX_YMM) ||
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

/* False: they differ. */
static bool test_one(struct rig *interpreter, struct rig *translator, const u8 *scratch)
{
    static struct sequence s;
    struct state64 in, ends[2] = {{.vector = 0}, {.vector = 0}};
    generate_sequence(interpreter, &s);
    generate64_state(&s.test[0], &in);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        if (POINTERS >> n & 1)
            in.gpr[n] = SCRATCH_MIDDLE + (random64() % 512 & (random64_chance(70) ? ~7ull : ~0ull));
    machine64_run(interpreter, &in, &ends[0], s.code, s.bytes, s.count + 1, scratch);
    machine64_run(translator, &in, &ends[1], s.code, s.bytes, s.count + 1, scratch);
    if (!differences(&ends[0], &ends[1], interpreter->phys.ram + SCRATCH_AT,
                     translator->phys.ram + SCRATCH_AT))
        return true;
    report(&s, &ends[0], &ends[1]);
    return false;
}

int main(int argc, char **argv)
{
    struct random_run blocks = {.seed = (u64)time(NULL), .count = 10000};
    static u8 scratch[SCRATCH_BYTES];
    unsigned failures = 0;
    u64 run = 0;
    if (!random_run_parse(&blocks, NULL, argc, argv)) return 2;
    random64_seed(blocks.seed);
    struct rig *interpreter = machine64_create(false, 0), *translator = machine64_create(true, 0);
    if (!interpreter || !translator || translator_install_signals()) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    for (; random_run_goes_on(&blocks, run) && failures < 10; run++) {
        if (run % 64 == 0) random64_fill(scratch, SCRATCH_BYTES);
        failures += !test_one(interpreter, translator, scratch);
    }
    printf("%llu blocks, %u failures; %llu hoisted checks\n", (unsigned long long)run, failures,
           (unsigned long long)translator->counters.hoists);
    return failures != 0;
}
