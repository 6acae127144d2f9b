#include "simulate_command.h"
#include "report.h"
#include "simulate.h"

#include "base/json.h"
#include "base/log.h"
#include "base/words.h"

#include <stdlib.h>
#include <string.h>

#define MOST 64u

struct request {
    struct report_place place;
    const char *path;
    const char *policies[MOST];
    u64 sizes[MOST];
    unsigned policy_count, size_count, segments;
};

struct result {
    const struct simulation *simulations;
    unsigned count;
};

static void print_help(FILE *out)
{
    fputs("ringer simulate [OPTION...] LOG     policies of the code cache, on a log by `ringer run "
          "--block-log`\n\n"
          "  --policy=NAME         flush, fifo, lru, generations or FILE.so; again for more (default: all "
          "four)\n"
          "  --cache-bytes=SIZE    as in 512K or 4M; again for more (default 1M, 4M, 16M)\n"
          "  --segments=N          2 to 64 (default: as the policy says)\n"
          "  --format=text|json, --output=FILE\n",
          out);
}

static u64 size_of(const char *text)
{
    char *end;
    u64 size = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || (*end && (!shift || end[1])) || size > (1ull << 30) >> shift ||
        size << shift < 64u << 10)
        die(STATUS_USAGE, "--cache-bytes takes 64K to 1G, not \"%s\"", text);
    return size << shift;
}

static void read_word(struct request *r, const char *word)
{
    const char *value;
    if (report_option(&r->place, word)) return;
    if ((value = word_value(word, "--policy")) && r->policy_count < MOST)
        r->policies[r->policy_count++] = value;
    else if ((value = word_value(word, "--cache-bytes")) && r->size_count < MOST)
        r->sizes[r->size_count++] = size_of(value);
    else if ((value = word_value(word, "--segments"))) {
        r->segments = (unsigned)strtoul(value, NULL, 10);
        if (r->segments < 2 || r->segments > POLICY_MAX_SEGMENTS)
            die(STATUS_USAGE, "--segments takes 2 to %u, not \"%s\"", POLICY_MAX_SEGMENTS, value);
    } else if (word[0] == '-' || r->path)
        die(STATUS_USAGE, "simulate has no option %s, or it lacks its value; see ringer simulate --help",
            word);
    else
        r->path = word;
}

static void print_text(const struct result *result, FILE *out)
{
    const struct simulation *any = &result->simulations[0];
    fprintf(out, "%llu block runs of %llu instructions, by %.3f host instructions each\n\n",
            (ull)any->executions, (ull)any->instructions,
            any->instructions ? (double)any->host_instructions / (double)any->instructions : 0);
    fprintf(out, "%-14s%12s%10s%14s%14s%10s%12s%12s\n", "policy", "bytes", "segments", "translations",
            "of them again", "misses %", "evicted", "promoted");
    for (unsigned n = 0; n < result->count; n++) {
        const struct simulation *s = &result->simulations[n];
        unsigned young,
            segments = policy_segments(s->shape.policy, s->shape.segments, s->shape.bytes, &young);
        fprintf(out, "%-14s%12llu%10u%14llu%14llu%10.4f%12llu%12llu\n", s->shape.policy->name,
                (ull)s->shape.bytes, segments, (ull)s->translations, (ull)(s->translations - s->first),
                s->executions ? (double)s->translations * 100 / (double)s->executions : 0,
                (ull)s->counters.blocks_evicted, (ull)s->counters.blocks_promoted);
    }
}

static void print_json(const struct result *result, FILE *out)
{
    struct json_object *rows = json_object_new_array();
    for (unsigned n = 0; n < result->count; n++) {
        const struct simulation *s = &result->simulations[n];
        struct json_object *row = json_object_new_object();
        json_add_text(row, "policy", s->shape.policy->name);
        json_add_number(row, "cache_bytes", s->shape.bytes);
        json_add_number(row, "executions", s->executions);
        json_add_number(row, "instructions", s->instructions);
        json_add_number(row, "host_instructions", s->host_instructions);
        json_add_number(row, "translations", s->translations);
        json_add_number(row, "retranslations", s->translations - s->first);
        json_add_number(row, "blocks_evicted", s->counters.blocks_evicted);
        json_add_number(row, "blocks_promoted", s->counters.blocks_promoted);
        json_add_number(row, "segments_evicted", s->counters.segments_evicted);
        json_add_number(row, "cache_flushes", s->counters.cache_flushes);
        json_object_array_add(rows, row);
    }
    fprintf(out, "%s\n",
            json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
    json_object_put(rows);
}

static void print(const struct result *result, const char *format, FILE *out)
{
    if (!strcmp(format, "json"))
        print_json(result, out);
    else
        print_text(result, out);
}

static void fill_in(struct request *r)
{
    static const u64 sizes[] = {1u << 20, 4u << 20, 16u << 20};
    if (!r->path)
        die(STATUS_USAGE, "simulate needs a block log, which a run writes with --block-log=FILE; see ringer "
                          "simulate --help");
    for (unsigned n = 0; !r->size_count && n < ARRAY_SIZE(sizes); n++)
        r->sizes[n] = sizes[n];
    if (!r->size_count) r->size_count = ARRAY_SIZE(sizes);
    bool all = !r->policy_count;
    for (unsigned n = 0; all && policies[n]; n++)
        r->policies[r->policy_count++] = policies[n]->name;
}

int simulate_command(int argc, char **argv)
{
    struct request r = {.place = {.formats = {"text", "json"}}};
    for (int n = 0; n < argc; n++) {
        if (!strcmp(argv[n], "--help") || !strcmp(argv[n], "help")) {
            print_help(stdout);
            return STATUS_OK;
        }
        read_word(&r, argv[n]);
    }
    fill_in(&r);
    unsigned count = r.policy_count * r.size_count;
    char error[512];
    struct simulation *simulations = calloc(count, sizeof(*simulations));
    if (!simulations) die(STATUS_HOST, "there is not enough memory");
    for (unsigned n = 0; n < count; n++) {
        const struct cache_policy *policy = policy_find(r.policies[n % r.policy_count], error, sizeof(error));
        if (!policy) die(STATUS_USAGE, "%s", error);
        simulations[n].shape = (struct cache_shape){
            .bytes = r.sizes[n / r.policy_count], .policy = policy, .segments = r.segments};
    }
    FILE *out = report_begin(&r.place);
    if (!simulate(r.path, simulations, count, error, sizeof(error))) die(STATUS_USAGE, "%s", error);
    print(&(struct result){simulations, count}, r.place.format ? r.place.format : "text", out);
    report_end(&r.place, out);
    free(simulations);
    return STATUS_OK;
}
