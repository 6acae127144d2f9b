/*
 * The code that the translator emits for a fixed corpus, as one hash a mode and configuration. Guards against
 * unintended changes of emitted code: a refactoring keeps every line, and a commit that changes code
 * on purpose changes the lines of corpus.expected, where the counts then show by how much.
 *
 * The corpus is the same on every host: the CPU model is fixed, and values that depend on addresses of the process
 * (names of edges and callouts) are replaced by their meaning. Offsets of vCPU fields are part of the code.
 *
 *     corpus                 print the lines
 *     corpus --expect FILE   compare them with a file, and print those that differ
 */
#include "state.h"

#include "cpu/mode.h"
#include "rig.h"
#include "translator/build.h"

#include <string.h>
#include <sys/mman.h>

#define PROGRAM_AT    RIG_CODE
#define PROGRAM_BYTES (PAGE_SIZE - 16) /* no instruction crosses into the next page */
#define RANDOM_PAGES  24

/* --- modes --- */

enum {
    KERNEL = MODE_CODE32 | MODE_STACK32 | MODE_PE | MODE_OSFXSR | MODE_IOPL,
    USER = MODE_CODE32 | MODE_STACK32 | MODE_PE | MODE_OSFXSR | MODE_CPL,
};
#define SEGMENT(seg, class) ((u32)MODE_SEG_##class << (MODE_SEG_SHIFT + 2 * SEG_##seg))
#define ALL_SEGMENTS(class)                                                                                  \
    (SEGMENT(ES, class) | SEGMENT(CS, class) | SEGMENT(SS, class) | SEGMENT(DS, class) |                     \
     SEGMENT(FS, class) | SEGMENT(GS, class))

struct corpus_mode {
    const char *name;
    u32 mode;
};

static const struct corpus_mode modes[] = {
    {"kernel", KERNEL},
    {"kernel-unhoisted", KERNEL | MODE_UNHOISTED},
    {"kernel-ts", KERNEL | MODE_TS | MODE_MP},
    {"kernel-em", KERNEL | MODE_EM},
    {"kernel-no-sse", KERNEL & ~MODE_OSFXSR},
    {"kernel-16", (KERNEL & ~(MODE_CODE32 | MODE_STACK32)) | SEGMENT(CS, LIMITED)},
    {"kernel-stack16", KERNEL & ~MODE_STACK32},
    {"user", USER},
    {"user-iopl", USER | MODE_IOPL},
    {"user-tsd", USER | MODE_TSD},
    {"user-window", USER | MODE_WINDOW},
    {"user-threads", USER | SEGMENT(FS, BASED) | SEGMENT(GS, BASED)},
    {"user-window-threads", USER | MODE_WINDOW | SEGMENT(FS, BASED) | SEGMENT(GS, BASED)},
    {"user-limited", USER | SEGMENT(ES, LIMITED) | SEGMENT(SS, LIMITED) | SEGMENT(DS, LIMITED)},
    {"user-odd", USER | SEGMENT(ES, ODD) | SEGMENT(DS, ODD) | SEGMENT(FS, ODD) | SEGMENT(GS, ODD)},
    {"real", MODE_IOPL | MODE_OSFXSR | ALL_SEGMENTS(LIMITED)},
    {"vm86", MODE_CPL | MODE_PE | MODE_VM86 | MODE_OSFXSR | ALL_SEGMENTS(LIMITED)},
    {"vm86-iopl", MODE_CPL | MODE_PE | MODE_VM86 | MODE_OSFXSR | MODE_IOPL | ALL_SEGMENTS(LIMITED)},
};

/* --- configurations --- */

struct corpus_config {
    const char *name;
    struct translator_config config;
    bool deterministic;
};

