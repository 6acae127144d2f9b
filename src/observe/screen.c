#include "screen.h"

#include "base/host_path.h"
#include "devices/video/vga.h"
#include "png_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files of that kind that former processes may have left behind. */
#define NAMES_MAX 100

/* Open a file beside `path` that will be renamed to it. *name is its name, to be freed. */
static int open_beside(const char *path, char **name)
{
    int fd, error;
    unsigned number = 0;
    do {
        if (asprintf(name, "%s.%d-%u", path, getpid(), number++) < 0) return -ENOMEM;
        fd = host_open(*name, O_RDWR | O_CREAT | O_EXCL, 0644);
        if (fd >= 0) return fd;
        error = errno;
        free(*name);
    } while (error == EEXIST && number < NAMES_MAX);
    return -error;
}

/* A device, a pipe or a link is written to and not replaced. A directory cannot be written. */
static bool is_special(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static int check(const char *path)
{
    struct stat status;
    char *name;
    if (is_special(path)) {
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) return EISDIR;
        return access(path, W_OK) < 0 ? errno : 0;
    }
    int fd = open_beside(path, &name);
    if (fd < 0) return -fd;
    host_unlink(name);
    close(fd);
    free(name);
    return 0;
}

bool screen_dump_check(const char *path, char *error, size_t error_bytes)
{
    int failed = check(path);
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
    char *name = NULL;
    bool special = is_special(path);
    int fd = special ? host_open(path, O_WRONLY | O_TRUNC, 0) : open_beside(path, &name);
    if (fd < 0) return special ? -errno : fd;
    int failed = write_all(fd, data, bytes);
    if (close(fd) < 0 && !failed) failed = -errno;
    if (special) return failed;
    if (!failed && host_rename(name, path) < 0) failed = -errno;
    if (failed) host_unlink(name);
    free(name);
    return failed;
}

int screen_dump(const struct vga *vga, const char *path)
{
    if (!vga) return -ENODEV;
    size_t bytes = vga_text_dump(vga, NULL, 0);
    char *text = malloc(bytes + 1);
    if (!text) return -ENOMEM;
    vga_text_dump(vga, text, bytes + 1);
    int failed = write_file(path, text, bytes);
    free(text);
    return failed;
}

/* A time at which everything that blinks is visible. */
#define BLINK_NONE 0

static u8 *ppm_encode(const u32 *pixel, u32 width, u32 height, size_t *bytes)
{
    char head[64];
    int length = snprintf(head, sizeof(head), "P6\n%u %u\n255\n", width, height);
    *bytes = (size_t)length + 3 * (size_t)width * height;
    u8 *image = malloc(*bytes), *to = image;
    if (!image) return NULL;
    memcpy(to, head, (size_t)length);
    to += length;
    for (size_t n = 0; n < (size_t)width * height; n++) {
        *to++ = (u8)(pixel[n] >> 16);
        *to++ = (u8)(pixel[n] >> 8);
        *to++ = (u8)pixel[n];
    }
    return image;
}

static int shoot(struct display *display, const char *path,
                 u8 *(*encode)(const u32 *pixel, u32 width, u32 height, size_t *bytes))
{
    struct display_viewer viewer = {.changed = NULL};
    int failed = display ? display_attach(display, &viewer) : -ENODEV;
    if (failed) return failed;
    display_take(&viewer);
    display_draw(&viewer, BLINK_NONE);
    size_t bytes = 0;
    const struct display_frame *frame = &viewer.frame;
    u8 *image = frame->pixel ? encode(frame->pixel, frame->width, frame->height, &bytes) : NULL;
    failed = image ? write_file(path, image, bytes) : -ENOMEM;
    free(image);
    display_detach(&viewer);
    return failed;
}

int screen_shot(struct display *display, const char *path)
{
    return shoot(display, path, png_encode);
}

int screen_shot_ppm(struct display *display, const char *path)
{
    return shoot(display, path, ppm_encode);
}
