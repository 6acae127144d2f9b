/*
 * Replacement policies (cache/policy.h) on blocks without code. Hazards: a link, a look-up table or a list that leads
 * to an evicted block; a block that the policy wanted to keep; a policy that sees other facts than the documented ones.
 */
#include "cache/cache.h"
#include "check.h"

#include <string.h>

#define CODE_BYTES 1024u

static struct counters counters;
static struct cache cache;
static u32 next_eip;

static struct block_key key_of(u32 eip)
{
    return (struct block_key){.gpa = eip, .eip = eip, .cs_limit = UINT32_MAX};
}

/* As the translator copies a block to another segment. */
static void copy(void *owner, const struct block *from)
{
    struct block *block = cache_next(&cache);
    memcpy(block, from, block_bytes(from));
    memcpy(cache.arena.write + cache.arena.used, cache.arena.write + from->start, from->host_bytes);
    block->start = (u32)cache.arena.used;
    block->incoming = 0;
    block->dead = false;
    cache_add(&cache, block);
}

static void make(u32 eip)
{
    struct block *block = cache_next(&cache);
    *block = (struct block){.frame = eip >> PAGE_SHIFT,
                            .eip = eip,
                            .start = (u32)cache.arena.used,
                            .host_bytes = CODE_BYTES,
                            .guest_bytes = 4,
                            .count = 1,
                            .edge_count = 2,
                            .extent_count = 1,
                            .relocatable = true};
    for (unsigned n = 0; n < 2; n++) {
        struct edge *edge = &block_edges(block)[n];
        *edge = (struct edge){.index = (u8)n, .patch = (u16)(1 + 5 * n), .stub = (u16)(32 + 8 * n)};
        *(any32 *)(cache.arena.write + block->start + edge->patch) = edge->stub - (edge->patch + 4u);
    }
    block_extents(block)[0] = (struct extent){(u16)(eip & PAGE_MASK), (u16)((eip & PAGE_MASK) + 3)};
    block_keep_sites(block, &(struct site){0});
    cache_add(&cache, block);
}

/* Execute the block at eip as the translator does: find it or make it. */
static struct block *run(u32 eip)
{
    struct block_key key = key_of(eip);
    struct block *block = cache_find(&cache, &key);
    if (block) return block;
    if (!cache_room(&cache, CODE_BYTES)) cache_replace(&cache, copy, NULL);
    make(eip);
    return cache_find(&cache, &key);
}

static void begin(const char *policy, unsigned segments)
{
    char error[200];
    const struct cache_shape shape = {.bytes = 2u << 20,
                                      .policy = policy_find(policy, error, sizeof(error)),
                                      .segments = segments,
                                      .checks = true};
    counters = (struct counters){0};
    CHECK_EQ(cache_init(&cache, &shape, &counters), 0);
    next_eip = 0x100000;
}

static bool has(u32 eip)
{
    struct block_key key = key_of(eip);
    return cache_find(&cache, &key);
}

/* Make new blocks until there were this many turns. */
static void fill(unsigned turns)
{
    u64 end = cache.turns + turns;
    while (cache.turns < end)
        run(next_eip += 16);
}

/* Links in all directions over many turns: each turn checks the whole cache. */
static void test_links(const char *policy)
{
    u32 random = 1;
    begin(policy, 8);
    for (unsigned n = 0; n < 20000; n++) {
        random = random * 1664525 + 1013904223;
        struct block *from = run(0x100000 + (random >> 16) % 4000 * 16);
        u64 turns = cache.turns;
        struct block *to = run(0x100000 + (random >> 8) % 4000 * 16);
        if (cache.turns == turns) cache_link(&cache, &block_edges(from)[random >> 31], to, 0);
    }
    cache_check(&cache);
    CHECK(counters.segments_evicted > 20);
    cache_destroy(&cache);
}

/* A flush evicts the live blocks, and not those that were killed before. */
static void test_flush(const char *policy)
{
    begin(policy, strcmp(policy, "flush") ? 4 : 0);
    for (u32 eip = 0x1000; eip < 0x9000; eip += 0x1000)
        run(eip);
    cache_code_written(&cache, 0x3000, 4);
    CHECK(!has(0x3000));
    cache_flush(&cache);
    CHECK_EQ(counters.blocks_evicted, 7);
    CHECK_EQ(counters.cache_flushes, 1);
    cache_flush(&cache);
    CHECK_EQ(counters.blocks_evicted, 7);
    cache_destroy(&cache);
}

