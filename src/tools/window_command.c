#include "window_command.h"

#include "base/log.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The window's program, beside this one in a build directory, or installed; to be freed. NULL: there is none. */
static char *find_program(const char *self)
{
    char *folder = g_path_get_dirname(self);
    char *places[] = {g_build_filename(folder, "ringer-window", NULL),
                      g_build_filename(folder, "..", "libexec", "ringer", "ringer-window", NULL)};
    char *found = NULL;
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
        if (!found && access(places[n], X_OK) == 0) found = g_strdup(places[n]);
        g_free(places[n]);
    }
    g_free(folder);
    return found;
}

static char *find_self(char *path, size_t bytes)
{
    ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
    path[length > 0 ? length : 0] = 0;
    return path;
}

static bool has_desktop(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x && *x) || (wayland && *wayland);
}

/* A terminal, or the null device that a desktop gives its programs; not a script's pipe or file. */
static bool is_device(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISCHR(about.st_mode);
}

/* A desktop may send a program's output to a journal, by a socket. */
static bool is_socket(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

bool window_is_wanted(void)
{
    char self[4096];
    if (!has_desktop() || !is_device(STDIN_FILENO) || !(is_device(STDOUT_FILENO) || is_socket(STDOUT_FILENO)))
        return false;
    char *program = find_program(find_self(self, sizeof(self)));
    g_free(program);
    return program;
}

int window_command(int argc, char **argv)
{
    char self[4096];
    char *program = find_program(find_self(self, sizeof(self)));
    if (argc) {
        log_error("ringer window takes no arguments, so not \"%s\"", argv[0]);
    } else if (!has_desktop()) {
        log_error("ringer window: there is no desktop (neither DISPLAY nor WAYLAND_DISPLAY names one)");
    } else if (!program) {
        log_error("ringer window: the window is not installed (Debian's package is ringer-window)");
    } else {
        execv(program, (char *[]){program, self, NULL});
        log_error("cannot run %s: %s", program, strerror(errno));
    }
    g_free(program);
    return STATUS_USAGE;
}
