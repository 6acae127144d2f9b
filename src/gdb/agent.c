#include "gdb_private.h"

#include <string.h>

/* --- the list --- */

bool conditions_add(struct conditions *c, u64 linear, const u8 *code, u32 bytes)
{
    if (c->count == CONDITIONS_MAX || c->used + bytes > CONDITION_BYTES) return false;
    c->condition[c->count++] = (struct condition){linear, c->used, bytes};
    memcpy(c->code + c->used, code, bytes);
    c->used += bytes;
    return true;
}

void conditions_remove(struct conditions *c, u64 linear)
{
    for (u32 n = 0; n < c->count;) {
        struct condition gone = c->condition[n];
        if (gone.linear != linear) {
            n++;
            continue;
        }
        memmove(c->code + gone.at, c->code + gone.at + gone.bytes, c->used - gone.at - gone.bytes);
        c->used -= gone.bytes;
        c->condition[n] = c->condition[--c->count];
        for (u32 k = 0; k < c->count; k++)
            if (c->condition[k].at > gone.at) c->condition[k].at -= gone.bytes;
    }
}

/* --- the machine --- */

struct agent {
    struct gdb *gdb;
    const u8 *code;
    u32 bytes, at;
    u64 stack[AGENT_STACK_ELEMENTS];
    u32 depth;
    bool failed;
};

static void push(struct agent *a, u64 value)
{
    if (a->depth == AGENT_STACK_ELEMENTS)
        a->failed = true;
    else
        a->stack[a->depth++] = value;
}

static u64 pop(struct agent *a)
{
    if (a->depth) return a->stack[--a->depth];
    a->failed = true;
    return 0;
}

/* The operand of an instruction: big-endian. */
static u64 operand(struct agent *a, u32 bytes)
{
    u64 value = 0;
    if (a->at + bytes > a->bytes) {
        a->failed = true;
        return 0;
    }
    while (bytes--)
        value = value << 8 | a->code[a->at++];
    return value;
}

static u64 sign_extend(u64 value, u64 bits)
{
    return bits && bits < 64 ? (u64)((s64)(value << (64 - bits)) >> (64 - bits)) : value;
}

static u64 zero_extend(u64 value, u64 bits)
{
    return bits < 64 ? value & ((1ull << bits) - 1) : value;
}

static void reference(struct agent *a, u32 bytes)
{
    u64 value = 0;
    if (!gdb_memory(a->gdb, pop(a), &value, bytes, false)) a->failed = true;
    push(a, value);
}

static void reg(struct agent *a)
{
    u8 bytes[REGISTER_MOST_BYTES] = {0};
    u64 value, number = operand(a, 2);
    if (number >= registers_count(a->gdb->wide, a->gdb->vectors)) {
        a->failed = true;
        return;
    }
    register_read(&a->gdb->vm->vcpu, a->gdb->wide, (unsigned)number, bytes);
    memcpy(&value, bytes, sizeof(value));
    push(a, value);
}

static u64 divide(struct agent *a, u64 x, u64 y, bool is_signed, bool remainder)
{
    if (!y || (is_signed && y == UINT64_MAX && x == 1ull << 63)) {
        a->failed = true;
        return 0;
    }
    if (is_signed) return (u64)(remainder ? (s64)x % (s64)y : (s64)x / (s64)y);
    return remainder ? x % y : x / y;
}

/* Opcodes, by the manual's section "Bytecode Descriptions". */
enum agent_opcode {
    AGENT_ADD = 0x02,
    AGENT_SUB,
    AGENT_MUL,
    AGENT_DIV_SIGNED,
    AGENT_DIV_UNSIGNED,
    AGENT_REM_SIGNED,
    AGENT_REM_UNSIGNED,
    AGENT_LSH,
    AGENT_RSH_SIGNED,
    AGENT_RSH_UNSIGNED,
    AGENT_LOG_NOT = 0x0e,
    AGENT_BIT_AND,
    AGENT_BIT_OR,
    AGENT_BIT_XOR,
    AGENT_BIT_NOT,
    AGENT_EQUAL,
    AGENT_LESS_SIGNED,
    AGENT_LESS_UNSIGNED,
    AGENT_EXT,
    AGENT_REF8,
    AGENT_REF16,
    AGENT_REF32,
    AGENT_REF64,
    AGENT_IF_GOTO = 0x20,
    AGENT_GOTO,
    AGENT_CONST8,
    AGENT_CONST16,
    AGENT_CONST32,
    AGENT_CONST64,
    AGENT_REG,
    AGENT_END,
    AGENT_DUP,
    AGENT_POP,
    AGENT_ZERO_EXT,
    AGENT_SWAP,
    AGENT_PICK = 0x32,
    AGENT_ROT,
};

