/*
 * Decoding by shape gives the same as Zydis: for every opcode with every ModRM and prefix, and for each shape with
 * other address bytes and immediates than those it was learnt from. For typical code it rarely calls Zydis.
 */
#include "check.h"
#include "cpu/decode_memo.h"

#include <stdlib.h>
#include <string.h>

static struct decode_memo memo;
static struct counters counters;
static struct vcpu vcpu = {.counters = &counters};

static bool same_operand(const struct operand *a, const struct operand *b)
{
    return a->kind == b->kind && a->reg_class == b->reg_class && a->reg == b->reg && a->imm == b->imm &&
           a->bytes == b->bytes && a->read == b->read && a->written == b->written && a->field == b->field;
}

static bool same(const struct insn *a, const struct insn *b)
{
    bool equal = a->row == b->row && a->mnemonic == b->mnemonic && a->length == b->length &&
                 a->operand_count == b->operand_count && a->operand_bytes == b->operand_bytes &&
                 a->address_bytes == b->address_bytes && a->stack_bytes == b->stack_bytes &&
                 a->prefixes == b->prefixes && a->imm[0] == b->imm[0] && a->imm[1] == b->imm[1] &&
                 a->mem_base == b->mem_base && a->mem_index == b->mem_index && a->mem_scale == b->mem_scale &&
                 a->mem_seg == b->mem_seg && a->mem_disp == b->mem_disp && a->flags_read == b->flags_read &&
                 a->flags_written == b->flags_written && a->flags_killed == b->flags_killed &&
                 a->encoding == b->encoding && a->map == b->map && a->opcode == b->opcode &&
                 a->mandatory == b->mandatory && a->rex == b->rex && a->has_modrm == b->has_modrm &&
                 a->modrm == b->modrm && a->opcode_offset == b->opcode_offset &&
                 a->modrm_offset == b->modrm_offset && a->imm_offset == b->imm_offset &&
                 a->imm_bytes == b->imm_bytes && a->isa_set == b->isa_set && a->gprs_read == b->gprs_read &&
                 a->gprs_written == b->gprs_written && a->stack_effect == b->stack_effect &&
                 a->stack_access == b->stack_access && a->accesses_memory == b->accesses_memory &&
                 !memcmp(a->bytes, b->bytes, a->length);
    for (unsigned n = 0; n < 4; n++)
        equal = equal && same_operand(&a->op[n], &b->op[n]);
    return equal;
}

static void check_bytes(const u8 *bytes, unsigned available, enum code_size size)
{
    struct insn by_zydis, by_memo;
    int expected = insn_decode(&by_zydis, bytes, available, size);
    int length = decode_memo_decode(&memo, &vcpu, &by_memo, bytes, available, size);
    bool good = length == expected && (length <= 0 || same(&by_zydis, &by_memo));
    CHECK(good);
    if (good) return;
    printf("  lengths %d %d:", expected, length);
    for (unsigned n = 0; n < available; n++)
        printf(" %02x", bytes[n]);
    printf("\n");
}

static void fill(u8 *bytes, unsigned from)
{
    for (unsigned n = from; n < INSN_MAX_BYTES; n++)
        bytes[n] = rand() % 4 ? (u8)rand() : (u8)(rand() % 2 ? 0 : 0x80);
}

/* Prefix, opcode map, opcode and ModRM. Returns how many bytes these are. */
static unsigned begin(u8 *bytes, const char *prefix, const char *map, unsigned opcode_modrm)
{
    unsigned at = (unsigned)strlen(prefix), map_bytes = (unsigned)strlen(map);
    memcpy(bytes, prefix, at);
    memcpy(bytes + at, map, map_bytes);
    at += map_bytes;
    bytes[at++] = (u8)(opcode_modrm >> 8);
    bytes[at++] = (u8)opcode_modrm;
    return at;
}

/* Every opcode with every ModRM and a few prefixes, three times: to learn ModRM, to learn the shape, to use
 * it. */
