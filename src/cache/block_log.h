/*
 * The log of block executions (--block-log): which blocks ran, in their order, and how large each is. Replacement
 * policies are tried on it offline (study/simulate.h). The file is a stream of 32-bit little-endian words, compressed
 * with zstd:
 *
 *     BLOCK_LOG_MAGIC, BLOCK_LOG_VERSION, the room that the translator wants before a translation (bytes), 0
 *     then any number of
 *         id                            block `id` runs, to its end or to a fault (ids count from 0)
 *         BLOCK_LOG_MADE | id, 7 words  block `id` is translated: struct block_made
 *
 * A block that is translated a second time was killed in between, because its code was written. The sizes are those of
 * a run without a log. Only translated code is logged, not what the interpreter executes.
 */
#ifndef RINGER_CACHE_BLOCK_LOG_H
#define RINGER_CACHE_BLOCK_LOG_H

#include "base/types.h"

#define BLOCK_LOG_MAGIC   0x474c4252u /* "RBLG" */
#define BLOCK_LOG_VERSION 2u
#define BLOCK_LOG_MADE    0x80000000u

struct block_made {
    u32 frame; /* gpa >> 12 */
    u32 eip;
    u32 mode;          /* vcpu.mode, and key bits of the translator (cpu/mode.h) */
    u32 host_bytes;    /* code */
    u16 meta_bytes;    /* struct block with all its parts */
    u16 callout_bytes; /* metadata besides, as long as the block lives */
    u8 instructions;   /* of the guest */
    u8 relocatable;    /* it can be copied, to an old generation for example */
    u16 guest_bytes;
    u32 body_instructions; /* of the host: the straight way through, without the entry and without stubs */
};
_Static_assert(sizeof(struct block_made) == 7 * sizeof(u32), "as the file has it");

/* The code that body_instructions counts. */
struct block_body {
    const u8 *code;
    u32 bytes;
};

/* What the translator calls while a log is attached. The guest's FPU state is parked. */
struct block_log {
    /* An id for this key, the same one each time. */
    u32 (*name)(struct block_log *log, const struct block_made *key);
    /* Fills in made->body_instructions. */
    void (*made)(struct block_log *log, u32 id, struct block_made *made, const struct block_body *body);
    void (*ran)(struct block_log *log, const u32 *ids, u64 count);
    u32 *buffer; /* of `words` words: ids that running code writes */
    u64 words;
};

#endif
