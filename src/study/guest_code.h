/*
 * Guest code to study: from hexadecimal digits, or a range of an ELF image of a kernel, by symbol or address.
 */
#ifndef RINGER_STUDY_GUEST_CODE_H
#define RINGER_STUDY_GUEST_CODE_H

#include "base/types.h"

#define GUEST_CODE_MAX 65536u

struct guest_code {
    u64 rip;   /* of the first byte */
    bool wide; /* from an image of 64 bits */
    u32 bytes;
    u8 *code;
};

/* Digits of bytes, with blanks or commas between them: "fa 9c 58". False with one sentence in error. */
bool guest_code_from_hex(struct guest_code *g, const char *digits, u64 rip, char *error, size_t error_bytes);

/* From a symbol (its size from the symbol table; without one, to the next symbol), or from an address when `symbol` is
 * a number such as 0xc0100000. At most `limit` bytes; 0: all. False with one sentence in error. */
bool guest_code_from_elf(struct guest_code *g, const char *path, const char *symbol, u32 limit, char *error,
                         size_t error_bytes);
void guest_code_free(struct guest_code *g);

#endif