static void test_all(void)
{
    static const char *const prefixes[] = {"",         "\x66", "\xf2",     "\xf3",        "\xf0",
                                           "\x64",     "\x2e", "\x66\x65", "\xf0\x66",    "\x36\xf3",
                                           "\x65\x26", "\x67", "\x66\x67", "\x66\x66\x2e"};
    static const char *const maps[] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (unsigned map = 0; map < ARRAY_SIZE(maps); map++)
            for (unsigned opcode_modrm = 0; opcode_modrm < 65536 * 3; opcode_modrm += p < 2 ? 1 : 7) {
                u8 bytes[INSN_MAX_BYTES];
                unsigned at = begin(bytes, prefixes[p], maps[map], opcode_modrm / 3);
                fill(bytes, at);
                check_bytes(bytes, INSN_MAX_BYTES, CODE_32);
            }
}

/* The same in 64-bit code, with REX prefixes. */
static void test_code64(void)
{
    static const char *const prefixes[] = {"",         "\x66", "\xf3",     "\x48", "\x41",     "\x44",
                                           "\x42",     "\x4f", "\x4d",     "\x40", "\x66\x41", "\xf2\x48",
                                           "\x65\x48", "\x67", "\x48\x66", "\x64"};
    static const char *const maps[] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
    memset(&memo, 0, sizeof memo);
    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (unsigned map = 0; map < ARRAY_SIZE(maps); map++)
            for (unsigned opcode_modrm = 0; opcode_modrm < 65536 * 3; opcode_modrm += map < 2 ? 3 : 17) {
                u8 bytes[INSN_MAX_BYTES];
                unsigned at = begin(bytes, prefixes[p], maps[map], opcode_modrm / 3);
                for (unsigned n = 0; n < 3; n++) {
                    fill(bytes, at);
                    check_bytes(bytes, INSN_MAX_BYTES, CODE_64);
                }
            }
}

static void test_random(void)
{
    for (unsigned n = 0; n < 300000; n++) {
        u8 bytes[INSN_MAX_BYTES];
        fill(bytes, 0);
        check_bytes(bytes, n % 16 ? INSN_MAX_BYTES : (unsigned)rand() % INSN_MAX_BYTES,
                    n % 8 == 0 ? CODE_16
                    : n % 2    ? CODE_32
                               : CODE_64);
    }
}

/* What compilers write is decoded from scratch once a shape. */
static void test_common(void)
{
    static const struct {
        const char *bytes;
        u8 length;
    } rows[] = {
#define ROW(text) {text, sizeof(text) - 1}
        ROW("\x89\xd8"),
        ROW("\x8b\x45\xfc"),
        ROW("\x8d\x74\x26"),
        ROW("\x8d\x83\x10"),
        ROW("\xe8"),
        ROW("\x74"),
        ROW("\x0f\x84"),
        ROW("\x55"),
        ROW("\xc3"),
        ROW("\x83\xec"),
        ROW("\x81\x7c\x24\x10"),
        ROW("\xc7\x44\x24\x04"),
        ROW("\xc1\xe0"),
        ROW("\xa1"),
        ROW("\x64\xa1"),
        ROW("\xa3"),
        ROW("\x64\x8b\x15"),
        ROW("\x0f\xb6\x03"),
        ROW("\x66\x89\x43"),
        ROW("\xf0\x0f\xb1\x11"),
        ROW("\x6b\xc0"),
        ROW("\x68"),
        ROW("\x6a"),
        ROW("\xff\x24\x85"),
        ROW("\x66\x0f\x6f\x06"),
        ROW("\xf3\xab"),
        ROW("\x0f\x45\xc2"),
        ROW("\xd9\x45"),
        ROW("\xb8"),
        ROW("\xf7\xc6"),
        ROW("\xff\x15"),
        ROW("\xd1\xe8"),
        ROW("\x3e\x8d\x74\x26"),
        ROW("\x2e\x8b\x44\x24"),
#undef ROW
    };
    memset(&memo, 0, sizeof memo);
    for (unsigned r = 0; r < ARRAY_SIZE(rows); r++) {
        u64 before = 0;
        for (unsigned n = 0; n < 10; n++) {
            u8 bytes[INSN_MAX_BYTES];
            memcpy(bytes, rows[r].bytes, rows[r].length);
            fill(bytes, rows[r].length);
            if (n == 2) before = counters.decodes;
            check_bytes(bytes, INSN_MAX_BYTES, CODE_32);
        }
        CHECK_EQ(counters.decodes, before);
        if (counters.decodes != before) printf("  row %u\n", r);
    }
}

int main(void)
{
    srand(1);
    test_all();
    test_random();
    test_code64();
    test_common();
    return check_report();
}
