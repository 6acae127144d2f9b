/*
 * What a profiler may ask at any moment, from a signal handler: where is this vCPU?
 *
 * In translated code the host address says it: the block and the guest instruction. In C code it is of
 * interest why translated code was left, which nobody remembers in normal running. translator_profile()
 * therefore puts stubs (sample_stubs.S) in front of the thunks, that write cause, argument and call site into
 * the vCPU. Without it nothing is different.
 *
 * All of this only reads, calls nothing and takes no lock: the handler may interrupt anything, a flush of the
 * cache among it. What is half-way changed then gives a sample of an unknown location, never a fault: blocks and
 * their lists lie in memory that stays mapped.
 */
#ifndef RINGER_TRANSLATOR_SAMPLE_H
#define RINGER_TRANSLATOR_SAMPLE_H

#include "cpu/vcpu.h"

/* A signal's argument (sigev_value.sival_ptr) must be one of these. */
struct sampler {
    /* Called in the handler. `watched`: the vCPU whose code, or whose exit, this thread is in; NULL: neither.
     * pc and sp are the host's. */
    void (*take)(struct sampler *sampler, struct vcpu *watched, u64 pc, u64 sp);
};

/* Take this signal, on the alternate stack if there is one. Returns 0 or -errno. */
int translator_install_sampler(int signal);

enum sample_location {
    SAMPLE_OUTSIDE,    /* dispatcher, devices, the interpreter as engine */
    SAMPLE_TRANSLATED, /* in a block */
    SAMPLE_EXIT,       /* in C code that a block called */
};

#define SAMPLE_NO_FORM 0

struct sample {
    u8 location; /* enum sample_location */
    u8 cause;    /* SAMPLE_EXIT: why, see translator_exit_name() */
    u8 tier;     /* of the block: 1, or 2 with a host window; 0: unknown */
    u8 cpl;
    u16 form;         /* of the instruction handed to C (isa_row_number()), or SAMPLE_NO_FORM */
    u32 eip;          /* linear address of the guest instruction; 0: unknown */
    u32 block_linear; /* of the first instruction of its block; 0: unknown */
};

/* From now on exits remember their cause. Before the first entry into translated code. */
void translator_profile(struct vcpu *v);
/* pc must not be the library's: see profile.c. */
void translator_sample(struct vcpu *v, bool inside, u64 pc, struct sample *sample);
/* "callout", "slow access", ...; NULL past the last. */
const char *translator_exit_name(unsigned cause);

/* Every block since the last whole flush, dead ones too; host addresses. For maps that other profilers read. */
struct block_location {
    u64 host, bytes;
    u32 linear;
    u32 mode;
};
/* The one after this, or the first (NULL); NULL: no more. */
struct block;
const struct block *translator_block_after(const struct vcpu *v, const struct block *block,
                                           struct block_location *location);

#endif
