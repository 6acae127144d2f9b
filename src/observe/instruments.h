/*
 * Instruments that observe a run from outside of the machine: --profile, --perf-map, --hot-blocks, the guest's symbols
 * for both, and the counters that are printed at the end (--stats, --stats-json). The event log of --trace is part of
 * the machine (vm/vm.h), because the machine must run instruction by instruction for it.
 */
#ifndef RINGER_OBSERVE_INSTRUMENTS_H
#define RINGER_OBSERVE_INSTRUMENTS_H

#include "block_log_file.h"
#include "hot_blocks.h"
#include "perf_map.h"
#include "profile.h"
#include "stats.h"

struct options;

struct instruments {
    const struct options *options;
    struct vcpu *vcpu;
    struct symbols guest;
    struct profile *profile; /* NULL: not wanted */
    FILE *folded, *tables;
    struct perf_map *perf_map;        /* NULL: not wanted */
    struct block_log_file *block_log; /* NULL: not wanted */
    struct hot_blocks *hot;           /* NULL: not wanted */
    FILE *hot_json;
    FILE *json; /* --stats-json; NULL: not wanted */
};

/* Open the instruments of the options. Returns 0, or an exit status with one sentence in error. */
int instruments_open(struct instruments *instruments, const struct options *options, struct vcpu *vcpu,
                     char *error, size_t error_bytes);
/* Call these before and after the run, in the vCPU thread. instruments_start() returns 0 or -errno. */
int instruments_start(struct instruments *instruments);
void instruments_stop(struct instruments *instruments);
/* Write the results and free them. The machine must still exist. */
void instruments_close(struct instruments *instruments, const struct stats_host *host);

#endif
