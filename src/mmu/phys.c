/*
 * Guest-physical memory: the region list, and single accesses and byte runs over it. See phys.h for the
 * invariants.
 *
 * RAM is one shared mapping of a memfd, so that host windows can map pages of it a second time (window.c).
 * Low RAM ends at 3 GB, so that the gap up to 4 GB has room for PCI devices and firmware, as on every PC
 * chipset. The rest follows at 4 GB.
 */
#include "phys.h"
#include "host_call.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_BYTES  (64ull << 10)
#define NOTHING_READ UINT64_MAX

/* --- set-up: the C library may be called --- */

static u8 *map_ram_file(int fd, u64 bytes)
{
    /* One reservation for RAM and its guard, so that no other mapping can lie behind the last page. */
    u8 *base = mmap(NULL, bytes + GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return NULL;
    void *ram = mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
    if (ram == MAP_FAILED) {
        int error = errno;
        munmap(base, bytes + GUARD_BYTES);
        errno = error;
        return NULL;
    }
    return base;
}

static struct phys_region ram_region(struct phys *phys, u64 gpa, u64 bytes, u64 ram_offset)
{
    return (struct phys_region){
        .gpa = gpa,
        .bytes = bytes,
        .kind = PHYS_RAM,
        .host = phys->ram + ram_offset,
        .page_flags = phys->ram_flags + (ram_offset >> PAGE_SHIFT),
    };
}

int phys_init_with_video(struct phys *phys, u64 ram_bytes, u64 video_bytes)
{
    if (!ram_bytes || ((ram_bytes | video_bytes) & PAGE_MASK) || ram_bytes > (1ull << 40) ||
        video_bytes > (1ull << 30))
        return -EINVAL;
    u64 file_bytes = ram_bytes + video_bytes;
    *phys = (struct phys){
        .ram_bytes = ram_bytes, .video_bytes = video_bytes, .file_bytes = file_bytes, .a20_mask = UINT64_MAX};
    phys->ram_fd = memfd_create("ringer-ram", MFD_CLOEXEC);
    if (phys->ram_fd < 0) return -errno;
    int error = 0;
    if (ftruncate(phys->ram_fd, (off_t)file_bytes) < 0 ||
        !(phys->ram = map_ram_file(phys->ram_fd, file_bytes)))
        error = -errno;
    else if (!(phys->ram_flags = calloc(file_bytes >> PAGE_SHIFT, 1)))
        error = -ENOMEM;
    if (error) {
        phys_destroy(phys);
        return error;
    }
    phys->video = phys->ram + ram_bytes;
    memset(phys->ram_flags + (ram_bytes >> PAGE_SHIFT), PHYS_VIDEO, video_bytes >> PAGE_SHIFT);
    u64 low = phys_low_ram_bytes(phys);
    phys->regions[phys->region_count++] = ram_region(phys, 0, low, 0);
    if (ram_bytes > low)
        phys->regions[phys->region_count++] = ram_region(phys, PHYS_HIGH_RAM, ram_bytes - low, low);
    return 0;
}

int phys_init(struct phys *phys, u64 ram_bytes)
{
    return phys_init_with_video(phys, ram_bytes, 0);
}

void phys_destroy(struct phys *phys)
{
    if (phys->ram) munmap(phys->ram, phys->file_bytes + GUARD_BYTES);
    if (phys->ram_fd >= 0) close(phys->ram_fd);
    free(phys->ram_flags);
    for (unsigned n = 0; n < PHYS_MAX_REGIONS; n++)
        free(phys->rom_flags[n]);
    *phys = (struct phys){.ram_fd = -1};
}

/* The part of a region from `gpa` on, `bytes` long. */
static struct phys_region region_part(const struct phys_region *region, u64 gpa, u64 bytes)
{
    struct phys_region part = *region;
    part.gpa = gpa;
    part.bytes = bytes;
    if (part.kind != PHYS_MMIO) {
        part.host += gpa - region->gpa;
        part.page_flags += (gpa - region->gpa) >> PAGE_SHIFT;
    }
    return part;
}

/* Can one region stand for two neighbours? */
static bool region_continues(const struct phys_region *a, const struct phys_region *b)
{
    if (a->gpa + a->bytes != b->gpa || a->kind != b->kind) return false;
    if (a->kind == PHYS_MMIO) return a->ops == b->ops && a->device == b->device && a->origin == b->origin;
    return a->ops == b->ops && a->host + a->bytes == b->host &&
           a->page_flags + (a->bytes >> PAGE_SHIFT) == b->page_flags;
}

/* A list under construction may outgrow the table before neighbours are merged: each old region is split into
 * two parts at most. */
struct region_list {
    struct phys_region at[2 * PHYS_MAX_REGIONS + 1];
    unsigned count;
};

static void list_append(struct region_list *list, struct phys_region region)
{
    if (!region.bytes) return;
    struct phys_region *last = list->count ? &list->at[list->count - 1] : NULL;
    if (last && region_continues(last, &region))
        last->bytes += region.bytes;
    else
        list->at[list->count++] = region;
}

static void free_unused_rom_flags(struct phys *phys)
{
    for (unsigned n = 0; n < PHYS_MAX_REGIONS; n++) {
        bool used = false;
        for (unsigned r = 0; r < phys->region_count; r++) {
            const struct phys_region *region = &phys->regions[r];
            used |= region->kind == PHYS_ROM && region->page_flags >= phys->rom_flags[n] &&
                    region->page_flags < phys->rom_flags[n] + phys->rom_flags_bytes[n];
        }
        if (used) continue;
        free(phys->rom_flags[n]);
        phys->rom_flags[n] = NULL;
        phys->rom_flags_bytes[n] = 0;
    }
}

static bool range_is_sound(u64 gpa, u64 bytes)
{
    return bytes && !(gpa & PAGE_MASK) && !(bytes & PAGE_MASK) && gpa + bytes > gpa;
}

/* Replace the regions within the bounds of `new` by it. With `placed`, leave the range empty instead. */
static int lay(struct phys *phys, struct phys_region new, bool placed)
{
    struct region_list list = {.count = 0};
    u64 end = new.gpa + new.bytes;
    for (unsigned n = 0; n < phys->region_count; n++) {
        const struct phys_region *old = &phys->regions[n];
        u64 old_end = old->gpa + old->bytes;
        if (old->gpa < new.gpa)
            list_append(&list,
                        region_part(old, old->gpa, (old_end < new.gpa ? old_end : new.gpa) - old->gpa));
        if (!placed && old_end > new.gpa) {
            list_append(&list, new);
            placed = true;
        }
        if (old_end > end) {
            u64 from = old->gpa > end ? old->gpa : end;
            list_append(&list, region_part(old, from, old_end - from));
        }
    }
    if (!placed) list_append(&list, new);
    if (list.count > PHYS_MAX_REGIONS) return -ENOSPC;
    for (unsigned n = 0; n < list.count; n++)
        phys->regions[n] = list.at[n];
    phys->region_count = list.count;
    phys->last_hit = 0;
    free_unused_rom_flags(phys);
    return 0;
}

static int overlay(struct phys *phys, struct phys_region new)
{
    return lay(phys, new, false);
}

int phys_unmap(struct phys *phys, u64 gpa, u64 bytes)
{
    if (!range_is_sound(gpa, bytes)) return -EINVAL;
    return lay(phys, (struct phys_region){.gpa = gpa, .bytes = bytes}, true);
}

int phys_map_mmio(struct phys *phys, u64 gpa, u64 bytes, const struct io_ops *ops, void *device)
{
    if (!range_is_sound(gpa, bytes)) return -EINVAL;
    return overlay(
        phys,
        (struct phys_region){
            .gpa = gpa, .bytes = bytes, .kind = PHYS_MMIO, .ops = ops, .device = device, .origin = gpa});
}

int phys_map_rom(struct phys *phys, u64 gpa, u64 bytes, u8 *host)
{
    return phys_map_flash(phys, gpa, bytes, host, NULL, NULL);
}

int phys_map_flash(struct phys *phys, u64 gpa, u64 bytes, u8 *host, const struct io_ops *ops, void *device)
{
    if (!range_is_sound(gpa, bytes)) return -EINVAL;
    unsigned slot = 0;
    while (slot < PHYS_MAX_REGIONS && phys->rom_flags[slot])
        slot++;
    if (slot == PHYS_MAX_REGIONS) return -ENOSPC;
    u8 *flags = calloc(bytes >> PAGE_SHIFT, 1);
    if (!flags) return -ENOMEM;
    phys->rom_flags[slot] = flags;
    phys->rom_flags_bytes[slot] = bytes >> PAGE_SHIFT;
    int error = overlay(phys, (struct phys_region){.gpa = gpa,
                                                   .bytes = bytes,
                                                   .kind = PHYS_ROM,
                                                   .host = host,
                                                   .page_flags = flags,
                                                   .ops = ops,
                                                   .device = device,
                                                   .origin = gpa});
    if (error) free_unused_rom_flags(phys);
    return error;
}

int phys_map_ram(struct phys *phys, u64 gpa, u64 bytes)
{
    if (!range_is_sound(gpa, bytes) || gpa + bytes > phys_low_ram_bytes(phys)) return -EINVAL;
    return overlay(phys, ram_region(phys, gpa, bytes, gpa));
}

int phys_map_video(struct phys *phys, u64 gpa, u64 bytes, u64 offset)
{
    if (!range_is_sound(gpa, bytes) || (offset & PAGE_MASK) || offset > phys->video_bytes ||
        bytes > phys->video_bytes - offset)
        return -EINVAL;
    return overlay(phys, ram_region(phys, gpa, bytes, phys->ram_bytes + offset));
}

/* --- from here on the guest's FPU state may be live: no libc --- */

struct phys_region *phys_find(struct phys *phys, u64 gpa)
{
    struct phys_region *hit = &phys->regions[phys->last_hit];
    if (likely(gpa - hit->gpa < hit->bytes)) return hit;
    unsigned low = 0, high = phys->region_count; /* the first region that ends behind gpa */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct phys_region *region = &phys->regions[middle];
        if (region->gpa + region->bytes <= gpa)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == phys->region_count || gpa < phys->regions[low].gpa) return NULL;
    phys->last_hit = low;
    return &phys->regions[low];
}

