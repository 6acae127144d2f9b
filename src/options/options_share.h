/*
 * The options of shared folders: -fsdev, and -virtfs, which is short for a -fsdev and a -device.
 */
#ifndef RINGER_OPTIONS_OPTIONS_SHARE_H
#define RINGER_OPTIONS_OPTIONS_SHARE_H

#include "base/share_options.h"

#define SHARES_MAX 16

struct share_option {
    char *id, *path;
    struct share_options options; /* options.path is path */
};

struct shares_options {
    struct share_option share[SHARES_MAX];
    unsigned count;
};

/* NULL: there is none of this id. */
const struct share_option *share_options_find(const struct shares_options *options, const char *id);
void share_options_release(struct shares_options *options);

#endif
