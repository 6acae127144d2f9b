/*
 * The values in the arguments of options: numbers, sizes, switches, lists.
 */
#ifndef RINGER_OPTIONS_OPTIONS_VALUES_H
#define RINGER_OPTIONS_OPTIONS_VALUES_H

#include "base/types.h"

/* A whole number: decimal, hexadecimal (0x) or octal (0) as in C. */
bool option_number(const char *text, u64 *out);
/* A size with an optional suffix b, K, M, G or T; without one it is in units of 1 << default_shift. */
bool option_size(const char *text, unsigned default_shift, u64 *out);
/* on or off, yes or no. False for anything else, and for NULL. */
bool option_switch(const char *text, bool *on);

/* A copy of a list "ITEM,KEY=VALUE,...", cut into items; a comma within an item is written twice. */
struct option_list {
    char *text, *rest;
};
/* False: out of memory. */
bool option_list_open(struct option_list *list, const char *text);
/* The next item: its key, and what is behind '=' or NULL. Both are valid until the list is closed. False at the end. */
bool option_list_next(struct option_list *list, char **key, char **value);
void option_list_close(struct option_list *list);

/* A copy of the value of `key` in "key=value,key=value", or NULL. Some of QEMU's arguments are such lists. */
char *option_item(const char *list, const char *key);

#endif
