/*
 * A view: the flat tables of one privilege of one address space, with the lists and bitmaps that make their entries
 * cheap to drop. Private to mmu.
 *
 * View 0 is the supervisor's; view n is that of the user in space n (space.h). An *id* names a linear page in
 * a view: view << 20 | page. The three entries of an id (read, write, exec) are dropped together, except that
 * shadow_drop_writes() drops write entries alone.
 *
 * A view is one reservation of host addresses, 29 MB, of which the host backs the pages that are used:
 *
 *   read[page], write[page], exec[page]   the tables (shadow.h)
 *   link[page]       the reverse map: neighbours in the list of ids with write entries for the same RAM page; the list
 *                    of a RAM page begins at writers[RAM page]
 *   flags[page]      enum page_flags; PAGE_LIVE pages are those that may have entries
 *   region[region]   struct region, one for every 2 MB
 *
 * Live pages are found from the top, so that the cost of dropping depends on the number of filled pages:
 *
 *   live bit of a region  ->  region.groups, a bit for 8 pages  ->  flags of 8 pages, as one word
 *
 * The first use of a region makes the host back some 15 KB. All views together use at most REGIONS_MAX regions; beyond
 * that, the memory of the spaces that were used longest ago is given back to the host. The supervisor and the current
 * user together cannot use that many.
 */
#ifndef RINGER_MMU_VIEW_H
#define RINGER_MMU_VIEW_H

#include "shadow.h"

#define PAGES        (1u << 20)
#define REGION_BITS  9 /* pages of a region, as a power of 2 */
#define REGION_PAGES (1u << REGION_BITS)
#define REGIONS      (PAGES >> REGION_BITS)
#define REGIONS_MAX  8192
#define QUARTERS     4
#define VIEWS        (1 + SHADOW_SPACES)

_Static_assert(REGIONS_MAX >= 2 * REGIONS, "the supervisor and the current user always have room");
_Static_assert(VIEWS <= 4096, "an id has 32 bits");

enum page_flags {
    PAGE_GLOBAL = 1,       /* all entries come from global pages */
    PAGE_LIVE = 2,         /* may have entries */
    PAGE_WINDOW_READ = 4,  /* mapped in the view's host window */
    PAGE_WINDOW_WRITE = 8, /* mapped there, and writable */
    PAGE_IN_WINDOW = PAGE_WINDOW_READ | PAGE_WINDOW_WRITE,
};
#define LIVE_8 (0x0101010101010101ull * PAGE_LIVE)

/* Sizes of guest pages that entries of a region may have been filled from. */
enum large_kinds { LARGE_2M = 1, LARGE_4M = 2 };

struct region {
    u64 groups; /* bit n: some of the pages 8n to 8n + 7 are live */
    u32 table;  /* number of the trace on the page table that serves the region (trace.h), or 0 */
    u8 large;
    bool touched; /* counted in views.regions_touched */
};
_Static_assert(REGION_PAGES == 8 * 64, "a bit of `groups` for every 8 pages");

/* Each neighbour as id + 1; 0: none. */
struct writer_link {
    u32 next, previous;
};

struct view {
    void *reserved; /* the reservation; NULL: none yet */
    struct shadow_table table;
    struct writer_link *link;
    u8 *flags;
    struct region *region;
    u64 live[REGIONS / 64];   /* a bit for each region that has live pages */
    u64 tabled[REGIONS / 64]; /* a bit for each region with a `table` */
    u32 directory[QUARTERS];  /* number of the trace on the directory that serves a quarter, or 0 */
    u32 live_pages;
    u32 regions_touched;
    u32 window; /* number of its host window + 1, or 0 */
};

struct views {
    struct view view[VIEWS];
    u32 *writers; /* one for each RAM page: id + 1 of the first in its list, or 0 */
    u64 writers_bytes;
    u32 regions_touched;
};

int views_init(struct shadow *shadow);
void views_destroy(struct shadow *shadow);

/* Returns false when the host has no addresses left. */
bool view_reserve(struct shadow *shadow, u32 view);
/* Give the memory of a view without entries back to the host. */
void view_shrink(struct shadow *shadow, u32 view);

/* Call this before an entry is filled in the page's region. May evict spaces other than the current one. */
void view_touch(struct shadow *shadow, u32 view, u32 page);
/* Make a page ready for new entries from this walk: live, and without entries of another frame. */
void view_prepare(struct shadow *shadow, u32 view, u32 page, const struct walk *walk, u64 entry,
                  u32 frame_plus_1);
void view_set_write(struct shadow *shadow, u32 view, u32 page, u64 entry);

/* Drop the entries of a page. Returns whether there were any. */
bool view_drop(struct shadow *shadow, u32 view, u32 page);
/* These return the number of pages that had entries. */
u32 view_drop_region(struct shadow *shadow, u32 view, u32 region);
u32 view_drop_quarter(struct shadow *shadow, u32 view, u32 quarter);
/* Drop the page's entries, and all entries from the large page that covers it. */
u32 view_drop_translation(struct shadow *shadow, u32 view, u32 page);
/* Drop the entries that did not come from global pages. */
void view_drop_local(struct shadow *shadow, u32 view);

/* The first live page from `page` on, or PAGES. */
u32 view_next_live(const struct view *view, u32 page);

#endif
