/*
 * Options: engines.
 */
#include "options_table.h"

#include "cache/policy.h"

#include <string.h>

static bool set_engine(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "translate"))
        o->engine = ENGINE_TRANSLATE, o->translator.interpret_kernel = false;
    else if (!strcmp(value, "hybrid"))
        o->engine = ENGINE_TRANSLATE, o->translator.interpret_kernel = true;
    else if (!strcmp(value, "interp"))
        o->engine = ENGINE_INTERP;
    else
        return COMPLAIN(c, "there is no engine \"%s\"; there are translate, hybrid and interp", value);
    return true;
}

static bool set_cache_bytes(struct options *o, const char *value, struct complaint *c)
{
    if (!option_size(value, 0, &o->translator.cache_bytes) || o->translator.cache_bytes < (64u << 10) ||
        o->translator.cache_bytes > (1u << 30))
        return COMPLAIN(c, "the code cache must have 64K to 1G, not \"%s\"", value);
    return true;
}

static bool set_cache_policy(struct options *o, const char *value, struct complaint *c)
{
    o->translator.cache_policy = policy_find(value, c->text, c->bytes);
    return o->translator.cache_policy;
}

static bool set_cache_segments(struct options *o, const char *value, struct complaint *c)
{
    u64 segments;
    if (!option_number(value, &segments) || segments < 2 || segments > POLICY_MAX_SEGMENTS)
        return COMPLAIN(c, "the code cache can have 2 to %u segments, not \"%s\"", POLICY_MAX_SEGMENTS,
                        value);
    o->translator.cache_segments = (unsigned)segments;
    return true;
}

static bool set_windows(struct options *o, const char *value, struct complaint *c)
{
    static const char *const names[] = {
        [WINDOWS_AUTO] = "auto", [WINDOWS_ALWAYS] = "always", [WINDOWS_NEVER] = "never"};
    size_t word = strcspn(value, ",");
    bool good = !value[word] || option_number(value + word + 1, &o->window_mappings);
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (good && strlen(names[n]) == word && !strncmp(value, names[n], word)) {
            o->windows = (enum windows_policy)n;
            return true;
        }
    return COMPLAIN(c, "--windows takes auto, always or never, and optionally a number, not \"%s\"", value);
}

static const struct option_row rows[] = {
    {"engine", "NAME", "translate (default); interp: the interpreter alone; hybrid: it has CPL 0 to 2",
     .set = set_engine},
    {"deterministic", NULL, "guest time is instructions executed: the same inputs give the same run",
     SWITCH(deterministic)},
    {"cache-bytes", "SIZE",
     "memory for translated code, metadata included (default " DIGITS(CACHE_MB) "M; " DIGITS(
         CACHE_MB64) "M with a 64-bit CPU)",
     .set = set_cache_bytes},
    {"cache-policy", "NAME",
     "what a full code cache evicts: flush (default: all), fifo, lru, generations; or FILE.so",
     .set = set_cache_policy},
    {"cache-segments", "N", "divide the code cache into N segments (2 to 64; default: as the policy says)",
     .set = set_cache_segments},
    {"windows", "WHEN[,N]", "host windows for user code: auto (default), always, never; N mappings at most",
     .set = set_windows},
};

const struct option_group options_engines = {"Engines", rows, ARRAY_SIZE(rows)};
