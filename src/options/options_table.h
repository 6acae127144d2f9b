/*
 * What the files options_*.c share. The table of options is a list of groups, a group is a list of rows, and a
 * row is an option or another spelling of the option above it. The parser, `ringer help` and the test of the man
 * page read the same rows.
 */
#ifndef RINGER_OPTIONS_OPTIONS_TABLE_H
#define RINGER_OPTIONS_OPTIONS_TABLE_H

#include "options.h"
#include "options_values.h"

/* Room for the sentence with which a setter rejects its value. */
struct complaint {
    char *text;
    size_t bytes;
};

#define COMPLAIN(c, ...) (snprintf((c)->text, (c)->bytes, __VA_ARGS__), false)

struct option_row {
    const char *name;
    const char *argument; /* NULL: none; "[=...]": optional, only behind '=' */
    const char *help;     /* NULL: another spelling of the row above */
    bool (*set)(struct options *o, const char *value, struct complaint *c);
    /* Without a setter: offset in struct options, + 1, of the bool to be set or of the string that points to
     * the argument. */
    size_t flag, string;
    const char *ignored; /* why it has no effect: the user is told once */
};
#define SWITCH(field) .flag = offsetof(struct options, field) + 1
#define STRING(field) .string = offsetof(struct options, field) + 1
/* A number's digits, for a help text. `number` may be a macro. */
#define DIGITS(number)    DIGITS_OF(number)
#define DIGITS_OF(digits) #digits

struct option_group {
    const char *heading;
    const struct option_row *rows;
    unsigned count;
};

/* The id of the chardev for a console; "mon:..." puts a monitor on it too. NULL with a complaint. */
const char *options_console(struct options *o, const char *id, const char *value, struct complaint *c);
/* The monitors that are there without an option. */
void control_options_fill_in(struct options *o);

/* The ports of --agents, when the whole command line is known. */
bool options_add_agents(struct options *o, struct complaint *c);

/* Setters in options_device.c for options of other groups. */
bool options_set_debugcon(struct options *o, const char *value, struct complaint *c);
bool options_set_firmware_log(struct options *o, const char *value, struct complaint *c);

/* options_netdev.c. Is that, or does it begin with, a kind of -netdev? False with one sentence. */
bool options_has_netdev(const char *text, struct complaint *c);
/* A -netdev. Keys that are a card's are appended to *others as ",KEY=VALUE..." (NULL: there must be none). */
bool options_add_netdev(struct net_options *net, const char *value, const char *id, char *others,
                        size_t others_bytes, struct complaint *c);
/* options_nic.c: setters, and the cards at the head of the list of devices, when the whole command line is known. */
bool options_set_nic(struct options *o, const char *value, struct complaint *c);
bool options_set_net(struct options *o, const char *value, struct complaint *c);
bool options_settle_cards(struct options *o, struct complaint *c);

/* options_completion.c: the script for a shell (COMMAND_HELP_BASH, COMMAND_HELP_ZSH). */
void options_completion(enum command command, const struct option_group *const *groups, unsigned count,
                        FILE *out);

extern const struct option_group options_boot, options_devices, options_drives, options_machine,
    options_display, options_net, options_control, options_observe, options_engines, options_qemu,
    options_share, options_firmware, options_testing;

#endif