static u8 *region_host(const struct phys_region *region, u64 gpa)
{
    return region->host + (gpa - region->gpa);
}

static u8 *region_flags(const struct phys_region *region, u64 gpa)
{
    return region->page_flags + ((gpa - region->gpa) >> PAGE_SHIFT);
}

u8 *phys_host(struct phys *phys, u64 gpa)
{
    gpa &= phys->a20_mask;
    const struct phys_region *region = phys_find(phys, gpa);
    return region && region->kind != PHYS_MMIO ? region_host(region, gpa) : NULL;
}

u8 *phys_flags(struct phys *phys, u64 gpa)
{
    gpa &= phys->a20_mask;
    const struct phys_region *region = phys_find(phys, gpa);
    return region && region->kind != PHYS_MMIO ? region_flags(region, gpa) : NULL;
}

void phys_guard(struct phys *phys, u64 gpa, enum phys_page_flags reason)
{
    u8 *flags = phys_flags(phys, gpa);
    if (!flags || (*flags & reason)) return;
    bool guarded = *flags & PHYS_GUARDED;
    *flags |= reason;
    if (!guarded && phys->protect) phys->protect(phys->owner, gpa & phys->a20_mask & ~(u64)PAGE_MASK);
}

void phys_video_dirtied(struct phys *phys, const u8 *flags)
{
    const u64 pages = phys->video_bytes >> PAGE_SHIFT;
    u8 *video = phys->ram_flags + (phys->ram_bytes >> PAGE_SHIFT);
    u64 page = (u64)(flags - video) & ~(u64)(PHYS_VIDEO_LEAST - 1);
    bool in_order = page && page == phys->dirtied_next;
    if (!in_order)
        phys->dirtied_pages = PHYS_VIDEO_LEAST;
    else if (phys->dirtied_pages < PHYS_VIDEO_MOST)
        phys->dirtied_pages *= 2;
    phys->dirtied_next = page + phys->dirtied_pages;
    for (; page < phys->dirtied_next && page < pages; page++)
        video[page] |= PHYS_DIRTY;
    if (phys->video_written) phys->video_written(phys->owner);
}

