#include "huge_pages.h"

#include <sys/mman.h>

#define HUGE_PAGE (2ull << 20)

void *huge_pages_map(u64 bytes)
{
    u64 reserved = align_up(bytes, PAGE_SIZE) + HUGE_PAGE;
    u8 *from =
        mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (from == MAP_FAILED) return NULL;
    u8 *at = (u8 *)align_up((uintptr_t)from, HUGE_PAGE), *end = at + align_up(bytes, PAGE_SIZE);
    if (at > from) munmap(from, (u64)(at - from));
    munmap(end, (u64)(from + reserved - end));
    madvise(at, bytes, MADV_HUGEPAGE);
    return at;
}

void huge_pages_unmap(void *at, u64 bytes)
{
    if (at) munmap(at, align_up(bytes, PAGE_SIZE));
}
