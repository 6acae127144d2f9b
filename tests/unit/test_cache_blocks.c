/*
 * The block cache by itself. Its blocks have metadata but no code.
 */
#include "cache/cache.h"
#include "check.h"

static struct counters counters;
static struct cache cache;

struct shape {
    u64 gpa;
    u32 eip, frame_next; /* as in struct block_rare */
    u16 guest_bytes, host_bytes;
};

/* One instruction for each 12 bytes, so that long blocks have offsets of more than 8 bits. */
static struct block *add(const struct shape *shape)
{
    struct block *block = cache_next(&cache);
    struct site sites[BLOCK_MAX_INSNS] = {0};
    unsigned count = (shape->guest_bytes + 11u) / 12;
    *block = (struct block){.frame = (u32)(shape->gpa >> PAGE_SHIFT),
                            .eip = shape->eip,
                            .start = (u32)cache.arena.used,
                            .host_bytes = shape->host_bytes,
                            .guest_bytes = shape->guest_bytes,
                            .count = (u8)count,
                            .edge_count = 1,
                            .extent_count = 1,
                            .rare = shape->frame_next != 0,
                            .relocatable = !shape->frame_next};
    block_edges(block)[0] = (struct edge){.patch = 1, .stub = 8};
    if (block->rare)
        *block_rare(block) = (struct block_rare){.cs_limit = UINT32_MAX, .frame_next = shape->frame_next};
    u32 first = shape->gpa & PAGE_MASK;
    block_extents(block)[0] =
        (struct extent){(u16)first, (u16)(block->rare ? PAGE_MASK : first + shape->guest_bytes - 1)};
    for (unsigned n = 0; n < count; n++)
        sites[n] = (struct site){.host = (u16)(3 + 5 * n), .guest = (u16)(12 * n), .parked = n & 1};
    block_keep_sites(block, sites);
    cache_add(&cache, block);
    return block;
}

static void test_sites(void)
{
    struct block *block =
        add(&(struct shape){.gpa = 0x1000, .eip = 0x1000, .guest_bytes = 768, .host_bytes = 400});
    for (unsigned n = 0; n < 64; n++) {
        struct site site = block_site(block, n), found = {0};
        CHECK_EQ(site.guest, 12 * n);
        CHECK_EQ(site.host, 3 + 5 * n);
        CHECK_EQ(site.parked, n & 1);
        CHECK(block_site_at(block, block->start + site.host + 4, &found));
        CHECK_EQ(found.index, n);
        CHECK_EQ(found.guest, 12 * n);
    }
    struct site none;
    CHECK(!block_site_at(block, block->start + 2, &none));
    cache_flush(&cache);
}

/* A block that follows a long jump: the instruction behind it begins with host code that is not its site's. All sites
 * from the next on are where they were. */
static void test_sites_behind_jump(void)
{
    static const struct site sites[] = {{.host = 3, .guest = 0},
                                        {.host = 8, .guest = 2},
                                        {.host = 48, .guest = 102},
                                        {.host = 53, .guest = 105},
                                        {.host = 60, .guest = 107}};
    struct block *block = add(&(struct shape){
        .gpa = 0x1000, .eip = 0x1000, .guest_bytes = 12 * ARRAY_SIZE(sites), .host_bytes = 400});
    CHECK_EQ(block->count, ARRAY_SIZE(sites));
    block->guest_bytes = 110;
    block_keep_sites(block, sites);
    for (unsigned n = 0; n < ARRAY_SIZE(sites); n++) {
        if (n == 1) continue; /* the jump has no host code */
        struct site found = {0};
        CHECK(block_site_at(block, block->start + sites[n].host, &found));
        CHECK_EQ(found.index, n);
        CHECK_EQ(found.guest, sites[n].guest);
        if (n != 2) CHECK_EQ(found.host, sites[n].host);
    }
    cache_flush(&cache);
}

/* Short blocks, several in a piece of the map, and blocks over several pieces. */
static void test_places(void)
{
    struct block *blocks[200];
    for (unsigned n = 0; n < 200; n++)
        blocks[n] = add(&(struct shape){.gpa = 0x2000 + 16 * n,
                                        .eip = 0x8000 + 16 * n,
                                        .guest_bytes = 16,
                                        .host_bytes = (u16)(n % 7 ? 9 + n : 1500)});
    struct block *next = NULL;
    for (unsigned n = 0; n < 200; n++) {
        const struct block *b = blocks[n];
        next = cache_after(&cache, next);
        CHECK(next == b);
        CHECK(cache_block_at(&cache, b->start) == b);
        CHECK(cache_block_at(&cache, b->start + b->host_bytes - 1) == b);
        struct block_key key = block_key(b);
        CHECK(cache_find(&cache, &key) == b);
    }
    CHECK(!cache_after(&cache, next));
    CHECK(!cache_block_at(&cache, (u32)cache.arena.used));
    cache_flush(&cache);
    CHECK(!cache_block_at(&cache, blocks[0]->start));
    CHECK(!cache_after(&cache, NULL));
}

