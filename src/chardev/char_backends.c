/*
 * Back ends other than sockets: nothing, standard input and output, files, named pipes, pseudo-terminals, a buffer.
 */
#include "base/host_path.h"
#include "base/host_time.h"
#include "chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

bool char_open_log(struct chardev *c, char *error, size_t error_bytes)
{
    const char *path = c->options->log;
    if (!path) return true;
    int how = c->options->log_append ? O_APPEND : O_TRUNC;
    c->log_fd = host_open(path, O_WRONLY | O_CREAT | how, 0666);
    return c->log_fd >= 0 || SAY("cannot write %s: %s", path, strerror(errno));
}

static void close_both(struct chardev *c)
{
    if (c->out_fd >= 0 && c->out_fd != c->in_fd) close(c->out_fd);
    if (c->in_fd >= 0) close(c->in_fd);
    c->in_fd = c->out_fd = -1;
}

const struct chardev_ops char_null_ops = {0};

/* --- standard input and output: never switched to O_NONBLOCK, because a shell may share them --- */

static bool open_stdio(struct chardev *c, char *error, size_t error_bytes)
{
    c->in_fd = STDIN_FILENO;
    c->out_fd = STDOUT_FILENO;
    c->open = true;
    c->drops_input = isatty(c->in_fd);
    c->keys.enabled |= c->drops_input || c->set->escape_keys;
    return true;
}

const struct chardev_ops char_stdio_ops = {.open = open_stdio};

/* --- files --- */

static bool open_file(struct chardev *c, char *error, size_t error_bytes)
{
    int how = c->options->append ? O_APPEND : O_TRUNC;
    c->out_fd = host_open(c->options->path, O_WRONLY | O_CREAT | how, 0666);
    c->open = true;
    return c->out_fd >= 0 || SAY("cannot write %s: %s", c->options->path, strerror(errno));
}

const struct chardev_ops char_file_ops = {.open = open_file, .close = close_both};

/* --- named pipes: PATH.in and PATH.out, or PATH for both. They are opened for reading and writing: then opening
 * needs no partner, and a partner that leaves causes no end of file. --- */

static int open_pipe_end(const char *path, const char *suffix)
{
    char name[4096];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    return host_open(name, O_RDWR | O_NONBLOCK, 0);
}

static bool open_pipe(struct chardev *c, char *error, size_t error_bytes)
{
    const char *path = c->options->path;
    c->in_fd = open_pipe_end(path, ".in");
    c->out_fd = open_pipe_end(path, ".out");
    if (c->in_fd < 0 || c->out_fd < 0) {
        close_both(c);
        c->in_fd = c->out_fd = open_pipe_end(path, "");
    }
    c->open = true;
    return c->in_fd >= 0 || SAY("cannot open the named pipe %s: %s", path, strerror(errno));
}

const struct chardev_ops char_pipe_ops = {.open = open_pipe, .close = close_both};

/* --- pseudo-terminals --- */

/* While no program has the terminal open, the master end reports a hang-up all the time, so it is tested at this
 * interval. */
#define PTY_LOOK_NS 250000000u

static bool hung_up(int fd)
{
    struct pollfd pollfd = {.fd = fd};
    return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLHUP);
}

static bool open_pty(struct chardev *c, char *error, size_t error_bytes)
{
    struct termios settings;
    c->listen_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char *name =
        c->listen_fd >= 0 && !grantpt(c->listen_fd) && !unlockpt(c->listen_fd) ? ptsname(c->listen_fd) : NULL;
    int slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    if (slave < 0) return SAY("cannot make a pseudo-terminal: %s", strerror(errno));
    if (!tcgetattr(slave, &settings)) {
        cfmakeraw(&settings);
        tcsetattr(slave, TCSANOW, &settings);
    }
    close(slave); /* from now on the master end hangs up, until a program opens the slave */
    snprintf(c->name, sizeof(c->name), "pty:%s", name);
    fprintf(stderr, "char device redirected to %s (label %s)\n", name, c->options->id);
    return true;
}

/* c->listen_fd is the master end; in_fd and out_fd are it too while a program has the slave open. */
static void fill_pty(struct chardev *c, struct net_poll *poll)
{
    bool hangs = hung_up(c->listen_fd);
    if (hangs == c->open) {
        c->in_fd = c->out_fd = hangs ? -1 : c->listen_fd;
        chardev_set_open(c, !hangs);
        net_poll_until(poll, 0); /* the descriptors of this round were chosen before */
    } else if (hangs) {
        net_poll_until(poll, host_now_ns() + PTY_LOOK_NS);
    }
}

static void lost_pty(struct chardev *c, int failed)
{
    c->in_fd = c->out_fd = -1;
    chardev_set_open(c, false);
}

static void close_pty(struct chardev *c)
{
    if (c->listen_fd >= 0) close(c->listen_fd);
}

const struct chardev_ops char_pty_ops = {
    .open = open_pty, .fill = fill_pty, .lost = lost_pty, .close = close_pty};

/* --- the last bytes of output, for QMP's ringbuf-read --- */

static bool open_ringbuf(struct chardev *c, char *error, size_t error_bytes)
{
    c->ring = malloc(c->options->size);
    return c->ring || SAY("out of memory");
}

static long write_ringbuf(struct chardev *c, const u8 *bytes, u32 count)
{
    u64 size = c->options->size;
    for (u32 n = 0; n < count; n++)
        c->ring[c->ring_tail++ % size] = bytes[n];
    if (c->ring_tail - c->ring_head > size) c->ring_head = c->ring_tail - size;
    return count;
}

u64 chardev_ring_read(struct chardev *c, u8 *to, u64 bytes)
{
    u64 n = 0;
    pthread_mutex_lock(&c->lock);
    while (c->ring && n < bytes && c->ring_head != c->ring_tail)
        to[n++] = c->ring[c->ring_head++ % c->options->size];
    pthread_mutex_unlock(&c->lock);
    return n;
}

static void close_ringbuf(struct chardev *c)
{
    free(c->ring);
}

const struct chardev_ops char_ringbuf_ops = {
    .open = open_ringbuf, .write = write_ringbuf, .close = close_ringbuf};
