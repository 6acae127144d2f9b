#include "runtime_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool runtime_folder(char *path, size_t bytes)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/' || access(base, W_OK | X_OK) < 0) return false;
    if ((size_t)snprintf(path, bytes, "%s/ringer", base) >= bytes) return false;
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool runtime_socket(const char *name, char *path, size_t bytes)
{
    char folder[256];
    if (!*name || *name == '.' || strchr(name, '/') || !runtime_folder(folder, sizeof(folder))) return false;
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path);
    return (size_t)snprintf(path, bytes, "%s/%s", folder, name) < (bytes < most ? bytes : most);
}

int runtime_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) return fd;
    int failed = errno;
    close(fd);
    return -failed;
}
