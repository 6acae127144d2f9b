#include "span.h"

unsigned span_parts(struct span span, struct iovec *parts, unsigned room)
{
    unsigned used = 0;
    while (used < room && span.bytes) {
        struct iovec piece = span_first(&span);
        if (piece.iov_len) parts[used++] = piece;
        span = span_slice(span, piece.iov_len, span.bytes - piece.iov_len);
    }
    return used;
}

void span_clear(struct span span)
{
    for (struct iovec piece; (piece = span_first(&span)).iov_len;) {
        memset(piece.iov_base, 0, piece.iov_len);
        span = span_slice(span, piece.iov_len, span.bytes - piece.iov_len);
    }
}

void span_read(struct span from, void *to)
{
    for (struct iovec piece; (piece = span_first(&from)).iov_len;) {
        to = mempcpy(to, piece.iov_base, piece.iov_len);
        from = span_slice(from, piece.iov_len, from.bytes - piece.iov_len);
    }
}

void span_write(struct span to, const void *from)
{
    const u8 *at = from;
    for (struct iovec piece; (piece = span_first(&to)).iov_len;) {
        memcpy(piece.iov_base, at, piece.iov_len);
        at += piece.iov_len;
        to = span_slice(to, piece.iov_len, to.bytes - piece.iov_len);
    }
}

bool span_is_zero(struct span span)
{
    for (struct iovec piece; (piece = span_first(&span)).iov_len;) {
        const u8 *bytes = piece.iov_base;
        /* The first byte is zero, and each byte equals the one before it. */
        if (bytes[0] || memcmp(bytes, bytes + 1, piece.iov_len - 1)) return false;
        span = span_slice(span, piece.iov_len, span.bytes - piece.iov_len);
    }
    return true;
}
