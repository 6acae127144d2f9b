#include "screen.h"

#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open a file beside `path` to be renamed over it; *name (to be freed) is what it is called. */
static int open_beside(const char *path, char **name)
{
    if (asprintf(name, "%s.XXXXXX", path) < 0) return -ENOMEM;
    int fd = mkostemp(*name, O_CLOEXEC);
    if (fd >= 0) {
        fchmod(fd, 0644);
        return fd;
    }
    int error = errno;
    free(*name);
    return -error;
}

bool screen_dump_check(const char *path, char *error, size_t error_bytes)
{
    char *name;
    int fd = open_beside(path, &name), failed = fd < 0 ? -fd : 0;
    struct stat status;
    if (!failed) {
        unlink(name);
        close(fd);
        free(name);
        /* rename() would refuse this one at the end of the run. */
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) failed = EISDIR;
    }
    if (!failed) return true;
    snprintf(error, error_bytes, "cannot write the screen dump %s: %s", path, strerror(failed));
    return false;
}

static int write_all(int fd, const char *text, size_t bytes)
{
    while (bytes) {
        ssize_t done = write(fd, text, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -errno;
        text += done;
        bytes -= (size_t)done;
    }
    return 0;
}

int screen_dump(struct vm *vm, const char *path)
{
    size_t bytes = vga_text_dump(&vm->chipset.vga, NULL, 0);
    char *text = malloc(bytes + 1), *name;
    if (!text) return -ENOMEM;
    vga_text_dump(&vm->chipset.vga, text, bytes + 1);
    int fd = open_beside(path, &name);
    if (fd < 0) {
        free(text);
        return fd;
    }
    int failed = write_all(fd, text, bytes);
    if (close(fd) < 0 && !failed) failed = -errno;
    if (!failed && rename(name, path) < 0) failed = -errno;
    if (failed) unlink(name);
    free(name);
    free(text);
    return failed;
}
