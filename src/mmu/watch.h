/*
 * Pages that a debugger watches. By the rule "no entry, no fast path" it is enough to give them no entries: then
 * every access takes the slow path, and its caller compares the address. Views, the TLB of IA-32e mode and host windows
 * alike obey, because all of them follow the entries.
 */
#ifndef RINGER_MMU_WATCH_H
#define RINGER_MMU_WATCH_H

#include "shadow.h"

/* From now on no access that writes [linear, linear + bytes) is made through an entry; with `reads`, none that reads
 * it either. Drops the entries that are there. The range touches two pages at most. */
void shadow_watch(struct shadow *shadow, u64 linear, u64 bytes, bool reads);
/* No page is watched any more. Entries come back as accesses fill them. */
void shadow_watch_none(struct shadow *shadow);

enum watch_rights { WATCH_NONE, WATCH_WRITES, WATCH_ALL };
enum watch_rights shadow_watched_slow(const struct shadow *shadow, u64 linear);
/* Which accesses to the page may have no entry? */
static inline enum watch_rights shadow_watched(const struct shadow *shadow, u64 linear)
{
    return likely(!shadow->watched_count) ? WATCH_NONE : shadow_watched_slow(shadow, linear);
}

#endif
