/*
 * A span: bytes that lie scattered in memory, as an array of iovecs and where in it to begin. Slicing one
 * costs no memory; a slice lives as long as the iovecs do.
 */
#ifndef RINGER_BLOCK_SPAN_H
#define RINGER_BLOCK_SPAN_H

#include "base/types.h"

#include <string.h>
#include <sys/uio.h>

struct span {
    const struct iovec *part;
    unsigned count; /* of parts from here on */
    u64 skip;       /* bytes of the first part that are before the span */
    u64 bytes;
};

/* One piece of memory as a span. The iovec is the caller's. */
static inline struct span span_of(struct iovec *part, const void *memory, u64 bytes)
{
    *part = (struct iovec){(void *)(uintptr_t)memory, bytes};
    return (struct span){part, 1, 0, bytes};
}

/* `bytes` bytes from `offset` on; both must lie within the span. */
static inline struct span span_slice(struct span span, u64 offset, u64 bytes)
{
    u64 skip = span.skip + offset;
    while (span.count && skip >= span.part->iov_len) {
        skip -= span.part->iov_len;
        span.part++;
        span.count--;
    }
    return (struct span){span.part, span.count, skip, bytes};
}

/* The first piece that is contiguous in memory; no bytes: none. */
static inline struct iovec span_first(const struct span *span)
{
    if (!span->bytes || !span->count) return (struct iovec){NULL, 0};
    u64 bytes = span->part->iov_len - span->skip;
    return (struct iovec){(u8 *)span->part->iov_base + span->skip, bytes < span->bytes ? bytes : span->bytes};
}

/* Fill `parts` with what the span consists of, at most `room` of them. Returns how many. */
unsigned span_parts(struct span span, struct iovec *parts, unsigned room);

void span_clear(struct span span);
/* Between a span and one piece of memory of span.bytes bytes. */
void span_read(struct span from, void *to);
void span_write(struct span to, const void *from);
bool span_is_zero(struct span span);

#endif
