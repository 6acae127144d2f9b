/*
 * Options that are accepted because scripts for QEMU use them.
 */
#include "options_table.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static bool check_smp(struct options *o, const char *value, struct complaint *c)
{
    char *item = option_item(value, "cpus");
    u64 cpus = 0;
    char *first = strndup(value, strcspn(value, ","));
    bool good = first && (option_number(item ? item : first, &cpus) || strchr(first, '='));
    free(item);
    free(first);
    if (!good || (!cpus && strncmp(value, "sockets", 7) && !strchr(value, '=')))
        return COMPLAIN(c, "-smp takes a number of CPUs, not \"%s\"", value);
    if (cpus > 1) log_warn("-smp %s: the machine has one CPU", value);
    return true;
}

static bool check_machine(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->help = COMMAND_HELP_MACHINES, true;
    char *type = option_item(value, "type");
    const char *name = type ? type : value;
    bool pc =
        !strncmp(name, "pc", strcspn(name, ",")) || !strncmp(name, "pc-i440fx-", 10) || strchr(name, '=');
    bool other = !strncmp(name, "q35", strcspn(name, ",")) || !strncmp(name, "pc-q35-", 7);
    free(type);
    if (other) log_warn("-machine %s: the machine is the PC with an i440FX all the same", value);
    if (!pc && !other) return COMPLAIN(c, "there is no machine \"%s\"; there is pc", value);
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

/* "node,memdev=ID": all memory is one node. */
static bool check_numa(struct options *o, const char *value, struct complaint *c)
{
    return !strncmp(value, "node", 4)
               ? true
               : COMPLAIN(c, "the machine has one NUMA node: -numa %s is not possible", value);
}

static bool add_watchdog(struct options *o, const char *value, struct complaint *c)
{
    if (strcmp(value, "i6300esb")) return COMPLAIN(c, "-watchdog is i6300esb, not \"%s\"", value);
    return device_options_add(&o->board.devices, value, c->text, c->bytes);
}

static bool add_balloon(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "none")) return true;
    if (strncmp(value, "virtio", 6)) return COMPLAIN(c, "-balloon is virtio or none, not \"%s\"", value);
    char list[128];
    snprintf(list, sizeof(list), "virtio-balloon-pci%s", value + 6);
    return device_options_add(&o->board.devices, list, c->text, c->bytes);
}

/* QEMU names the bus of this controller usb-bus.0. */
static bool add_usb(struct options *o, const char *value, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    for (unsigned n = 0; n < devices->count; n++)
        if (devices->device[n].id && !strcmp(devices->device[n].id, "usb-bus")) return true;
    return device_options_add(devices, "piix3-usb-uhci,id=usb-bus", c->text, c->bytes);
}

static bool add_usb_device(struct options *o, const char *value, struct complaint *c)
{
    if (strcmp(value, "tablet") && strcmp(value, "keyboard"))
        return COMPLAIN(c, "-usbdevice is tablet or keyboard, not \"%s\"", value);
    return add_usb(o, NULL, c) &&
           device_options_add(&o->board.devices, strcmp(value, "tablet") ? "usb-kbd" : "usb-tablet", c->text,
                              c->bytes);
}

static bool accept(struct options *o, const char *value, struct complaint *c)
{
    return true;
}

static const struct option_row rows[] = {
    {"smp", "N", "one CPU; more are accepted with a warning", .set = check_smp},
    {"machine", "pc[,hpet=on]", "the only machine; with an HPET for systems that need one",
     .set = check_machine},
    {"M", "pc[,hpet=on]", NULL, .set = check_machine},
    {"no-hpet", NULL, "no HPET (the default)", .set = no_hpet},
    {"accel", "ANY", "ignored", .set = check_accelerator},
    {"k", "en-us", "keyboard layout of --type and of simple VNC viewers: only this one", .set = check_layout},
    {"numa", "node,memdev=ID", "ignored", .set = check_numa},
    {"no-user-config", NULL, "ignored", .set = accept},
    {"no-fd-bootchk", NULL, "ignored", .set = accept},
    {"mem-prealloc", NULL, "ignored", .set = accept},
    {"mem-path", "FILE", "ignored", .ignored = "guest memory is a memfd"},
    {"watchdog", "i6300esb", "as -device i6300esb", .set = add_watchdog},
    {"balloon", "virtio", "as -device virtio-balloon-pci; none", .set = add_balloon},
    {"usb", NULL, "as -device piix3-usb-uhci", .set = add_usb},
    {"usbdevice", "tablet", "-usb with a tablet or keyboard", .set = add_usb_device},
    {"enable-kvm", NULL, "ignored", .set = accept},
    {"overcommit", "...", "ignored", .ignored = "guest memory is never locked"},
    {"only-migratable", NULL, "ignored", .ignored = "nothing migrates"},
    {"no-acpi", NULL, "ignored", .ignored = "the machine has ACPI"},
    {"msg", "...", "ignored", .ignored = "messages have no time stamps"},
    {"d", "LIST", "ignored", .ignored = "see --trace and --debug"},
    {"D", "FILE", "ignored", .ignored = "see --trace and --debug"},
    {"pidfile", "FILE", "write the process's number to FILE", STRING(pid_file)},
    {"daemonize", NULL, "return when all sockets are bound, and go on in the background", SWITCH(daemonize)},
};

const struct option_group options_qemu = {"For compatibility with QEMU", rows, ARRAY_SIZE(rows)};
