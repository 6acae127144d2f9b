/*
 * Watched pages: see watch.h. The guest's FPU state may be live.
 */
#include "watch.h"

#include "shadow_state.h"
#include "tlb.h"

static void drop_everywhere(struct shadow *shadow, u64 page)
{
    shadow->data_drops++;
    shadow->exec_drops += tlb_drop_page(shadow->tlb, page << PAGE_SHIFT);
    long_windows_empty(shadow);
    if (page >= PAGES) return;
    for (u32 n = 0; n <= state_of(shadow)->spaces.used; n++)
        view_drop(shadow, n, (u32)page);
}

static void watch_page(struct shadow *shadow, u64 page, bool reads)
{
    for (u32 n = 0; n < shadow->watched_count; n++)
        if (shadow->watched[n].page == page) {
            shadow->watched[n].reads |= reads;
            drop_everywhere(shadow, page);
            return;
        }
    if (shadow->watched_count == ARRAY_SIZE(shadow->watched)) return;
    shadow->watched[shadow->watched_count++] = (struct watched_page){page, reads};
    drop_everywhere(shadow, page);
}

void shadow_watch(struct shadow *shadow, u64 linear, u64 bytes, bool reads)
{
    u64 first = linear >> PAGE_SHIFT, last = (linear + bytes - 1) >> PAGE_SHIFT;
    watch_page(shadow, first, reads);
    if (last != first) watch_page(shadow, last, reads);
}

void shadow_watch_none(struct shadow *shadow)
{
    shadow->watched_count = 0;
}

enum watch_rights shadow_watched_slow(const struct shadow *shadow, u64 linear)
{
    for (u32 n = 0; n < shadow->watched_count; n++)
        if (shadow->watched[n].page == linear >> PAGE_SHIFT)
            return shadow->watched[n].reads ? WATCH_ALL : WATCH_WRITES;
    return WATCH_NONE;
}
