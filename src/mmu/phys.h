/*
 * Guest-physical memory: RAM, ROM, video memory and the ranges of devices. RAM and, behind it, video memory
 * are one memfd, mapped once.
 *
 * Invariants
 * 1. Regions are sorted, do not overlap, and start and end on page boundaries. Addresses that no region
 *    covers read as ones and ignore writes.
 * 2. Each RAM and ROM page has one flags byte. A page is *guarded* while it is PHYS_CODE (translated or
 *    decoded code comes from it) or PHYS_TRACED (it is a page table that shadow entries depend on). Every
 *    write to a guarded page, by the guest or by a device, is reported to guarded_written() *after* the bytes
 *    have changed. Accessed and dirty bits that the walker sets are not writes of the guest: they are
 *    reported for code only.
 * 3. No write entry of the shadow maps a guarded page. phys_guard() sets a flag and has the entries dropped,
 *    by the protect() callback.
 * 4. Pages of video memory are PHYS_VIDEO. The shadow has write entries for such a page only while it is
 *    PHYS_DIRTY. The first write to a clean page makes it and some neighbours dirty and calls
 *    video_written(). shadow_collect_dirty() takes flags and entries back.
 *
 * Only the vCPU's thread calls this. Set-up, destruction and the phys_map functions use the C library: they
 * run before the guest does, or from device code, when the guest's FPU state is parked. Everything else may
 * run while that state is live.
 */
#ifndef RINGER_MMU_PHYS_H
#define RINGER_MMU_PHYS_H

#include "base/device.h"
#include "base/events.h"
#include "base/types.h"

enum phys_kind { PHYS_RAM, PHYS_ROM, PHYS_MMIO };

enum phys_page_flags {
    PHYS_CODE = 1,       /* decoded or translated code comes from this page */
    PHYS_TRACED = 2,     /* a page table of the guest that shadow entries were derived through */
    PHYS_DIRTY = 4,      /* written since the flag was cleared (slow-path writes and dma) */
    PHYS_VIDEO = 8,      /* video memory: the first write to a clean page is reported */
    PHYS_POPULATED = 16, /* on the first page of a chunk: phys_populate() has populated the chunk */
    PHYS_WINDOW = 32,    /* may be writable in a window of a 64-bit space */
    PHYS_GUARDED = PHYS_CODE | PHYS_TRACED,
};

struct phys_region {
    u64 gpa, bytes;
    enum phys_kind kind;
    u8 *host;                 /* RAM and ROM */
    u8 *page_flags;           /* RAM and ROM: one byte a page */
    const struct io_ops *ops; /* MMIO; ROM: NULL, or what takes the writes */
    void *device;
    u64 origin; /* with ops: gpa of the device's offset 0; below `gpa` if another region covers the range's head */
};

#define PHYS_MAX_REGIONS 128
/* The first write to a clean page of video memory makes several pages dirty, from a multiple of PHYS_VIDEO_LEAST on.
 * Their number grows from PHYS_VIDEO_LEAST to PHYS_VIDEO_MOST while writes come in order, as those of a whole picture
 * do. */
enum { PHYS_VIDEO_LEAST = 8, PHYS_VIDEO_MOST = 64 };
/* RAM beyond the end of low RAM continues at PHYS_HIGH_RAM. The gap is for devices and firmware. */
#define PHYS_LOW_RAM_END (3ull << 30)
#define PHYS_HIGH_RAM    (4ull << 30)
/* Writes of bus masters to this range are interrupt messages, independent of the regions that the processor sees. */
#define PHYS_MESSAGES       0xfee00000ull
#define PHYS_MESSAGES_BYTES 0x00100000ull

struct phys {
    struct phys_region regions[PHYS_MAX_REGIONS];
    unsigned region_count;
    unsigned last_hit; /* index of the region found last: most lookups find it again */
    u8 *ram;           /* the memfd mapping */
    u64 ram_bytes;
    u8 *video; /* video memory: the rest of the same mapping */
    u64 video_bytes;
    u64 file_bytes; /* RAM and video memory */
    int ram_fd;
    u8 *ram_flags;    /* one byte a page of the file */
    u64 dirtied_next; /* the page of video memory that a write in order would reach next */
    u32 dirtied_pages;
    u64 a20_mask; /* ANDed to every guest-physical address: all ones, or bit 20 clear */
    /* Installed by vm. guarded_written: bytes of a guarded page have changed. protect: a page has become
     * guarded, so the shadow drops its write entries. before_device: called before a device handler runs
     * (parks the FPU). video_written: a clean page of video memory becomes dirty. */
    void (*guarded_written)(void *owner, u64 gpa, u64 bytes);
    void (*protect)(void *owner, u64 gpa_page);
    void (*before_device)(void *owner);
    /* A bus master wrote a dword to PHYS_MESSAGES. May be NULL. */
    void (*message)(void *owner, u64 gpa, u32 value);
    void (*video_written)(void *owner);
    void *owner;
    u64 mmio_accesses;
    struct events *events;           /* NULL: no log */
    u8 *rom_flags[PHYS_MAX_REGIONS]; /* what phys_map_rom() allocated and a region still uses */
    u64 rom_flags_bytes[PHYS_MAX_REGIONS];
};

