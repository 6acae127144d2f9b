#include "ethernet.h"

#include <libdeflate.h>

u32 ethernet_fcs(const u8 *frame, u32 bytes)
{
    return ethernet_fcs_more(0, frame, bytes);
}

u32 ethernet_fcs_more(u32 fcs, const u8 *piece, u32 bytes)
{
    return libdeflate_crc32(fcs, piece, bytes);
}

u32 ethernet_hash(const u8 mac[NET_MAC_BYTES])
{
    u32 crc = ~ethernet_fcs(mac, NET_MAC_BYTES), reversed = 0;
    for (unsigned bit = 0; bit < 32; bit++)
        reversed |= (crc >> bit & 1) << (31 - bit);
    return reversed;
}
