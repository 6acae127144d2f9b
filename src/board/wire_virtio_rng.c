/*
 * virtio-rng-pci: the host's randomness for the guest.
 */
#include "base/hash.h"
#include "devices/virtio/virtio_rng.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct wired_rng {
    struct virtio_rng rng; /* first */
    u64 state;             /* deterministic: of the generator */
};

/* Does not block: if the host has too little entropy, the guest gets nothing. */
static bool host_random(void *owner, u8 *bytes, unsigned count)
{
    return getrandom(bytes, count, GRND_NONBLOCK) == (ssize_t)count;
}

/* The same numbers in every run (SplitMix64). */
static bool repeatable_random(void *owner, u8 *bytes, unsigned count)
{
    struct wired_rng *wired = owner;
    for (unsigned n = 0; n < count; n++) {
        wired->state += HASH_MULTIPLIER;
        bytes[n] = (u8)hash_splitmix(wired->state);
    }
    return true;
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    struct virtio_options virtio;
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct wired_rng *wired = calloc(1, sizeof(*wired));
    if (!wired) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, wired, virtio_reset_line, free);
    virtio_rng_init(&wired->rng, &board->pci, &board->dma, &virtio, board->clock,
                    board->deterministic ? repeatable_random : host_random, wired);
    return true;
}

static const struct property properties[] = {VIRTIO_PROPERTIES, {0}};

const struct device_type virtio_rng_type = {
    .name = "virtio-rng-pci",
    .bus = &bus_pci,
    .help = "source of random numbers",
    .properties = properties,
    .check = virtio_check,
    .create = create,
};
