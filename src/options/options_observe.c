/*
 * Options: observing the machine.
 */
#include "options_table.h"

#include "base/log.h"

#include <string.h>

static bool set_timeout(struct options *o, const char *value, struct complaint *c)
{
    u64 seconds;
    if (!option_number(value, &seconds) || !seconds || seconds > 1000000000)
        return COMPLAIN(c, "the time limit \"%s\" is not a number of seconds", value);
    o->timeout_ns = seconds * 1000000000u;
    return true;
}

static bool set_trace(struct options *o, const char *value, struct complaint *c)
{
    /* FILE or FILE,ICOUNT: a comma without a number behind it belongs to the name. A program may write to the
     * arguments of main() (C11 5.1.2.2.1), so the name is cut at the comma. */
    char *comma = strrchr((char *)value, ',');
    o->event_log = value;
    if (comma && option_number(comma + 1, &o->event_log_from)) *comma = '\0';
    o->engine = ENGINE_INTERP;
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
    {"profile", "FILE", "sample host time: folded stacks to FILE, tables to FILE.txt", STRING(profile)},
    {"perf-map", NULL, "write /tmp/perf-PID.map, so that perf names translated code", SWITCH(perf_map)},
    {"symbols", "FILE", "names of guest functions for --profile and --perf-map, as in System.map",
     STRING(symbols)},
    {"trace", "FILE[,N]", "event log: one line an instruction to FILE or stderr, from icount N (interpreter)",
     .set = set_trace},
    {"block-log", "FILE", "log which blocks run, for ringer simulate (deterministic)", .set = set_block_log},
    {"debug", NULL, "print more messages on stderr", .set = set_debug},
};

const struct option_group options_observe = {"Observing the machine", rows, ARRAY_SIZE(rows)};