static const struct corpus_config configs[] = {
    {.name = "default"},
    {.name = "exact-flags", .config = {.exact_flags = true}},
    {.name = "deterministic", .deterministic = true},
    {.name = "no-fast-entry", .config = {.no_fast_entry = true}},
    {.name = "no-bulk-strings", .config = {.no_bulk_strings = true}},
    {.name = "keep-locks", .config = {.keep_locks = true}},
    {.name = "plain", .config = {.no_hoisting = true, .no_superblocks = true, .no_flag_lookahead = true}},
    /* The code of one instruction, without its neighbours. */
    {.name = "alone", .config = {.exact_flags = true, .no_hoisting = true, .no_superblocks = true}},
    {.name = "no-chaining", .config = {.no_chaining = true, .no_inline_cache = true}},
    {.name = "no-kicks", .config = {.no_kicks = true}},
    {.name = "no-returns", .config = {.no_return_stack = true, .no_site_cache = true}},
    {.name = "single", .config = {.block_limit = 1}},
};

struct corpus {
    struct rig *rig;
    struct corpus_config config;
    struct random random;
    struct cpu_model model;
    FILE *out;
    u32 mode;
    u8 page[PAGE_SIZE];
    unsigned filled;
    /* of the current line */
    u64 hash, blocks, instructions, host_bytes;
};

/* --- hashing: FNV-1a --- */

static void add(struct corpus *c, const void *bytes, u64 count)
{
    for (const u8 *at = bytes; count--; at++)
        c->hash = (c->hash ^ *at) * 0x100000001b3;
}

static void add_value(struct corpus *c, u64 value)
{
    add(c, &value, sizeof(value));
}

static void replace(u8 *code, u32 at, u32 by)
{
    memcpy(code + at, &by, sizeof(by));
}

/* A callout is named by its address. Replace the address by a description. */
static void add_callout(struct corpus *c, u8 *code, u32 at)
{
    u32 name;
    memcpy(&name, code + at, sizeof(name));
    const struct callout *callout = meta_pointer(name);
    const struct callee *callee = callee_of(callout);
    replace(code, at, 0);
    add_value(c, callout->eip);
    add_value(c, callout->remaining | callout->end << 8 | (callee->fast != NULL) << 9 | callee->plain << 10);
    add(c, callee->insn.bytes, callee->insn.length);
}

static void add_block(struct corpus *c, const struct block *block)
{
    struct engine *t = c->rig->vcpu.engine;
    const struct build *b = t->build;
    static u8 code[MAX_BLOCK_BYTES];
    memcpy(code, t->cache.arena.write + block->start, block->host_bytes);
    for (unsigned n = 0; n < block->edge_count; n++) {
        const struct edge *edge = &block_edges(block)[n];
        replace(code, edge->stub + STUB_NAME_AT, n);
        add_value(c, edge->eip | (u64)edge->parked << 32 | (u64)edge->unhoisted << 33);
    }
    if (b->fix_count == MAX_FIXES) abort(); /* the corpus has no such block */
    for (unsigned n = 0; n < b->fix_count; n++) {
        add_value(c, b->fix[n]);
        if (b->fix[n] >> FIX_KIND_AT == FIX_CALLOUT) add_callout(c, code, b->fix[n] & FIX_AT_MASK);
    }
    add(c, code, block->host_bytes);
    add_value(c, block->guest_bytes | (u64)block->entry_parked << 16 | (u64)block->entry_host << 24 |
                     (u64)block->count << 32 | (u64)block->site << 40);
    add(c, block_sites(block), block->count * sizeof(u16));
    c->blocks++;
    c->instructions += block->count;
    c->host_bytes += block->host_bytes;
}

/* --- translating a page --- */

