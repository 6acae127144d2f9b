/* Sites, packed: what a block keeps of each is what it adds to the one before. */
#include "cache.h"

void block_keep_sites(struct block *block, const struct site *sites)
{
    u16 *kept = block_sites(block);
    for (unsigned n = 0; n < block->count; n++) {
        u32 host = sites[n].host - (n ? sites[n - 1].host : 0u);
        u32 length = (n + 1u < block->count ? sites[n + 1].guest : block->guest_bytes) - (u32)sites[n].guest;
        kept[n] = (u16)(host | length << SITE_LENGTH_AT | (sites[n].parked ? SITE_PARKED : 0));
    }
}

/* Go on to the site that `kept` describes, the first when nothing is behind it; *length is the guest bytes of
 * the one before. */
static void advance(struct site *site, u16 kept, u16 *length)
{
    site->host += kept & ((1u << SITE_HOST_BITS) - 1);
    site->guest += *length;
    site->parked = kept & SITE_PARKED;
    *length = kept >> SITE_LENGTH_AT & 15;
}

struct site block_site(const struct block *block, unsigned index)
{
    const u16 *kept = block_sites(block);
    struct site site = {.index = (u8)index};
    u16 length = 0;
    for (unsigned n = 0; n <= index; n++)
        advance(&site, kept[n], &length);
    return site;
}

bool block_site_at(const struct block *block, u32 offset, struct site *found)
{
    const u16 *kept = block_sites(block);
    struct site site = {0};
    u16 length = 0;
    bool any = false;
    for (unsigned n = 0; n < block->count; n++) {
        advance(&site, kept[n], &length);
        if (block->start + site.host > offset) break;
        site.index = (u8)n;
        *found = site;
        any = true;
    }
    return any;
}
