#include "watch_rows.h"

#include "base/json.h"

#include <math.h>

const struct watch_row watch_rows[] = {
    {WATCH_HEADING, "the host's processor", NULL, NULL},
    {WATCH_PART, "user time", "cpu_user_seconds", NULL},
    {WATCH_PART, "system time", "cpu_system_seconds", NULL},
    {WATCH_LEVEL, "peak memory, KB", "peak_kb", NULL},
    {WATCH_HEADING, "exits to C code", NULL, NULL},
    {WATCH_RATE, "callouts", "callouts", NULL},
    {WATCH_RATE, "slow memory accesses", "slow_accesses", NULL},
    {WATCH_RATE, "block lookups", "block_lookups", NULL},
    {WATCH_RATE, "instructions interpreted", "interp_instructions", NULL},
    {WATCH_RATE, "fast kernel entries and exits", "fast_entries", NULL},
    {WATCH_RATE, "kicks", "kicks", NULL},
    {WATCH_HEADING, "the code cache", NULL, NULL},
    {WATCH_RATE, "blocks translated", "blocks_translated", NULL},
    {WATCH_RATE, "host bytes emitted", "bytes_emitted", NULL},
    {WATCH_RATE, "blocks killed", "blocks_invalidated", NULL},
    {WATCH_FULL, "occupied", "cache_used_bytes", "cache_bytes"},
    {WATCH_LEVEL, "flushes", "cache_flushes", NULL},
    {WATCH_RATE, "edges linked", "chains_made", NULL},
    {WATCH_RATE, "indirect branches that missed", "indirect_misses", NULL},
    {WATCH_RATE, "returns elsewhere", "return_misses", NULL},
    {WATCH_SHARE, "lookups answered by tables", "block_probe_hits", "blocks_translated"},
    {WATCH_HEADING, "hits (with --count-hits)", NULL, NULL},
    {WATCH_HITS, "blocks entered from other blocks", "block_lookups", "blocks_run"},
    {WATCH_HITS, "indirect branches, by their site", "site_misses", "sites_run"},
    {WATCH_HITS, "returns, by the return stack", "return_misses", "returns_run"},
    {WATCH_HEADING, "the shadow", NULL, NULL},
    {WATCH_RATE, "entries filled", "shadow_fills", NULL},
    {WATCH_RATE, "page-table walks", "page_walks", NULL},
    {WATCH_RATE, "address space switches", "space_switches", NULL},
    {WATCH_RATE, "writes to traced pages", "trace_writes", NULL},
    {WATCH_RATE, "trace storms", "trace_storms", NULL},
    {WATCH_RATE, "pages invalidated by INVLPG", "shadow_invlpgs", NULL},
    {WATCH_HEADING, "the guest", NULL, NULL},
    {WATCH_RATE, "interrupts", "interrupts", NULL},
    {WATCH_RATE, "exceptions", "exceptions", NULL},
    {WATCH_RATE, "page faults", "page_faults", NULL},
    {WATCH_RATE, "halts", "halts", NULL},
    {WATCH_HEADING, "devices", NULL, NULL},
    {WATCH_RATE, "port reads", "port_reads", NULL},
    {WATCH_RATE, "port writes", "port_writes", NULL},
    {WATCH_RATE, "bytes of string I/O", "port_string_bytes", NULL},
    {WATCH_RATE, "memory-mapped accesses", "mmio_accesses", NULL},
};
const unsigned watch_row_count = ARRAY_SIZE(watch_rows);

double watch_counter(struct json_object *reading, const char *key)
{
    return reading ? json_double_of(reading, key) : 0;
}

double watch_value(const struct watch_row *row, const struct watch_readings *r)
{
    if (row->kind == WATCH_HEADING) return NAN;
    double now = watch_counter(r->now, row->key), grown = now - watch_counter(r->before, row->key);
    if (row->kind == WATCH_LEVEL) return now;
    if (row->kind == WATCH_FULL) return now / watch_counter(r->now, row->other);
    if (r->seconds <= 0) return NAN;
    if (row->kind == WATCH_RATE || row->kind == WATCH_PART) return grown / r->seconds;
    double other = watch_counter(r->now, row->other) - watch_counter(r->before, row->other);
    if (row->kind == WATCH_HITS) return other > 0 ? 1 - fmin(grown / other, 1) : NAN;
    return grown + other > 0 ? grown / (grown + other) : NAN;
}
