/*
 * Options: observing the machine.
 */
#include "options_table.h"

#include "base/events.h"
#include "base/log.h"
#include "base/words.h"

#include <string.h>

static bool set_timeout(struct options *o, const char *value, struct complaint *c)
{
    u64 seconds;
    if (!option_number(value, &seconds) || !seconds || seconds > 1000000000)
        return COMPLAIN(c, "the time limit \"%s\" is not a number of seconds", value);
    o->timeout_ns = seconds * 1000000000u;
    return true;
}

static bool is_range(const char *word, const char *value, struct event_log_options *log, struct complaint *c)
{
    u64 *at = *word == 'f' ? &log->from : &log->to;
    return option_number(value, at) || COMPLAIN(c, "--trace: %s is not a number of instructions", word);
}

static bool add_category(struct event_log_options *log, const char *word)
{
    for (unsigned n = 0; n < EVENT_CATEGORIES; n++)
        if (!strcmp(word, event_categories[n].name)) return log->categories |= 1u << n;
    return false;
}

static bool trace_word(struct event_log_options *log, char *word, struct complaint *c)
{
    const char *value;
    if ((value = word_value(word, "from")) || (value = word_value(word, "to")))
        return is_range(word, value, log, c);
    if ((value = word_value(word, "cpl"))) {
        if (value[0] < '0' || value[0] > '3' || value[1])
            return COMPLAIN(c, "--trace: cpl is 0 to 3, not \"%s\"", value);
        log->cpls |= (u8)(1u << (value[0] - '0'));
        return true;
    }
    if ((value = word_value(word, "file"))) {
        log->path = value;
        return *value || COMPLAIN(c, "--trace: file= needs a name");
    }
    return add_category(log, word) || COMPLAIN(c, "--trace knows no events \"%s\"; see --trace=help", word);
}

/* A program may write to the arguments of main() (C11 5.1.2.2.1), so the list is cut at its commas; two of them are one
 * in a file's name. */
static bool set_trace(struct options *o, const char *value, struct complaint *c)
{
    struct event_log_options log = {.to = UINT64_MAX};
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->help = COMMAND_HELP_EVENTS, true;
    char *word = (char *)value, *to = word, *from = word;
    for (bool more = true; more;) {
        if (*from == ',' && from[1] == ',') {
            from++;
        } else if (*from == ',' || !*from) {
            more = *from++;
            *to = '\0';
            if (!trace_word(&log, word, c)) return false;
            word = to = from;
            continue;
        }
        *to++ = *from++;
    }
    if (!log.categories) return COMPLAIN(c, "--trace names no events; see --trace=help");
    bool counts = log.categories & 1u << EVENT_INSTRUCTION;
    if (counts) o->engine = ENGINE_INTERP;
    if (!log.cpls) log.cpls = 0xf;
    o->event_log = log;
    return true;
}

static bool set_block_log(struct options *o, const char *value, struct complaint *c)
{
    o->block_log = value;
    o->deterministic = true;
    return true;
}

static bool set_debug(struct options *o, const char *value, struct complaint *c)
{
    log_enable_debug();
    return true;
}

static const struct option_row rows[] = {
    {"screen-dump", "FILE", "write the text screen to FILE at the end and on SIGUSR1", STRING(screen_dump)},
    {"screenshot", "FILE", "write the picture to FILE as PNG at the end and on SIGUSR1", STRING(screenshot)},
    {"timeout", "SECONDS", "end with status 5 after this time", .set = set_timeout},
    {"stats", NULL, "print counters to stderr at the end", SWITCH(stats)},
    {"stats-json", "FILE", "write the counters to FILE as a JSON object", STRING(stats_json)},
    {"count-hits", NULL, "count the blocks, remembered branches and returns that run, for hit rates (slower)",
     SWITCH(translator.count_hits)},
    {"profile", "FILE", "sample host time: folded stacks to FILE, tables to FILE.txt", STRING(profile)},
    {"hot-blocks", "FILE", "sample which blocks run, for ringer explain --hot", STRING(hot_blocks)},
    {"perf-map", NULL, "write /tmp/perf-PID.map, so that perf names translated code", SWITCH(perf_map)},
    {"symbols", "FILE",
     "names of guest functions for --profile and --perf-map, as in System.map, or an ELF file",
     STRING(symbols)},
    {"trace", "EVENTS[,file=FILE][,from=N][,to=N][,cpl=N]",
     "log events, a line each, to stderr or FILE: dispatch, exit, ... (\"help\" lists them)",
     .set = set_trace},
    {"block-log", "FILE", "log which blocks run, for ringer simulate (deterministic)", .set = set_block_log},
    {"debug", NULL, "print more messages on stderr", .set = set_debug},
};

const struct option_group options_observe = {"Observing the machine", rows, ARRAY_SIZE(rows)};