static inline u64 phys_low_ram_bytes(const struct phys *phys)
{
    return phys->ram_bytes < PHYS_LOW_RAM_END ? phys->ram_bytes : PHYS_LOW_RAM_END;
}

/* RAM of `ram_bytes` (page multiple): below 3 GB at gpa 0 on, the rest from 4 GB on. Returns 0 or -errno. */
int phys_init(struct phys *phys, u64 ram_bytes);
/* The same, with video memory behind RAM (page multiple, may be 0). It has no guest-physical address yet. */
int phys_init_with_video(struct phys *phys, u64 ram_bytes, u64 video_bytes);
void phys_destroy(struct phys *phys);

/* Lay a region over the old ones, which are split: a device or ROM over RAM, or RAM back over ROM. gpa and bytes are
 * page multiples. The caller flushes the shadow and drops the code that was decoded or translated from the old
 * contents. Returns 0; -ENOSPC when the list is full; -EINVAL for a bad range. After an error nothing has changed. */
int phys_map_mmio(struct phys *phys, u64 gpa, u64 bytes, const struct io_ops *ops, void *device);
/* `host` must stay mapped; page_flags are allocated by phys. */
int phys_map_rom(struct phys *phys, u64 gpa, u64 bytes, u8 *host);
/* ROM that is a flash chip: writes go to the device. */
int phys_map_flash(struct phys *phys, u64 gpa, u64 bytes, u8 *host, const struct io_ops *ops, void *device);
/* Make [gpa, gpa+bytes) RAM again, from RAM offset gpa. Only below the end of low RAM. */
int phys_map_ram(struct phys *phys, u64 gpa, u64 bytes);
/* Lay video memory, from `offset` on, over the old regions. The same bytes may have several addresses. */
int phys_map_video(struct phys *phys, u64 gpa, u64 bytes, u64 offset);
/* Leave the range without a region. */
int phys_unmap(struct phys *phys, u64 gpa, u64 bytes);

/* The region that covers gpa, or NULL. The a20 mask is *not* applied here: mmu_walk() and the accessors below
 * do. */
struct phys_region *phys_find(struct phys *phys, u64 gpa);

/* Host address of a RAM or ROM byte, or NULL. Valid to the end of the page only. */
u8 *phys_host(struct phys *phys, u64 gpa);
/* The flags byte of a RAM or ROM page, or NULL. */
u8 *phys_flags(struct phys *phys, u64 gpa);
/* Mark a page of video memory dirty, with its neighbours, before its bytes change or a write entry for it is filled. */
void phys_video_dirtied(struct phys *phys, const u8 *flags);
static inline void phys_mark_dirty(struct phys *phys, u8 *flags)
{
    if (unlikely((*flags & (PHYS_VIDEO | PHYS_DIRTY)) == PHYS_VIDEO)) phys_video_dirtied(phys, flags);
    *flags |= PHYS_DIRTY;
}
/* Guard a page for one of the two reasons. Does nothing if it is guarded for that reason already. */
void phys_guard(struct phys *phys, u64 gpa, enum phys_page_flags reason);

/* One access of 1, 2, 4 or 8 bytes that does not cross a page, to a region of any kind. MMIO of 8 bytes is
 * two accesses of 4; MMIO that crosses an aligned dword is split into bytes. */
u64 phys_read(struct phys *phys, u64 gpa, unsigned size);
void phys_write(struct phys *phys, u64 gpa, unsigned size, u64 value);

/* Set bits of an aligned dword in one locked operation, as the processor sets accessed and dirty bits. ROM
 * keeps its value. */
void phys_set_bits(struct phys *phys, u64 gpa, u32 bits);

/* The guest begins to write at this host address: have the host back the pages around it in one call. A page fault for
 * each page costs twice as much (measured: 0.8 us a page; 0.4 us in runs of 16). */
void phys_populate(struct phys *phys, const u8 *host);

/* RAM was changed through a pointer from phys_host() or a region: mark the pages dirty, and report writes to guarded
 * pages. */
void phys_written(struct phys *phys, u64 gpa, u64 bytes);

/* Any number of bytes, page by page, for loaders and devices. Devices are not reached: reads give ones,
 * writes are ignored. */
void phys_read_bytes(struct phys *phys, u64 gpa, void *buffer, u64 bytes);
void phys_write_bytes(struct phys *phys, u64 gpa, const void *buffer, u64 bytes);

/* This memory as bus masters reach it. They sit behind the A20 gate: the mask does not apply to them. */
struct dma phys_dma(struct phys *phys);

#endif
