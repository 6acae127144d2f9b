/*
 * Guest code beside its translation: the translator's own blocks, with the treatment of each instruction and the
 * reason.
 */
#ifndef RINGER_STUDY_EXPLAIN_H
#define RINGER_STUDY_EXPLAIN_H

#include "guest_code.h"

#include <stdio.h>

struct isa_row;

/* How a guest instruction was translated. */
enum explain_mark {
    MARK_IDENTICAL, /* the same bytes on the host */
    MARK_REWRITTEN, /* the same instruction with its memory operand or ESP redirected */
    MARK_BRANCH,    /* a transfer of control: edges, the shadow return stack, the jump table */
    MARK_INLINE,    /* emulated by code in the block */
    MARK_CALLOUT,   /* the interpreter's routine */
    EXPLAIN_MARKS,
};

/* The state of the CPU that the code is translated for. */
enum explain_mode {
    EXPLAIN_KERNEL,
    EXPLAIN_USER,
    EXPLAIN_REAL,
    EXPLAIN_VM86,
    EXPLAIN_KERNEL64,
    EXPLAIN_USER64,
    EXPLAIN_WINDOW, /* EXPLAIN_USER and EXPLAIN_USER64 in a host window */
    EXPLAIN_WINDOW64,
    EXPLAIN_MODES,
};

struct host_line {
    u32 offset; /* from the block's beginning */
    u8 bytes;
    char text[200];
    const char *note; /* a name for a field of the frame or an entry point; NULL: none */
};

struct explained_insn {
    u64 eip; /* or RIP */
    u8 length;
    u8 code[15];
    char text[200];
    enum explain_mark mark;
    const struct isa_row *row;
    u16 live_before, live_after; /* arithmetic flags (FL_...) that later code may read */
    bool memory;                 /* has a memory operand or uses the stack */
    bool hoisted;                /* relies on a check that several accesses share */
    unsigned line, lines;        /* its host instructions in explained_block.line */
    unsigned host_bytes;
};

struct explained_edge {
    u64 eip;
    bool cross_page;
};

struct explained_block {
    u64 eip;
    char note[160]; /* about the block, as its share of samples; empty: none */
    unsigned count, line_count, edge_count;
    struct explained_insn *insn;
    struct host_line *line; /* entries, pieces, then stubs */
    unsigned entry_lines;   /* the first lines: where other blocks and C code enter */
    unsigned stub_line;     /* index of the first line beside the block's straight path */
    unsigned host_bytes, stub_bytes;
    struct explained_edge *edge;
};

struct explanation {
    struct explained_block *block;
    unsigned count;
    unsigned marks[EXPLAIN_MARKS];
    unsigned guest_count, guest_bytes, host_count, host_bytes, stub_bytes;
};

/* Translates all of the code, block by block, and adds the blocks to *x, which is {0} at first. 0, -EINVAL for code
 * that cannot be translated, -ENOMEM, or -ENOSYS without Capstone; then `error` has one sentence, and *x is as
 * before. */
int explain(struct explanation *x, const struct guest_code *code, enum explain_mode mode, char *error,
            size_t error_bytes);
void explanation_free(struct explanation *x);

const char *explain_mark_name(enum explain_mark mark);
/* One sentence: why the instruction is treated so. */
const char *explain_reason(const struct explained_insn *i, char *text, size_t bytes);
/* "CF ZF", or "none". */
const char *explain_flags(u16 flags, char *text, size_t bytes);

void explain_print_text(const struct explanation *x, FILE *out);
void explain_print_html(const struct explanation *x, const char *title, FILE *out);

/* Prints the story of one mnemonic: its forms in the table, privilege, sensitivity, treatment. False: there is no
 * such mnemonic. */
bool explain_why(const char *mnemonic, FILE *out);

#endif
