/*
 * Options: monitors, and what the machine may do on the host.
 */
#include "options_table.h"

#include "chardev/runtime_folder.h"

#include <stdlib.h>
#include <string.h>

static bool add_monitor(struct options *o, const char *chardev, bool qmp, struct complaint *c)
{
    struct control_options *control = &o->control;
    if (control->monitors == MONITORS_MAX)
        return COMPLAIN(c, "there are more than %u monitors", MONITORS_MAX);
    control->monitor[control->monitors++] = (struct monitor_option){.chardev = chardev, .qmp = qmp};
    return true;
}

/* The options own the copies of all chardevs' ids, but not of names behind "chardev:", which point into argv. */
static const char *chardev_for(struct options *o, bool qmp, const char *value, struct complaint *c)
{
    char id[32];
    unsigned number = 0;
    for (unsigned n = 0; n < o->control.monitors; n++)
        number += o->control.monitor[n].qmp == qmp;
    snprintf(id, sizeof(id), "%s%u", qmp ? "qmp" : "compat_monitor", number);
    return device_options_chardev_for(&o->board.devices, id, value, c->text, c->bytes);
}

const char *options_console(struct options *o, const char *id, const char *value, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    bool monitor = !strncmp(value, "mon:", 4);
    const char *chardev =
        device_options_chardev_for(devices, id, value + (monitor ? 4 : 0), c->text, c->bytes);
    if (!chardev || !monitor) return chardev;
    for (unsigned n = 0; n < devices->chardevs; n++)
        if (!strcmp(devices->chardev[n].id, chardev)) devices->chardev[n].mux = true;
    o->control.given = true;
    return add_monitor(o, chardev, false, c) ? chardev : NULL;
}

static bool set_monitor(struct options *o, const char *value, struct complaint *c)
{
    o->control.given = true;
    if (!strcmp(value, "none") || !strcmp(value, "null")) return o->control.no_monitor = true;
    const char *chardev = chardev_for(o, false, value, c);
    return chardev && add_monitor(o, chardev, false, c);
}

static bool set_qmp(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "none")) return true;
    const char *chardev = chardev_for(o, true, value, c);
    return chardev && add_monitor(o, chardev, true, c);
}

static bool set_qmp_pretty(struct options *o, const char *value, struct complaint *c)
{
    if (!set_qmp(o, value, c)) return false;
    if (o->control.monitors) o->control.monitor[o->control.monitors - 1].pretty = true;
    return true;
}

