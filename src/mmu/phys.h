/*
 * Guest-physical memory: RAM and behind it video memory (one memfd, mapped once), ROM, and windows of
 * devices.
 *
 * Invariants
 * 1. Regions are sorted, do not overlap and start and end on page boundaries. What no region covers reads as
 *    ones and swallows writes.
 * 2. Each RAM and ROM page has one flags byte. PHYS_CODE is set while translated or decoded code lives in the
 *    page, PHYS_TRACED while the shadow depends on it; every write to such a page, by the guest or by a
 *    device, is reported to watched_written() *after* the bytes changed. Accessed and dirty bits that the
 *    walker sets are none of the guest's writes: only code hears of them.
 * 3. Whoever sets one of the two must also make the shadow drop its write entries for the page (phys_watch
 *    does both through the protect() callback).
 * 4. Pages of video memory are PHYS_TRACKED: whoever shows them wants to hear of writes. The shadow has write
 *    entries for such a page only while it is PHYS_DIRTY; the first write makes it so, with some neighbours,
 *    and calls tracked_written(). shadow_collect_dirty() takes flags and entries back.
 *
 * Only the vCPU thread calls this. Set-up, destruction and the phys_map functions use the C library: they run
 * before the guest does, or from device code, when the guest's FPU state is parked. Everything else may run
 * with it live.
 */
#ifndef RINGER_MMU_PHYS_H
#define RINGER_MMU_PHYS_H

#include "base/device.h"
#include "base/types.h"

enum phys_kind { PHYS_RAM, PHYS_ROM, PHYS_MMIO };

enum phys_page_flags {
    PHYS_CODE = 1,       /* decoded or translated code comes from this page */
    PHYS_TRACED = 2,     /* a page table of the guest that shadow entries were derived through */
    PHYS_DIRTY = 4,      /* written since the flag was cleared (slow-path writes and dma) */
    PHYS_TRACKED = 8,    /* video memory: the first write after PHYS_DIRTY was cleared is told */
    PHYS_POPULATED = 16, /* of the first page of a chunk: phys_populate() was there */
    PHYS_WATCHED = PHYS_CODE | PHYS_TRACED,
};

struct phys_region {
    u64 gpa, bytes;
    enum phys_kind kind;
    u8 *host;                 /* RAM and ROM */
    u8 *page_flags;           /* RAM and ROM: one byte a page */
    const struct io_ops *ops; /* MMIO */
    void *device;
    u64 origin; /* MMIO: gpa of offset 0 of the window; below gpa when its head is overlaid */
};

#define PHYS_MAX_REGIONS 128
/* A write to video memory stands for so many pages from a multiple of the smallest number on: the largest
 * when writes have come in order so far, as of a whole picture. */
enum { PHYS_TRACK_LEAST = 8, PHYS_TRACK_MOST = 64 };
/* RAM beyond the one goes to the other: the gap is for devices and firmware. */
#define PHYS_LOW_RAM_END (3ull << 30)
#define PHYS_HIGH_RAM    (4ull << 30)
/* What bus masters write here is no memory, whatever the processor sees. */
#define PHYS_MESSAGES       0xfee00000ull
#define PHYS_MESSAGES_BYTES 0x00100000ull

struct phys {
    struct phys_region regions[PHYS_MAX_REGIONS];
    unsigned region_count;
    unsigned last_hit; /* index of the region found last: most lookups repeat */
    u8 *ram;           /* the memfd mapping */
    u64 ram_bytes;
    u8 *video; /* the rest of the same mapping: video memory */
    u64 video_bytes;
    u64 file_bytes; /* of the two */
    int ram_fd;
    u8 *ram_flags;  /* one byte a page of the file */
    u64 track_next; /* page of video memory: a write here would be in order */
    u32 track_pages;
    u64 a20_mask; /* ANDed to every guest-physical address: all ones, or bit 20 clear */
    /* Installed by vm. watched_written: bytes of a watched page have changed. protect: a page became
     * watched, so no write entry of the shadow may cover it. before_device: called before a device handler
     * runs (parks the FPU). tracked_written: a clean page of video memory becomes dirty. */
    void (*watched_written)(void *owner, u64 gpa, u64 bytes);
    void (*protect)(void *owner, u64 gpa_page);
    void (*before_device)(void *owner);
    /* A bus master wrote a dword where interrupt controllers listen. May be NULL. */
    void (*message)(void *owner, u64 gpa, u32 value);
    void (*tracked_written)(void *owner);
    void *owner;
    u64 mmio_accesses;
    u8 *rom_flags[PHYS_MAX_REGIONS]; /* what phys_map_rom() allocated and a region still uses */
    u64 rom_flags_bytes[PHYS_MAX_REGIONS];
};

