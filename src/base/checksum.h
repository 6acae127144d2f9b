/*
 * The Internet checksum (RFC 1071), for back ends of networks and for cards that compute it.
 */
#ifndef RINGER_BASE_CHECKSUM_H
#define RINGER_BASE_CHECKSUM_H

#include "types.h"

/* The folded ones' complement sum of `bytes` bytes and of `sum`, not complemented. */
u32 checksum_add(u32 sum, const u8 *from, u32 bytes);
/* Folded to 16 bits. */
u32 checksum_fold(u64 sum);

#endif
