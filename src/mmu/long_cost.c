/*
 * What a window of IA-32e mode costs on this host, against the host that the figures of long_window_state.h are for. A
 * host that is a virtual machine with shadowed page tables needs several times as long as hardware to map, use and
 * unmap a page.
 *
 * All of this may run while the guest's FPU state is live.
 */
#include "host_memory.h"
#include "long_window_state.h"
#include "shadow_state.h"

enum { ROUNDS = 16, SLOWEST = 3 * LONG_COST_ONE, FASTEST = LONG_COST_ONE / 8 };

/* The cycles in which a page of RAM is mapped, used and unmapped; 0: the host refuses. */
static u64 measure_page(const struct shadow *shadow, u64 at)
{
    u64 began = __builtin_ia32_rdtsc();
    long mapped = host_call(SYS_mmap, at, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                            (u64)shadow->phys->ram_fd, 0);
    if (host_failed(mapped)) return 0;
    (void)*(const volatile u8 *)(uintptr_t)at;
    host_call(SYS_mmap, at, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
              (u64)-1, 0);
    return __builtin_ia32_rdtsc() - began;
}

u32 long_cost_measure(const struct shadow *shadow)
{
    void *page = host_reserve(PAGE_SIZE);
    u64 least = 0;
    if (!page) return LONG_COST_ONE;
    /* The shortest of some rounds, because the host may run something else in between. */
    for (u32 n = 0; n < ROUNDS; n++) {
        u64 cycles = measure_page(shadow, (u64)(uintptr_t)page);
        if (cycles && (!least || cycles < least)) least = cycles;
    }
    host_release(page, PAGE_SIZE);
    if (!least) return LONG_COST_ONE;
    u64 cost = least * LONG_COST_ONE / (LONG_MAP_CYCLES + LONG_UNMAP_CYCLES);
    return cost > SLOWEST ? SLOWEST : cost < FASTEST ? FASTEST : (u32)cost;
}
