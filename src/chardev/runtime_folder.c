#include "runtime_folder.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool own_folder(const char *path)
{
    struct stat folder;
    if (mkdir(path, 0700) && errno != EEXIST) return false;
    return !lstat(path, &folder) && S_ISDIR(folder.st_mode) && folder.st_uid == geteuid() &&
           !(folder.st_mode & (S_IRWXG | S_IRWXO));
}

bool runtime_folder(char *path, size_t bytes)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    bool has = base && *base == '/' && access(base, W_OK | X_OK) == 0;
    int length = has ? snprintf(path, bytes, "%s/ringer", base)
                     : snprintf(path, bytes, "/tmp/ringer-%u", (unsigned)geteuid());
    return (size_t)length < bytes && own_folder(path);
}

static bool can_be_named(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

static bool socket_path(const char *name, bool agent, char *path, size_t bytes)
{
    char folder[256];
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path);
    return runtime_folder(folder, sizeof(folder)) &&
           (size_t)snprintf(path, bytes, agent ? "%s/.%s.agent" : "%s/%s", folder, name) <
               (bytes < most ? bytes : most);
}

bool runtime_socket(const char *name, char *path, size_t bytes)
{
    return can_be_named(name) && socket_path(name, false, path, bytes);
}

bool runtime_new_socket(const char *name, bool agent, char *path, size_t bytes)
{
    char numbered[160];
    snprintf(numbered, sizeof(numbered), "pid-%d", getpid());
    if (name && can_be_named(name) && socket_path(name, agent, path, bytes)) {
        int fd = runtime_connect(path);
        if (fd < 0) return true;
        close(fd);
        snprintf(numbered, sizeof(numbered), "%.100s.pid-%d", name, getpid());
    }
    return socket_path(numbered, agent, path, bytes);
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

/* The process's number in the name of a socket; 0: it has none. The names are "pid-N" and "NAME.pid-N", and those of
 * guest agents ".pid-N.agent" and ".NAME.pid-N.agent". */
static int number_in(const char *socket_name)
{
    const char *at = socket_name;
    for (const char *next; (next = strstr(at, ".pid-"));)
        at = next + 1;
    return strncmp(at, "pid-", 4) ? 0 : atoi(at + 4);
}

void runtime_sweep(void)
{
    char folder[256], path[600];
    DIR *directory = runtime_folder(folder, sizeof(folder)) ? opendir(folder) : NULL;
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        int pid = number_in(entry->d_name);
        if (pid <= 0 || !kill(pid, 0) || errno != ESRCH) continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        int fd = runtime_connect(path); /* it may belong to a process of another PID namespace */
        if (fd >= 0)
            close(fd);
        else if (fd == -ECONNREFUSED)
            unlink(path);
    }
    closedir(directory);
}
