/*
 * A span: a slice of scattered memory, as an array of iovecs and an offset into it. Slicing allocates
 * nothing; a slice is valid as long as the iovecs are.
 */
#ifndef RINGER_BLOCK_SPAN_H
#define RINGER_BLOCK_SPAN_H

#include "base/types.h"

#include <string.h>
#include <sys/uio.h>

struct span {
    const struct iovec *part;
    unsigned count; /* number of parts */
    u64 skip;       /* bytes of the first part to skip */
    u64 bytes;
};

/* A span of one piece of memory. The caller owns the iovec. */
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

/* The first contiguous piece of memory; empty: none. */
static inline struct iovec span_first(const struct span *span)
{
    if (!span->bytes || !span->count) return (struct iovec){NULL, 0};
    u64 bytes = span->part->iov_len - span->skip;
    return (struct iovec){(u8 *)span->part->iov_base + span->skip, bytes < span->bytes ? bytes : span->bytes};
}

/* Fill `parts` with at most `room` pieces of the span. Returns how many. */
unsigned span_parts(struct span span, struct iovec *parts, unsigned room);

void span_clear(struct span span);
/* Copy between a span and span.bytes bytes of contiguous memory. */
void span_read(struct span from, void *to);
void span_write(struct span to, const void *from);
bool span_is_zero(struct span span);

#endif
