#include "codec.h"

#include <string.h>

u64 read_number(struct reader *reader, unsigned bytes)
{
    u64 value = 0;
    if ((size_t)(reader->end - reader->at) < bytes) {
        reader->bad = true;
        reader->at = reader->end;
        return 0;
    }
    memcpy(&value, reader->at, bytes);
    reader->at += bytes;
    return value;
}

void read_string(struct reader *reader, char *to, size_t bytes)
{
    size_t length = read16(reader);
    *to = 0;
    if ((size_t)(reader->end - reader->at) < length || length >= bytes || memchr(reader->at, 0, length)) {
        reader->bad = true;
        reader->at = reader->end;
        return;
    }
    memcpy(to, reader->at, length);
    to[length] = 0;
    reader->at += length;
}

void write_bytes(struct writer *writer, const void *bytes, size_t count)
{
    if ((size_t)(writer->end - writer->at) < count) {
        writer->full = true;
        return;
    }
    memcpy(writer->at, bytes, count);
    writer->at += count;
}

void write_number(struct writer *writer, unsigned bytes, u64 value)
{
    write_bytes(writer, &value, bytes);
}

void write_string(struct writer *writer, const char *text)
{
    size_t length = strnlen(text, UINT16_MAX);
    write_number(writer, 2, length);
    write_bytes(writer, text, length);
}

unsigned pieces_slice(const struct iovec *from, unsigned count, u64 skip, u64 bytes, struct iovec *to)
{
    unsigned slices = 0;
    for (unsigned n = 0; n < count && bytes; n++) {
        if (skip >= from[n].iov_len) {
            skip -= from[n].iov_len;
            continue;
        }
        u64 now = from[n].iov_len - skip < bytes ? from[n].iov_len - skip : bytes;
        to[slices++] = (struct iovec){(u8 *)from[n].iov_base + skip, now};
        bytes -= now;
        skip = 0;
    }
    return slices;
}

static u64 copy(const struct iovec *piece, unsigned count, u8 *bytes, u64 left, bool to_pieces)
{
    u64 done = 0;
    for (unsigned n = 0; n < count && left; n++) {
        u64 now = piece[n].iov_len < left ? piece[n].iov_len : left;
        memcpy(to_pieces ? piece[n].iov_base : bytes + done, to_pieces ? bytes + done : piece[n].iov_base,
               now);
        done += now;
        left -= now;
    }
    return done;
}

u64 pieces_read(const struct iovec *from, unsigned count, void *to, u64 bytes)
{
    return copy(from, count, to, bytes, false);
}

u64 pieces_write(const struct iovec *to, unsigned count, const void *from, u64 bytes)
{
    return copy(to, count, (u8 *)(uintptr_t)from, bytes, true);
}
