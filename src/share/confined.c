#include "confined.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

bool confined_name_is_good(const char *name)
{
    return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

/* One step of a lookup. With openat2() the kernel checks invariants 1 and 2 once more. Where there is no openat2(),
 * or a container forbids it, the check of the name alone ensures them. */
static int step(int directory, const char *name, int flags, mode_t mode)
{
    static bool without; /* atomic */
    if (strlen(name) > NAME_MAX) return -ENAMETOOLONG;
    flags |= O_NOFOLLOW | O_CLOEXEC;
    if (!__atomic_load_n(&without, __ATOMIC_RELAXED)) {
        struct open_how how = {.flags = (u64)flags,
                               .mode = mode,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
        long fd = syscall(SYS_openat2, directory, name, &how, sizeof(how));
        if (fd >= 0) return (int)fd;
        if (errno != ENOSYS && errno != EPERM) return -errno;
        bool missing = errno == ENOSYS;
        /* EPERM comes from a filter of system calls, or from the file. The other call tells. */
        int other = openat(directory, name, flags, mode);
        if (other >= 0 || missing) __atomic_store_n(&without, true, __ATOMIC_RELAXED);
        return other >= 0 ? other : -errno;
    }
    int fd = openat(directory, name, flags, mode);
    return fd >= 0 ? fd : -errno;
}

int confined_find(int directory, const char *name)
{
    return step(directory, name, O_PATH, 0);
}

int confined_create(int directory, const char *name, int flags, mode_t mode)
{
    return step(directory, name, flags | O_CREAT | O_EXCL | O_NOCTTY | O_NONBLOCK, mode & 07777);
}

const char *confined_link(int fd, char link[CONFINED_LINK_BYTES])
{
    /* The thread's own: a folder's threads have their own table of descriptors (folder.h). */
    snprintf(link, CONFINED_LINK_BYTES, "/proc/thread-self/fd/%d", fd);
    return link;
}

int confined_open(int fd, int flags)
{
    char link[CONFINED_LINK_BYTES];
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return -ENXIO;
    int opened = open(confined_link(fd, link), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return opened >= 0 ? opened : -errno;
}

bool confined_possible(char *error, size_t error_bytes)
{
    if (!access("/proc/thread-self/fd", X_OK)) return true;
    snprintf(error, error_bytes, "a folder cannot be shared where /proc is not mounted");
    return false;
}
