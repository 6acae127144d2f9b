/*
 * Host memory for tables that are large and used sparsely. The whole table is reserved, and the host backs each page on
 * its first use. These functions make system calls without libc, so they may run while the guest's FPU state is live.
 */
#ifndef RINGER_MMU_HOST_MEMORY_H
#define RINGER_MMU_HOST_MEMORY_H

#include "host_call.h"

/* Returns NULL when the host refuses. */
static inline void *host_reserve(u64 bytes)
{
    long at = host_call(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, (u64)-1, 0);
    if (host_failed(at)) return NULL;
    /* A huge page for each used entry would take more memory than the guest. */
    host_call(SYS_madvise, (u64)at, bytes, MADV_NOHUGEPAGE, 0, 0, 0);
    return (void *)(uintptr_t)at;
}

static inline void host_release(void *at, u64 bytes)
{
    if (at) host_call(SYS_munmap, (u64)(uintptr_t)at, bytes, 0, 0, 0, 0);
}

/* Give the pages back: they lose their contents and read as 0 (private memory) or as the file (shared). If the host
 * refuses, they stay as they are. */
static inline void host_give_back(void *at, u64 bytes)
{
    host_call(SYS_madvise, (u64)(uintptr_t)at, bytes, MADV_DONTNEED, 0, 0, 0);
}

#endif
