#include "wire_virtio.h"

#include "board.h"
#include "char_link.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_rng.h"
#include "drives.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* The host bridge is slot 0, the PIIX3 1, and 2 is the display's by custom. */
enum { FIRST_SLOT = 3, SLOTS = 32 };

/* --- slots --- */

static bool find_slot(struct wire_virtio *wire, const struct device_option *option,
                      struct virtio_options *virtio, char *error, size_t error_bytes)
{
    const struct pci_bus *bus = &wire->board->pci;
    unsigned slot = option->slot ? option->slot : FIRST_SLOT;
    while (!option->slot && slot < SLOTS && bus->device[PCI_DEVFN(slot, 0)])
        slot++;
    if (slot == SLOTS) return SAY("the PCI bus has no free slot left");
    if (bus->device[PCI_DEVFN(slot, 0)]) return SAY("there is a device in PCI slot %x already", slot);
    *virtio = (struct virtio_options){
        .devfn = PCI_DEVFN(slot, 0), .no_legacy = option->no_legacy, .no_modern = option->no_modern};
    return true;
}

/* Memory for a device that the list owns. */
static void *new_device(struct wire_virtio *wire, size_t bytes, char *error, size_t error_bytes)
{
    void *device = calloc(1, bytes);
    if (device)
        wire->device[wire->count++] = device;
    else
        snprintf(error, error_bytes, "out of memory");
    return device;
}

/* --- block --- */

static bool fit_blk(struct wire_virtio *wire, const struct device_option *option, struct drive *drive,
                    char *error, size_t error_bytes)
{
    struct board *board = wire->board;
    struct virtio_options virtio;
    if (!find_slot(wire, option, &virtio, error, error_bytes)) return false;
    struct virtio_blk *blk = new_device(wire, sizeof(*blk), error, error_bytes);
    if (!blk) return false;
    board_add_boot_entry(board, option->boot_index ? option->boot_index : drive->boot_index,
                         "/pci@i0cf8/scsi@%x/disk@0,0", virtio.devfn >> 3);
    virtio_blk_init(blk, &board->pci, &board->dma, &virtio, drive_disk(drive),
                    option->serial ? option->serial : "");
    return true;
}

static bool add_blk(struct wire_virtio *wire, const struct device_option *option, char *error,
                    size_t error_bytes)
{
    return fit_blk(wire, option, drives_by_id(wire->board->drives, option->drive), error, error_bytes);
}

/* --- entropy --- */

/* Never blocks: while the host has not gathered enough there is nothing. */
static bool host_random(void *owner, u8 *bytes, unsigned count)
{
    return getrandom(bytes, count, GRND_NONBLOCK) == (ssize_t)count;
}

/* The same in every run (SplitMix64). */
static bool repeatable_random(void *owner, u8 *bytes, unsigned count)
{
    struct wire_virtio *wire = owner;
    for (unsigned n = 0; n < count; n++) {
        u64 z = wire->random += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        bytes[n] = (u8)(z ^ z >> 31);
    }
    return true;
}

static bool add_rng(struct wire_virtio *wire, const struct device_option *option, char *error,
                    size_t error_bytes)
{
    struct board *board = wire->board;
    struct virtio_options virtio;
    if (!find_slot(wire, option, &virtio, error, error_bytes)) return false;
    struct virtio_rng *rng = new_device(wire, sizeof(*rng), error, error_bytes);
    if (!rng) return false;
    virtio_rng_init(rng, &board->pci, &board->dma, &virtio, board->clock,
                    board->deterministic ? repeatable_random : host_random, wire);
    return true;
}

/* --- console --- */

struct wired_console {
    struct virtio_console console; /* first */
    struct char_link link;
};

static u32 receive(void *device, const u8 *bytes, u32 count)
{
    struct wired_console *wired = device;
    return virtio_console_receive(&wired->console, bytes, count);
}

static void transmit(void *sink, const u8 *bytes, u64 count)
{
    struct wired_console *wired = sink;
    char_link_send(&wired->link, bytes, count);
}

static void room(void *sink)
{
    struct wired_console *wired = sink;
    char_link_room(&wired->link);
}

static bool add_console(struct wire_virtio *wire, const struct device_option *option, char *error,
                        size_t error_bytes)
{
    struct board *board = wire->board;
    struct virtio_options virtio;
    if (!find_slot(wire, option, &virtio, error, error_bytes)) return false;
    struct wired_console *wired = new_device(wire, sizeof(*wired), error, error_bytes);
    if (!wired) return false;
    if (!char_link_init(&wired->link, board, receive, wired, option->back_end ? option->back_end : "null",
                        error, error_bytes))
        return false;
    board_add_link(board, &wired->link);
    virtio_console_init(&wired->console, &board->pci, &board->dma, &virtio, board->clock, transmit, room,
                        wired);
    return true;
}

/* --- all --- */

static bool add(struct wire_virtio *wire, const struct device_option *option, char *error, size_t error_bytes)
{
    switch (option->kind) {
    case DEVICE_VIRTIO_BLK: return add_blk(wire, option, error, error_bytes);
    case DEVICE_VIRTIO_RNG: return add_rng(wire, option, error, error_bytes);
    case DEVICE_VIRTIO_CONSOLE: return add_console(wire, option, error, error_bytes);
    case DEVICE_DRIVE: break;
    }
    return true;
}

bool wire_virtio_init(struct wire_virtio *wire, struct board *board, char *error, size_t error_bytes)
{
    static const struct device_option plain = {.kind = DEVICE_VIRTIO_BLK};
    const struct device_options *options = &board->options->devices;
    *wire = (struct wire_virtio){.board = board};
    /* Those that ask for a slot first, that nobody else takes it. */
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned n = 0; n < options->count; n++)
            if ((options->device[n].slot == 0) == pass && !add(wire, &options->device[n], error, error_bytes))
                return false;
    for (unsigned index = 0; index < DRIVES_MAX; index++) {
        struct drive *drive = drives_at(board->drives, DRIVE_VIRTIO, index);
        if (drive && !fit_blk(wire, &plain, drive, error, error_bytes)) return false;
    }
    return true;
}

void wire_virtio_reset(struct wire_virtio *wire)
{
    for (unsigned n = 0; n < wire->count; n++)
        virtio_hard_reset(wire->device[n]);
}

void wire_virtio_destroy(struct wire_virtio *wire)
{
    for (unsigned n = 0; n < wire->count; n++)
        free(wire->device[n]);
}
