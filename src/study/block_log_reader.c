#include "block_log_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define IN_BYTES  (1u << 17)
#define OUT_WORDS (1u << 16)

struct block_log_reader {
    FILE *file;
    ZSTD_DCtx *zstd;
    ZSTD_inBuffer in;
    u32 *words;
    u64 at, count; /* words taken, words there */
    u32 room;
    bool damaged, frame_ended;
};

/* Unpack more behind the words that are left. */
static bool fill(struct block_log_reader *r)
{
    memmove(r->words, r->words + r->at, (r->count - r->at) * sizeof(u32));
    r->count -= r->at;
    r->at = 0;
    ZSTD_outBuffer out = {r->words, OUT_WORDS * sizeof(u32), r->count * sizeof(u32)};
    u64 before = out.pos;
    while (out.pos == before || out.pos % sizeof(u32)) {
        if (r->in.pos == r->in.size) {
            r->in.size = fread((void *)(uintptr_t)r->in.src, 1, IN_BYTES, r->file);
            r->in.pos = 0;
            if (!r->in.size) return !(r->damaged = !r->frame_ended) && out.pos != before;
        }
        size_t left = ZSTD_decompressStream(r->zstd, &out, &r->in);
        r->frame_ended = left == 0;
        if (ZSTD_isError(left)) {
            r->damaged = true;
            return false;
        }
    }
    r->count = out.pos / sizeof(u32);
    return true;
}

/* The next words; NULL: the end. */
static const u32 *take(struct block_log_reader *r, unsigned count)
{
    while (r->count - r->at < count)
        if (!fill(r)) return NULL;
    r->at += count;
    return r->words + r->at - count;
}

struct block_log_reader *block_log_read(const char *path, char *error, size_t error_bytes)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(error, error_bytes, "cannot read the block log %s: %s", path, strerror(errno));
        return NULL;
    }
    struct block_log_reader *r = calloc(1, sizeof(*r));
    void *in = malloc(IN_BYTES);
    u32 *words = malloc(OUT_WORDS * sizeof(u32));
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    const u32 *head = NULL;
    if (r && in && words && zstd) {
        *r = (struct block_log_reader){.file = file, .zstd = zstd, .in = {.src = in}, .words = words};
        head = take(r, 4);
    }
    if (head && head[0] == BLOCK_LOG_MAGIC && head[1] == BLOCK_LOG_VERSION) {
        r->room = head[2];
        return r;
    }
    snprintf(error, error_bytes, "%s is not a block log of this version of ringer", path);
    ZSTD_freeDCtx(zstd);
    free(words);
    free(in);
    free(r);
    fclose(file);
    return NULL;
}

void block_log_read_end(struct block_log_reader *r)
{
    ZSTD_freeDCtx(r->zstd);
    free(r->words);
    free((void *)(uintptr_t)r->in.src);
    fclose(r->file);
    free(r);
}

u32 block_log_room(const struct block_log_reader *r)
{
    return r->room;
}

enum block_log_record block_log_next(struct block_log_reader *r, u32 *id, struct block_made *made)
{
    const u32 *word = take(r, 1);
    if (!word) return r->damaged ? LOG_DAMAGED : LOG_END;
    *id = *word & ~BLOCK_LOG_MADE;
    if (!(*word & BLOCK_LOG_MADE)) return LOG_RAN;
    const u32 *words = take(r, sizeof(*made) / sizeof(u32));
    if (!words) return LOG_DAMAGED;
    memcpy(made, words, sizeof(*made));
    return LOG_MADE;
}
