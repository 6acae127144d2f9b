/*
 * --stats and --stats-json: every counter, and ratios of them.
 */
#ifndef RINGER_OBSERVE_STATS_H
#define RINGER_OBSERVE_STATS_H

#include "cpu/vcpu.h"

#include <stdio.h>

struct json_object;

struct stats_host {
    u64 powered_on_ns; /* CLOCK_MONOTONIC */
    u64 tsc_hz;        /* of the host */
};

void stats_print(const struct vcpu *v, const struct stats_host *host, FILE *out);
/* The same for programs: one object, the counters under their names in base/counters.h. */
struct json_object *stats_json(const struct vcpu *v, const struct stats_host *host);
void stats_print_json(const struct vcpu *v, const struct stats_host *host, FILE *out);

#endif
