/*
 * Host files by name. A thread in the sandbox cannot open files; these functions then ask the opener, a process of its
 * own that has the user's rights and rules of its own (sandbox/opener.h). All code that may open a file after the
 * machine has started uses them. Each returns a descriptor or 0, or -1 with errno, as open(2), unlink(2) and rename(2)
 * do.
 */
#ifndef RINGER_BASE_HOST_PATH_H
#define RINGER_BASE_HOST_PATH_H

#include <stdio.h>
#include <sys/types.h>

/* O_CLOEXEC is always set. `mode` counts with O_CREAT and O_TMPFILE. */
int host_open(const char *path, int flags, mode_t mode);
int host_unlink(const char *path);
int host_rename(const char *from, const char *to);

/* fopen(path, "w") */
FILE *host_create(const char *path);

struct host_path_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*unlink)(const char *path);
    int (*rename)(const char *from, const char *to);
};

/* NULL: the system calls. Global, because the sandbox belongs to the process. */
void host_path_set(const struct host_path_ops *ops);

#endif
