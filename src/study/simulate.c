#include "simulate.h"
#include "block_log_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One simulated cache. The blocks in it have no edges, so the list of incoming edges is always empty. */
struct lab {
    struct simulation *result;
    struct cache cache;
    u32 *resident; /* by id: struct block, or 0 */
    u64 turns;     /* of the cache, when `resident` was right last */
};

struct log_block {
    struct block_made made;
    bool fresh; /* translated, and has not run since */
};

struct log {
    struct log_block *block; /* by id */
    u32 room;                /* what `block` and `resident` have room for */
    u32 most_bytes;          /* room that the translator wants */
};

#define FIX_BYTES  sizeof(u16)
#define MOST_FIXES 255u

static u32 rest_of(const struct block_made *made)
{
    u32 least = sizeof(struct block) + sizeof(struct extent) + made->instructions * sizeof(u16);
    return made->meta_bytes > least ? made->meta_bytes - least : 0;
}

static void add_block(struct lab *lab, u32 id, const struct block_made *made)
{
    struct cache *cache = &lab->cache;
    struct block *block = cache_next(cache);
    u32 rest = rest_of(made), fixes = rest / FIX_BYTES > MOST_FIXES ? MOST_FIXES : rest / FIX_BYTES;
    *block = (struct block){.frame = made->frame,
                            .eip = made->eip,
                            .mode = made->mode,
                            .start = (u32)cache->arena.used,
                            .host_bytes = (u16)made->host_bytes,
                            .guest_bytes = made->guest_bytes,
                            .count = made->instructions,
                            .fix_count = (u8)fixes,
                            .extent_count = 1,
                            .relocatable = made->relocatable};
    u32 first = made->eip & PAGE_MASK, last = first + made->guest_bytes - 1;
    block_extents(block)[0] = (struct extent){(u16)first, (u16)(last > PAGE_MASK ? PAGE_MASK : last)};
    cache_add(cache, block);
    u32 more = made->callout_bytes + (rest - fixes * (u32)FIX_BYTES);
    if (more) cache_meta(cache, more);
    lab->resident[id] = low_pointer(block);
}

static void copy_block(void *owner, const struct block *from)
{
    struct lab *lab = owner;
    struct block *block = cache_next(&lab->cache);
    memcpy(block, from, block_bytes(from));
    block->start = (u32)lab->cache.arena.used;
    block->dead = false;
    cache_add(&lab->cache, block);
}

static struct block_key key_of(const struct block_made *made)
{
    return (struct block_key){.gpa = (u64)made->frame << PAGE_SHIFT | (made->eip & PAGE_MASK),
                              .eip = made->eip,
                              .mode = made->mode,
                              .cs_limit = UINT32_MAX};
}

/* After a turn, nothing is known of any block. */
static void forget(struct lab *lab, const struct log *log)
{
    if (lab->turns == lab->cache.turns) return;
    lab->turns = lab->cache.turns;
    memset(lab->resident, 0, log->room * sizeof(lab->resident[0]));
}

static void run_block(struct lab *lab, const struct log *log, u32 id)
{
    const struct block_made *made = &log->block[id].made;
    struct simulation *result = lab->result;
    result->executions++;
    result->instructions += made->instructions;
    result->host_instructions += made->body_instructions;
    struct block *block = block_pointer(lab->resident[id]);
    if (block && block->touched) return;
    struct block_key key = key_of(made);
    block = cache_find(&lab->cache, &key);
    lab->resident[id] = low_pointer(block);
    if (block) return;
    result->translations++;
    if (log->block[id].fresh) result->first++;
    if (!cache_room(&lab->cache, log->most_bytes)) {
        cache_replace(&lab->cache, copy_block, lab);
        forget(lab, log);
    }
    add_block(lab, id, made);
}

/* A block that is there was killed before it was translated again. */
static void make_block(struct lab *lab, u32 id, const struct block_made *before)
{
    if (!before->host_bytes) return;
    struct block_key key = key_of(before);
    struct block *block = cache_find(&lab->cache, &key);
    if (block) cache_kill(&lab->cache, block);
    lab->resident[id] = 0;
}

static bool grow(struct log *log, struct lab *labs, unsigned count, u32 id)
{
    if (id < log->room) return true;
    u32 room = log->room ? log->room * 2 : 1u << 14;
    while (room <= id)
        room *= 2;
    struct log_block *block = realloc(log->block, room * sizeof(*block));
    if (!block) return false;
    log->block = block;
    memset(block + log->room, 0, (room - log->room) * sizeof(*block));
    for (unsigned n = 0; n < count; n++) {
        u32 *resident = realloc(labs[n].resident, room * sizeof(*resident));
        if (!resident) return false;
        labs[n].resident = resident;
        memset(resident + log->room, 0, (room - log->room) * sizeof(*resident));
    }
    log->room = room;
    return true;
}

#define MOST_IDS (1u << 24)

static const char *replay(struct block_log_reader *reader, struct log *log, struct lab *labs, unsigned count)
{
    struct block_made made;
    u32 id;
    for (;;) {
        switch (block_log_next(reader, &id, &made)) {
        case LOG_END: return NULL;
        case LOG_DAMAGED: return "the block log is damaged or not whole";
        case LOG_MADE:
            if (id >= MOST_IDS || made.instructions > BLOCK_MAX_INSNS || made.host_bytes > UINT16_MAX)
                return "the block log is damaged";
            if (!grow(log, labs, count, id)) return "there is not enough memory for the block log";
            for (unsigned n = 0; n < count; n++)
                make_block(&labs[n], id, &log->block[id].made);
            log->block[id] = (struct log_block){made, true};
            break;
        case LOG_RAN:
            if (id >= log->room || !log->block[id].made.host_bytes)
                return "the block log is damaged: a block runs that was not translated";
            for (unsigned n = 0; n < count; n++)
                run_block(&labs[n], log, id);
            log->block[id].fresh = false;
            break;
        }
    }
}

static const char *prepare(struct lab *labs, struct simulation *simulations, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        struct simulation *s = &simulations[n];
        labs[n].result = s;
        if (cache_init(&labs[n].cache, &s->shape, &s->counters))
            return "there is not enough memory for so many caches";
    }
    return NULL;
}

bool simulate(const char *path, struct simulation *simulations, unsigned count, char *error,
              size_t error_bytes)
{
    struct block_log_reader *reader = block_log_read(path, error, error_bytes);
    if (!reader) return false;
    struct lab *labs = calloc(count, sizeof(*labs));
    struct log log = {.most_bytes = block_log_room(reader)};
    const char *failure = labs ? prepare(labs, simulations, count) : "there is not enough memory";
    if (!failure) failure = replay(reader, &log, labs, count);
    if (failure) snprintf(error, error_bytes, "%s: %s", path, failure);
    for (unsigned n = 0; labs && n < count; n++) {
        if (labs[n].cache.arena.write) cache_destroy(&labs[n].cache);
        free(labs[n].resident);
    }
    free(labs);
    free(log.block);
    block_log_read_end(reader);
    return !failure;
}
