/*
 * --profile: samples of where the host's time goes.
 *
 * A host timer signals the vCPU thread about every half millisecond. The handler finds out what the thread was doing
 * (translator/sample.h, and Ringer's own function) and counts it in a table that was allocated before. No performance
 * counter is needed. Time in which the guest is halted is counted apart.
 *
 * The timer runs on CLOCK_MONOTONIC. Timers on the thread's CPU clock would fire only at ticks of the host's scheduler
 * (Linux, posix-cpu-timers.c), perhaps 250 times a second. A waiting thread is sampled too, and is recognized by the
 * function in which it waits.
 *
 * Only the vCPU thread calls this, and the signal interrupts only that thread.
 */
#ifndef RINGER_OBSERVE_PROFILE_H
#define RINGER_OBSERVE_PROFILE_H

#include "symbols.h"
#include "translator/sample.h"

#include <stdio.h>
#include <time.h>

/* The part of Ringer that was running. */
enum profile_engine {
    ENGINE_OF_TRANSLATED,
    ENGINE_OF_TRANSLATION, /* of guest code, decoding included */
    ENGINE_OF_INTERPRETER,
    ENGINE_OF_MEMORY,  /* walks, shadow tables */
    ENGINE_OF_RUNTIME, /* the translator's and the cache's C code that runs between blocks */
    ENGINE_OF_DEVICES,
    ENGINE_OF_MACHINE, /* dispatcher, time, wiring */
    ENGINE_OF_HOST,    /* libraries and system calls that serve none of these */
    PROFILE_ENGINES
};

struct profile_key {
    struct sample sample;
    u32 engine;   /* enum profile_engine */
    u32 function; /* index in own symbols: the innermost function of Ringer; SYMBOL_NONE in translated code */
};

struct profile_entry {
    struct profile_key key;
    u64 count; /* 0: free */
};

#define PROFILE_ENTRIES (1u << 17)

struct profile {
    struct sampler sampler; /* first: the signal's argument */
    struct vcpu *vcpu;
    struct profile_entry *entries; /* PROFILE_ENTRIES, open hash */
    u32 used;
    u64 taken, idle, lost;
    u64 cpu_ns; /* CPU time of the vCPU thread while the profiler was on */
    struct profile_stack {
        u64 low, high;
    } stack[2];        /* the thread's stack, and the one for signals */
    u32 idle_function; /* where the thread waits while the guest is halted */
    u32 translate_function;
    u32 enter_function; /* its callers are not reported */
    struct symbols own;
    const struct symbols *guest;
    timer_t timer;
};

/* Returns NULL with one sentence in error. `guest`: names of guest functions, perhaps none; must outlive the
 * profile. */
struct profile *profile_open(struct vcpu *vcpu, const struct symbols *guest, char *error, size_t error_bytes);
/* Begin and end sampling this thread. Returns 0 or -errno. */
int profile_start(struct profile *profile);
void profile_stop(struct profile *profile);
void profile_close(struct profile *profile);

/* profile_table.c: count a sample (in the handler), and look an entry up. */
void profile_count(struct profile *profile, const struct profile_key *key);

/* profile_report.c: folded stacks for flame graph viewers ("ringer;translated;kernel;schedule 12", with the number of
 * samples), and tables for people. */
void profile_write_folded(const struct profile *profile, FILE *out);
void profile_write_tables(const struct profile *profile, FILE *out);
const char *profile_engine_name(enum profile_engine engine);

#endif
