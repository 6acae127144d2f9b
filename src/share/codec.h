/*
 * Messages as bytes: a reader that cannot leave the message and a writer that cannot leave the reply. Both remember
 * an attempt to do so, so an operation checks once, at its end.
 */
#ifndef RINGER_SHARE_CODEC_H
#define RINGER_SHARE_CODEC_H

#include "base/types.h"

#include <limits.h>
#include <sys/uio.h>

/* A message without the data of a Twrite is at most this long: the longest that makes sense is a Twalk of 16 names. */
#define MESSAGE_BYTES 16384

struct reader {
    const u8 *at, *end;
    bool bad; /* the message ended too early, or a string is not one */
};

/* Little-endian numbers of 1, 2, 4 or 8 bytes. */
u64 read_number(struct reader *reader, unsigned bytes);
/* Reads a string into a buffer and ends it with a 0. A string that is too long, or contains a 0, is bad. */
void read_string(struct reader *reader, char *to, size_t bytes);

static inline u8 read8(struct reader *reader)
{
    return (u8)read_number(reader, 1);
}
static inline u16 read16(struct reader *reader)
{
    return (u16)read_number(reader, 2);
}
static inline u32 read32(struct reader *reader)
{
    return (u32)read_number(reader, 4);
}
static inline u64 read64(struct reader *reader)
{
    return read_number(reader, 8);
}

struct writer {
    u8 *start, *at, *end;
    bool full;
};

void write_number(struct writer *writer, unsigned bytes, u64 value);
void write_bytes(struct writer *writer, const void *bytes, size_t count);
/* Writes at most 65,535 bytes of it. */
void write_string(struct writer *writer, const char *text);

/* --- memory in pieces --- */

/* The pieces of [skip, skip + bytes) in `from`; returns how many are in `to`, which has room for as many. */
unsigned pieces_slice(const struct iovec *from, unsigned count, u64 skip, u64 bytes, struct iovec *to);
/* Copy from the start of the pieces, or to it. Returns the bytes copied. */
u64 pieces_read(const struct iovec *from, unsigned count, void *to, u64 bytes);
u64 pieces_write(const struct iovec *to, unsigned count, const void *from, u64 bytes);

#endif
