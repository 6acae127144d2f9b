/*
 * Options: what is accepted because scripts made for QEMU say it.
 */
#include "options_table.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static bool check_smp(struct options *o, const char *value, struct complaint *c)
{
    char *cpus = option_item(value, "cpus");
    bool one = !strcmp(cpus ? cpus : value, "1") || !strncmp(value, "1,", 2);
    free(cpus);
    return one ? true : COMPLAIN(c, "the machine has one CPU, -smp %s cannot be had", value);
}

static bool check_machine(struct options *o, const char *value, struct complaint *c)
{
    char *type = option_item(value, "type");
    const char *name = type ? type : value;
    bool pc =
        !strncmp(name, "pc", strcspn(name, ",")) || !strncmp(name, "pc-i440fx-", 10) || strchr(name, '=');
    free(type);
    return pc ? true : COMPLAIN(c, "there is no machine \"%s\"; there is pc", value);
}

static bool check_accelerator(struct options *o, const char *value, struct complaint *c)
{
    log_debug("-accel %s: Ringer is its own accelerator", value);
    return true;
}

static bool check_none(struct options *o, const char *value, struct complaint *c)
{
    return !strcmp(value, "none") ? true : COMPLAIN(c, "\"%s\" cannot be had; there is none", value);
}

static bool check_monitor(struct options *o, const char *value, struct complaint *c)
{
    return !strcmp(value, "none") || !strcmp(value, "null")
               ? true
               : COMPLAIN(c, "there is no monitor to put on \"%s\"", value);
}

static bool check_layout(struct options *o, const char *value, struct complaint *c)
{
    return !strcmp(value, "en-us") ? true
                                   : COMPLAIN(c, "there is no keyboard layout \"%s\"; there is en-us", value);
}

static bool accept(struct options *o, const char *value, struct complaint *c)
{
    return true;
}

static const struct option_row rows[] = {
    {"smp", "1", "one CPU", check_smp, 0, 0},
    {"machine", "pc", "the one machine", check_machine, 0, 0},
    {"M", "pc", NULL, check_machine, 0, 0},
    {"accel", "ANY", "ignored", check_accelerator, 0, 0},
    {"net", "none", "no network yet", check_none, 0, 0},
    {"nic", "none", NULL, check_none, 0, 0},
    {"k", "en-us", "keyboard layout of --type and of simple VNC viewers: there is one", check_layout, 0, 0},
    {"monitor", "none", "no monitor", check_monitor, 0, 0},
    {"nodefaults", NULL, "ignored", accept, 0, 0},
    {"no-user-config", NULL, "ignored", accept, 0, 0},
};

const struct option_group options_qemu = {"Accepted for QEMU's sake", rows, ARRAY_SIZE(rows)};
