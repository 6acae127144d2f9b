#include "stats.h"

#include "base/host_time.h"
#include "mmu/phys.h"

#include <json-c/json.h>
#include <sys/resource.h>

/* A heading before the counter that begins its group, in the order of RINGER_COUNTERS. */
struct heading {
    size_t at;
    const char *text;
};

#define AT(name) offsetof(struct counters, name)
static const struct heading headings[] = {
    {AT(interp_instructions), "Interpreter"},
    {AT(blocks_translated), "Translator"},
    {AT(engine_entries), "Code cache"},
    {AT(callouts), "Callouts and memory"},
    {AT(exceptions), "Exceptions and interrupts"},
    {AT(port_reads), "Devices"},
    {AT(pvclock_updates), "The rest"},
};
#undef AT

static void print_counter(FILE *out, size_t at, const char *text, u64 value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(headings); i++)
        if (headings[i].at == at) fprintf(out, "\n%s\n", headings[i].text);
    fprintf(out, "%16llu  %s\n", (unsigned long long)value, text);
}

static void print_ratio(FILE *out, const char *text, double above, double below)
{
    if (below > 0) fprintf(out, "%16.3f  %s\n", above / below, text);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void print_host(u64 powered_on_ns, FILE *out)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(out,
            "\nHost\n%16.3f  seconds since power-on\n%16.3f  seconds of CPU\n%16ld  KB resident at most\n",
            (double)(host_now_ns() - powered_on_ns) / 1e9, seconds(usage.ru_utime) + seconds(usage.ru_stime),
            usage.ru_maxrss);
}

static void print_derived(const struct counters *c, u64 icount, u64 tsc_hz, FILE *out)
{
    fprintf(out, "\nDerived\n%16llu  instructions counted (exact in deterministic mode)\n",
            (unsigned long long)icount);
    print_ratio(out, "guest instructions a block", (double)c->instructions_translated,
                (double)c->blocks_translated);
    print_ratio(out, "host bytes a guest instruction", (double)c->bytes_emitted,
                (double)c->instructions_translated);
    print_ratio(out, "bytes of metadata a block", (double)c->metadata_bytes,
                (double)(c->blocks_translated + c->blocks_relocated));
    print_ratio(out, "ns to translate a guest instruction", (double)c->translate_ticks * 1e9 / (double)tsc_hz,
                (double)c->instructions_translated);
    print_ratio(out, "of block lookups answered by the table", (double)c->block_lookup_hits,
                (double)c->block_lookups);
    print_ratio(out, "of writes to code pages harmless", (double)c->code_writes_harmless,
                (double)c->code_writes);
    print_ratio(out, "page walks a shadow fill", (double)c->page_walks, (double)c->shadow_fills);
}

static struct counters all_counters(const struct vcpu *v)
{
    struct counters c = *v->counters;
    c.mmio_accesses += v->phys->mmio_accesses;
    c.return_misses += v->scratch.return_misses;
    return c;
}

void stats_print(const struct vcpu *v, const struct stats_host *host, FILE *out)
{
    struct counters c = all_counters(v);
#define ROW(name, text) print_counter(out, offsetof(struct counters, name), text, c.name);
    RINGER_COUNTERS(ROW)
#undef ROW
    print_derived(&c, v->icount, host->tsc_hz, out);
    print_host(host->powered_on_ns, out);
}

static void add_seconds(struct json_object *object, const char *name, double seconds)
{
    char text[32];
    snprintf(text, sizeof(text), "%.3f", seconds);
    json_object_object_add(object, name, json_object_new_double_s(seconds, text));
}

struct json_object *stats_json(const struct vcpu *v, const struct stats_host *host)
{
    struct counters c = all_counters(v);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    struct json_object *object = json_object_new_object();
#define ROW(name, text) json_object_object_add(object, #name, json_object_new_uint64(c.name));
    RINGER_COUNTERS(ROW)
#undef ROW
    json_object_object_add(object, "icount", json_object_new_uint64(v->icount));
    add_seconds(object, "seconds", (double)(host_now_ns() - host->powered_on_ns) / 1e9);
    add_seconds(object, "cpu_user_seconds", seconds(usage.ru_utime));
    add_seconds(object, "cpu_system_seconds", seconds(usage.ru_stime));
    json_object_object_add(object, "peak_kb", json_object_new_int64(usage.ru_maxrss));
    return object;
}

void stats_print_json(const struct vcpu *v, const struct stats_host *host, FILE *out)
{
    struct json_object *object = stats_json(v, host);
    fprintf(out, "%s\n",
            json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
    json_object_put(object);
}
