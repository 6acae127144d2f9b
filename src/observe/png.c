#include "png.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CHUNK_BYTES = 12, HEADER_BYTES = 13, SAMPLES = 3, TRUE_COLOR = 2, FILTER_UP = 2 };

static const u8 signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static u8 *put_number(u8 *at, u32 value)
{
    for (unsigned n = 0; n < 4; n++)
        *at++ = (u8)(value >> (24 - 8 * n));
    return at;
}

/* Length, type, data, CRC of type and data. The data may be in place. */
static u8 *put_chunk(u8 *at, const char type[4], const u8 *data, u32 bytes)
{
    put_number(at, bytes);
    memcpy(at + 4, type, 4);
    if (data && data != at + 8) memcpy(at + 8, data, bytes);
    return put_number(at + 8 + bytes, (u32)crc32(0, at + 4, bytes + 4));
}

/* Each line with the differences to the one above: screens are full of equal lines. */
static void put_lines(u8 *to, const u32 *pixel, u32 width, u32 height)
{
    for (u32 y = 0; y < height; y++) {
        *to++ = FILTER_UP;
        for (u32 x = 0; x < width; x++, pixel++) {
            u32 above = y ? pixel[-(s64)width] : 0;
            for (unsigned shift = 24; shift;) {
                shift -= 8;
                *to++ = (u8)((*pixel >> shift) - (above >> shift));
            }
        }
    }
}

u8 *png_encode(const u32 *pixel, u32 width, u32 height, size_t *bytes)
{
    uLong raw_bytes = ((uLong)width * SAMPLES + 1) * height;
    uLongf packed = compressBound(raw_bytes);
    u8 *raw = malloc(raw_bytes), *file = malloc(sizeof(signature) + 3 * CHUNK_BYTES + HEADER_BYTES + packed);
    if (!raw || !file) {
        free(raw);
        free(file);
        return NULL;
    }
    put_lines(raw, pixel, width, height);
    u8 header[HEADER_BYTES] = {[8] = 8, [9] = TRUE_COLOR};
    put_number(header, width);
    put_number(header + 4, height);
    memcpy(file, signature, sizeof(signature));
    u8 *at = put_chunk(file + sizeof(signature), "IHDR", header, HEADER_BYTES);
    int failed = compress2(at + 8, &packed, raw, raw_bytes, Z_BEST_SPEED);
    free(raw);
    if (failed != Z_OK) {
        free(file);
        return NULL;
    }
    at = put_chunk(at, "IDAT", at + 8, (u32)packed);
    at = put_chunk(at, "IEND", NULL, 0);
    *bytes = (size_t)(at - file);
    return file;
}