static u64 two_operands(struct agent *a, enum agent_opcode opcode, u64 x, u64 y)
{
    switch (opcode) {
    case AGENT_ADD: return x + y;
    case AGENT_SUB: return x - y;
    case AGENT_MUL: return x * y;
    case AGENT_DIV_SIGNED: return divide(a, x, y, true, false);
    case AGENT_DIV_UNSIGNED: return divide(a, x, y, false, false);
    case AGENT_REM_SIGNED: return divide(a, x, y, true, true);
    case AGENT_REM_UNSIGNED: return divide(a, x, y, false, true);
    case AGENT_LSH: return y < 64 ? x << y : 0;
    case AGENT_RSH_SIGNED: return (u64)((s64)x >> (y < 64 ? y : 63));
    case AGENT_RSH_UNSIGNED: return y < 64 ? x >> y : 0;
    case AGENT_BIT_AND: return x & y;
    case AGENT_BIT_OR: return x | y;
    case AGENT_BIT_XOR: return x ^ y;
    case AGENT_EQUAL: return x == y;
    case AGENT_LESS_SIGNED: return (s64)x < (s64)y;
    case AGENT_LESS_UNSIGNED: return x < y;
    default: a->failed = true; return 0;
    }
}

static void shuffle(struct agent *a, enum agent_opcode opcode)
{
    u64 top = pop(a), second, third;
    switch (opcode) {
    case AGENT_DUP:
        push(a, top);
        push(a, top);
        break;
    case AGENT_SWAP:
        second = pop(a);
        push(a, top);
        push(a, second);
        break;
    case AGENT_ROT: /* a b c -> c a b */
        second = pop(a);
        third = pop(a);
        push(a, top);
        push(a, third);
        push(a, second);
        break;
    default: break; /* AGENT_POP */
    }
}

static void pick(struct agent *a)
{
    u64 n = operand(a, 1);
    if (n >= a->depth)
        a->failed = true;
    else
        push(a, a->stack[a->depth - 1 - n]);
}

/* Returns whether the expression goes on. */
static bool agent_step(struct agent *a)
{
    enum agent_opcode opcode = (enum agent_opcode)operand(a, 1);
    u64 x, y;
    if (a->failed) return false;
    switch (opcode) {
    case AGENT_END: return false;
    case AGENT_CONST8: push(a, operand(a, 1)); break;
    case AGENT_CONST16: push(a, operand(a, 2)); break;
    case AGENT_CONST32: push(a, operand(a, 4)); break;
    case AGENT_CONST64: push(a, operand(a, 8)); break;
    case AGENT_REG: reg(a); break;
    case AGENT_REF8: reference(a, 1); break;
    case AGENT_REF16: reference(a, 2); break;
    case AGENT_REF32: reference(a, 4); break;
    case AGENT_REF64: reference(a, 8); break;
    case AGENT_EXT: push(a, sign_extend(pop(a), operand(a, 1))); break;
    case AGENT_ZERO_EXT: push(a, zero_extend(pop(a), operand(a, 1))); break;
    case AGENT_LOG_NOT: push(a, !pop(a)); break;
    case AGENT_BIT_NOT: push(a, ~pop(a)); break;
    case AGENT_PICK: pick(a); break;
    case AGENT_DUP:
    case AGENT_POP:
    case AGENT_SWAP:
    case AGENT_ROT: shuffle(a, opcode); break;
    case AGENT_IF_GOTO:
        x = operand(a, 2);
        if (pop(a)) a->at = (u32)x;
        break;
    case AGENT_GOTO: a->at = (u32)operand(a, 2); break;
    default:
        y = pop(a);
        x = pop(a);
        push(a, two_operands(a, opcode, x, y));
    }
    return !a->failed;
}

static bool evaluate(struct gdb *gdb, const u8 *code, u32 bytes)
{
    struct agent a = {.gdb = gdb, .code = code, .bytes = bytes};
    for (u32 n = 0; n < AGENT_STEPS_MAX; n++)
        if (!agent_step(&a)) return a.failed || pop(&a);
    return false;
}

bool conditions_hold(struct gdb *gdb, u64 linear)
{
    const struct conditions *c = &gdb->conditions;
    bool any = false;
    for (u32 n = 0; n < c->count; n++) {
        if (c->condition[n].linear != linear) continue;
        any = true;
        if (evaluate(gdb, c->code + c->condition[n].at, c->condition[n].bytes)) return true;
    }
    return !any;
}
