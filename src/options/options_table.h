/*
 * What the files options_*.c share: a table of options is a list of groups, a group a list of rows, a row an
 * option or another spelling of the one above it. Parser, `ringer help` and the man page's test read the same
 * rows.
 */
#ifndef RINGER_OPTIONS_OPTIONS_TABLE_H
#define RINGER_OPTIONS_OPTIONS_TABLE_H

#include "options.h"

/* A setter's way to say what is wrong with its value. */
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
};
#define SWITCH(field) .flag = offsetof(struct options, field) + 1
#define STRING(field) .string = offsetof(struct options, field) + 1

struct option_group {
    const char *heading;
    const struct option_row *rows;
    unsigned count;
};

extern const struct option_group options_boot, options_devices, options_drives, options_machine,
    options_display, options_watching, options_engines, options_qemu;

/* --- what arguments are made of (options_values.c) --- */

/* A whole number, decimal, 0x or 0 as in C. */
bool option_number(const char *text, u64 *out);
/* A size with an optional suffix b, K, M, G or T; without one it is in units of 1 << default_shift. */
bool option_size(const char *text, unsigned default_shift, u64 *out);
/* on or off, yes or no; NULL is none of them. */
bool option_switch(const char *text, bool *on);

/* A list "ITEM,KEY=VALUE,..." as a copy, cut into pieces; a comma within one is written twice. */
struct option_list {
    char *text, *rest;
};
/* False: out of memory. */
bool option_list_open(struct option_list *list, const char *text);
/* The next item; value: what is behind '=', or NULL. Both are there until the list is closed. False: that was
 * all. */
bool option_list_next(struct option_list *list, char **key, char **value);
void option_list_close(struct option_list *list);

/* The value of `key` in "key=value,key=value" as a copy, or NULL: some of QEMU's arguments are such lists. */
char *option_item(const char *list, const char *key);

#endif
