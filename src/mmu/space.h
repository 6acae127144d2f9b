/*
 * Address spaces: which CR3 values the shadow remembers, and which view each has. Private to mmu.
 *
 * A space stands for one root: CR3, and with PAE the four PDPTEs. Space n has view n, which holds the user entries of
 * that root. Number 0 is the supervisor's view and not a space; in the list below it marks the ends.
 *
 * Spaces are in a list by use. A root that is loaded makes its space the newest. A space that loses its last entry
 * becomes the oldest, because most likely its process has ended. The host has backed the memory of its view already, so
 * the view goes to the next new process. A space that is filled again becomes the newest.
 *
 *   newest = space[0].older -> ... -> spaces with entries -> spaces without -> oldest = space[0].newer
 *
 * A new root takes the oldest space if that is empty. Otherwise it gets a space that was never used. If there is none
 * (SHADOW_SPACES, or the host has no addresses left), the oldest space is evicted.
 */
#ifndef RINGER_MMU_SPACE_H
#define RINGER_MMU_SPACE_H

#include "view.h"

struct space {
    u64 cr3; /* CR3_NONE: a free space */
    u64 pdpte[QUARTERS];
    u16 newer, older;
    u16 next_alike; /* the next space in its bucket, or 0 */
    u32 patience;   /* the time it must run before it gets a host window, in units of PROMOTE_CYCLES */
    u64 ran, cost;  /* host cycles in user code; the estimated part of them that its window costs */
};

#define SPACE_BUCKETS 1024

struct spaces {
    struct space space[1 + SHADOW_SPACES];
    u16 bucket[SPACE_BUCKETS]; /* by CR3: the first space, or 0 */
    u32 used;                  /* spaces 1 to `used` have a view */
    u32 current;
    u64 sup_cr3, sup_pdpte[QUARTERS]; /* the root of the supervisor's entries */
};

int spaces_init(struct shadow *shadow);

/* The space of a root that is loaded becomes the current one. */
void space_load(struct shadow *shadow, const struct paging *paging, u64 cr3);
/* The same for the supervisor's view: drop the quarters in which the old root and the new one differ. */
void space_load_supervisor(struct shadow *shadow, const struct paging *paging, u64 cr3);
/* Free all spaces but the current one. No view may have entries. */
void spaces_forget(struct shadow *shadow);

/* A view has lost its last live page, or got its first. */
void space_emptied(struct shadow *shadow, u32 space);
void space_filled(struct shadow *shadow, u32 space);

/* Free the oldest space that has a view with memory, but not the current one, and give the memory back to the host. */
void space_shrink_oldest(struct shadow *shadow);

struct space *space_current(struct shadow *shadow);

#endif
