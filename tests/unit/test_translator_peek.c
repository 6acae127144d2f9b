/*
 * Compares the look-ahead's table with the decoder: each instruction in the table has the length that Zydis finds,
 * reads no flags, and kills all flags if the table says so. An entry is made from one example, so this tries all
 * others. Hazard: flags that are dropped although an instruction reads them.
 */
#include "check.h"
#include "cpu/insn.h"
#include "translator/peek.h"

#include <string.h>

static unsigned known;
static struct peek_table table;
static struct vcpu vcpu;
static bool code64;

static void compare(const u8 *bytes)
{
    struct peeked p = peek_one(&table, &vcpu, bytes, INSN_MAX_BYTES, code64);
    if (p.effect == PEEK_UNKNOWN) return;
    struct insn i;
    int length = insn_decode(&i, bytes, INSN_MAX_BYTES, code64 ? CODE_64 : CODE_32);
    bool right =
        length == (int)p.length && !i.flags_read && (p.effect != PEEK_KILLS || i.flags_killed == FL_ARITH);
    if (!right)
        printf("%02x %02x %02x: length %u, decoder says %d\n", bytes[0], bytes[1], bytes[2], p.length,
               length);
    CHECK(right);
    known++;
}

/* Every ModRM and a few SIBs behind every opcode, with and without prefixes. */
static void all_of(const u8 *start, unsigned length)
{
    static const u8 sibs[] = {0x00, 0x05, 0x24, 0x25, 0x9d};
    for (unsigned modrm = 0; modrm < 256; modrm++)
        for (unsigned s = 0; s < ARRAY_SIZE(sibs); s++) {
            u8 bytes[INSN_MAX_BYTES] = {0};
            memcpy(bytes, start, length);
            bytes[length] = (u8)modrm;
            bytes[length + 1] = sibs[s];
            compare(bytes);
        }
}

static void opcodes_after(const u8 *prefix, unsigned length)
{
    u8 start[8];
    memcpy(start, prefix, length);
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        start[length] = (u8)opcode;
        all_of(start, length + 1);
        start[length] = 0x0f;
        start[length + 1] = (u8)opcode;
        all_of(start, length + 2);
    }
}

/* decode.c counts on it. */
static void check_host_clears_af(void)
{
    u64 flags[4];
#define AF_AFTER(n, op)                                                                                      \
    __asm__("mov $0x1000, %%eax; sahf; mov $3, %%eax; " op " $1, %%eax; pushfq; pop %0"                      \
            : "=r"(flags[n])                                                                                 \
            :                                                                                                \
            : "rax", "cc")
    AF_AFTER(0, "and");
    AF_AFTER(1, "or");
    AF_AFTER(2, "xor");
    AF_AFTER(3, "test");
#undef AF_AFTER
    for (unsigned n = 0; n < 4; n++)
        CHECK(!(flags[n] & FL_AF));
}

static void check_walk(void)
{
    u8 page[PAGE_SIZE] = {0x89, 0xc3, 0x50, 0x31, 0xc0, 0x74}; /* mov push xor; jz */
    unsigned last = 0;
    CHECK(peek_flags_die(&table, &vcpu, page, 0, false, &last));
    CHECK_EQ(last, 4);
    CHECK(!peek_flags_die(&table, &vcpu, page, 5, false, &last));
    page[PAGE_SIZE - 2] = 0x89; /* mov ecx, ecx, and the page ends */
    page[PAGE_SIZE - 1] = 0xc9;
    CHECK(!peek_flags_die(&table, &vcpu, page, PAGE_SIZE - 2, false, &last));
}

int main(void)
{
    opcodes_after((const u8 *)"", 0);
    opcodes_after((const u8 *)"\x66", 1);
    opcodes_after((const u8 *)"\x65", 1);
    opcodes_after((const u8 *)"\x66\x64", 2);
    CHECK(known > 100000);
    code64 = true;
    known = 0;
    opcodes_after((const u8 *)"", 0);
    opcodes_after((const u8 *)"\x48", 1);
    opcodes_after((const u8 *)"\x45", 1);
    opcodes_after((const u8 *)"\x4f", 1);
    opcodes_after((const u8 *)"\x66\x41", 2);
    opcodes_after((const u8 *)"\x66\x48", 2);
    opcodes_after((const u8 *)"\x65\x4c", 2);
    CHECK(known > 100000);
    check_host_clears_af();
    check_walk();
    return check_report();
}
