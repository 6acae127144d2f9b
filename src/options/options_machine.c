/*
 * Options: the machine's parts.
 */
#include "options_table.h"

#include "base/log.h"
#include "cpu/cpuid.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* NAME, or NAME and a list that only QEMU uses. */
static bool set_name(struct options *o, const char *value, struct complaint *c)
{
    if (!strncmp(value, "guest=", 6)) value += 6;
    char *comma = strchr((char *)value, ',');
    if (comma) *comma = 0;
    o->board.name = value;
    return true;
}

static bool set_memory(struct options *o, const char *value, struct complaint *c)
{
    char *size = option_item(value, "size");
    u64 bytes;
    if (!size)
        size = strndup(value, strcspn(value, ",")); /* slots= and maxmem= are for memory that is plugged in */
    bool good = size && option_size(size, 20, &bytes);
    free(size);
    if (!good) return COMPLAIN(c, "the memory size \"%s\" is not a number with K, M or G behind it", value);
    if (bytes < MEMORY_MIN_BYTES || bytes > MEMORY_MAX_BYTES)
        return COMPLAIN(c, "a memory size of %s is out of bounds: it must be from %lluM to %lluG", value,
                        MEMORY_MIN_BYTES >> 20, MEMORY_MAX_BYTES >> 30);
    o->board.memory_bytes = align_up(bytes, PAGE_SIZE);
    return true;
}

static bool set_cpu(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->help = COMMAND_HELP_CPUS, true;
    /* QEMU's models that are like these, and features behind a comma, which a model has or has not. */
    static const char *const same[][2] = {{"host", "max"},
                                          {"qemu32", "pentium3"},
                                          {"kvm32", "pentium4"},
                                          {"kvm64", "qemu64"},
                                          {"486", "pentium"}};
    char name[32];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(value, ","), value);
    for (unsigned n = 0; n < ARRAY_SIZE(same); n++)
        if (!strcmp(name, same[n][0])) snprintf(name, sizeof(name), "%s", same[n][1]);
    if (o->as_x86_64 && !strcmp(name, "max")) snprintf(name, sizeof(name), "max64");
    o->cpu = cpu_model_find(name);
    o->cpu_given = true;
    if (o->cpu && strchr(value, ','))
        log_warn("-cpu %s: the features of the model %s cannot be changed", value, name);
    if (o->cpu && o->cpu->lacks)
        return COMPLAIN(c, "the CPU model %s has %s, which this host's CPU lacks", name, o->cpu->lacks);
    if (o->cpu) return true;
    int at = snprintf(c->text, c->bytes, "there is no CPU model \"%s\"; there are:", value);
    for (const char *const *name = cpu_model_names(); *name && at >= 0 && (size_t)at < c->bytes; name++)
        at += snprintf(c->text + at, c->bytes - (size_t)at, " %s", *name);
    return false;
}

static bool set_serial(struct options *o, const char *value, struct complaint *c)
{
    if (o->board.serial_count == ARRAY_SIZE(o->board.serial))
        return COMPLAIN(c, "there are only four serial ports");
    char id[16];
    unsigned number = o->board.serial_count;
    snprintf(id, sizeof(id), "serial%u", number);
    const char *chardev = NULL;
    if (strcmp(value, "none")) {
        chardev = options_console(o, id, value, c);
        if (!chardev) return false;
    }
    o->board.serial[number] = chardev;
    o->board.serial_count++;
    return true;
}

static bool set_rtc_base(struct options *o, const char *value, struct complaint *c)
{
    u64 seconds;
    struct tm tm = {0};
    if (!strcmp(value, "utc")) {
        o->board.rtc_base = RTC_BASE_NOW;
        return true;
    }
    if (!strcmp(value, "localtime")) {
        o->board.rtc_base = RTC_BASE_LOCAL;
        return true;
    }
    if (option_number(value, &seconds) && seconds < 1ull << 40) {
        o->board.rtc_base = (s64)seconds;
        return true;
    }
    const char *rest = strptime(value, "%Y-%m-%d", &tm);
    if (rest && *rest) rest = strptime(rest, "T%H:%M:%S", &tm);
    if (!rest || *rest)
        return COMPLAIN(
            c,
            "the clock starts at utc, localtime, 2024-01-31, 2024-01-31T23:59:59 or a Unix time, not "
            "at \"%s\"",
            value);
    o->board.rtc_base = timegm(&tm);
    return true;
}

static bool set_rtc(struct options *o, const char *value, struct complaint *c)
{
    char *base = option_item(value, "base");
    bool good = !base || set_rtc_base(o, base, c);
    free(base);
    return good;
}

const char *const watchdog_action_names[] = {
    [WATCHDOG_RESET] = "reset",       [WATCHDOG_SHUTDOWN] = "shutdown",
    [WATCHDOG_POWEROFF] = "poweroff", [WATCHDOG_PAUSE] = "pause",
    [WATCHDOG_DEBUG] = "debug",       [WATCHDOG_NONE] = "none",
    [WATCHDOG_NMI] = "inject-nmi",    NULL};

int watchdog_action_by_name(const char *name)
{
    for (int n = 0; watchdog_action_names[n]; n++)
        if (!strcmp(watchdog_action_names[n], name)) return n;
    return -1;
}

static bool set_watchdog_action(struct options *o, const char *value, struct complaint *c)
{
    int action = watchdog_action_by_name(value);
    if (action < 0)
        return COMPLAIN(
            c, "-watchdog-action is reset, shutdown, poweroff, pause, debug, none or inject-nmi, not \"%s\"",
            value);
    o->board.watchdog_action = (enum watchdog_action)action;
    return true;
}

static bool set_parallel(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "none")) return true;
    if (o->board.parallel) return COMPLAIN(c, "there is only one parallel port");
    o->board.parallel = options_console(o, "parallel0", value, c);
    return o->board.parallel;
}

static const struct option_row rows[] = {
    {"name", "NAME", "name of the machine, for window titles and ringer ctl", .set = set_name},
    {"memory", "SIZE", "guest memory: 512 or 512M, 1G, ... (default 128M)", .set = set_memory},
    {"m", "SIZE", NULL, .set = set_memory},
    {"cpu", "MODEL",
     "CPU model (default max: every feature that Ringer has on this host; for 64-bit kernels max64)",
     .set = set_cpu},
    {"serial", "TO", "where the next serial port goes: stdio, unix:PATH,server, ...; see ringer(1)",
     .set = set_serial},
    {"parallel", "TO", "where the parallel port goes, as for --serial (default: there is none)",
     .set = set_parallel},
    {"watchdog-action", "ACTION",
     "what -device i6300esb does: reset, shutdown, poweroff, pause, debug, none, inject-nmi",
     .set = set_watchdog_action},
    {"debugcon", "TO", "where the debug console at port E9h goes; as for --serial",
     .set = options_set_debugcon},
    {"rtc-base", "TIME", "clock at start: utc, localtime, 2024-01-31T23:59:59, Unix time",
     .set = set_rtc_base},
    {"rtc", "base=TIME", NULL, .set = set_rtc},
    {"no-apic", NULL, "leave out local APIC and I/O APIC: interrupts go through the 8259 pair",
     SWITCH(board.no_apic)},
    {"no-reboot", NULL, "end when the guest resets itself or dies of a triple fault", SWITCH(no_reboot)},
    {"no-shutdown", NULL, "do not end when the guest has halted for good", SWITCH(no_shutdown)},
};

const struct option_group options_machine = {"The machine", rows, ARRAY_SIZE(rows)};
