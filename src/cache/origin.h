/* For C and assembly: metadata of the cache lies in the 4 GB from 1 << META_ORIGIN_BIT on, where neither
 * programs nor libraries nor sanitizers map anything. So 32 bits name it, and the first 4 GB of the host's
 * address space remain free for the low window (mmu/window.h). */
#ifndef RINGER_CACHE_ORIGIN_H
#define RINGER_CACHE_ORIGIN_H

#define META_ORIGIN_BIT 45

#endif
