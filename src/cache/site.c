/* The sites of a block. Each is stored as its difference to the site before. */
#include "cache.h"

#include <assert.h>

#define HOST_MASK ((1u << SITE_HOST_BITS) - 1)

/* A jump that the block follows may skip more guest bytes than a length field can hold. Such a jump has no host code,
 * so the site behind it stores the guest bytes in place of host bytes, and begins where the jump does. The host bytes
 * that lie between the two, such as the computation of an address, count for the site after it. */
enum { LENGTH_MAX = 15, LENGTH_BEHIND = 0 };

void block_keep_sites(struct block *block, const struct site *sites)
{
    u16 *kept = block_sites(block);
    bool behind = false;
    u32 host = 0; /* as advance() finds it */
    for (unsigned n = 0; n < block->count; n++) {
        u32 low = behind ? (u32)sites[n].guest - sites[n - 1].guest : sites[n].host - host;
        if (!behind) host = sites[n].host;
        assert(low <= HOST_MASK);
        u32 length = (n + 1u < block->count ? sites[n + 1].guest : block->guest_bytes) - (u32)sites[n].guest;
        behind = length > LENGTH_MAX;
        if (behind) length = LENGTH_BEHIND;
        kept[n] = (u16)(low | length << SITE_LENGTH_AT | (sites[n].parked ? SITE_PARKED : 0));
    }
}

/* Go on to site n. */
static void advance(struct site *site, const u16 *kept, unsigned n)
{
    u16 low = kept[n] & HOST_MASK, length = n ? kept[n - 1] >> SITE_LENGTH_AT & LENGTH_MAX : 0;
    if (n && length == LENGTH_BEHIND) {
        site->guest += low;
    } else {
        site->host += low;
        site->guest += length;
    }
    site->index = (u8)n;
    site->parked = kept[n] & SITE_PARKED;
}

struct site block_site(const struct block *block, unsigned index)
{
    const u16 *kept = block_sites(block);
    struct site site = {0};
    for (unsigned n = 0; n <= index; n++)
        advance(&site, kept, n);
    return site;
}

bool block_site_at(const struct block *block, u32 offset, struct site *found)
{
    const u16 *kept = block_sites(block);
    struct site site = {0};
    bool any = false;
    for (unsigned n = 0; n < block->count; n++) {
        advance(&site, kept, n);
        if (block->start + site.host > offset) break;
        *found = site;
        any = true;
    }
    return any;
}
