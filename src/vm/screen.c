#include "screen.h"

#include "png.h"
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
    snprintf(error, error_bytes, "cannot write the screen to %s: %s", path, strerror(failed));
    return false;
}

static int write_all(int fd, const void *data, size_t bytes)
{
    const u8 *at = data;
    while (bytes) {
        ssize_t done = write(fd, at, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -errno;
        at += done;
        bytes -= (size_t)done;
    }
    return 0;
}

static int write_file(const char *path, const void *data, size_t bytes)
{
    char *name;
    int fd = open_beside(path, &name);
    if (fd < 0) return fd;
    int failed = write_all(fd, data, bytes);
    if (close(fd) < 0 && !failed) failed = -errno;
    if (!failed && rename(name, path) < 0) failed = -errno;
    if (failed) unlink(name);
    free(name);
    return failed;
}

int screen_dump(struct vm *vm, const char *path)
{
    if (!video_display(&vm->chipset.video)) return -ENODEV;
    const struct vga *vga = &vm->chipset.video.vga;
    size_t bytes = vga_text_dump(vga, NULL, 0);
    char *text = malloc(bytes + 1);
    if (!text) return -ENOMEM;
    vga_text_dump(vga, text, bytes + 1);
    int failed = write_file(path, text, bytes);
    free(text);
    return failed;
}

/* A time at which everything that blinks is there. */
#define BLINK_NONE 0

int screen_shot(struct vm *vm, const char *path)
{
    struct display *display = video_display(&vm->chipset.video);
    struct display_viewer viewer = {.changed = NULL};
    int failed = display ? display_attach(display, &viewer) : -ENODEV;
    if (failed) return failed;
    display_take(&viewer);
    display_draw(&viewer, BLINK_NONE);
    size_t bytes = 0;
    const struct display_frame *frame = &viewer.frame;
    u8 *png = frame->pixel ? png_encode(frame->pixel, frame->width, frame->height, &bytes) : NULL;
    failed = png ? write_file(path, png, bytes) : -ENOMEM;
    free(png);
    display_detach(&viewer);
    return failed;
}
