/*
 * The question that a profiler asks at any moment, from a signal handler: where is this vCPU?
 *
 * In translated code the host address gives the answer: a block and a guest instruction. In C code the profiler wants
 * to know why translated code was left, which is normally not recorded. translator_profile() therefore puts stubs
 * (sample_stubs.S) in front of the thunks, which write cause, argument and call site into the vCPU.
 *
 * These functions only read, and take no lock: the handler may interrupt anything, even a flush of the cache. Data that
 * is half changed gives a sample with an unknown location, but no host fault, because blocks and their lists lie in
 * memory that stays mapped.
 */
#ifndef RINGER_TRANSLATOR_SAMPLE_H
#define RINGER_TRANSLATOR_SAMPLE_H

#include "cpu/vcpu.h"

/* A signal's argument (sigev_value.sival_ptr) must be one of these. */
struct sampler {
    /* Called in the handler. `current`: the vCPU that this thread runs in translator_run(), or NULL. pc and sp are
     * the host's. `missed`: how often the timer has expired besides, while the signal waited. */
    void (*take)(struct sampler *sampler, struct vcpu *current, u64 pc, u64 sp, unsigned missed);
};

/* Handle this signal, on the alternate stack if there is one. Returns 0 or -errno. */
int translator_install_sampler(int signal);

enum sample_location {
    SAMPLE_OUTSIDE,    /* dispatcher, devices, the interpreter as engine */
    SAMPLE_TRANSLATED, /* in a block */
    SAMPLE_EXIT,       /* in C code that a block called */
};

#define SAMPLE_NO_FORM 0

struct sample {
    u8 location; /* enum sample_location */
    u8 cause;    /* SAMPLE_EXIT: number for translator_exit_name() */
    u8 tier;     /* of the block: 1, or 2 with a host window; 0: unknown */
    u8 cpl;
    u16 form;         /* SAMPLE_EXIT: isa_row_number() of the instruction handed to C, or SAMPLE_NO_FORM */
    u64 eip;          /* linear address of the guest instruction; 0: unknown */
    u64 block_linear; /* of the first instruction of its block; 0: unknown */
};

/* Record the cause of exits from now on. Call it before the first entry into translated code. */
void translator_profile(struct vcpu *v);
/* Describe the location of `v`. `inside`: this thread runs it in translator_run(). */
void translator_sample(struct vcpu *v, bool inside, u64 pc, struct sample *sample);
/* "callout", "slow access" ...; NULL past the last. */
const char *translator_exit_name(unsigned cause);

/* The location of a block, for the maps that other profilers read. */
struct block_location {
    u64 host, bytes;
    u64 linear;
    u32 mode;
    u32 guest_bytes;
    u64 gpa, gpa_next; /* gpa_next: of the second page, if it crosses pages */
};
/* Does `pc`, of the host, lie in a block? May be called in a signal handler, as translator_sample(). */
bool translator_block_running(const struct vcpu *v, u64 pc, struct block_location *location);
/* The next block after `block` (NULL: the first), dead ones included, or NULL when there are no more. All blocks since
 * the last whole flush are visited. */
struct block;
const struct block *translator_block_after(const struct vcpu *v, const struct block *block,
                                           struct block_location *location);

#endif
