/*
 * Host windows, tier 2: the user half of a hot address space once more, as 4 GB of host address space in
 * which RAM is mapped where the guest's tables map it. Code translated for a window reaches memory by
 * `gs:` and a 32-bit address, without a check: what may not be reached so is not mapped, and the host's page
 * fault asks here.
 *
 * Invariants
 * 1. A page is mapped only while its view has the entry that allows it: readable with a read entry, writable
 *    with a write entry. Entries that are dropped leave their page on a list of stale pages, and no code for
 *    the window runs before shadow_window_settle() has unmapped them.
 * 2. The host's GS base is the window of the root loaded last whenever code for a window runs.
 * 3. Beyond the 4 GB lies a guard, so an access at their end cannot leave the window.
 *
 * A space is promoted when it has spent PROMOTE_CYCLES in user code, and demoted when host page faults and
 * unmapping cost more than the checks they save; then it has to earn twice as much.
 *
 * The *low* window is the first 4 GB of the monitor's own address space, where nothing else is: guest
 * addresses are host addresses in it. With a base of 0 the host's address generation takes a cycle less
 * (measured: a dependent load 4 cycles instead of 5), so it goes to the space that runs most. What the host
 * forbids to map there (vm.mmap_min_addr) is the interpreter's.
 */
#ifndef RINGER_MMU_WINDOW_H
#define RINGER_MMU_WINDOW_H

#include "shadow.h"

/* User code of the current space ran for so many host cycles: may promote or demote it, after which `window`
 * may have changed. */
void shadow_user_ran(struct shadow *shadow, u64 cycles);

/* Make everything ready for code of the current window. */
void shadow_window_settle_now(struct shadow *shadow);
static inline void shadow_window_settle(struct shadow *shadow)
{
    if (shadow->has_window && shadow->window_unsettled) shadow_window_settle_now(shadow);
}

/* Does a host address lie in the current window, or its guard? */
bool shadow_window_holds(const struct shadow *shadow, u64 host_address);

/* A host page fault in the current window: map the page if it may be reached. False: the instruction is the
 * interpreter's. */
bool shadow_window_fault(struct shadow *shadow, const struct paging *paging, u64 host_address, bool write);

#endif
