/*
 * Examples that the census and the tests of the table execute: one or more of each system-related form in the
 * instruction table, and some of other forms.
 *
 * Memory operands are at [ESI]. In 16-bit code an example with one gets an address-size prefix.
 */
#ifndef RINGER_STUDY_FORMS_H
#define RINGER_STUDY_FORMS_H

#include "cpu/insn.h"

enum form_traits {
    FORM_COMPAT = 1 << 0,   /* other or no instruction in 64-bit mode */
    FORM_MEMORY = 1 << 1,   /* has a ModRM memory operand */
    FORM_OVERFLOW = 1 << 2, /* OF is set before */
    FORM_ABSENT = 1 << 3,   /* #GP(0) even where it is allowed: no model has its counter */
    FORM_ROBIN = 1 << 4,    /* of the seventeen of Robin & Irvine (2000), table 1 */
    FORM_ORDINARY = 1 << 5, /* an ordinary instruction: the control group of the experiment */
    FORM_IF_CLEAR = 1 << 6, /* the guest's kernel has cleared IF before */
    /* Pushes a return address last, which is not compared; the values pushed before are. */
    FORM_RETURN = 1 << 7,
    FORM_LONG = 1 << 8, /* an instruction in 64-bit mode alone */
    FORM_OWN = 1 << 9,  /* changes the process's own base of FS or GS where user code may */
};

/* EAX of the example of SYSCALL: no system call of Linux has this number. */
#define FORM_NO_SYSTEM_CALL 0xffffff

/* Values that depend on the mode: selectors of the current code and stack segment, the address to return to, flags,
 * and the stack pointer. */
enum { VALUE_CS = 0xfffffff0, VALUE_SS, VALUE_NEXT, VALUE_FLAGS, VALUE_STACK };
enum { FORM_WORDS = 5 };

struct form_example {
    const char *form;
    u8 bytes[8];
    u8 length;
    u16 traits;
    u32 eax, ecx;
    /* At [ESI] and at [ESP]: each of the operand size, the selector of a pointer too. */
    u32 words[FORM_WORDS];
};

extern const struct form_example form_examples[];
extern const unsigned form_example_count;

/* The example's bytes for code of this size, decoded; bytes[] has room for INSN_MAX_BYTES. */
unsigned form_decode(const struct form_example *e, enum code_size size, struct insn *i, u8 *bytes);

/* Puts the example's words (VALUE_... replaced by these) at both addresses. */
struct form_context {
    u32 cs, ss, next, flags, stack_pointer;
    unsigned bytes; /* of a word */
    u8 *memory, *stack;
};
u32 form_value(const struct form_context *c, u32 value);
void form_put_words(const struct form_example *e, const struct form_context *c);

#endif
