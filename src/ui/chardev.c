#include "chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(((struct chardev *)0)->buffer) <= PIPE_BUF, "see struct chardev");

/* While output waits for a slow reader, `giving_up` is tested this often. */
#define LOOK_AGAIN_MS 100

bool chardev_open(struct chardev *chardev, const char *specification, char *error, size_t error_bytes)
{
    *chardev = (struct chardev){.in_fd = -1, .out_fd = -1};
    if (!strcmp(specification, "stdio")) {
        chardev->in_fd = STDIN_FILENO;
        chardev->out_fd = STDOUT_FILENO;
        return true;
    }
    if (!strcmp(specification, "null") || !strcmp(specification, "none")) return true;
    if (strncmp(specification, "file:", 5)) {
        snprintf(error, error_bytes, "\"%s\" is not one of stdio, null, none and file:PATH", specification);
        return false;
    }
    chardev->out_fd = open(specification + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    chardev->owns_out_fd = true;
    if (chardev->out_fd >= 0) return true;
    snprintf(error, error_bytes, "cannot write %s: %s", specification + 5, strerror(errno));
    return false;
}

void chardev_close(struct chardev *chardev)
{
    chardev_flush(chardev);
    if (chardev->owns_out_fd && chardev->out_fd >= 0) close(chardev->out_fd);
    chardev->in_fd = chardev->out_fd = -1;
}

int chardev_put(struct chardev *chardev, u8 byte)
{
    if (chardev->out_fd < 0) return 0;
    chardev->buffer[chardev->count++] = byte;
    return chardev->count == sizeof(chardev->buffer) ? chardev_flush(chardev) : 0;
}

static bool told_to_give_up(const struct chardev *chardev)
{
    return chardev->giving_up && __atomic_load_n(chardev->giving_up, __ATOMIC_RELAXED);
}

/* Wait until the descriptor takes output. False: `giving_up` was set. */
static bool wait_writable(struct chardev *chardev)
{
    for (;;) {
        struct pollfd pollfd = {.fd = chardev->out_fd, .events = POLLOUT};
        int ready = poll(&pollfd, 1, told_to_give_up(chardev) ? 0 : LOOK_AGAIN_MS);
        if (ready > 0) return true;
        if (told_to_give_up(chardev)) return false;
    }
}

int chardev_flush(struct chardev *chardev)
{
    unsigned done = 0, count = chardev->count;
    int error = 0;
    chardev->count = 0;
    while (done < count && !error) {
        if (!wait_writable(chardev)) return 0;
        ssize_t written = write(chardev->out_fd, chardev->buffer + done, count - done);
        if (written >= 0)
            done += (unsigned)written;
        else if (errno != EINTR && errno != EAGAIN)
            error = -errno;
    }
    if (error) {
        if (chardev->owns_out_fd) close(chardev->out_fd);
        chardev->out_fd = -1;
    }
    return error;
}

unsigned chardev_read(struct chardev *chardev, u8 *buffer, unsigned bytes)
{
    if (chardev->in_fd < 0 || !bytes) return 0;
    struct pollfd pollfd = {.fd = chardev->in_fd, .events = POLLIN};
    if (poll(&pollfd, 1, 0) <= 0) return 0;
    ssize_t got = read(chardev->in_fd, buffer, bytes);
    if (got > 0) return (unsigned)got;
    /* EIO: the terminal has hung up, or belongs to another job. */
    if (got == 0 || (errno != EINTR && errno != EAGAIN)) chardev->in_fd = -1;
    return 0;
}
