#include "ethernet.h"

#include "base/device.h"

#include <pthread.h>

#define POLYNOMIAL 0xedb88320u /* low bit first */

/* table[n][b]: the contribution of byte b to the CRC when n more bytes follow it. */
static u32 table[8][256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (u32 byte = 0; byte < 256; byte++) {
        u32 crc = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (unsigned n = 1; n < 8; n++)
        for (u32 byte = 0; byte < 256; byte++)
            table[n][byte] = table[n - 1][byte] >> 8 ^ table[0][table[n - 1][byte] & 0xff];
}

/* The register, low bit first, without the final complement. */
static u32 crc_of(u32 crc, const u8 *at, u32 bytes)
{
    pthread_once(&table_made, make_table);
    for (; bytes >= 8; at += 8, bytes -= 8) {
        u64 word = load_any(at, 8) ^ crc;
        crc = 0;
        for (unsigned n = 0; n < 8; n++)
            crc ^= table[7 - n][word >> 8 * n & 0xff];
    }
    for (; bytes; at++, bytes--)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return crc;
}

u32 ethernet_fcs(const u8 *frame, u32 bytes)
{
    return ethernet_fcs_more(0, frame, bytes);
}

u32 ethernet_fcs_more(u32 fcs, const u8 *piece, u32 bytes)
{
    return ~crc_of(~fcs, piece, bytes);
}

u32 ethernet_hash(const u8 mac[NET_MAC_BYTES])
{
    u32 crc = crc_of(~0u, mac, NET_MAC_BYTES), reversed = 0;
    for (unsigned bit = 0; bit < 32; bit++)
        reversed |= (crc >> bit & 1) << (31 - bit);
    return reversed;
}
