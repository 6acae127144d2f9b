#include "daemon.h"

#include "base/host_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Global, because standard streams and process numbers belong to the process. */
static int ready_fd = -1;
static const char *pid_file;
static pid_t pid_of_file;

int daemon_begin(void)
{
    int fds[2], status;
    char byte;
    if (pipe2(fds, O_CLOEXEC) < 0) return -errno;
    pid_t child = fork();
    if (child < 0) return -errno;
    if (!child) {
        close(fds[0]);
        ready_fd = fds[1];
        setsid();
        return 0;
    }
    close(fds[1]);
    ssize_t got;
    do
        got = read(fds[0], &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1) _exit(0);
    /* The child has ended, and has said why. */
    if (waitpid(child, &status, 0) < 0) _exit(1);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void daemon_ready(void)
{
    if (ready_fd < 0) return;
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2) close(null);
    if (write(ready_fd, "", 1) != 1) { /* the parent was killed, so none waits */
    }
    close(ready_fd);
    ready_fd = -1;
}

static void remove_pid_file(void)
{
    if (getpid() == pid_of_file) host_unlink(pid_file);
}

bool daemon_note_pid(const char *path, char *error, size_t error_bytes)
{
    FILE *out = fopen(path, "we");
    bool good = out && fprintf(out, "%d\n", getpid()) > 0;
    if (out && fclose(out)) good = false;
    if (!good) snprintf(error, error_bytes, "cannot write %s: %s", path, strerror(errno));
    return good;
}

bool daemon_write_pid(const char *path, char *error, size_t error_bytes)
{
    if (!daemon_note_pid(path, error, error_bytes)) return false;
    pid_file = path;
    pid_of_file = getpid();
    atexit(remove_pid_file);
    return true;
}
