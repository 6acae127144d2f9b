#include "host_path.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct host_path_ops *asked;

void host_path_set(const struct host_path_ops *ops)
{
    __atomic_store_n(&asked, ops, __ATOMIC_RELEASE);
}

static const struct host_path_ops *ops(void)
{
    return __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
}

int host_open(const char *path, int flags, mode_t mode)
{
    flags |= O_CLOEXEC;
    return ops() ? ops()->open(path, flags, mode) : open(path, flags, mode);
}

int host_unlink(const char *path)
{
    return ops() ? ops()->unlink(path) : unlink(path);
}

int host_rename(const char *from, const char *to)
{
    return ops() ? ops()->rename(from, to) : rename(from, to);
}

FILE *host_create(const char *path)
{
    int fd = host_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) return NULL;
    FILE *out = fdopen(fd, "w");
    int error = errno;
    if (!out) close(fd);
    errno = error;
    return out;
}