static void translate_page(struct corpus *c)
{
    struct vcpu *v = &c->rig->vcpu;
    bool flat = mode_seg(c->mode, SEG_CS) == MODE_SEG_FLAT;
    u32 base = flat ? 0 : PROGRAM_AT;
    memset(c->page + c->filled, 0x90, PAGE_SIZE - c->filled);
    c->filled = 0;
    translator_flush(v);
    phys_write_bytes(&c->rig->phys, PROGRAM_AT, c->page, PAGE_SIZE);
    for (u32 at = 0; at < PROGRAM_BYTES;) {
        struct block_key key = {.gpa = PROGRAM_AT + at,
                                .eip = PROGRAM_AT + at - base,
                                .mode = c->mode,
                                .cs_base = base,
                                .cs_limit = flat ? UINT32_MAX : 0xffff};
        const struct block *block = translate(v, &key);
        if (block) add_block(c, block);
        at += block ? block->guest_bytes : 1;
    }
}

/* Instructions of at most 15 bytes, one after the other, until the page is full. */
static void append(struct corpus *c, const u8 *bytes, unsigned count)
{
    if (c->filled + count > PROGRAM_BYTES) translate_page(c);
    memcpy(c->page + c->filled, bytes, count);
    c->filled += count;
}

/* --- programs --- */

static unsigned length_of(const struct corpus *c, const u8 *bytes)
{
    struct insn i;
    insn_decode(&i, bytes, INSN_MAX_BYTES, mode_code_size(c->mode));
    return i.length;
}

/* Every opcode with every ModRM.reg, for a register and a few memory operands. An ADC on one side in three
 * and an ADD on another make the flags live and dead. */
static void every_opcode(struct corpus *c)
{
    static const u8 prefixes[] = {0, 0x66, 0xf3, 0xf2, 0xf0, 0x64, 0x67};
    static const u8 maps[][2] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
    static const u8 rest[] = {0x24, 0x10, 0x20, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07};
    static const u8 operands[] = {0x03, 0x44, 0x85, 0xc0, 0xc4};
    static const u8 between[3][2] = {{0x11, 0xd2}, {0x01, 0xd2}, {0x89, 0xd1}};
    unsigned turn = 0;
    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (unsigned map = 0; map < ARRAY_SIZE(maps); map++)
            for (unsigned opcode = 0; opcode < 256; opcode++)
                for (unsigned operand = 0; operand < ARRAY_SIZE(operands) * 8; operand++) {
                    u8 bytes[INSN_MAX_BYTES + 16] = {0};
                    unsigned n = 0;
                    if (prefixes[p]) bytes[n++] = prefixes[p];
                    for (unsigned m = 0; m < 2; m++)
                        if (maps[map][m]) bytes[n++] = maps[map][m];
                    bytes[n++] = (u8)opcode;
                    bytes[n++] = operands[operand / 8] | (u8)(operand % 8 << 3);
                    memcpy(bytes + n, rest, sizeof(rest));
                    append(c, bytes, length_of(c, bytes));
                    append(c, between[turn++ % 3], 2);
                }
}

