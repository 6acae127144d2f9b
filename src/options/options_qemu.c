/*
 * Options that are accepted because scripts for QEMU use them.
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
    return one ? true : COMPLAIN(c, "the machine has one CPU: -smp %s is not possible", value);
}

static bool check_machine(struct options *o, const char *value, struct complaint *c)
{
    char *type = option_item(value, "type");
    const char *name = type ? type : value;
    bool pc =
        !strncmp(name, "pc", strcspn(name, ",")) || !strncmp(name, "pc-i440fx-", 10) || strchr(name, '=');
    free(type);
    if (!pc) return COMPLAIN(c, "there is no machine \"%s\"; there is pc", value);
    char *hpet = option_item(value, "hpet");
    bool good = !hpet || option_switch(hpet, &o->board.hpet);
    free(hpet);
    return good ? true : COMPLAIN(c, "-machine %s: hpet is on or off", value);
}

static bool no_hpet(struct options *o, const char *value, struct complaint *c)
{
    o->board.hpet = false;
    return true;
}

static bool check_accelerator(struct options *o, const char *value, struct complaint *c)
{
    log_debug("-accel %s: Ringer is its own accelerator", value);
    return true;
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
    {"smp", "1", "one CPU", .set = check_smp},
    {"machine", "pc[,hpet=on]", "the only machine; with an HPET for systems that need one",
     .set = check_machine},
    {"M", "pc[,hpet=on]", NULL, .set = check_machine},
    {"no-hpet", NULL, "no HPET (the default)", .set = no_hpet},
    {"accel", "ANY", "ignored", .set = check_accelerator},
    {"k", "en-us", "keyboard layout of --type and of simple VNC viewers: only this one", .set = check_layout},
    {"no-user-config", NULL, "ignored", .set = accept},
};

const struct option_group options_qemu = {"For compatibility with QEMU", rows, ARRAY_SIZE(rows)};
