/*
 * Names for addresses: of a guest kernel, from a System.map, the output of its /proc/kallsyms or an ELF file, and of
 * Ringer's own functions, from the symbol table of the running program.
 *
 * A symbol extends to the next one. Lookups only read and allocate nothing, so signal handlers may call them.
 */
#ifndef RINGER_OBSERVE_SYMBOLS_H
#define RINGER_OBSERVE_SYMBOLS_H

#include "base/types.h"

#include <stdio.h>

struct symbol {
    u64 address;
    const char *name;
    const char *module; /* own functions: the folder of src they come from; others: NULL */
};

struct symbols {
    struct symbol *list; /* ascending */
    unsigned count, room;
    u64 end; /* past the last one */
};

#define SYMBOL_NONE UINT32_MAX

/* The text symbols of a file with lines as "c1000000 T startup_32", or the functions of an ELF file's symbol table.
 * False with one sentence in error. */
bool symbols_load_guest(struct symbols *symbols, const char *path, char *error, size_t error_bytes);
bool symbols_read_map(struct symbols *symbols, FILE *in);
/* The program's own symbols. A stripped program has none, which is no error. */
void symbols_load_own(struct symbols *symbols);
void symbols_free(struct symbols *symbols);

/* The index of the symbol that contains the address, or SYMBOL_NONE. */
u32 symbols_find(const struct symbols *symbols, u64 address);
/* "name+0x12" or, without a symbol, "c0123456". */
void symbols_format(const struct symbols *symbols, u64 address, char *text, size_t bytes);

#endif
