/*
 * Host windows, tier 2: 4 GB of host addresses in which RAM is mapped as the user entries of a busy address space map
 * it. User code that is translated for the window reaches memory by `gs:` and a 32-bit address, without a check. Pages
 * that the code may not reach are not mapped, and the host's page fault goes to shadow_window_fault().
 *
 * Invariants
 * 1. A page is mapped only while its view has the entry that allows it: readable with a read entry, writable
 *    with a write entry. A page with dropped entries goes to a list of stale pages, and
 *    shadow_window_settle() unmaps the list before code for the window runs again.
 * 2. Whenever code for a window runs, the host's GS base is the base of the current space's window.
 * 3. A guard follows the 4 GB, so that an access at their end cannot leave the window.
 *
 * A space is promoted when it has spent PROMOTE_CYCLES in user code. It is demoted when host page faults and
 * unmapping cost more than the checks that the window saves, and must then run twice as long.
 *
 * The *low* window is the first 4 GB of the monitor's own addresses, where nothing else is mapped: guest
 * addresses are host addresses in it. With a base of 0 the host's address generation takes a cycle less
 * (measured: a dependent load takes 4 cycles instead of 5), so the space that runs most gets it. Pages that
 * the host does not allow to be mapped there (vm.mmap_min_addr) are reached by the interpreter.
 */
#ifndef RINGER_MMU_WINDOW_H
#define RINGER_MMU_WINDOW_H

#include "shadow.h"

/* User code of the current space ran for this many host cycles. May promote or demote the space, which changes
 * `has_window` and `window`. */
void shadow_user_ran(struct shadow *shadow, u64 cycles);

/* Prepare to run code for the current window: unmap stale pages and set the host's GS base. */
void shadow_window_settle_now(struct shadow *shadow);
static inline void shadow_window_settle(struct shadow *shadow)
{
    if (shadow->has_window && shadow->window_unsettled) shadow_window_settle_now(shadow);
}

/* Does a host address lie in the current window or in its guard? */
bool shadow_window_holds(const struct shadow *shadow, u64 host_address);

/* A host page fault in the current window: map the page if it may be mapped. Returns false if it may not; the
 * interpreter then executes the instruction. */
bool shadow_window_fault(struct shadow *shadow, const struct paging *paging, u64 host_address, bool write);

#endif