/* Common instructions of programs and kernels, with random operands and immediates. */
static const struct {
    u8 bytes[4];
    u8 count;
} common[] = {
    {{0x8b}, 1},
    {{0x8b}, 1},
    {{0x8b}, 1},
    {{0x89}, 1},
    {{0x89}, 1},
    {{0x8d}, 1},
    {{0x01}, 1},
    {{0x03}, 1},
    {{0x29}, 1},
    {{0x39}, 1},
    {{0x85, 0xc0}, 2},
    {{0x83}, 1},
    {{0x81}, 1},
    {{0xc7}, 1},
    {{0x55}, 1},
    {{0x53}, 1},
    {{0x50}, 1},
    {{0x5b}, 1},
    {{0x5d}, 1},
    {{0x6a}, 1},
    {{0xff}, 1},
    {{0xc3}, 1},
    {{0xe8}, 1},
    {{0x74, 0x08}, 2},
    {{0x75, 0x10}, 2},
    {{0xeb, 0x04}, 2},
    {{0x0f, 0xb6}, 2},
    {{0x0f, 0xbe}, 2},
    {{0xc1}, 1},
    {{0xd1}, 1},
    {{0xf7}, 1},
    {{0x0f, 0xaf}, 2},
    {{0x99}, 1},
    {{0x40}, 1},
    {{0x49}, 1},
    {{0x31, 0xc0}, 2},
    {{0x09}, 1},
    {{0x21}, 1},
    {{0x88}, 1},
    {{0x8a}, 1},
    {{0xa1}, 1},
    {{0xa3}, 1},
    {{0x0f, 0x44}, 2},
    {{0x0f, 0x94}, 2},
    {{0x11}, 1},
    {{0x19}, 1},
    {{0x87}, 1},
    {{0x0f, 0xa3}, 2},
    {{0x0f, 0xab}, 2},
    {{0xc9}, 1},
    {{0x0f, 0xb1}, 2},
    {{0xf0, 0x0f, 0xb1}, 3},
    {{0x65, 0x8b}, 2},
    {{0x64, 0xa1}, 2},
    {{0x9c}, 1},
    {{0x9d}, 1},
    {{0xfa}, 1},
    {{0xfb}, 1},
    {{0xfc}, 1},
    {{0xf3, 0xab}, 2},
    {{0xf3, 0xa4}, 2},
    {{0xf3, 0xa5}, 2},
    {{0xf2, 0xae}, 2},
    {{0xa5}, 1},
    {{0xac}, 1},
    {{0xaa}, 1},
    {{0x8e}, 1},
    {{0x8c}, 1},
    {{0x1e}, 1},
    {{0x1f}, 1},
    {{0x0f, 0xa0}, 2},
    {{0x0f, 0xa1}, 2},
    {{0x0f, 0x20}, 2},
    {{0x0f, 0x22}, 2},
    {{0xcd, 0x80}, 2},
    {{0xcf}, 1},
    {{0xf4}, 1},
    {{0x0f, 0x31}, 2},
    {{0x0f, 0xa2}, 2},
    {{0x0f, 0x10}, 2},
    {{0xf3, 0x0f, 0x58}, 3},
    {{0x66, 0x0f, 0x6f}, 3},
    {{0xd9}, 1},
    {{0xdd}, 1},
    {{0xdb}, 1},
    {{0xe4}, 1},
    {{0xee}, 1},
    {{0x60}, 1},
    {{0x61}, 1},
    {{0xe2, 0xfe}, 2},
    {{0xe3, 0x02}, 2},
    {{0x0f, 0xc8}, 2},
    {{0xf6}, 1},
    {{0x66, 0x89}, 2},
    {{0x66, 0x8b}, 2},
};

static void at_random(struct corpus *c)
{
    for (unsigned page = 0; page < RANDOM_PAGES; page++) {
        while (c->filled < PROGRAM_BYTES - 2 * INSN_MAX_BYTES) {
            u8 bytes[INSN_MAX_BYTES];
            random_bytes(&c->random, bytes, sizeof(bytes));
            unsigned n = random_below(&c->random, ARRAY_SIZE(common));
            memcpy(bytes, common[n].bytes, common[n].count);
            /* One ModRM in two: a small displacement from EBX, EBP or ESP, as in frames and structures. */
            static const u8 bases[] = {0x43, 0x45, 0x44, 0x43};
            if (random_chance(&c->random, 50)) {
                u8 *modrm = bytes + common[n].count;
                *modrm = (*modrm & 0x38) | bases[random_below(&c->random, ARRAY_SIZE(bases))];
                if ((*modrm & 7) == 4) *++modrm = 0x24;
                modrm[1] &= 0x3c;
            }
            append(c, bytes, length_of(c, bytes));
        }
        translate_page(c);
    }
}

/* --- the whole --- */

/* Emitted code increments counters if they are near the vCPU. Here they are far away, because their offsets are not a
 * property of the translator. */
