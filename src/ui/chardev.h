/*
 * The host side of a character device: standard input and output, a file, or nothing.
 *
 * Output is gathered and written in large pieces. The owner of the chardev flushes it at line ends and when the guest is
 * idle. A write waits for a slow reader. The loss of the reader is reported once (-EPIPE), and output is dropped from then
 * on. Descriptors are never switched to O_NONBLOCK, because they may be shared with the user's shell. They may already be
 * non-blocking.
 */
#ifndef RINGER_UI_CHARDEV_H
#define RINGER_UI_CHARDEV_H

#include "base/types.h"

struct chardev {
    int in_fd;  /* -1: there is no input, now or ever (also after the end of the file) */
    int out_fd; /* -1: output is dropped */
    bool owns_out_fd;
    const u32 *giving_up; /* once it is not zero, writes wait no more (atomic; may be NULL) */
    unsigned count;
    u8 buffer[4096]; /* at most PIPE_BUF: a pipe that polls writable takes all of it */
};

/* Specifications: "stdio", "null", "none", "file:PATH". Returns whether the chardev could be opened; if not,
 * one sentence in error. */
bool chardev_open(struct chardev *chardev, const char *specification, char *error, size_t error_bytes);
void chardev_close(struct chardev *chardev);

/* Gather one byte. A full buffer is flushed: the result is that of chardev_flush(), else 0. */
int chardev_put(struct chardev *chardev, u8 byte);
/* Write the gathered bytes. Returns 0, or -errno when the reader has gone or the disk is full. */
int chardev_flush(struct chardev *chardev);

/* Read without waiting, at most `bytes`; 0: nothing to read now. At the end of the file in_fd becomes -1. */
unsigned chardev_read(struct chardev *chardev, u8 *buffer, unsigned bytes);

#endif
