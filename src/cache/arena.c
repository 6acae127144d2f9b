#include "arena.h"

#include <errno.h>
#include <sys/mman.h>

int arena_init(struct arena *arena, u64 bytes)
{
    bytes = align_up(bytes, PAGE_SIZE);
    void *write = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (write == MAP_FAILED) return -errno;
    void *exec = mremap(write, 0, bytes, MREMAP_MAYMOVE); /* an old size of 0 maps the same pages once more */
    if (exec == MAP_FAILED || mprotect(exec, bytes, PROT_READ | PROT_EXEC) < 0) {
        int error = -errno;
        if (exec != MAP_FAILED) munmap(exec, bytes);
        munmap(write, bytes);
        return error;
    }
    *arena = (struct arena){.write = write, .exec = exec, .bytes = bytes};
    return 0;
}

void arena_destroy(struct arena *arena)
{
    if (!arena->write) return;
    munmap(arena->write, arena->bytes);
    munmap((void *)(uintptr_t)arena->exec, arena->bytes);
    arena->write = NULL;
}

#define CHUNK_BYTES (256u << 10)

void arena_prepare(struct arena *arena, u64 bytes)
{
    while (arena->ready < arena->used + bytes && arena->ready < arena->bytes) {
        u64 left = arena->bytes - arena->ready, chunk = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        /* A host kernel before 5.14 refuses this, which only costs page faults. */
        madvise(arena->write + arena->ready, chunk, MADV_POPULATE_WRITE);
        madvise((void *)(uintptr_t)(arena->exec + arena->ready), chunk, MADV_POPULATE_READ);
        arena->ready += chunk;
    }
}