static struct counters *far_counters(const struct vcpu *v)
{
    void *at = mmap((void *)(3ull << 44), sizeof(struct counters), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u64 away = (u64)(uintptr_t)at - (u64)(uintptr_t)v;
    if (at == MAP_FAILED || away + (4ull << 30) < 8ull << 30) abort();
    return at;
}

/* The features of "max" on a host that has all of them. */
static void pin_model(struct cpu_model *model)
{
    *model = *cpu_model_find("max");
    model->f1_edx = 0x07ffffff;
    model->f1_ecx = 0xffffffff;
    model->f7_ebx = model->f7_ecx = model->xsave_eax = model->x1_edx = model->x1_ecx = 0xffffffff;
}

static void begin_engine(struct corpus *c, const struct corpus_config *from)
{
    struct translator_config config = translator_defaults(), plain = from->config;
    struct vcpu *v = &c->rig->vcpu;
    plain.cache_bytes = 8u << 20;
    if (!plain.block_limit) plain.block_limit = config.block_limit;
    v->deterministic = from->deterministic;
    v->instruments.no_fast_entry = plain.no_fast_entry;
    v->instruments.no_bulk_strings = plain.no_bulk_strings;
    if (translator_init(v, &plain)) abort();
    c->config = *from;
}

static void line(struct corpus *c, const struct corpus_mode *mode, const char *program,
                 void (*make)(struct corpus *c))
{
    c->hash = 0xcbf29ce484222325;
    c->blocks = c->instructions = c->host_bytes = 0;
    c->mode = mode->mode;
    c->random.state = 1;
    c->filled = 0;
    make(c);
    translate_page(c);
    fprintf(c->out, "%-15s %-19s %-12s %6llu blocks %7llu instructions %8llu bytes %016llx\n", c->config.name,
            mode->name, program, (unsigned long long)c->blocks, (unsigned long long)c->instructions,
            (unsigned long long)c->host_bytes, (unsigned long long)c->hash);
}

static void run(struct corpus *c)
{
    for (unsigned n = 0; n < ARRAY_SIZE(configs); n++) {
        begin_engine(c, &configs[n]);
        for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
            if (n == 0 || configs[n].config.exact_flags) line(c, &modes[m], "every-opcode", every_opcode);
            line(c, &modes[m], "random", at_random);
        }
        translator_destroy(&c->rig->vcpu);
    }
}

/* Lines of `actual` that are not the expected ones. */
static unsigned compare(FILE *actual, FILE *expected)
{
    char is[256], should[256];
    unsigned count = 0;
    for (;;) {
        bool more = fgets(is, sizeof(is), actual), wanted = fgets(should, sizeof(should), expected);
        if (!more && !wanted) return count;
        if (more && wanted && !strcmp(is, should)) continue;
        count++;
        printf("- %s+ %s", wanted ? should : "\n", more ? is : "\n");
    }
}

int main(int argc, char **argv)
{
    static struct corpus c;
    FILE *expected = NULL;
    bool compares = argc == 3 && !strcmp(argv[1], "--expect");
    if (argc != 1 && !compares) {
        fprintf(stderr, "usage: %s [--expect FILE]\n", argv[0]);
        return 2;
    }
    c.out = compares ? tmpfile() : stdout;
    if (compares && !(expected = fopen(argv[2], "r"))) {
        fprintf(stderr, "cannot open %s\n", argv[2]);
        return 3;
    }
    c.rig = rig_create();
    pin_model(&c.model);
    struct vcpu *v = &c.rig->vcpu;
    v->model = &c.model;
    v->counters = far_counters(v);
    rig_load(c.rig, "\x90", 1);
    c.rig->translated_code_written = translator_code_written;
    run(&c);
    rig_close(c.rig);
    if (!compares) return 0;
    rewind(c.out);
    unsigned differences = compare(c.out, expected);
    printf("%u lines differ from %s\n", differences, argv[2]);
    return differences != 0;
}
