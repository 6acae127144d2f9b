/*
 * Unpacks the kernel inside a bzImage natively, which takes a third of the time that the guest takes. The result is
 * an ELF file in memory. (Linux, Documentation/arch/x86/boot.rst, payload_offset: "the format of both the compressed
 * and uncompressed data should be determined using the standard magic numbers".)
 *
 * The last four bytes of the payload have the size of the result (scripts/Makefile.lib, size_append; in gzip they are
 * part of the format). Unpacking fails unless the result has exactly this size.
 */
#include "load_common.h"

#include "base/log.h"

#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

/* Unpack one whole stream from `in` to `out`. False unless it fills `out` exactly. */
typedef bool unpack_function(const u8 *in, u64 in_bytes, u8 *out, u64 out_bytes);

/* Large buffers are in huge pages, because all of them is written: one page fault instead of 512. */
#define HUGE_BYTES (2u << 20)

static void *allocate(u64 bytes)
{
    if (bytes < HUGE_BYTES) return malloc(bytes);
    void *at = aligned_alloc(HUGE_BYTES, align_up(bytes, HUGE_BYTES));
    if (at) madvise(at, align_up(bytes, HUGE_BYTES), MADV_HUGEPAGE);
    return at;
}

static void *xz_allocate(void *unused, size_t count, size_t bytes)
{
    return allocate(count * bytes); /* liblzma's count is 1 */
}

static void xz_free(void *unused, void *at)
{
    free(at);
}

#define XZ_MEMORY_BYTES (256u << 20) /* more than the largest useful dictionary */

static bool unpack_xz(const u8 *in, u64 in_bytes, u8 *out, u64 out_bytes)
{
    static const lzma_allocator huge = {.alloc = xz_allocate, .free = xz_free};
    u64 memory = XZ_MEMORY_BYTES;
    size_t read = 0, written = 0;
    return lzma_stream_buffer_decode(&memory, 0, &huge, in, &read, in_bytes, out, &written, out_bytes) ==
               LZMA_OK &&
           written == out_bytes;
}

static bool unpack_gzip(const u8 *in, u64 in_bytes, u8 *out, u64 out_bytes)
{
    z_stream stream = {
        .next_in = (u8 *)in, .avail_in = (uInt)in_bytes, .next_out = out, .avail_out = (uInt)out_bytes};
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) return false; /* + 16: a gzip header */
    bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == out_bytes;
    inflateEnd(&stream);
    return whole;
}

static bool unpack_zstd(const u8 *in, u64 in_bytes, u8 *out, u64 out_bytes)
{
    size_t frame = ZSTD_findFrameCompressedSize(in, in_bytes);
    return !ZSTD_isError(frame) && ZSTD_decompress(out, out_bytes, in, frame) == out_bytes;
}

/* The legacy frame (LZ4 Frame Format Description, "Legacy frame"), which liblz4 does not read: blocks, none of which
 * refers to another, with a size of four bytes in front. The size of the result, which ends the payload, follows where
 * a block could begin. */
static bool unpack_lz4(const u8 *in, u64 in_bytes, u8 *out, u64 out_bytes)
{
    enum { MAGIC = 4, SIZE = 4 };
    u8 *at = out;
    for (u64 next = MAGIC; next + SIZE < in_bytes;) {
        u64 bytes = get32(in + next);
        next += SIZE;
        u64 room = (u64)(out + out_bytes - at);
        if (bytes + SIZE > in_bytes - next || bytes > LZ4_MAX_INPUT_SIZE) return false;
        int made = LZ4_decompress_safe((const char *)in + next, (char *)at, (int)bytes,
                                       room < LZ4_MAX_INPUT_SIZE ? (int)room : LZ4_MAX_INPUT_SIZE);
        if (made < 0) return false;
        at += made;
        next += bytes;
    }
    return at == out + out_bytes;
}

#define MAGIC_BYTES 6

static unpack_function *format_of(const u8 *in)
{
    static const struct {
        const char *magic;
        u8 bytes;
        unpack_function *unpack;
    } formats[] = {{"\xfd"
                    "7zXZ",
                    6, unpack_xz},
                   {"\x1f\x8b\x08", 3, unpack_gzip},
                   {"\x28\xb5\x2f\xfd", 4, unpack_zstd},
                   {"\x02\x21\x4c\x18", 4, unpack_lz4}};
    for (unsigned n = 0; n < ARRAY_SIZE(formats); n++)
        if (!memcmp(in, formats[n].magic, formats[n].bytes)) return formats[n].unpack;
    return NULL;
}

static bool unpack_into(const struct image *kernel, u64 offset, u64 bytes, struct image *unpacked)
{
    /* The offset of a mapping must be a multiple of the page size. */
    u64 into = offset & PAGE_MASK;
    u8 *in = mmap(NULL, into + bytes, PROT_READ, MAP_PRIVATE, kernel->fd, (off_t)(offset - into));
    if (in == MAP_FAILED) return false;
    unpack_function *unpack = format_of(in + into);
    if (unpack) unpacked->memory = allocate(unpacked->bytes);
    bool good = unpacked->memory && unpack(in + into, bytes, unpacked->memory, unpacked->bytes);
    munmap(in, into + bytes);
    return good;
}

bool image_unpack(struct load *load, const struct image *kernel, u64 offset, u64 bytes,
                  struct image *unpacked)
{
    u8 size[4];
    *unpacked = (struct image){.what = kernel->what, .path = kernel->path, .fd = -1};
    if (bytes < MAGIC_BYTES + sizeof(size) || offset > kernel->bytes || bytes > kernel->bytes - offset ||
        image_read(load, kernel, offset + bytes - sizeof(size), size, sizeof(size)))
        return false;
    unpacked->bytes = get32(size);
    if (unpacked->bytes && unpacked->bytes <= phys_low_ram_bytes(load->phys) &&
        unpack_into(kernel, offset, bytes, unpacked))
        return true;
    image_close(unpacked);
    return false;
}
