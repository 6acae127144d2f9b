/*
 * What the opener does for a monitor's user, and what it refuses although the user may do it. The process that asks may
 * be a guest's that has broken out of its machine, so the opener refuses it files that could give it the user's
 * account:
 *
 *   /proc, /sys, and devices other than terminals, CD drives, taps, null, zero and random
 *   hidden files, and files in hidden directories: ~/.ssh, ~/.bashrc, ~/.config, .git
 *   to write: programs (files with an execute permission), and the system's directories (which matters to root)
 *
 * Files that the command line names are not refused, and hidden directories above them do not count.
 */
#ifndef RINGER_SANDBOX_OPENER_RULES_H
#define RINGER_SANDBOX_OPENER_RULES_H

#include <stdbool.h>

/* The files that the command line names, as absolute paths without links. */
struct opener_files {
    char **path;
    unsigned count;
};

/* `path` may not exist yet. */
bool opener_files_add(struct opener_files *files, const char *path);
void opener_files_release(struct opener_files *files);

/* `path`: absolute, without links. */
bool opener_allows(const struct opener_files *files, const char *path, bool to_write);
bool opener_is_named(const struct opener_files *files, const char *path);

#endif
