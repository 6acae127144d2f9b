/*
 * The binary translator as an engine: it translates code that is not in the cache, runs it, and returns the
 * exit reason.
 */
#ifndef RINGER_TRANSLATOR_TRANSLATOR_H
#define RINGER_TRANSLATOR_TRANSLATOR_H

#include "cpu/vcpu.h"

#include <stdio.h>

/* MB of the code cache by default, with a 32-bit CPU and with a 64-bit one. */
#define CACHE_MB   124
#define CACHE_MB64 152

/* Sizes and fault injection. The guest must compute the same with every setting. */
struct translator_config {
    u64 cache_bytes; /* code and metadata together (0: the default); a tiny cache is flushed often */
    /* What a full cache evicts (cache/policy.h), NULL: everything; its segments, 0: as many as the policy says. */
    const struct cache_policy *cache_policy;
    unsigned cache_segments;
    bool check_cache;       /* assert at each eviction that nothing leads into what is evicted */
    bool check_delta;       /* each block for a window ends the process if r13 has not the delta (verify.c) */
    unsigned block_limit;   /* guest instructions in a block, 1 to 64 */
    bool interpret_kernel;  /* code at CPL 0 to 2 is interpreted: the hybrid monitor of Popek and Goldberg */
    bool no_chaining;       /* every block ends in C code */
    bool no_inline_cache;   /* indirect branches look up their targets in C code */
    bool keep_locks;        /* keep LOCK prefixes; a machine with one vCPU does not need them */
    bool no_checked_sites;  /* instructions that fault in windows stay there */
    bool some_checked;      /* a quarter of all instructions never use windows */
    bool no_relocation;     /* no block is copied to serve another EIP */
    bool no_kicks;          /* loops and calls test vcpu.pending */
    bool no_site_cache;     /* indirect branches always use the jump table */
    bool no_return_stack;   /* guest returns are indirect branches like others */
    bool no_flag_lookahead; /* flags are live behind every block */
    bool no_superblocks;    /* every jump ends its block */
    bool no_hoisting;       /* every memory access has its own check */
    bool forced_slow;       /* every memory access takes the slow path */
    bool no_decode_memo;    /* each instruction is decoded from scratch */
    bool no_fast_entry;     /* general routines handle kernel entry and exit and segment loads */
    bool no_bulk_strings;   /* repeated string instructions are executed element by element */
    bool count_hits;        /* count blocks, remembered branches and returns that run, for hit rates */
    bool exact_flags;       /* arithmetic flags are right even in fault frames (docs/TRANSLATION.md) */
    u64 flush_every;        /* evict every N times that C code looks for a block; 0: when it is full */
};

struct translator_config translator_defaults(void);

/* Returns 0 or -errno. The vCPU's phys, shadow and counters must be set. */
int translator_init(struct vcpu *v, const struct translator_config *config);
void translator_destroy(struct vcpu *v);

/* Run the vCPU. The contract is that of interp_run(), but when v->mode has MODE_STEP it returns EXIT_STEP. */
enum exit_reason translator_run(struct vcpu *v);

/* The bytes at gpa were written: kill the blocks that were translated from them. Returns whether the page
 * still holds code of other blocks. */
bool translator_code_written(struct vcpu *v, u64 gpa, u64 bytes);
/* A debugger has set a code point: kill the blocks that could run past it. */
void translator_code_point_set(struct vcpu *v, u64 linear);
/* Flush the cache. */
void translator_flush(struct vcpu *v);
/* Bytes of the cache that are in use, and how many it may have; both 0 without a translator. */
void translator_cache_fill(const struct vcpu *v, u64 *used, u64 *budget);

/* Set the function to call before blocks are freed; NULL: none. The guest's FPU state may be live then. */
void translator_before_flush(struct vcpu *v, void (*call)(void *owner), void *owner);

/* Have blocks log that they run (cache/block_log.h), in deterministic mode; NULL: the end of the log. Call this before
 * anything is translated. */
struct block_log;
void translator_attach_log(struct vcpu *v, struct block_log *log);
/* The room that a translation wants to have. */
u32 translator_most_block_bytes(void);

/* For reports of lockstep: list guest and host code of the block at v->rip (Capstone). Parks the FPU. */
void translator_list_block(struct vcpu *v, FILE *out);

/* Install handlers for kicks and for the signals that the host raises for guest instructions: #DE, #MF, #XM,
 * #GP, and page faults in windows. The vCPU thread calls this once. Returns 0 or -errno. */
int translator_install_signals(void);

/* A thread that sets a bit of vcpu.pending sends this signal to the vCPU thread afterwards, because translated
 * code does not test pending. By default the signal is ignored, so it does no harm to other threads. */
#define KICK_SIGNAL SIGURG

#endif
