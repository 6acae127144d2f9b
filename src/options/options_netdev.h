/*
 * The value of -netdev, which -nic and -net have too.
 */
#ifndef RINGER_OPTIONS_OPTIONS_NETDEV_H
#define RINGER_OPTIONS_OPTIONS_NETDEV_H

#include "options_table.h"

/* Add a network. id: unless the value has one; NULL: it must. Keys that are a card's are added to `others` (NULL: there must be
 * none), as ",KEY=VALUE...". */
bool netdev_option_add(struct options *o, const char *value, const char *id, char *others,
                       size_t others_bytes, struct complaint *c);

#endif
