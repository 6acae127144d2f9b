#include "opener_rules.h"

#include "base/types.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool opener_files_add(struct opener_files *files, const char *path)
{
    char directory[PATH_MAX], real[PATH_MAX + NAME_MAX + 2];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!*path || strlen(path) >= PATH_MAX) return true;
    if (!realpath(path, real)) {
        snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
        if (!realpath(*directory ? directory : "/", real)) return true;
        size_t length = strlen(real);
        snprintf(real + length, sizeof(real) - length, "%s%s", length > 1 ? "/" : "", name);
    }
    char **more = realloc(files->path, (files->count + 1) * sizeof(*more));
    if (!more) return false;
    files->path = more;
    more[files->count] = strdup(real);
    return more[files->count++];
}

void opener_files_release(struct opener_files *files)
{
    while (files->count)
        free(files->path[--files->count]);
    free(files->path);
    files->path = NULL;
}

/* Is it the directory, or something in it? The directory has no slash at its end. */
static bool is_below(const char *path, const char *directory, size_t length)
{
    return !strncmp(path, directory, length) && (path[length] == '/' || !path[length]);
}

static bool is_in(const char *path, const char *const *directories, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        if (is_below(path, directories[n], strlen(directories[n]))) return true;
    return false;
}

static bool is_harmless_device(const char *path)
{
    static const char *const devices[] = {"/dev/null",    "/dev/zero", "/dev/random",
                                          "/dev/urandom", "/dev/full", "/dev/hwrng",
                                          "/dev/pts",     "/dev/shm",  "/dev/net/tun"};
    return is_in(path, devices, ARRAY_SIZE(devices)) || !strncmp(path, "/dev/sr", 7);
}

/* What follows the longest directory of a named file. */
static const char *strip_named(const struct opener_files *files, const char *path)
{
    size_t most = 0;
    for (unsigned n = 0; n < files->count; n++) {
        size_t length = (size_t)(strrchr(files->path[n], '/') - files->path[n]);
        if (length > most && is_below(path, files->path[n], length)) most = length;
    }
    return path + most;
}

bool opener_is_named(const struct opener_files *files, const char *path)
{
    for (unsigned n = 0; n < files->count; n++)
        if (!strcmp(files->path[n], path)) return true;
    return false;
}

bool opener_allows(const struct opener_files *files, const char *path, bool to_write)
{
    static const char *const kernels[] = {"/proc", "/sys"};
    static const char *const systems[] = {"/etc",   "/usr",  "/bin",       "/sbin",        "/lib",
                                          "/lib64", "/boot", "/var/spool", "/var/lib/dpkg"};
    if (opener_is_named(files, path)) return true;
    if (is_in(path, kernels, ARRAY_SIZE(kernels))) return false;
    if (is_below(path, "/dev", 4) && !is_harmless_device(path)) return false;
    if (to_write && is_in(path, systems, ARRAY_SIZE(systems))) return false;
    return !strstr(strip_named(files, path), "/.");
}
