/*
 * The host side of a character device: standard input and output, a file, or nothing.
 *
 * Output is gathered and written in large pieces: whoever owns the chardev flushes at line ends and when the
 * guest idles. A reader that is slow is waited for; one that has gone away is reported once (-EPIPE) and
 * output is dropped from then on. Descriptors are never switched to O_NONBLOCK (they may be shared with the
 * user's shell), and may be so already.
 */
#ifndef RINGER_UI_CHARDEV_H
#define RINGER_UI_CHARDEV_H

#include "base/types.h"

struct chardev {
    int in_fd;  /* -1: there is no input, now or ever (also after the end of file) */
    int out_fd; /* -1: output is dropped */
    bool owns_out_fd;
    const u32 *giving_up; /* once it is not zero, nobody is waited for any more (atomic; may be NULL) */
    unsigned count;
    u8 buffer[4096]; /* no more than PIPE_BUF: a pipe that polls writable takes it whole */
};

/* Specifications: "stdio", "null", "none", "file:PATH". Returns whether it could be opened; if not, one
 * sentence in error. */
bool chardev_open(struct chardev *chardev, const char *specification, char *error, size_t error_bytes);
void chardev_close(struct chardev *chardev);

/* Gather one byte. Flushes when full: returns as chardev_flush(). */
int chardev_put(struct chardev *chardev, u8 byte);
/* Write what was gathered. Returns 0, or -errno when the reader has gone or the disk is full. */
int chardev_flush(struct chardev *chardev);

/* What can be had without waiting, at most `bytes`; 0 for nothing now. At the end of file in_fd becomes -1. */
unsigned chardev_read(struct chardev *chardev, u8 *buffer, unsigned bytes);

#endif
