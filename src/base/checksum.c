#include "checksum.h"

u32 checksum_fold(u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (u32)sum;
}

static u32 swap16(u32 sum)
{
    return (sum >> 8 | sum << 8) & 0xffff;
}

/* Sums are the same in either byte order but for a swap at the end (RFC 1071 2 B): these are the host's, of
 * dwords. */
static u64 sum_bytes(const u8 *from, u32 bytes)
{
    u64 a = 0, b = 0;
    for (; bytes >= 16; bytes -= 16, from += 16) {
        u64 x = load_any(from, 8), y = load_any(from + 8, 8);
        a += (x & 0xffffffff) + (x >> 32);
        b += (y & 0xffffffff) + (y >> 32);
    }
    for (; bytes >= 2; bytes -= 2, from += 2)
        a += load_any(from, 2);
    if (bytes) a += *from;
    return a + b;
}

u32 checksum_add(u32 sum, const u8 *from, u32 bytes)
{
    return checksum_fold((u64)sum + swap16(checksum_fold(sum_bytes(from, bytes))));
}
