/*
 * String instructions without REP, the bread of C library loops: LODS, STOS, MOVS, SCAS, CMPS of 1, 2 and 4
 * bytes with 32-bit addresses. DF is tested, and where it is set the interpreter steps in. REP forms are the
 * interpreter's always: it copies by the page.
 */
#include "build.h"

#include <Zydis/Mnemonic.h>

static unsigned element_bytes(const struct insn *i)
{
    /* The low bit of the opcode tells bytes from words, A4-A7 and AA-AF. */
    return i->opcode & 1 ? i->operand_bytes : 1;
}

static bool is_simple(const struct build *b)
{
    return !(b->i->prefixes & (PFX_REP | PFX_REPNE)) && b->i->address_bytes == 4;
}

/* Backward strings are for the interpreter. */
static void require_forward(struct build *b)
{
    flags_clobber(b);
    emit_rm(&b->e, false, 0xf7, 0, mem_frame(FRAME_EFLAGS)); /* test dword [eflags], DF */
    emit32(&b->e, FL_DF);
    stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_NZ));
}

static void source_check(struct build *b, unsigned size)
{
    access_register(b, b->i->mem_seg, RSI, size);
    access_check(b, size, false);
}

static void destination_check(struct build *b, unsigned size, bool write)
{
    access_register(b, SEG_ES, RDI, size);
    access_check(b, size, write);
}

/* op reg, [r9 + r10] of 1, 2 or 4 bytes; `opcode` is the byte form's. */
static void sized(struct build *b, u8 opcode, u8 reg, unsigned size)
{
    struct host_mem mem = access_mem();
    if (size == 2) emit8(&b->e, 0x66);
    emit_rex(&b->e, false, reg, &mem, 0, false);
    emit8(&b->e, size == 1 ? opcode : opcode | 1);
    emit_modrm_mem(&b->e, reg, &mem);
}

enum { OP_STORE = 0x88, OP_LOAD = 0x8a, OP_CMP = 0x3a };

static void advance(struct build *b, u8 reg, unsigned size)
{
    emit_lea32(&b->e, reg, mem_bd(reg, (s32)size));
}

static bool emit_lods(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (!is_simple(b) || !segment_is_reachable(b, b->i->mem_seg, false)) return false;
    require_forward(b);
    source_check(b, size);
    sized(b, OP_LOAD, RAX, size);
    advance(b, RSI, size);
    return true;
}

static bool emit_stos(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (!is_simple(b) || !segment_is_reachable(b, SEG_ES, true)) return false;
    require_forward(b);
    destination_check(b, size, true);
    sized(b, OP_STORE, RAX, size);
    advance(b, RDI, size);
    return true;
}

static bool both_reachable(struct build *b, bool write)
{
    return segment_is_reachable(b, b->i->mem_seg, false) && segment_is_reachable(b, SEG_ES, write) &&
           mode_seg(b->mode, SEG_ES) != MODE_SEG_LIMITED; /* its check would use r11 */
}

static bool emit_movs(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (!is_simple(b) || !both_reachable(b, true)) return false;
    require_forward(b);
    source_check(b, size);
    sized(b, OP_LOAD, REG_TEMP, size);
    destination_check(b, size, true);
    sized(b, OP_STORE, REG_TEMP, size);
    advance(b, RSI, size);
    advance(b, RDI, size);
    return true;
}

static bool emit_scas(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (!is_simple(b) || !segment_is_reachable(b, SEG_ES, false)) return false;
    require_forward(b);
    destination_check(b, size, false);
    sized(b, OP_CMP, RAX, size);
    b->flags = FLAGS_HOST;
    advance(b, RDI, size);
    return true;
}

static bool emit_cmps(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (!is_simple(b) || !both_reachable(b, false)) return false;
    require_forward(b);
    source_check(b, size);
    sized(b, OP_LOAD, REG_TEMP, size);
    destination_check(b, size, false);
    sized(b, OP_CMP, REG_TEMP, size);
    b->flags = FLAGS_HOST;
    advance(b, RSI, size);
    advance(b, RDI, size);
    return true;
}

emit_function *string_emitter(u16 mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD: return emit_lods;
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD: return emit_stos;
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD: return emit_movs;
    case ZYDIS_MNEMONIC_SCASB:
    case ZYDIS_MNEMONIC_SCASW:
    case ZYDIS_MNEMONIC_SCASD: return emit_scas;
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD: return emit_cmps;
    default: return NULL;
    }
}
