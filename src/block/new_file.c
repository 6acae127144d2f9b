#include "new_file.h"

#include "host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(const struct new_file *file, char *error, size_t error_bytes)
{
    snprintf(error, error_bytes, "cannot write %s: %s", file->path, strerror(errno));
    return false;
}

static bool may_replace(const char *path, char *error, size_t error_bytes)
{
    struct stat status;
    if (stat(path, &status)) return true; /* there is nothing, or what follows will tell */
    struct store *store = host_file_open(path, false, error, error_bytes);
    if (!store) return false;
    store->ops->close(store);
    return true;
}

bool new_file_begin(struct new_file *file, const char *path, bool replace, char *error, size_t error_bytes)
{
    file->replace = replace;
    file->fd = -1;
    if (snprintf(file->path, sizeof(file->path), "%s", path) >= (int)sizeof(file->path)) {
        snprintf(error, error_bytes, "the file name is too long");
        return false;
    }
    if (!replace && !access(path, F_OK)) {
        snprintf(error, error_bytes, "%s exists already; --force replaces it", path);
        return false;
    }
    if (replace && !may_replace(path, error, error_bytes)) return false;
    snprintf(file->temporary, sizeof(file->temporary), "%s.new-XXXXXX", file->path);
    file->fd = mkostemp(file->temporary, O_CLOEXEC);
    if (file->fd < 0) return complain(file, error, error_bytes);
    mode_t mask = umask(0);
    umask(mask);
    fchmod(file->fd, 0666 & ~mask);
    return true;
}

struct store *new_file_store(struct new_file *file)
{
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    struct store *store = fd < 0 ? NULL : host_file_of(fd, NULL, false);
    if (!store && fd >= 0) close(fd);
    return store;
}

bool new_file_end(struct new_file *file, bool good, char *error, size_t error_bytes)
{
    if (good && fsync(file->fd)) good = complain(file, error, error_bytes);
    if (good && (file->replace ? rename(file->temporary, file->path) : link(file->temporary, file->path)))
        good = complain(file, error, error_bytes);
    if (!good || !file->replace) unlink(file->temporary);
    close(file->fd);
    return good;
}
