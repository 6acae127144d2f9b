/*
 * virtio-balloon-pci: memory that the guest gives back while it runs.
 */
#include "wire_virtio_balloon.h"

#include "mmu/phys.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The driver says the size after each piece of a megabyte. Clients get one event in this much guest time. */
#define CHANGE_NS 1000000000u

struct wired_balloon {
    struct virtio_balloon balloon; /* first */
    struct board *board;
    struct timer tell;
    struct timer poll; /* for statistics */
    unsigned poll_s;   /* 0: off */
    s64 told_s;
};

static void tell(void *device)
{
    struct wired_balloon *wired = device;
    board_tell(wired->board, BOARD_BALLOON_CHANGED, NULL, board_balloon_bytes(wired->board, &wired->balloon));
}

static void changed(void *owner, u32 actual)
{
    struct wired_balloon *wired = owner;
    if (!wired->tell.armed) timer_arm(&wired->tell, clock_now(wired->board->clock) + CHANGE_NS);
}

static void poll(void *device)
{
    struct wired_balloon *wired = device;
    virtio_balloon_ask_stats(&wired->balloon);
    timer_arm(&wired->poll, clock_now(wired->board->clock) + wired->poll_s * (u64)1000000000);
}

static void told(void *owner)
{
    struct wired_balloon *wired = owner;
    wired->told_s = time(NULL);
}

static void destroy(void *device)
{
    struct wired_balloon *wired = device;
    timer_cancel(&wired->poll);
    timer_cancel(&wired->tell);
    free(wired);
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    struct virtio_options virtio;
    struct virtio_balloon_options how = {.deflate_on_oom = device_number(option, "deflate-on-oom"),
                                         .reporting = device_number(option, "free-page-reporting")};
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct wired_balloon *wired = calloc(1, sizeof(*wired));
    if (!wired) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    wired->board = board;
    timer_init(&wired->tell, board->clock, tell, wired);
    timer_init(&wired->poll, board->clock, poll, wired);
    board_add_device(board, option, wired, virtio_reset_line, destroy);
    virtio_balloon_init(&wired->balloon, &board->pci, &board->dma, &virtio, &how);
    wired->balloon.changed = changed;
    wired->balloon.told = told;
    wired->balloon.owner = wired;
    return true;
}

static const struct property properties[] = {
    {"deflate-on-oom", PROPERTY_SWITCH, .help = "the guest takes memory back before it runs out of it"},
    {"free-page-reporting", PROPERTY_SWITCH,
     .help = "free memory of the guest goes back to the host by itself"},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type virtio_balloon_type = {
    .name = "virtio-balloon-pci",
    .bus = &bus_pci,
    .help = "memory balloon",
    .properties = properties,
    .check = virtio_check,
    .create = create,
};

struct virtio_balloon *board_balloon(const struct board *board)
{
    const struct device_options *options = &board->options->devices;
    for (unsigned n = 0; n < options->count; n++)
        if (options->device[n].type == &virtio_balloon_type) return board->device[n].device;
    return NULL;
}

static struct wired_balloon *wired_of(const struct board *board)
{
    return container_of(board_balloon(board), struct wired_balloon, balloon);
}

void board_balloon_poll(struct board *board, unsigned seconds)
{
    struct wired_balloon *wired = wired_of(board);
    wired->poll_s = seconds;
    timer_cancel(&wired->poll);
    if (seconds) poll(wired);
}

unsigned board_balloon_poll_s(const struct board *board)
{
    return wired_of(board)->poll_s;
}

s64 board_balloon_told_s(const struct board *board)
{
    return wired_of(board)->told_s;
}

u64 board_balloon_bytes(const struct board *board, const struct virtio_balloon *balloon)
{
    u64 in_balloon = (u64)virtio_balloon_actual(balloon) << PAGE_SHIFT, all = board->memory->ram_bytes;
    return in_balloon < all ? all - in_balloon : 0; /* the driver says it, and may say anything */
}
