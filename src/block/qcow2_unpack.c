/*
 * qcow2: compressed clusters. The cluster that was unpacked last is kept, because readers take a cluster in
 * small steps.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

void qcow2_packed_data(const struct qcow2 *q, u64 entry, u64 *offset, u64 *bytes)
{
    /* Below the flags: the number of additional sectors, then the offset, which is not aligned. */
    unsigned offset_bits = 62 - (q->cluster_bits - 8);
    *offset = entry & ((1ull << offset_bits) - 1);
    u64 sectors = (entry & (QCOW2_COMPRESSED - 1)) >> offset_bits;
    *bytes = (sectors + 1) * QCOW2_SECTOR_BYTES - (*offset & (QCOW2_SECTOR_BYTES - 1));
}

static bool unpack_deflate(const u8 *from, u64 bytes, u8 *to, u64 to_bytes)
{
    z_stream stream = {.next_in = (u8 *)(uintptr_t)from,
                       .avail_in = (unsigned)bytes,
                       .next_out = to,
                       .avail_out = (unsigned)to_bytes};
    if (inflateInit2(&stream, -12) != Z_OK) return false; /* raw, window of 4 KB */
    int status = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    return (status == Z_STREAM_END || status == Z_BUF_ERROR) && !stream.avail_out;
}

static bool unpack_zstd(const u8 *from, u64 bytes, u8 *to, u64 to_bytes)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {from, bytes, 0};
    ZSTD_outBuffer out = {to, to_bytes, 0};
    size_t status = 1;
    /* After the frame, padding fills the last sector. */
    while (context && out.pos < out.size && status && !ZSTD_isError(status)) {
        size_t before = in.pos + out.pos;
        status = ZSTD_decompressStream(context, &out, &in);
        if (in.pos + out.pos == before) break;
    }
    ZSTD_freeDCtx(context);
    return context && !ZSTD_isError(status) && out.pos == out.size;
}

/* Decompress the cluster of this entry into q->unpacked. */
static int unpack(struct qcow2 *q, u64 entry)
{
    u64 offset, bytes;
    qcow2_packed_data(q, entry, &offset, &bytes);
    if (!q->unpacked) q->unpacked = malloc(q->cluster_bytes);
    u8 *packed = malloc(bytes);
    q->unpacked_entry = 0;
    int failed = packed && q->unpacked ? store_get(q->store, offset, packed, bytes) : -ENOMEM;
    if (failed == STORE_SHORT) failed = 0; /* the last sector of the file may be incomplete */
    if (!failed) {
        bool good = q->compression ? unpack_zstd(packed, bytes, q->unpacked, q->cluster_bytes)
                                   : unpack_deflate(packed, bytes, q->unpacked, q->cluster_bytes);
        failed = good ? 0 : -EIO;
    }
    if (!failed) q->unpacked_entry = entry;
    free(packed);
    return failed;
}

int qcow2_unpack(struct qcow2 *q, u64 entry, u64 offset_in_cluster, struct span to)
{
    pthread_mutex_lock(&q->unpacking);
    int failed = q->unpacked_entry == entry ? 0 : unpack(q, entry);
    if (!failed) span_write(to, q->unpacked + offset_in_cluster);
    pthread_mutex_unlock(&q->unpacking);
    return failed;
}
