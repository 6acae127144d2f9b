/*
 * The binary translator as an engine: translate what is not in the cache, run it, return the exit reason.
 */
#ifndef RINGER_TRANSLATOR_TRANSLATOR_H
#define RINGER_TRANSLATOR_TRANSLATOR_H

#include "cpu/vcpu.h"

#include <stdio.h>

/* Defaults and fault injection: whatever is set here, the guest must compute the same. */
struct translator_config {
    u64 cache_bytes;       /* code and metadata together (default 96 MB); tiny ones flush often */
    unsigned block_limit;  /* guest instructions a block, 1 to 64 */
    bool no_chaining;      /* every block returns to the dispatcher */
    bool no_inline_cache;  /* indirect branches go through the dispatcher */
    bool keep_locks;       /* LOCK prefixes are kept: nobody but the vCPU writes guest memory, so they are not
                              needed */
    bool no_checked_sites; /* instructions that fault in windows stay there */
    bool no_relocation;    /* no block is copied to serve another EIP */
    bool no_kicks;         /* loops and calls look whether something is pending */
    bool no_site_cache;    /* indirect branches always look up */
    bool no_return_stack;  /* guest returns are indirect branches like others */
    bool no_flag_lookahead; /* flags are live behind every block */
    bool no_superblocks;    /* every jump ends its block */
    bool no_hoisting;       /* every memory access is checked by itself */
    bool forced_slow;       /* every memory access takes the slow path */
    bool no_decode_memo;    /* each instruction is decoded from scratch */
    bool no_fast_entry;     /* kernel entry and exit, segment loads: by the general routines */
    bool no_bulk_strings;   /* repeated string instructions element by element */
    bool exact_flags;       /* arithmetic flags are right even in the frames of faults, see docs */
    u64 flush_every;        /* whole flush every N returns to the dispatcher; 0: never */
};

struct translator_config translator_defaults(void);

/* Returns 0 or -errno. The vCPU's phys, shadow and counters must be set. */
int translator_init(struct vcpu *v, const struct translator_config *config);
void translator_destroy(struct vcpu *v);

/* The engine. Same contract as interp_run(); also returns EXIT_STEP when v->mode has MODE_STEP, and EXIT_LONG when it has
 * MODE_LONG. */
enum exit_reason translator_run(struct vcpu *v);

/* Code bytes of a page changed: drop the blocks made of them. Returns whether blocks are left in the page. */
bool translator_code_written(struct vcpu *v, u64 gpa, u64 bytes);
/* Drop everything. */
void translator_flush(struct vcpu *v);

/* Call this before each whole flush, perhaps with the FPU live; NULL: no more. */
void translator_before_flush(struct vcpu *v, void (*call)(void *owner), void *owner);

/* For lockstep and --trace: list the block at v->rip, guest and host code side by side (Capstone). */
void translator_list_block(struct vcpu *v, FILE *out);

/* Host signals that stem from guest instructions (#DE, #MF, #XM raised by the host CPU inside translated
 * code) are taken here, and kicks; the vCPU's thread installs them, once. Returns 0 or -errno. */
int translator_install_signals(void);

/* Whoever sets a bit of vcpu.pending on another thread sends this signal to the vCPU's thread afterwards:
 * translated code does not look by itself. (Ignored by default, so a thread that does not run guests takes no
 * harm.) */
#define KICK_SIGNAL SIGURG

#endif