/* Bytes of a RAM page have just been changed, and not through a write entry. Report it if the page has one of the flags
 * in `reported`. */
static void ram_written(struct phys *phys, const struct phys_region *region, u64 gpa, u64 bytes,
                        enum phys_page_flags reported)
{
    u8 *flags = region_flags(region, gpa);
    phys_mark_dirty(phys, flags);
    if (unlikely(*flags & reported) && phys->guarded_written) phys->guarded_written(phys->owner, gpa, bytes);
}

/* The size of the pieces of an access to a device: dwords, words or bytes that cross no aligned dword. */
static unsigned mmio_piece(u64 gpa, unsigned size)
{
    if (size == 8) size = 4;
    return (gpa & 3) + size > 4 ? 1 : size;
}

static u64 mmio_read(struct phys *phys, const struct phys_region *region, u64 gpa, unsigned size)
{
    if (phys->before_device) phys->before_device(phys->owner);
    /* The handler may move regions, even its own: work on copies. */
    const struct io_ops *ops = region->ops;
    void *device = region->device;
    u32 offset = (u32)(gpa - region->origin);
    unsigned piece = mmio_piece(gpa, size);
    u64 value = 0;
    for (unsigned n = 0; n < size; n += piece) {
        phys->mmio_accesses++;
        value |= mask_bytes(ops->read(device, offset + n, piece), piece) << (8 * n);
    }
    note_event(phys->events, EVENT_DEVICE_READ, gpa, size, value);
    return value;
}

