/*
 * One view of linear space: its tables, and the book-keeping that makes dropping cheap. Private to mmu.
 *
 * An *id* names one linear page in one view: view number << 20 | page number; the three entries of an id
 * (read, write, exec) are dropped together, but for the write entry alone in view_drop_writes(). Beside the
 * tables a view has
 *
 *   flags[page]   what the entries were filled from, and whether the log names the page
 *   link[page]    its place in the list of ids whose write entries map the same RAM page, which starts at
 *                 chain[RAM page]
 *   log[quarter]  pages with entries, by GB of linear space; may name pages whose entries are gone by now
 *   touched[]     regions of 2 MB that ever had entries: what bounds the memory of it all
 *   large[]       regions that may have entries filled from large pages
 *   table_of[], directory_of[]   the traces whose page tables serve a region, a quarter (trace.c)
 *
 * Everything is reserved without being touched; a region costs 15 KB when it is used. After REGIONS_MAX of
 * them all is flushed and its pages given back to the host: only a guest that roams comes there.
 */
#ifndef RINGER_MMU_VIEW_H
#define RINGER_MMU_VIEW_H

#include "shadow.h"

#define PAGES       (1u << 20)
#define REGION_BITS 9 /* pages of a region, as a power of 2 */
#define REGIONS     (PAGES >> REGION_BITS)
#define REGIONS_MAX 2048
#define QUARTERS    4
/* View 0 is the supervisor's. */
#define VIEWS (1 + SHADOW_SPACES)

enum page_flags {
    PAGE_GLOBAL = 1, /* all entries come from global pages */
    PAGE_LIVE = 2,   /* may have entries */
    PAGE_LOGGED = 4,
    PAGE_WINDOW_READ = 8,   /* mapped in the view's window, */
    PAGE_WINDOW_WRITE = 16, /* writable */
    PAGE_IN_WINDOW = PAGE_WINDOW_READ | PAGE_WINDOW_WRITE,
};
#define LIVE_8 0x0202020202020202ull

enum large_kinds { LARGE_2M = 1, LARGE_4M = 2 };

/* Neighbours in a chain, as id + 1; 0 ends the list, and previous 0 is the head. */
struct chain_link {
    u32 next, previous;
};

struct page_log {
    u32 *page;
    u32 count;
};

struct view {
    struct shadow_table table;
    u8 *flags;
    struct chain_link *link;
    struct page_log log[QUARTERS];
    u8 touched[REGIONS];
    u8 large[REGIONS];
    u32 table_of[REGIONS];    /* trace number, 0: none */
    u64 tabled[REGIONS / 64]; /* a bit for each region that has one */
    u32 directory_of[QUARTERS];
    u32 window; /* of the view: its number + 1, or 0 */
};

#define WINDOWS   8
#define STALE_MAX 512

struct window {
    bool reserved;
    u64 base;
    u32 first_page; /* pages below cannot be mapped */
    u64 used;       /* stamp */
    u32 view;       /* 0: free */
    u32 mappings;
    u32 stale_count; /* STALE_MAX + 1: more than the list holds */
    struct {
        u32 first, pages;
    } stale[STALE_MAX];
};

/* A guest's address space. */
struct space {
    u64 cr3;
    u64 pdpte[QUARTERS];
    u64 used; /* stamp of its last use; 0: free */
    u32 view;
    u32 patience;  /* what it has to run for a window, in units of PROMOTE_CYCLES */
    u64 ran, cost; /* host cycles in user code, and of these estimated for its window */
};

struct trace {
    u32 frame; /* index of the RAM page */
    u32 use;   /* first struct use, 0: none */
    u32 next_free;
    u32 hits; /* writes since an entry was filled through it */
};

/* A page table serves a range of a view: as a leaf table (level 1) or as a directory (level 2). */
struct use {
    u32 next;
    u32 base; /* first linear page */
    u16 view;
    u8 level;
};

#define TRACES_MAX 16384
#define USES_MAX   32768