/* [chardev=]ID,mode=readline|control,pretty=on,id=NAME: libvirt names its monitor; no command asks for the name. */
static bool set_mon(struct options *o, const char *value, struct complaint *c)
{
    struct option_list list;
    char *key, *rest;
    char *chardev = NULL;
    bool qmp = false, pretty = false, good = true;
    if (!option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    for (bool first = true; good && option_list_next(&list, &key, &rest); first = false) {
        const char *id = first && !rest ? key : !strcmp(key, "chardev") ? rest : NULL;
        if (id) {
            free(chardev);
            chardev = strdup(id);
        } else if (!strcmp(key, "mode") && rest && (!strcmp(rest, "control") || !strcmp(rest, "readline"))) {
            qmp = rest[0] == 'c';
        } else if (!strcmp(key, "id") && rest) {
            continue;
        } else if (strcmp(key, "pretty") || !option_switch(rest, &pretty)) {
            good =
                COMPLAIN(c, "-mon takes chardev=ID,mode=readline or control,pretty=on or off, not \"%s=%s\"",
                         key, rest ? rest : "");
        }
    }
    option_list_close(&list);
    if (good && !chardev) good = COMPLAIN(c, "-mon needs chardev=ID");
    if (good) good = add_monitor(o, chardev, qmp, c);
    if (!good) {
        free(chardev);
        return false;
    }
    o->control.given |= !qmp;
    o->control.monitor[o->control.monitors - 1].copy = chardev;
    o->control.monitor[o->control.monitors - 1].pretty = pretty;
    return true;
}

void control_options_release(struct control_options *control)
{
    for (unsigned n = 0; n < control->monitors; n++)
        free(control->monitor[n].copy);
    control->monitors = 0;
}

void gdb_option_text(const char *to, char *text, size_t bytes)
{
    bool local = !strncmp(to, "tcp::", 5),
         socket = local || !strncmp(to, "tcp:", 4) || !strncmp(to, "unix:", 5);
    const char *role = socket && !strstr(to, ",server") ? ",server=on" : "";
    const char *wait = socket && !strstr(to, "wait") && !strstr(to, "server=off") ? ",wait=off" : "";
    snprintf(text, bytes, "%s%s%s%s", local ? "tcp:127.0.0.1:" : "", local ? to + 5 : to, role, wait);
}

static bool set_gdb(struct options *o, const char *value, struct complaint *c)
{
    char text[512];
    if (!strcmp(value, "none")) {
        o->control.gdb = NULL;
        return true;
    }
    if (o->control.gdb) return COMPLAIN(c, "there can be one -gdb or -s");
    gdb_option_text(value, text, sizeof(text));
    if (!strncmp(value, "chardev:", 8))
        o->control.gdb = value + 8;
    else
        o->control.gdb = device_options_chardev_for(&o->board.devices, GDB_CHARDEV, text, c->text, c->bytes);
    return o->control.gdb != NULL;
}

static bool set_gdb_usual(struct options *o, const char *value, struct complaint *c)
{
    return set_gdb(o, "tcp::1234", c);
}

static bool set_escape(struct options *o, const char *value, struct complaint *c)
{
    u64 byte;
    if (!option_number(value, &byte) || !byte || byte > 255)
        return COMPLAIN(c, "-echr takes the code of a character, 1 to 255, not \"%s\"", value);
    o->control.escape = (u8)byte;
    return true;
}

/* Ctrl-A c on the terminal that the first serial port has. */
void control_options_fill_in(struct options *o)
{
    char error[64];
    struct complaint c = {error, sizeof(error)};
    const char *serial = o->board.serial[0];
    const struct char_options *chardev = serial ? device_options_chardev(&o->board.devices, serial) : NULL;
    if (!o->control.escape) o->control.escape = 1;
    if (o->control.given || o->nodefaults || !chardev || chardev->kind != CHAR_STDIO) return;
    add_monitor(o, serial, false, &c);
}

/* QEMU's "on,spawn=deny,...": what its groups deny is denied here in any case. */
static bool set_sandbox(struct options *o, const char *value, struct complaint *c)
{
    char *first = strndup(value, strcspn(value, ","));
    bool good = first && option_switch(first, &o->sandbox);
    free(first);
    return good ? true : COMPLAIN(c, "--sandbox is on or off, not \"%s\"", value);
}

bool options_add_agents(struct options *o, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    char path[512], text[600];
    if (!o->control.agents) return true;
    if (!runtime_new_socket(o->board.name, true, path, sizeof(path)))
        return COMPLAIN(c, "--agents: there is no folder for a socket");
    snprintf(text, sizeof(text), "unix:%s,server=on,wait=off", path);
    return device_options_chardev_for(devices, "#agent", text, c->text, c->bytes) &&
           device_options_add_chardev(devices, "qemu-vdagent,id=#vdagent,clipboard=on", c->text, c->bytes) &&
           device_options_add(devices, "virtio-serial-pci,id=#agents", c->text, c->bytes) &&
           device_options_add(devices, "virtserialport,bus=#agents.0,chardev=#agent,name=" AGENT_PORT,
                              c->text, c->bytes) &&
           device_options_add(devices,
                              "virtserialport,bus=#agents.0,chardev=#vdagent,name=com.redhat.spice.0",
                              c->text, c->bytes);
}

static const struct option_row rows[] = {
    {"monitor", "TO", "a monitor for people: stdio, unix:PATH,server, ...; none", .set = set_monitor},
    {"qmp", "TO", "a monitor for programs, as QEMU's: unix:PATH,server,nowait, ...", .set = set_qmp},
    {"qmp-pretty", "TO", NULL, .set = set_qmp_pretty},
    {"mon", "chardev=ID[,mode=control]", "a monitor on a -chardev; mode=control: for programs",
     .set = set_mon},
    {"agents", NULL,
     "ports for qemu-guest-agent and spice-vdagent in the guest: ringer ctl NAME agent, clipboard, screen "
     "size",
     SWITCH(control.agents)},
    {"echr", "CODE", "the character that begins escape keys instead of Ctrl-A (1)", .set = set_escape},
    {"gdb", "TO", "a debugger may connect there: tcp::PORT (this host only), unix:PATH, chardev:ID; none",
     .set = set_gdb},
    {"s", NULL, "the same as -gdb tcp::1234", .set = set_gdb_usual},
    {"S", NULL, "wait for \"cont\" of a monitor or a debugger before the first guest instruction",
     SWITCH(control.stopped)},
    {"nodefaults", NULL, "no serial port, monitor, network or video card that was not asked for",
     SWITCH(nodefaults)},
    {"sandbox", "on|off", "confine the process while the guest runs (on)", .set = set_sandbox},
};

const struct option_group options_control = {"Controlling a running machine", rows, ARRAY_SIZE(rows)};