static void mmio_write(struct phys *phys, const struct phys_region *region, u64 gpa, unsigned size, u64 value)
{
    if (phys->before_device) phys->before_device(phys->owner);
    const struct io_ops *ops = region->ops;
    void *device = region->device;
    u32 offset = (u32)(gpa - region->origin);
    unsigned piece = mmio_piece(gpa, size);
    note_event(phys->events, EVENT_DEVICE_WRITE, gpa, size, mask_bytes(value, size));
    for (unsigned n = 0; n < size; n += piece) {
        phys->mmio_accesses++;
        ops->write(device, offset + n, piece, (u32)mask_bytes(value >> (8 * n), piece));
    }
}

u64 phys_read(struct phys *phys, u64 gpa, unsigned size)
{
    assert((gpa & PAGE_MASK) + size <= PAGE_SIZE);
    gpa &= phys->a20_mask;
    const struct phys_region *region = phys_find(phys, gpa);
    if (!region) return mask_bytes(NOTHING_READ, size);
    if (region->kind == PHYS_MMIO) return mmio_read(phys, region, gpa, size);
    return load_any(region_host(region, gpa), size);
}

void phys_write(struct phys *phys, u64 gpa, unsigned size, u64 value)
{
    assert((gpa & PAGE_MASK) + size <= PAGE_SIZE);
    gpa &= phys->a20_mask;
    const struct phys_region *region = phys_find(phys, gpa);
    if (!region) return;
    if (region->kind != PHYS_RAM) {
        if (region->ops) mmio_write(phys, region, gpa, size, value);
        return;
    }
    store_any(region_host(region, gpa), size, value);
    ram_written(phys, region, gpa, size, PHYS_GUARDED);
}

void phys_set_bits(struct phys *phys, u64 gpa, u32 bits)
{
    assert(!(gpa & 3));
    gpa &= phys->a20_mask;
    const struct phys_region *region = phys_find(phys, gpa);
    if (!region || region->kind == PHYS_ROM) return;
    if (region->kind == PHYS_MMIO) {
        phys_write(phys, gpa, 4, phys_read(phys, gpa, 4) | bits);
        return;
    }
    __atomic_or_fetch((u32 *)(void *)region_host(region, gpa), bits, __ATOMIC_SEQ_CST);
    ram_written(phys, region, gpa, 4, PHYS_CODE);
}

/* --- runs of bytes --- */

static void copy_bytes(void *to, const void *from, u64 bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void fill_bytes(void *to, u8 value, u64 bytes)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
}

static u64 bytes_in_page(u64 gpa, u64 bytes)
{
    u64 room = PAGE_SIZE - (gpa & PAGE_MASK);
    return bytes < room ? bytes : room;
}

static void read_run(struct phys *phys, u64 mask, u64 gpa, u8 *buffer, u64 bytes)
{
    while (bytes) {
        u64 at = gpa & mask, now = bytes_in_page(gpa, bytes);
        const struct phys_region *region = phys_find(phys, at);
        if (region && region->kind != PHYS_MMIO)
            copy_bytes(buffer, region_host(region, at), now);
        else
            fill_bytes(buffer, 0xff, now);
        gpa += now;
        buffer += now;
        bytes -= now;
    }
}

static void write_run(struct phys *phys, u64 mask, u64 gpa, const u8 *buffer, u64 bytes)
{
    while (bytes) {
        u64 at = gpa & mask, now = bytes_in_page(gpa, bytes);
        const struct phys_region *region = phys_find(phys, at);
        if (region && region->kind == PHYS_RAM) {
            copy_bytes(region_host(region, at), buffer, now);
            ram_written(phys, region, at, now, PHYS_GUARDED);
        }
        gpa += now;
        buffer += now;
        bytes -= now;
    }
}

