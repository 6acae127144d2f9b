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

/* Lock the existing file. It may be a link to another place. */
static bool take_old(struct new_file *file, char *error, size_t error_bytes)
{
    struct stat status;
    char *real = realpath(file->path, NULL);
    if (!real) return true; /* nothing exists, or the calls that follow report the error */
    bool fits = snprintf(file->path, sizeof(file->path), "%s", real) < (int)sizeof(file->path);
    free(real);
    if (!fits || stat(file->path, &status) || !S_ISREG(status.st_mode)) {
        snprintf(error, error_bytes, "%s is not a file that can be replaced", file->path);
        return false;
    }
    file->old = host_file_open(file->path, false, error, error_bytes);
    return file->old;
}

static bool make_temporary(struct new_file *file, char *error, size_t error_bytes)
{
    snprintf(file->temporary, sizeof(file->temporary), "%s.new-XXXXXX", file->path);
    file->fd = mkostemp(file->temporary, O_CLOEXEC);
    if (file->fd < 0) return complain(file, error, error_bytes);
    mode_t mask = umask(0);
    umask(mask);
    fchmod(file->fd, 0666 & ~mask);
    return true;
}

static void let_old_go(struct new_file *file)
{
    if (file->old) file->old->ops->close(file->old);
    file->old = NULL;
}

bool new_file_begin(struct new_file *file, const char *path, bool replace, char *error, size_t error_bytes)
{
    file->replace = replace;
    file->fd = -1;
    file->old = NULL;
    if (snprintf(file->path, sizeof(file->path), "%s", path) >= (int)sizeof(file->path)) {
        snprintf(error, error_bytes, "the file name is too long");
        return false;
    }
    if (!replace && !access(path, F_OK)) {
        snprintf(error, error_bytes, "%s exists already; --force replaces it", path);
        return false;
    }
    if (replace && !take_old(file, error, error_bytes)) return false;
    if (make_temporary(file, error, error_bytes)) return true;
    let_old_go(file);
    return false;
}

struct store *new_file_store(struct new_file *file)
{
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    struct store *store = fd < 0 ? NULL : host_file_of(fd, NULL);
    if (!store && fd >= 0) close(fd);
    return store;
}

/* Make the file's name stable. Some file systems cannot sync a directory. */
static void sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = name ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(name);
}

bool new_file_end(struct new_file *file, bool good, char *error, size_t error_bytes)
{
    if (good && fsync(file->fd)) good = complain(file, error, error_bytes);
    if (good && (file->replace ? rename(file->temporary, file->path) : link(file->temporary, file->path)))
        good = complain(file, error, error_bytes);
    if (!good || !file->replace) unlink(file->temporary);
    if (good) sync_directory(file->path);
    let_old_go(file);
    close(file->fd);
    return good;
}
