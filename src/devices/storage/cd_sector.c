/*
 * Sectors of CDs. See cd_sector.h.
 */
#include "cd_sector.h"

#include <string.h>

enum { AT_HEADER = 12, AT_DATA = 16, AT_EDC = 2064, AT_ZEROS = 2068, AT_P = 2076, AT_Q = 2248 };

static u8 to_bcd(u32 value)
{
    return (u8)(value / 10 << 4 | value % 10);
}

/* (x^16 + x^15 + x^2 + 1)(x^16 + x^2 + x + 1), least significant bit first. */
static u32 edc(const u8 *bytes, unsigned count)
{
    u32 crc = 0;
    for (unsigned n = 0; n < count; n++) {
        crc ^= bytes[n];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xd8018001 : 0);
    }
    return crc;
}

/* --- Reed-Solomon product code over GF(2^8), x^8 + x^4 + x^3 + x^2 + 1 --- */

static u8 times_alpha(u8 value)
{
    return (u8)(value << 1 ^ (value & 0x80 ? 0x1d : 0));
}

static u8 times(u8 a, u8 b)
{
    u8 product = 0;
    for (; b; b >>= 1, a = times_alpha(a))
        if (b & 1) product ^= a;
    return product;
}

#define INVERSE_OF_ALPHA_PLUS_1 0xf4

/* A vector ends in two parity bytes. They make two sums 0: that of all bytes, and that of each byte times
 * alpha to the power of its distance from the end. `plain` and `weighted` are the two sums without the
 * parity bytes. */
static void parity(u8 plain, u8 weighted, u8 *first, u8 *second)
{
    *first = times(weighted ^ plain, INVERSE_OF_ALPHA_PLUS_1);
    *second = *first ^ plain;
}

/* `vectors` vectors of `length` bytes. The sector from its header on is a matrix of words, 43 in a row; P
 * vectors are its columns, Q vectors its diagonals. Each byte of a word belongs to a matrix of its own. */
static void put_parity(const u8 *matrix, unsigned vectors, unsigned length, unsigned between_vectors,
                       unsigned between_bytes, u8 *to)
{
    unsigned size = vectors * length;
    for (unsigned vector = 0; vector < vectors; vector++) {
        unsigned at = vector / 2 * between_vectors + vector % 2;
        u8 plain = 0, weighted = 0;
        for (unsigned n = 0; n < length; n++) {
            plain ^= matrix[at];
            weighted = times_alpha(weighted ^ matrix[at]);
            at = (at + between_bytes) % size;
        }
        parity(plain, times_alpha(weighted), &to[vector], &to[vectors + vector]);
    }
}

void cd_sector_make(u8 raw[CD_RAW_BYTES], u32 sector, const u8 data[CD_DATA_BYTES])
{
    u32 frame = sector + CD_PREGAP;
    const u8 header[CD_HEADER_BYTES] = {to_bcd(frame / 75 / 60), to_bcd(frame / 75 % 60), to_bcd(frame % 75),
                                        1};
    memset(raw, 0xff, CD_SYNC_BYTES);
    raw[0] = raw[CD_SYNC_BYTES - 1] = 0;
    memcpy(raw + AT_HEADER, header, CD_HEADER_BYTES);
    memmove(raw + AT_DATA, data, CD_DATA_BYTES);
    *(any32 *)(raw + AT_EDC) = edc(raw, AT_EDC);
    memset(raw + AT_ZEROS, 0, AT_P - AT_ZEROS);
    put_parity(raw + AT_HEADER, 86, 24, 2, 86, raw + AT_P);
    put_parity(raw + AT_HEADER, 52, 43, 86, 88, raw + AT_Q);
}