/* The regions may have changed since the write: skip addresses that are no longer RAM. */
static void run_written(struct phys *phys, u64 mask, u64 gpa, u64 bytes)
{
    while (bytes) {
        u64 at = gpa & mask, now = bytes_in_page(gpa, bytes);
        const struct phys_region *region = phys_find(phys, at);
        if (region && region->kind == PHYS_RAM) ram_written(phys, region, at, now, PHYS_GUARDED);
        gpa += now;
        bytes -= now;
    }
}

void phys_written(struct phys *phys, u64 gpa, u64 bytes)
{
    run_written(phys, phys->a20_mask, gpa, bytes);
}

#define POPULATE_PAGES 16u

void phys_populate(struct phys *phys, const u8 *host)
{
    u64 page = (u64)(host - phys->ram) >> PAGE_SHIFT & ~(u64)(POPULATE_PAGES - 1), pages = POPULATE_PAGES;
    u64 all = phys->ram_bytes >> PAGE_SHIFT;
    if (page >= all || (phys->ram_flags[page] & PHYS_POPULATED)) return;
    phys->ram_flags[page] |= PHYS_POPULATED;
    if (pages > all - page) pages = all - page;
    /* A host kernel before 5.14 refuses this, which only costs page faults. */
    host_call(SYS_madvise, (u64)(uintptr_t)phys->ram + (page << PAGE_SHIFT), pages << PAGE_SHIFT,
              MADV_POPULATE_WRITE, 0, 0, 0);
}

void phys_read_bytes(struct phys *phys, u64 gpa, void *buffer, u64 bytes)
{
    read_run(phys, phys->a20_mask, gpa, buffer, bytes);
}

void phys_write_bytes(struct phys *phys, u64 gpa, const void *buffer, u64 bytes)
{
    write_run(phys, phys->a20_mask, gpa, buffer, bytes);
}

static void dma_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    read_run(memory, UINT64_MAX, gpa, buffer, bytes);
}

static void dma_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    struct phys *phys = memory;
    if (gpa - PHYS_MESSAGES < PHYS_MESSAGES_BYTES) {
        if (bytes == 4 && phys->message) phys->message(phys->owner, gpa, *(const any32 *)buffer);
        return;
    }
    write_run(memory, UINT64_MAX, gpa, buffer, bytes);
}

static u8 *dma_map(void *memory, u64 gpa, u64 *bytes)
{
    const struct phys_region *region = phys_find(memory, gpa);
    if (!region || region->kind != PHYS_RAM) return NULL;
    u64 left = region->gpa + region->bytes - gpa;
    if (*bytes > left) *bytes = left;
    return region->host + (gpa - region->gpa);
}

static void dma_written(void *memory, u64 gpa, u64 bytes)
{
    run_written(memory, UINT64_MAX, gpa, bytes);
}

#define FALLOC_KEEP_SIZE  1
#define FALLOC_PUNCH_HOLE 2

/* The next touch of a piece of POPULATE_PAGES that is released as a whole populates it again. A piece that is released
 * in part stays marked, so that touching its rest does not take the released pages back. */
static void unmark_populated(struct phys *phys, u64 page, u64 end)
{
    for (page = align_up(page, POPULATE_PAGES); page + POPULATE_PAGES <= end; page += POPULATE_PAGES)
        phys->ram_flags[page] &= (u8)~PHYS_POPULATED;
}

static void dma_release(void *memory, u64 gpa, u64 bytes)
{
    struct phys *phys = memory;
    u64 at = align_up(gpa, PAGE_SIZE), end = (gpa + bytes) & ~(u64)(PAGE_SIZE - 1);
    while (at < end) {
        u64 now = end - at;
        const u8 *host = dma_map(phys, at, &now);
        if (!host) return;
        u64 offset = (u64)(host - phys->ram);
        /* A hole in the memfd: all mappings of it, host windows too, read zeros. */
        long failed = host_call(SYS_fallocate, (u64)phys->ram_fd, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE,
                                offset, now, 0, 0);
        if (host_failed(failed)) return;
        unmark_populated(phys, offset >> PAGE_SHIFT, (offset + now) >> PAGE_SHIFT);
        dma_written(phys, at, now);
        at += now;
    }
}

struct dma phys_dma(struct phys *phys)
{
    return (struct dma){.read = dma_read,
                        .write = dma_write,
                        .map = dma_map,
                        .written = dma_written,
                        .release = dma_release,
                        .memory = phys};
}
