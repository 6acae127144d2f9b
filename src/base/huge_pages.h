/*
 * Memory for large tables that are used at random all over. Huge pages spare them the host's TLB misses, which are
 * dearest where the host is a virtual machine itself. Without huge pages the tables are slower, nothing else.
 */
#ifndef RINGER_BASE_HUGE_PAGES_H
#define RINGER_BASE_HUGE_PAGES_H

#include "types.h"

/* Zeroed, at a multiple of 2 MB. NULL: there is none. */
void *huge_pages_map(u64 bytes);
/* at: NULL, or what huge_pages_map(bytes) returned. */
void huge_pages_unmap(void *at, u64 bytes);

#endif
