/*
 * The outcome of one instruction in an experiment, on the host CPU or on a guest's.
 */
#ifndef RINGER_STUDY_OUTCOME_H
#define RINGER_STUDY_OUTCOME_H

#include "base/types.h"

/* Bits for the parts in which two outcomes can differ. */
enum outcome_part {
    PART_TRAP = 1 << 0,      /* one trapped, or with another vector */
    PART_REGISTERS = 1 << 1, /* EAX, ECX, EDX, EBX */
    PART_MEMORY = 1 << 2,    /* the operand in memory */
    PART_STACK = 1 << 3,     /* what was pushed */
    PART_FLAGS = 1 << 4,     /* ZF, CF */
    PART_IF = 1 << 5,        /* one changed the interrupt flag */
};

struct outcome {
    bool trapped;
    u8 vector; /* of the trap, or OUTCOME_NO_VECTOR: it led elsewhere and did not come back */
    /* The values that it wrote; 0 where it left a register or memory as it was. */
    u32 eax, ecx, edx, ebx;
    u8 memory[8];
    u32 pushed;
    bool if_changed, zero, carry;
    bool entered; /* went from CPL 3 to CPL 0; guests only */
    u32 control;  /* enum control_part: what else of the machine it changed; guests only */
};
#define OUTCOME_NO_VECTOR 0xff
#define OUTCOME_ENTERED   0xfe /* by SYSCALL, SYSENTER or a gate: it went to CPL 0, where the monitor is */

/* The resources of the machine that an instruction may change (Popek & Goldberg's control sensitivity). */
enum control_part {
    CONTROL_IF = 1 << 0,
    CONTROL_INHIBIT = 1 << 1, /* interrupts held off until the next instruction is done */
    CONTROL_FLAGS = 1 << 2,   /* IOPL, NT, VM, RF, AC, VIF, VIP, ID */
    CONTROL_CPL = 1 << 3,
    CONTROL_CODE = 1 << 4, /* went to another code segment or handler */
    CONTROL_CR = 1 << 5,
    CONTROL_DR = 1 << 6,
    CONTROL_TABLES = 1 << 7, /* GDTR, IDTR, LDTR, TR */
    CONTROL_MSR = 1 << 8,
    CONTROL_PORT = 1 << 9,
    CONTROL_HALT = 1 << 10,
    CONTROL_PARTS = 11,
};

/* Puts zeros where nothing was written: the example's operands need not be the same in two experiments. */
void outcome_keep_written(struct outcome *o, u32 eax_before, u32 ecx_before, const u8 memory_before[8]);

/* Which parts differ (enum outcome_part); of two traps with the same vector, none. */
u32 outcome_difference(const struct outcome *a, const struct outcome *b);

/* "registers, stack" for PART_REGISTERS | PART_STACK; "-" for none. */
const char *outcome_part_names(u32 parts, char *text, size_t bytes);
const char *outcome_control_names(u32 parts, char *text, size_t bytes);

#endif