static void test_fifo(void)
{
    begin("fifo", 4);
    u32 first = run(0x1000)->eip;
    fill(3);
    CHECK(has(first));
    fill(1);
    CHECK(!has(first));
    CHECK_EQ(counters.segments_evicted, 1);
    cache_destroy(&cache);
}

/* A block that runs between any two turns stays, with all of its segment; the one after it goes. */
static void test_lru(void)
{
    begin("lru", 4);
    run(0x1000);
    u64 made = counters.chains_made;
    for (unsigned n = 0; n < 12; n++) {
        fill(1);
        CHECK(has(0x1000));
    }
    CHECK_EQ(counters.chains_made, made);
    cache_destroy(&cache);
}

/* Only blocks that were touched in the turn before their segment's eviction are promoted. */
static void test_generations(void)
{
    begin("generations", 8);
    run(0x1000);
    run(0x2000);
    fill(4);
    CHECK_EQ(counters.segments_evicted, 1);
    CHECK_EQ(counters.blocks_promoted, 0);
    CHECK(!cache.facts[4].filled);

    fill(4 - (cache.turns % 4) % 4);
    run(0x1000);
    run(0x2000);
    run(0x3000);
    unsigned home = cache.fill;
    do {
        fill(1);
        if ((cache.fill + 1) % 4 == home) run(0x1000), run(0x2000); /* its links were cut at this turn */
    } while (cache.fill != home);
    CHECK_EQ(counters.blocks_promoted, 2);
    CHECK(cache.facts[4].filled);
    CHECK_EQ(cache.facts[4].blocks, 2);
    CHECK(!has(0x3000));
    fill(8);
    CHECK(has(0x1000) && has(0x2000));
    cache_check(&cache);
    cache_destroy(&cache);
}

/* Code that changes takes its block out of any generation. */
static void test_writes(void)
{
    begin("generations", 8);
    for (u32 eip = 0x1000; eip < 0x9000; eip += 0x1000)
        run(eip);
    for (unsigned n = 0; n < 40; n++) {
        fill(1);
        u32 eip = 0x1000 + n % 8 * 0x1000;
        run(eip);
        cache_code_written(&cache, eip, 4);
        CHECK(!has(eip));
        run(eip);
    }
    cache_check(&cache);
    cache_destroy(&cache);
}

static unsigned choose_nonsense(const struct policy_view *view)
{
    return 1000;
}

/* A loaded policy may choose anything. */
static void test_nonsense(void)
{
    const struct cache_policy policy = {
        .name = "nonsense", .what = "none", .segments = 4, .next = choose_nonsense};
    CHECK_EQ(cache_init(&cache, &(struct cache_shape){.bytes = 2u << 20, .policy = &policy, .checks = true},
                        &counters),
             0);
    fill(20);
    cache_check(&cache);
    cache_destroy(&cache);
}

static void test_names(void)
{
    char error[200];
    CHECK(policy_find("lru", error, sizeof(error)) == &policy_lru);
    CHECK(!policy_find("lfu", error, sizeof(error)));
    CHECK(strstr(error, "there is no cache policy \"lfu\"; there are flush, fifo, lru, generations"));
    CHECK(!policy_find("./nowhere.so", error, sizeof(error)));
    CHECK(strstr(error, "cannot load a cache policy"));
    unsigned young;
    CHECK_EQ(policy_segments(&policy_generations, 0, 96u << 20, &young), 8);
    CHECK_EQ(young, 4);
    CHECK_EQ(policy_segments(&policy_generations, 0, 256u << 10, &young), 2);
    CHECK_EQ(policy_segments(&policy_fifo, 0, 64u << 10, &young), 1);
    CHECK_EQ(policy_segments(&policy_flush, 16, 96u << 20, &young), 1);
}

int main(void)
{
    test_names();
    test_flush("flush");
    test_flush("fifo");
    test_fifo();
    test_lru();
    test_generations();
    test_writes();
    test_nonsense();
    test_links("fifo");
    test_links("lru");
    test_links("generations");
    return check_report();
}