struct shadow_state {
    struct view view[VIEWS];
    struct space space[SHADOW_SPACES];
    struct space *current;
    u64 stamp;
    u32 format;                       /* the paging bits that all entries of all views were made under */
    u64 sup_cr3, sup_pdpte[QUARTERS]; /* of the supervisor's view */
    u32 *chain;                       /* one a RAM page: id + 1 */
    u64 chain_bytes;
    u32 regions_touched;
    bool pae, paged;
    u32 borrowed;     /* page of the user's that the supervisor reached last without an entry of its own, */
    u32 borrows;      /* so often */
    bool untraceable; /* some entry came through a table that is not in RAM */

    struct window window[WINDOWS]; /* the first is the low one, if the host has one */
    u64 user_ran, low_ran; /* host cycles in user code since the low window's owner was looked at, and his */
    bool windowed;         /* the host lets programs set the GS base */
    u32 mappings;          /* in all windows */
    u32 mapped_twice;      /* pages put into windows since RAM's own mapping was given back */

    struct trace *trace; /* TRACES_MAX, 0 is not used */
    u32 *trace_of;       /* one a RAM page: trace number, 0: none */
    u32 traces, free_trace;
    struct use *use; /* USES_MAX, 0 is not used */
    u32 uses, free_use;
};

static inline struct shadow_state *state_of(struct shadow *shadow)
{
    return shadow->state;
}

/* view.c */
int view_reserve(struct view *view);
void view_release(struct view *view);
/* Give the memory of an empty view back to the host. */
void view_shrink(struct view *view);
/* Drop the entries of a page. Returns whether there were any. */
bool view_drop(struct shadow *shadow, u32 view, u32 page);
/* Return how many pages had entries. */
u32 view_drop_region(struct shadow *shadow, u32 view, u32 region);
void view_drop_quarter(struct shadow *shadow, u32 view, u32 quarter);
/* Drop what did not come from global pages. */
void view_drop_local(struct shadow *shadow, u32 view);
/* The page, and all that came from the large page that covers it. */
u32 view_drop_translation(struct shadow *shadow, u32 view, u32 page);
/* Before anything is filled in the page's region. May flush everything. */
void view_touch(struct shadow *shadow, u32 view, u32 page);
/* Make the page ready for new entries from this walk: logged, and without entries of another frame. */
void view_prepare(struct shadow *shadow, u32 view, u32 page, const struct walk *walk, u64 entry,
                  u32 frame_plus_1);
void view_set_write(struct shadow *shadow, u32 view, u32 page, u64 entry);

/* window.c */
void windows_init(struct shadow *shadow);
void windows_destroy(struct shadow *shadow);
/* A page that is in the view's window lost an entry. */
void window_stale(struct shadow *shadow, u32 view, u32 page);
void window_close(struct shadow *shadow, u32 view);

/* trace.c */
int traces_init(struct shadow *shadow);
void traces_destroy(struct shadow *shadow);
/* Trace the page tables of this walk on behalf of a view, before entries are filled from it. */
void trace_walk(struct shadow *shadow, u32 view, u32 linear, const struct walk *walk);
/* Drop a quarter's entries, and its leaf tables' uses. */
void trace_drop_quarter(struct shadow *shadow, u32 view, u32 quarter);
/* The directory no longer serves this quarter of the view (32-bit paging: the first stands for all). */
void trace_forget_directory(struct shadow *shadow, u32 view, u32 quarter);
/* 32-bit paging: the directory at cr3, which is in RAM, takes the old one's place for the entries that are
 * left. */
void trace_move_directory(struct shadow *shadow, u32 view, u64 cr3);
void trace_drop_view(struct shadow *shadow, u32 view);
/* All views are empty: no page is a page table any more. */
void trace_forget_all(struct shadow *shadow);

/* Reserved, not touched. NULL when there is no room. */
void *reserve(u64 bytes);
void release(void *at, u64 bytes);
void give_back(void *at, u64 bytes);

#endif
