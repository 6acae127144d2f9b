/*
 * The files that a command line names. The sandbox treats them as the user's word (sandbox/opener_rules.h).
 */
#ifndef RINGER_OPTIONS_OPTIONS_FILES_H
#define RINGER_OPTIONS_OPTIONS_FILES_H

#include "options.h"

/* Calls `add` for each. A name may be of no file. */
void options_files(const struct options *options, void (*add)(void *owner, const char *path), void *owner);

/* The directories that user networks serve by TFTP; returns how many, at most NETDEVS_MAX. */
unsigned options_tftp_directories(const struct options *options, const char *path[NETDEVS_MAX]);

/* Does a user network start programs (guestfwd=...-cmd:)? */
bool options_start_programs(const struct options *options);

#endif