/* A write kills the blocks that have one of its bytes, on either page of a crossing block, and unlinks them. */
static void test_writes(void)
{
    struct block *a = add(&(struct shape){.gpa = 0x3000, .eip = 0x3000, .guest_bytes = 64, .host_bytes = 40});
    struct block *c = add(&(struct shape){
        .gpa = 0x3ffa, .eip = 0x3ffa, .guest_bytes = 12, .host_bytes = 40, .frame_next = 0x9 + 1});
    struct block *d = add(&(struct shape){.gpa = 0x9100, .eip = 0x4100, .guest_bytes = 64, .host_bytes = 40});
    cache_link(&cache, &block_edges(a)[0], c, 0);
    cache_link(&cache, &block_edges(d)[0], c, 0);
    CHECK(cache_overlaps(&cache, 0x9000, 4));
    CHECK(!cache_overlaps(&cache, 0x9200, 4));
    CHECK(cache_code_written(&cache, 0x9006, 1)); /* behind it */
    CHECK(!c->dead);
    CHECK(cache_code_written(&cache, 0x9005, 1));
    CHECK(c->dead && !a->dead && !d->dead);
    CHECK_EQ(block_edges(a)[0].to, 0);
    CHECK_EQ(block_edges(d)[0].to, 0);
    CHECK(!cache_code_written(&cache, 0x303f, 1));
    CHECK(a->dead);
    CHECK(!cache_code_written(&cache, 0x9100, 64));
    CHECK(d->dead);
    cache_flush(&cache);
}

/* Data next to code in a 64-byte granule, written again and again, until it becomes code. */
static void test_writes_beside(void)
{
    struct block *a = add(&(struct shape){.gpa = 0x3010, .eip = 0x3010, .guest_bytes = 16, .host_bytes = 40});
    for (unsigned n = 0; n < 3; n++) {
        CHECK(cache_code_written(&cache, 0x3000, 16));
        CHECK(cache_code_written(&cache, 0x3020, 32));
        CHECK(cache_code_written(&cache, 0x2ff0 + 0x10, 1));
    }
    CHECK(!a->dead);
    struct block *c = add(&(struct shape){.gpa = 0x3028, .eip = 0x3028, .guest_bytes = 4, .host_bytes = 40});
    CHECK(cache_code_written(&cache, 0x3020, 8));
    CHECK(cache_code_written(&cache, 0x3020, 8));
    CHECK(!a->dead && !c->dead);
    CHECK(cache_code_written(&cache, 0x302b, 1));
    CHECK(c->dead && !a->dead);
    /* Two granules of one slot; a write over the end of one. */
    struct block *far =
        add(&(struct shape){.gpa = 0x3110, .eip = 0x3110, .guest_bytes = 64, .host_bytes = 40});
    CHECK(cache_code_written(&cache, 0x3000, 4));
    CHECK(cache_code_written(&cache, 0x3100, 4));
    CHECK(cache_code_written(&cache, 0x3000, 4));
    CHECK(!far->dead);
    CHECK(cache_code_written(&cache, 0x310e, 4));
    CHECK(far->dead && !a->dead);
    CHECK(!cache_code_written(&cache, 0x301c, 8));
    CHECK(a->dead);
    cache_flush(&cache);
}

/* Both linear pages of a crossing block may map one frame. */
static void test_crossing_into_its_own_frame(void)
{
    struct shape shape = {
        .gpa = 0x5ffa, .eip = 0x5ffa, .guest_bytes = 12, .host_bytes = 40, .frame_next = 5 + 1};
    struct block *other =
        add(&(struct shape){.gpa = 0x5100, .eip = 0x5100, .guest_bytes = 16, .host_bytes = 40});
    for (unsigned n = 0; n < 2; n++) {
        struct block *block = add(&shape);
        CHECK(cache_code_written(&cache, n ? 0x5ffb : 0x5003, 1));
        CHECK(block->dead && !other->dead);
    }
    cache_flush(&cache);
}

/* A block that must be translated again leaves nothing to copy from. */
static void test_kill(void)
{
    struct block *a =
        add(&(struct shape){.gpa = 0x6010, .eip = 0x16010, .guest_bytes = 16, .host_bytes = 40});
    struct block *b =
        add(&(struct shape){.gpa = 0x6010, .eip = 0x26010, .guest_bytes = 16, .host_bytes = 40});
    struct block_key key = block_key(a);
    CHECK(cache_template(&cache, &key) == b);
    cache_kill(&cache, a);
    CHECK(!cache_template(&cache, &key));
    CHECK(!cache_find(&cache, &key));
    CHECK(cache_code_written(&cache, 0x6fff, 1)); /* the other is there still */
    CHECK(!cache_code_written(&cache, 0x6010, 1));
    cache_flush(&cache);
}

int main(void)
{
    CHECK_EQ(cache_init(&cache, &(struct cache_shape){.bytes = 4u << 20}, &counters), 0);
    test_sites();
    test_sites_behind_jump();
    test_places();
    test_writes();
    test_writes_beside();
    test_crossing_into_its_own_frame();
    test_kill();
    cache_destroy(&cache);
    return check_report();
}
