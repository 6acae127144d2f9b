#include "block_log_file.h"

#include "base/hash.h"
#include "cache/block_log.h"
#include "translator/translator.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define WORDS     65536u
#define LEVEL     1
#define MAX_IDS   (1u << 22)
#define ID_HASH   (1u << 23)
#define NO_ID     UINT32_MAX
#define OUT_BYTES (1u << 17)

struct key {
    u32 frame, eip, mode;
};

struct block_log_file {
    struct block_log log;
    FILE *out;
    ZSTD_CCtx *zstd;
    int error; /* the first one; nothing is written from then on */
    u8 *compressed;
    struct key *keys; /* by id */
    u32 *ids;         /* hash table: id + 1 */
    u32 count;
};

static void write_words(struct block_log_file *file, const void *words, u64 bytes, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {words, bytes, 0};
    size_t left = 1;
    while (!file->error && (in.pos < in.size || (end == ZSTD_e_end && left))) {
        ZSTD_outBuffer out = {file->compressed, OUT_BYTES, 0};
        left = ZSTD_compressStream2(file->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            file->error = -EIO;
        else if (fwrite(out.dst, 1, out.pos, file->out) != out.pos)
            file->error = errno ? -errno : -EIO;
    }
}

static struct block_log_file *file_of(struct block_log *log)
{
    return (struct block_log_file *)((u8 *)log - offsetof(struct block_log_file, log));
}

static u32 name_block(struct block_log *log, const struct block_made *made)
{
    struct block_log_file *file = file_of(log);
    struct key key = {made->frame, made->eip, made->mode};
    u32 at = (u32)(hash_multiply(((u64)key.frame << 32 | key.eip) ^ (u64)key.mode << 13) >> 32) % ID_HASH;
    while (file->ids[at] && memcmp(&file->keys[file->ids[at] - 1], &key, sizeof(key)))
        at = (at + 1) % ID_HASH;
    if (file->ids[at]) return file->ids[at] - 1;
    if (file->count == MAX_IDS) {
        file->error = -EOVERFLOW;
        return 0;
    }
    file->keys[file->count++] = key;
    file->ids[at] = file->count;
    return file->count - 1;
}

static u32 count_instructions(const struct block_body *body)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction i;
    u32 count = 0;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (u32 at = 0; at < body->bytes; count++) {
        bool good = ZYAN_SUCCESS(
            ZydisDecoderDecodeInstruction(&decoder, NULL, body->code + at, body->bytes - at, &i));
        at += good ? i.length : 1;
    }
    return count;
}

static void log_made(struct block_log *log, u32 id, struct block_made *made, const struct block_body *body)
{
    u32 words[1 + sizeof(*made) / sizeof(u32)] = {BLOCK_LOG_MADE | id};
    made->body_instructions = count_instructions(body);
    memcpy(words + 1, made, sizeof(*made));
    write_words(file_of(log), words, sizeof(words), ZSTD_e_continue);
}

static void log_ran(struct block_log *log, const u32 *ids, u64 count)
{
    write_words(file_of(log), ids, count * sizeof(*ids), ZSTD_e_continue);
}

static void free_file(struct block_log_file *file)
{
    ZSTD_freeCCtx(file->zstd);
    free(file->compressed);
    free(file->keys);
    free(file->ids);
    free(file->log.buffer);
    free(file);
}

struct block_log_file *block_log_open(struct vcpu *v, const char *path, char *error, size_t error_bytes)
{
    FILE *out = fopen(path, "we");
    if (!out) {
        snprintf(error, error_bytes, "cannot write the block log to %s: %s", path, strerror(errno));
        return NULL;
    }
    struct block_log_file *file = calloc(1, sizeof(*file));
    if (file) {
        *file = (struct block_log_file){
            .log = {.name = name_block,
                    .made = log_made,
                    .ran = log_ran,
                    .buffer = malloc(WORDS * sizeof(u32)),
                    .words = WORDS},
            .out = out,
            .zstd = ZSTD_createCCtx(),
            .compressed = malloc(OUT_BYTES),
            .keys = malloc(MAX_IDS * sizeof(struct key)),
            .ids = calloc(ID_HASH, sizeof(u32)),
        };
    }
    if (!file || !file->log.buffer || !file->zstd || !file->compressed || !file->keys || !file->ids) {
        snprintf(error, error_bytes, "there is not enough memory for a block log");
        if (file) free_file(file);
        fclose(out);
        return NULL;
    }
    ZSTD_CCtx_setParameter(file->zstd, ZSTD_c_compressionLevel, LEVEL);
    const u32 head[4] = {BLOCK_LOG_MAGIC, BLOCK_LOG_VERSION, translator_most_block_bytes()};
    write_words(file, head, sizeof(head), ZSTD_e_continue);
    translator_attach_log(v, &file->log);
    return file;
}

int block_log_close(struct block_log_file *file, struct vcpu *v)
{
    if (!file) return 0;
    translator_attach_log(v, NULL);
    write_words(file, NULL, 0, ZSTD_e_end);
    int error = file->error;
    if (fclose(file->out) && !error) error = -errno;
    free_file(file);
    return error;
}
