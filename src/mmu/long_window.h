/*
 * Host windows for user code in IA-32e mode. A space that is busy gets a window: host addresses in which RAM is mapped
 * as the space's page tables map it for the user, at the guest address plus a constant, the window's *delta*. They are
 * not one range: each *segment* of 4 GB that the space uses (program and heap, libraries, stack) is reserved when code
 * first needs it, and a table in the TLB (of the current PCID's room) says for each segment of the lower half of linear
 * space how code reaches it:
 *
 *     LONG_NONE       not at all: by checks against the TLB
 *     LONG_SAME       guest addresses are host addresses: the lowest segment, which is the monitor's own, too, and
 *                     others of a window that has the lowest one
 *     LONG_HIGH       at the sum of its address and the delta, a negative multiple of 4 GB
 *
 * Before an access translated code *verifies* its address A: bits 32 to 63 of A, as an index, find the class that the
 * code was translated for (translator/verify.c).
 *
 * A program at a fixed address lies in the lowest segment, so nearly all of its pointers have the same class if its
 * libraries are LONG_SAME, too. Stacks are not: the monitor's own is where Linux puts theirs. A segment in which the
 * monitor has something is LONG_HIGH.
 *
 * Code of compatibility mode has 32-bit addresses, which lie in the lowest segment. If the window has that one, this
 * code needs no check, as code of 32-bit mode in a low window (window.h): an address-size prefix cuts its addresses to
 * 32 bits.
 *
 * Invariants
 * 1. Confinement. A verified A licenses accesses to A + k with |k| <= LONG_REACH, and to no other address. If bits 48
 *    to 63 of A are zero, A lies in a reserved segment, and A + k + delta in it or in its guards: on both sides of a
 *    segment LONG_GUARD bytes are another reserved segment of the same window and class, or reserved and never mapped.
 *    (Below address 0, where the low segment has no guard, user code of the host can reach nothing.) If one of these
 *    bits is set, the index lies outside the table, and what is found there means nothing. But then A is 2^48 at least,
 *    and |k + delta| < 2^47, so A + k + delta is not in the lower half of the host's addresses, where everything lies
 *    that user code can reach: the access faults. (If it wraps at 2^64, it is below LONG_REACH. Only A with the delta 0
 *    can do so, and only the lowest segment of the window is there.) Code of compatibility mode: a 32-bit sum in the
 *    lowest segment, and LONG_GUARD bytes behind it that are never mapped. The host's GS base, which its operands name,
 *    is 0 (long_window_set_base()).
 *    RSP is verified where it changes, not where it is used. While code with MODE_STACK_HIGH runs, RSP is at most
 *    LONG_SLACK from a segment that is LONG_HIGH whenever a block begins, and in such a segment when C code enters
 *    translated code; within the block, it licenses accesses like a verified address. So a block that changes RSP
 *    must not be left for another one unless one of these is true: RSP is what it was at the block's beginning; it
 *    differs by a constant of at most LONG_SLACK from an address that was verified, or at which an access to the
 *    window succeeded, in this block (what is mapped in a window lies in a segment, so PUSH, POP, CALL and RET verify
 *    RSP themselves); it is verified.
 * 2. In a window a page is mapped only if its guest entry gave the user this right (readable: A set; writable: D set
 *    too), and only plain RAM: not MMIO, ROM, video memory or, for writing, a guarded page (phys.h).
 * 3. Pages live as long as the architecture lets a TLB's entries live (SDM 3A 4.10.4): INVLPG unmaps what maps the
 *    page. A load of CR3, with bit 63 (SDM 3A 4.10.4.1) or without it, keeps a page whose entries, from PML4E to PTE,
 *    are what they were when it was mapped, and unmaps the others; so no write traces are needed. A window that is not
 *    current, whatever its PCID, is told of no INVLPG: it is compared when its CR3 is loaded again. A change of CR0,
 *    CR4 or EFER that flushes the TLB empties all windows. What is unmapped is unmapped before any code runs.
 * 4. Whenever code for a window runs, the current room's table has the classes of the current window's segments, the
 *    other rooms' tables have none, and the vCPU has its delta. Neither changes while a block of user code is under
 *    way: windows come and go when user code has ended. 64-bit code finds the delta in r13 (translator/verify.c).
 * 5. A guest frame that may be writable in a window is PHYS_WINDOW, so that a page that becomes guarded is looked for.
 *
 * Only the vCPU's thread calls this. All but set-up and destruction may run while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_LONG_WINDOW_H
#define RINGER_MMU_LONG_WINDOW_H

#include "shadow.h"

enum long_class { LONG_NONE, LONG_SAME, LONG_HIGH };
/* The highest segments of user memory, where Linux puts stacks, 16 GB apart at most, and what a stack may grow by. */
#define LONG_STACKS 0x7ffbu

#define LONG_REACH (1 << 20)
#define LONG_SLACK (LONG_REACH / 2)
#define LONG_GUARD (2 << 20)

/* May code of compatibility mode use the current window? Adds the lowest segment to it if possible. */
bool long_window_has_low(struct shadow *shadow);
/* Such code is about to run: the host's GS base becomes 0. */
void long_window_set_base(struct shadow *shadow);
/* The class of the segment of this linear address in the current window. Adds the segment to the window if possible. */
enum long_class long_window_class(struct shadow *shadow, u64 linear);
/* Does a host address lie in the current window or its guards? */
bool long_window_holds(struct shadow *shadow, u64 host_address);
/* A host page fault at such an address: map the page if it may be mapped. Returns false if it may not; the interpreter
 * then executes the instruction. */
bool long_window_fault(struct shadow *shadow, const struct paging *paging, u64 host_address, bool write);
/* User code is about to run: map the page for which the guest has got a page fault, if it has a mapping by now. That
 * saves the host page fault of the access that is executed again. */
void long_window_map_due(struct shadow *shadow, const struct paging *paging);
static inline void long_window_user_begins(struct shadow *shadow, const struct paging *paging)
{
    if (unlikely(shadow->window_due)) long_window_map_due(shadow, paging);
}
/* User code of the current space ran for this many host cycles. May promote or demote the space. */
void long_window_user_ran(struct shadow *shadow, u64 cycles);

#endif
