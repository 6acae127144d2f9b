/*
 * KVM's paravirtual clock (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst). The guest names an address
 * in its memory, and finds there the values that convert its TSC to nanoseconds:
 *
 *    ns = system_time + ((TSC - tsc_timestamp) << tsc_shift) * tsc_to_system_mul / 2^32
 *
 * So the guest need not measure or check the TSC. The TSC's rate never changes, so the values are valid until
 * the guest moves its TSC. The clock is offered if the machine has vcpu_host.sample_time.
 *
 * There is one vCPU, and the values are written while it does not run, so the guest never sees half of an
 * update. `version` is always even.
 */
#include "pvclock.h"

enum {
    /* struct pvclock_vcpu_time_info */
    TIME_VERSION = 0,
    TIME_TSC = 8,
    TIME_NS = 16,
    TIME_MULTIPLIER = 24,
    TIME_SHIFT = 28,
    TIME_FLAGS = 29,
    TIME_BYTES = 32,
    /* struct pvclock_wall_clock: Unix time when system_time was 0 */
    WALL_VERSION = 0,
    WALL_SECONDS = 4,
    WALL_NS = 8,
    WALL_BYTES = 12,
};

#define FLAG_TSC_STABLE    1u /* system_time is the same function of the TSC on all vCPUs */
#define FLAG_GUEST_STOPPED 2u /* the guest clears it */
#define ENABLE             1u
#define SECOND             1000000000u

static void put(u8 *at, u64 value, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n++)
        at[n] = (u8)(value >> (8 * n));
}

bool pvclock_offered(const struct vcpu *v)
{
    return v->host && v->host->sample_time;
}

struct pvclock_scale pvclock_scale(u64 hz)
{
    s8 shift = 0;
    while (hz > 2ull * SECOND) {
        hz >>= 1;
        shift--;
    }
    while (hz && hz <= SECOND) {
        hz <<= 1;
        shift++;
    }
    return (struct pvclock_scale){.multiplier = hz ? (u32)(((u64)SECOND << 32) / hz) : 0, .shift = shift};
}

void pvclock_refresh(struct vcpu *v)
{
    if (!(v->pvclock_time & ENABLE)) return;
    fpu_park(v);
    struct time_sample now = v->host->sample_time(v->host->machine);
    struct pvclock_scale scale = pvclock_scale(now.tsc_hz);
    u8 bytes[TIME_BYTES] = {0};
    v->pvclock_version += 2;
    put(bytes + TIME_VERSION, v->pvclock_version, 4);
    put(bytes + TIME_TSC, now.tsc + v->tsc_offset, 8);
    put(bytes + TIME_NS, now.ns, 8);
    put(bytes + TIME_MULTIPLIER, scale.multiplier, 4);
    bytes[TIME_SHIFT] = (u8)scale.shift;
    bytes[TIME_FLAGS] = FLAG_TSC_STABLE;
    phys_write_bytes(v->phys, v->pvclock_time & ~(u64)ENABLE, bytes, sizeof(bytes));
    v->counters->pvclock_updates++;
}

/* This changes a flag only, not the clock's time. */
void pvclock_guest_stopped(struct vcpu *v)
{
    if (!(v->pvclock_time & ENABLE)) return;
    u64 at = (v->pvclock_time & ~(u64)ENABLE) + TIME_FLAGS;
    u8 flags = FLAG_TSC_STABLE | FLAG_GUEST_STOPPED;
    phys_write_bytes(v->phys, at, &flags, 1);
}

bool pvclock_set_time(struct vcpu *v, u64 value)
{
    if (value & 2) return false; /* the address is aligned to a dword */
    v->pvclock_time = value;
    pvclock_refresh(v);
    return true;
}

bool pvclock_set_wall(struct vcpu *v, u64 value)
{
    fpu_park(v);
    struct time_sample now = v->host->sample_time(v->host->machine);
    u8 bytes[WALL_BYTES] = {0};
    v->pvclock_wall = value;
    v->pvclock_version += 2;
    put(bytes + WALL_VERSION, v->pvclock_version, 4);
    put(bytes + WALL_SECONDS, now.wall_ns / SECOND, 4);
    put(bytes + WALL_NS, now.wall_ns % SECOND, 4);
    phys_write_bytes(v->phys, value, bytes, sizeof(bytes));
    return true;
}
