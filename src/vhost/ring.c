#include "ring.h"

#include <assert.h>
#include <string.h>

enum { FLAG_NEXT = 1, FLAG_WRITE = 2 };
enum { DESCRIPTOR_BYTES = 16, DEVICE_ENTRY_BYTES = 8, AREA_INDEX = 2, AREA_FIRST = 4, NO_NOTIFY = 1 };
static_assert(AREA_FIRST + VHOST_ENTRIES * 2 + 2 <= 4096, "the driver area fits its page");
static_assert(AREA_FIRST + VHOST_ENTRIES * DEVICE_ENTRY_BYTES + 2 <= 3 * 4096,
              "and the device area its pages");

/* The back end runs at the same time. */
static void put16(u8 *at, u16 value)
{
    __atomic_store_n((u16 *)(void *)at, value, __ATOMIC_RELEASE);
}

static u16 get16(const u8 *at)
{
    return __atomic_load_n((const u16 *)(const void *)at, __ATOMIC_ACQUIRE);
}

void vhost_ring_clear(struct vhost_ring *ring)
{
    memset(ring->memory, 0, RING_BYTES);
    memset(ring->count, 0, sizeof(ring->count));
    ring->added = ring->taken = 0;
    ring->free_head = 0;
    ring->free_count = VHOST_ENTRIES;
    for (unsigned n = 0; n < VHOST_ENTRIES; n++)
        ring->next[n] = (u16)(n + 1);
}

bool vhost_ring_add(struct vhost_ring *ring, const struct vhost_piece *piece, unsigned pieces, u16 cookie)
{
    u8 *driver = ring->memory + RING_DRIVER_OFFSET;
    u16 head = ring->free_head, at = head;
    if (!pieces || pieces > ring->free_count) return false;
    for (unsigned n = 0; n < pieces; n++) {
        u8 *descriptor = ring->memory + at * DESCRIPTOR_BYTES;
        bool last = n + 1 == pieces;
        store_any(descriptor, 8, piece[n].gpa);
        store_any(descriptor + 8, 4, piece[n].bytes);
        store_any(descriptor + 12, 2, (piece[n].writable ? FLAG_WRITE : 0) | (last ? 0 : FLAG_NEXT));
        store_any(descriptor + 14, 2, last ? 0 : ring->next[at]);
        at = ring->next[at];
    }
    ring->free_head = at;
    ring->free_count = (u16)(ring->free_count - pieces);
    ring->count[head] = (u16)pieces;
    ring->cookie[head] = cookie;
    put16(driver + AREA_FIRST + ring->added % VHOST_ENTRIES * 2, head);
    put16(driver + AREA_INDEX, ++ring->added);
    return true;
}

bool vhost_ring_wants_kick(const struct vhost_ring *ring)
{
    /* The index must be seen before the flag is read (virtio 1.2, 2.7.13.3.1). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !(get16(ring->memory + RING_DEVICE_OFFSET) & NO_NOTIFY);
}

static void free_chain(struct vhost_ring *ring, u16 head)
{
    u16 last = head;
    for (unsigned n = 1; n < ring->count[head]; n++)
        last = ring->next[last];
    ring->next[last] = ring->free_head;
    ring->free_head = head;
    ring->free_count = (u16)(ring->free_count + ring->count[head]);
    ring->count[head] = 0;
}

enum vhost_taken vhost_ring_take(struct vhost_ring *ring, u16 *cookie, u32 *written)
{
    const u8 *device = ring->memory + RING_DEVICE_OFFSET;
    u16 index = get16(device + AREA_INDEX);
    if (index == ring->taken) return RING_EMPTY;
    /* More than were added, or an index that went back. */
    if ((u16)(index - ring->taken) > (u16)(ring->added - ring->taken)) return RING_LIES;
    u64 entry =
        *(const volatile any64 *)(device + AREA_FIRST + ring->taken % VHOST_ENTRIES * DEVICE_ENTRY_BYTES);
    u32 head = (u32)entry;
    if (head >= VHOST_ENTRIES || !ring->count[head]) return RING_LIES;
    *cookie = ring->cookie[head];
    *written = (u32)(entry >> 32);
    free_chain(ring, (u16)head);
    ring->taken++;
    return RING_TAKEN;
}
