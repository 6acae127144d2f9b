#include "peek.h"

#include "cpu/insn.h"
#include "cpu/isa.h"

/* Can the flags be seen only through what the instruction reads? Then it enters no handler by its nature, and control
 * goes on behind it. */
static bool goes_on(const struct insn *i)
{
    return isa_is_innocuous(i->row) && !(i->prefixes & PFX_LOCK);
}

static enum peek_effect effect_of(const struct insn *i)
{
    if (!goes_on(i) || i->flags_read) return PEEK_UNKNOWN;
    return i->flags_killed == FL_ARITH ? PEEK_KILLS : PEEK_KEEPS;
}

/* Make an entry from the decoder's digest of an example: [EAX] or EAX as operand, zeros behind it. */
static struct peek_entry make_entry(struct vcpu *v, unsigned width, bool size16, bool two_byte, u8 opcode,
                                    u8 modrm)
{
    u8 bytes[INSN_MAX_BYTES] = {0};
    unsigned n = 0;
    if (size16) bytes[n++] = 0x66;
    if (width == PEEK_REX_W) bytes[n++] = 0x48;
    if (two_byte) bytes[n++] = 0x0f;
    bytes[n++] = opcode;
    bytes[n] = modrm & (modrm >= 0xc0 ? 0xf8 : 0x38);
    struct insn i;
    struct peek_entry entry = {.made = true, .effect = PEEK_UNKNOWN};
    fpu_shelter(v);
    int length = insn_decode(&i, bytes, sizeof(bytes), width == PEEK_CODE32 ? CODE_32 : CODE_64);
    /* Reject prefixes and escapes to other maps. */
    if (length <= 0 || i.encoding != ENC_LEGACY || i.map != two_byte || i.opcode_offset != n - 1)
        return entry;
    /* In x87 instructions without a memory operand, ModRM.rm is part of the opcode. */
    bool rm_matters = (i.row->traits & ISA_FPU) && modrm >= 0xc0;
    if (!rm_matters) entry.effect = (u8)effect_of(&i);
    entry.has_modrm = i.has_modrm;
    entry.behind = (u8)((unsigned)length - n - i.has_modrm);
    return entry;
}

/* Length of ModRM, SIB and displacement with 32-bit addresses; 0: more than `left`. */
static unsigned modrm_bytes(const u8 *bytes, unsigned left)
{
    if (!left) return 0;
    unsigned mod = bytes[0] >> 6, rm = bytes[0] & 7, length = 1;
    if (mod == 3) return 1;
    if (rm == 4) {
        if (left < 2) return 0;
        length++;
        if (mod == 0 && (bytes[1] & 7) == 5) length += 4;
    } else if (mod == 0 && rm == 5) {
        length += 4;
    }
    length += mod == 1 ? 1 : mod == 2 ? 4 : 0;
    return length <= left ? length : 0;
}

static const struct peeked unknown = {PEEK_UNKNOWN, 0};

struct peeked peek_one(struct peek_table *table, struct vcpu *v, const u8 *bytes, unsigned left, bool code64)
{
    unsigned at = 0, width = code64 ? PEEK_CODE64 : PEEK_CODE32;
    bool size16 = left && bytes[0] == 0x66;
    at += size16;
    if (at < left && (bytes[at] == 0x64 || bytes[at] == 0x65)) at++; /* FS, GS */
    if (code64 && at < left && (bytes[at] & 0xf0) == 0x40 && bytes[at++] & 8) width = PEEK_REX_W;
    bool two_byte = at < left && bytes[at] == 0x0f;
    at += two_byte;
    if (at >= left) return unknown;
    u8 opcode = bytes[at++], modrm = at < left ? bytes[at] : 0;
    struct peek_entry *entry = &table->entry[width][size16][two_byte][opcode][modrm >= 0xc0][modrm >> 3 & 7];
    if (unlikely(!entry->made)) *entry = make_entry(v, width, size16, two_byte, opcode, modrm);
    if (entry->effect == PEEK_UNKNOWN) return unknown;
    if (entry->has_modrm) {
        unsigned more = modrm_bytes(bytes + at, left - at);
        if (!more) return unknown;
        at += more;
    }
    at += entry->behind;
    if (at > left) return unknown;
    return (struct peeked){entry->effect, at};
}

#define MOST_INSTRUCTIONS 8

bool peek_flags_die(struct peek_table *table, struct vcpu *v, const u8 *page, unsigned at, bool code64,
                    unsigned *last)
{
    for (unsigned n = 0; n < MOST_INSTRUCTIONS; n++) {
        struct peeked p = peek_one(table, v, page + at, PAGE_SIZE - at, code64);
        if (p.effect == PEEK_UNKNOWN) return false;
        at += p.length;
        *last = at - 1;
        if (p.effect == PEEK_KILLS) return true;
    }
    return false;
}
