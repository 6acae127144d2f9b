/* The cache's metadata lies in the 4 GB of host addresses that begin at 1 << META_ORIGIN_BIT, where neither programs
 * nor libraries nor sanitizers map anything. So 32 bits name it, and the first 4 GB of the host's addresses remain free
 * for the low window (mmu/window.h). C and assembly include this file. */
#ifndef RINGER_CACHE_ORIGIN_H
#define RINGER_CACHE_ORIGIN_H

#define META_ORIGIN_BIT 45

#endif