static inline u64 phys_low_ram_bytes(const struct phys *phys)
{
    return phys->ram_bytes < PHYS_LOW_RAM_END ? phys->ram_bytes : PHYS_LOW_RAM_END;
}

/* RAM of `ram_bytes` (page multiple): below 3 GB at gpa 0 on, the rest from 4 GB on. Returns 0 or -errno. */
int phys_init(struct phys *phys, u64 ram_bytes);
/* The same, with that much video memory (page multiple, may be 0) behind it, which lies nowhere yet. */
int phys_init_with_video(struct phys *phys, u64 ram_bytes, u64 video_bytes);
void phys_destroy(struct phys *phys);

/* Lay a window over whatever was there (splitting what it covers): device windows and ROM over RAM, or RAM
 * back over a ROM. gpa and bytes are page multiples. The caller flushes the shadow, and drops the code
 * decoded or translated from what was there. Returns 0, or -ENOSPC when the list is full, -EINVAL for a bad
 * range: then nothing has changed. */
int phys_map_mmio(struct phys *phys, u64 gpa, u64 bytes, const struct io_ops *ops, void *device);
/* `host` must stay mapped; page_flags are allocated by phys. */
int phys_map_rom(struct phys *phys, u64 gpa, u64 bytes, u8 *host);
/* Make [gpa, gpa+bytes) RAM again, from RAM offset gpa. Only below the end of low RAM. */
int phys_map_ram(struct phys *phys, u64 gpa, u64 bytes);
/* Lay video memory from `offset` on over what was there. The same bytes may be seen in several places. */
int phys_map_video(struct phys *phys, u64 gpa, u64 bytes, u64 offset);
/* Leave nothing there. */
int phys_unmap(struct phys *phys, u64 gpa, u64 bytes);

/* The region that covers gpa, or NULL. The a20 mask is *not* applied here: mmu_walk() and the accessors below
 * do. */
struct phys_region *phys_find(struct phys *phys, u64 gpa);

/* Host address of a RAM or ROM byte, or NULL. Valid to the end of the page only. */
u8 *phys_host(struct phys *phys, u64 gpa);
/* The flags byte of a RAM or ROM page, or NULL. */
u8 *phys_flags(struct phys *phys, u64 gpa);
/* Bytes of the page that has these flags are changing, or a write entry for it is about to be filled. */
void phys_track(struct phys *phys, const u8 *flags);
static inline void phys_mark_dirty(struct phys *phys, u8 *flags)
{
    if (unlikely((*flags & (PHYS_TRACKED | PHYS_DIRTY)) == PHYS_TRACKED)) phys_track(phys, flags);
    *flags |= PHYS_DIRTY;
}
/* Mark a page as watched for one of the two reasons and protect it. Does nothing if it is marked already. */
void phys_watch(struct phys *phys, u64 gpa, enum phys_page_flags reason);

/* One access of 1, 2, 4 or 8 bytes that does not cross a page, by whatever kind of region is there. MMIO of 8
 * bytes is two of 4; MMIO that crosses a naturally aligned dword is split into bytes. */
u64 phys_read(struct phys *phys, u64 gpa, unsigned size);
void phys_write(struct phys *phys, u64 gpa, unsigned size, u64 value);

/* Set bits of an aligned dword in one locked operation, as the processor sets accessed and dirty bits. ROM
 * keeps its value. */
void phys_set_bits(struct phys *phys, u64 gpa, u32 bits);

/* The guest begins to write at this host address: have the host give memory to the pages around it at once.
 * Its page faults, one for each, cost twice as much (measured: 0.8 us, 0.4 us a page by 16). */
void phys_populate(struct phys *phys, const u8 *host);

/* RAM bytes were changed through a pointer of phys_host() or a region: mark the pages dirty, report code. */
void phys_written(struct phys *phys, u64 gpa, u64 bytes);

/* Any number of bytes, page by page: loaders and devices. MMIO is not reached: reads ones, writes nothing. */
void phys_read_bytes(struct phys *phys, u64 gpa, void *buffer, u64 bytes);
void phys_write_bytes(struct phys *phys, u64 gpa, const void *buffer, u64 bytes);

/* A device's view of this memory. Bus masters sit behind the A20 gate: the mask does not apply to them. */
struct dma phys_dma(struct phys *phys);

#endif
