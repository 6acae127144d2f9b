#include "peek.h"

/* Bits of a row: what follows the opcode, and what it does. */
enum {
    M = 1,     /* ModRM */
    I1 = 2,    /* 8-bit immediate */
    IV = 4,    /* 16- or 32-bit immediate, by operand size */
    I4 = 8,    /* 32-bit offset */
    KEEP = 16, /* flags neither read nor all written */
    KILL = 32, /* none read, all written */
    GROUP = 64 /* ModRM.reg decides: see group_effect() */
};

#define ALU(base)                                                                                            \
    [base] = M | KILL, [base + 1] = M | KILL, [base + 2] = M | KILL, [base + 3] = M | KILL,                  \
    [base + 4] = I1 | KILL, [base + 5] = IV | KILL

static const u8 one_byte[256] = {
    /* ADD OR AND SUB XOR CMP; ADC and SBB read CF */
    ALU(0x00),
    ALU(0x08),
    ALU(0x20),
    ALU(0x28),
    ALU(0x30),
    ALU(0x38),
    [0x40 ... 0x5f] = KEEP, /* INC DEC (CF stays) PUSH POP */
    [0x68] = IV | KEEP,
    [0x6a] = I1 | KEEP,
    [0x80] = M | I1 | GROUP,
    [0x81] = M | IV | GROUP,
    [0x83] = M | I1 | GROUP,
    [0x84 ... 0x85] = M | KILL, /* TEST */
    [0x86 ... 0x8b] = M | KEEP, /* XCHG MOV */
    [0x8d] = M | KEEP,          /* LEA */
    [0x90 ... 0x99] = KEEP,     /* XCHG with eAX, CBW, CWD */
    [0xa0 ... 0xa3] = I4 | KEEP,
    [0xa8] = I1 | KILL,
    [0xa9] = IV | KILL,
    [0xb0 ... 0xb7] = I1 | KEEP,
    [0xb8 ... 0xbf] = IV | KEEP,
    [0xc0 ... 0xc1] = M | I1 | GROUP,
    [0xc6] = M | I1 | GROUP,
    [0xc7] = M | IV | GROUP,
    [0xc9] = KEEP, /* LEAVE */
    [0xd0 ... 0xd3] = M | GROUP,
    [0xf6 ... 0xf7] = M | GROUP,
    [0xfe ... 0xff] = M | GROUP,
};
#undef ALU

static const u8 two_byte[256] = {
    [0x1f] = M | KEEP,          /* NOP */
    [0xb6 ... 0xb7] = M | KEEP, /* MOVZX */
    [0xbe ... 0xbf] = M | KEEP, /* MOVSX */
};

/* Groups 1, 2, 3, 4, 5 and 11 (SDM 2D A.4.2). */
static unsigned group_effect(u8 opcode, unsigned reg)
{
    switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x83: return reg == 2 || reg == 3 ? 0 : KILL;
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return reg == 2 || reg == 3 || reg == 6 ? 0 : KEEP; /* a count of 0 keeps them */
    case 0xc6:
    case 0xc7: return reg == 0 ? KEEP : 0;
    case 0xf6:
    case 0xf7: return reg == 2 ? KEEP : reg == 3 ? KILL : 0;
    case 0xfe: return reg <= 1 ? KEEP : 0;
    default: return reg <= 1 || reg == 6 ? KEEP : 0;
    }
}

/* Bytes of ModRM, SIB and displacement, 32-bit addresses; 0: not all there. */
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

struct peeked peek_one(const u8 *bytes, unsigned left)
{
    unsigned at = 0, row;
    bool size16 = left && bytes[0] == 0x66;
    at += size16;
    if (at < left && (bytes[at] == 0x64 || bytes[at] == 0x65)) at++; /* FS, GS */
    if (at >= left) return unknown;
    u8 opcode = bytes[at++];
    if (opcode == 0x0f) {
        if (at >= left) return unknown;
        row = two_byte[bytes[at++]];
    } else {
        row = one_byte[opcode];
    }
    if (!row) return unknown;
    if (row & M) {
        unsigned more = modrm_bytes(bytes + at, left - at);
        if (!more) return unknown;
        if (row & GROUP) row |= group_effect(opcode, (bytes[at] >> 3) & 7);
        if (opcode == 0x8d && bytes[at] >= 0xc0) return unknown; /* LEA of a register is #UD */
        at += more;
    }
    if (row & I1) at += 1;
    if (row & IV) at += size16 ? 2 : 4;
    if (row & I4) at += 4;
    if (at > left || !(row & (KEEP | KILL))) return unknown;
    return (struct peeked){row & KILL ? PEEK_KILLS : PEEK_KEEPS, at};
}

#define MOST_INSTRUCTIONS 8

bool peek_flags_die(const u8 *page, unsigned at, unsigned *last)
{
    for (unsigned n = 0; n < MOST_INSTRUCTIONS; n++) {
        struct peeked p = peek_one(page + at, PAGE_SIZE - at);
        if (p.effect == PEEK_UNKNOWN) return false;
        at += p.length;
        *last = at - 1;
        if (p.effect == PEEK_KILLS) return true;
    }
    return false;
}
