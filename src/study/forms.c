#include "forms.h"

#include <string.h>

const struct form_example form_examples[] = {
#define FORM(name, code, ...)                                                                                \
    {                                                                                                        \
        .form = (name), .bytes = code, .length = sizeof(code) - 1, __VA_ARGS__                               \
    }
    FORM("CLI", "\xfa"),
    FORM("STI", "\xfb", .traits = FORM_IF_CLEAR),
    FORM("PUSHF", "\x66\x9c", .traits = FORM_IF_CLEAR | FORM_ROBIN),
    FORM("PUSHFD", "\x9c", .traits = FORM_IF_CLEAR | FORM_ROBIN),
    FORM("POPF", "\x66\x9d", .traits = FORM_ROBIN, .words = {VALUE_FLAGS}),
    FORM("POPFD", "\x9d", .traits = FORM_ROBIN, .words = {VALUE_FLAGS}),
    FORM("MOV SS, r/m16", "\x8e\xd0", .traits = FORM_ROBIN, .eax = VALUE_SS),
    FORM("MOV Sreg, r/m16", "\x8e\xd8", .traits = FORM_ROBIN, .eax = VALUE_SS),
    FORM("MOV Sreg, r/m16", "\x8e\x1e", .traits = FORM_ROBIN | FORM_MEMORY, .words = {VALUE_SS}),
    FORM("MOV r/m16, Sreg", "\x8c\xc8", .traits = FORM_ROBIN),
    FORM("MOV r/m16, Sreg", "\x8c\x0e", .traits = FORM_ROBIN | FORM_MEMORY),
    FORM("PUSH Sreg", "\x0e", .traits = FORM_ROBIN | FORM_COMPAT),
    FORM("PUSH Sreg", "\x0f\xa0", .traits = FORM_ROBIN),
    FORM("POP SS", "\x17", .traits = FORM_ROBIN | FORM_COMPAT, .words = {VALUE_SS}),
    FORM("POP Sreg", "\x1f", .traits = FORM_ROBIN | FORM_COMPAT, .words = {VALUE_SS}),
    FORM("POP Sreg", "\x0f\xa1", .traits = FORM_ROBIN, .words = {VALUE_SS}),
    FORM("LDS", "\xc5\x1e", .traits = FORM_COMPAT | FORM_MEMORY, .words = {1, VALUE_SS}),
    FORM("LES", "\xc4\x1e", .traits = FORM_COMPAT | FORM_MEMORY, .words = {1, VALUE_SS}),
    FORM("LFS", "\x0f\xb4\x1e", .traits = FORM_MEMORY, .words = {1, VALUE_SS}),
    FORM("LGS", "\x0f\xb5\x1e", .traits = FORM_MEMORY, .words = {1, VALUE_SS}),
    FORM("LSS", "\x0f\xb2\x1e", .traits = FORM_MEMORY, .words = {1, VALUE_SS}),
    FORM("JMP far", "\xff\x2e", .traits = FORM_ROBIN | FORM_MEMORY, .words = {VALUE_NEXT, VALUE_CS}),
    FORM("JMP far", "\x66\xff\x2e", .traits = FORM_ROBIN | FORM_MEMORY, .words = {VALUE_NEXT, VALUE_CS}),
    FORM("CALL far", "\xff\x1e", .traits = FORM_RETURN | FORM_ROBIN | FORM_MEMORY,
         .words = {VALUE_NEXT, VALUE_CS}),
    FORM("RET far", "\xcb", .traits = FORM_ROBIN, .words = {VALUE_NEXT, VALUE_CS}),
    FORM("INT n", "\xcd\x20", .traits = FORM_ROBIN),
    FORM("INT1", "\xf1"),
    FORM("INT3", "\xcc"),
    FORM("INTO", "\xce", .traits = FORM_COMPAT | FORM_OVERFLOW),
    FORM("IRET", "\x66\xcf", .words = {VALUE_NEXT, VALUE_CS, VALUE_FLAGS, VALUE_STACK, VALUE_SS}),
    FORM("IRETD", "\xcf", .words = {VALUE_NEXT, VALUE_CS, VALUE_FLAGS, VALUE_STACK, VALUE_SS}),
    FORM("SYSENTER", "\x0f\x34", .eax = 0xffffffff - 0x100),
    FORM("SYSEXIT", "\x0f\x35"),
    FORM("IN", "\xe4\x80"),
    FORM("IN", "\xed"),
    FORM("OUT", "\xe6\x80"),
    FORM("OUT", "\xef"),
    FORM("INSB", "\x6c"),
    FORM("INSW", "\x66\x6d"),
    FORM("INSD", "\x6d"),
    FORM("OUTSB", "\x6e"),
    FORM("OUTSW", "\x66\x6f"),
    FORM("OUTSD", "\x6f"),
    FORM("ARPL", "\x63\xc8", .traits = FORM_COMPAT, .eax = 1, .ecx = 3),
    FORM("LAR", "\x0f\x02\xd0", .traits = FORM_ROBIN, .eax = 0x10),
    FORM("LSL", "\x0f\x03\xd0", .traits = FORM_ROBIN, .eax = 0x10),
    FORM("VERR", "\x0f\x00\xe0", .traits = FORM_ROBIN, .eax = 0x10),
    FORM("VERW", "\x0f\x00\xe8", .traits = FORM_ROBIN, .eax = 0x10),
    FORM("SGDT", "\x0f\x01\x06", .traits = FORM_ROBIN | FORM_MEMORY),
    FORM("SIDT", "\x0f\x01\x0e", .traits = FORM_ROBIN | FORM_MEMORY),
    FORM("SLDT", "\x0f\x00\xc0", .traits = FORM_ROBIN),
    FORM("STR", "\x0f\x00\xc8", .traits = FORM_ROBIN),
    FORM("SMSW", "\x0f\x01\xe0", .traits = FORM_ROBIN),
    FORM("LGDT", "\x0f\x01\x16", .traits = FORM_MEMORY),
    FORM("LIDT", "\x0f\x01\x1e", .traits = FORM_MEMORY),
    FORM("LLDT", "\x0f\x00\xd0"),
    FORM("LTR", "\x0f\x00\xd8", .eax = 0x68),
    FORM("MOV CRn, r32", "\x0f\x22\xd8", .eax = 0x5000),
    FORM("MOV r32, CRn", "\x0f\x20\xc0"),
    FORM("MOV DRn, r32", "\x0f\x23\xc0", .eax = 0x1000),
    FORM("MOV r32, DRn", "\x0f\x21\xc0"),
    FORM("CLTS", "\x0f\x06"),
    FORM("LMSW", "\x0f\x01\xf0", .eax = 1),
    FORM("INVLPG", "\x0f\x01\x3e", .traits = FORM_MEMORY),
    FORM("INVPCID", "\x66\x0f\x38\x82\x06", .traits = FORM_MEMORY | FORM_LONG, .eax = 2),
    FORM("INVD", "\x0f\x08"),
    FORM("WBINVD", "\x0f\x09"),
    FORM("HLT", "\xf4"),
    FORM("RDMSR", "\x0f\x32", .ecx = 0x174),
    FORM("WRMSR", "\x0f\x30", .ecx = 0x174),
    FORM("RDTSC", "\x0f\x31"),
    FORM("RDTSCP", "\x0f\x01\xf9"),
    FORM("RDPMC", "\x0f\x33", .traits = FORM_ABSENT),
    FORM("CPUID", "\x0f\xa2", .eax = 1),
    FORM("XGETBV", "\x0f\x01\xd0"),
    FORM("XSETBV", "\x0f\x01\xd1", .eax = XCR0_X87 | XCR0_SSE),
    /* 64-bit mode. */
    FORM("PUSHFQ", "\x9c", .traits = FORM_LONG | FORM_IF_CLEAR),
    FORM("POPFQ", "\x9d", .traits = FORM_LONG, .words = {VALUE_FLAGS}),
    FORM("IRETQ", "\x48\xcf", .traits = FORM_LONG,
         .words = {VALUE_NEXT, VALUE_CS, VALUE_FLAGS, VALUE_STACK, VALUE_SS}),
    FORM("SYSCALL", "\x0f\x05", .traits = FORM_LONG, .eax = FORM_NO_SYSTEM_CALL),
    FORM("SYSRET", "\x0f\x07", .traits = FORM_LONG),
    FORM("SWAPGS", "\x0f\x01\xf8", .traits = FORM_LONG),
    FORM("RDFSBASE", "\xf3\x0f\xae\xc0", .traits = FORM_LONG),
    FORM("RDGSBASE", "\xf3\x0f\xae\xc8", .traits = FORM_LONG),
    FORM("WRFSBASE", "\xf3\x0f\xae\xd0", .traits = FORM_LONG | FORM_OWN),
    FORM("WRGSBASE", "\xf3\x0f\xae\xd8", .traits = FORM_LONG | FORM_OWN),
    /* Innocuous forms. */
    FORM("ADD", "\x01\xc8", .traits = FORM_ORDINARY, .eax = 5, .ecx = 7),
    FORM("MOV", "\x89\xc8", .traits = FORM_ORDINARY, .ecx = 7),
    FORM("MOV", "\x89\x0e", .traits = FORM_ORDINARY | FORM_MEMORY, .ecx = 7),
    FORM("XCHG", "\x91", .traits = FORM_ORDINARY, .eax = 5, .ecx = 7),
    FORM("CMPXCHG m, r", "\x0f\xb1\x0e", .traits = FORM_ORDINARY | FORM_MEMORY, .ecx = 7),
    FORM("BT m, r", "\x0f\xa3\x06", .traits = FORM_ORDINARY | FORM_MEMORY, .eax = 3, .words = {8}),
    FORM("LEA", "\x8d\x0e", .traits = FORM_ORDINARY | FORM_MEMORY),
    FORM("PUSH", "\x50", .traits = FORM_ORDINARY, .eax = 9),
    FORM("POP", "\x58", .traits = FORM_ORDINARY, .words = {7}),
    FORM("CLD", "\xfc", .traits = FORM_ORDINARY),
    FORM("LAHF", "\x9f", .traits = FORM_ORDINARY),
    FORM("JZ", "\x74\x00", .traits = FORM_ORDINARY),
    FORM("JMP", "\xeb\x00", .traits = FORM_ORDINARY),
    FORM("CALL", "\xe8\0\0\0\0", .traits = FORM_ORDINARY | FORM_RETURN),
    FORM("RET", "\xc3", .traits = FORM_ORDINARY, .words = {VALUE_NEXT}),
    FORM("NOP", "\x90", .traits = FORM_ORDINARY),
#undef FORM
};

const unsigned form_example_count = ARRAY_SIZE(form_examples);

u32 form_value(const struct form_context *c, u32 value)
{
    switch (value) {
    case VALUE_CS: return c->cs;
    case VALUE_SS: return c->ss;
    case VALUE_NEXT: return c->next;
    case VALUE_FLAGS: return c->flags;
    case VALUE_STACK: return c->stack_pointer;
    default: return value;
    }
}

void form_put_words(const struct form_example *e, const struct form_context *c)
{
    for (unsigned n = 0; n < FORM_WORDS; n++) {
        u64 value = form_value(c, e->words[n]);
        memcpy(c->memory + n * c->bytes, &value, c->bytes);
        memcpy(c->stack + n * c->bytes, &value, c->bytes);
    }
}

unsigned form_decode(const struct form_example *e, enum code_size size, struct insn *i, u8 *bytes)
{
    unsigned n = 0;
    memset(bytes, 0, INSN_MAX_BYTES);
    if (size == CODE_16 && (e->traits & FORM_MEMORY)) bytes[n++] = 0x67;
    memcpy(bytes + n, e->bytes, e->length);
    insn_decode(i, bytes, INSN_MAX_BYTES, size);
    return n + e->length;
}
