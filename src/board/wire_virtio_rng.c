/*
 * virtio-rng-pci: the host's randomness for the guest.
 */
#include "base/hash.h"
#include "base/host_path.h"
#include "devices/virtio/virtio_rng.h"
#include "wire_virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct wired_rng {
    struct virtio_rng rng; /* first */
    u64 state;             /* deterministic: of the generator */
    int fd;                /* the file of -object rng-random; -1: none */
};

/* Does not block: if the host has too little entropy, the guest gets nothing. */
static bool host_random(void *owner, u8 *bytes, unsigned count)
{
    return getrandom(bytes, count, GRND_NONBLOCK) == (ssize_t)count;
}

static bool file_random(void *owner, u8 *bytes, unsigned count)
{
    return read(((struct wired_rng *)owner)->fd, bytes, count) == (ssize_t)count;
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

static void destroy(void *device)
{
    struct wired_rng *wired = device;
    if (wired->fd >= 0) close(wired->fd);
    free(wired);
}

/* rng=ID: the file of an -object. False with one sentence in error. */
static bool open_source(struct wired_rng *wired, const struct board *board,
                        const struct device_option *option, char *error, size_t error_bytes)
{
    const char *id = device_text(option, "rng");
    const struct rng_option *rng = id ? device_options_rng(&board->options->devices, id) : NULL;
    wired->fd = -1;
    if (id && !rng)
        return snprintf(error, error_bytes, "there is no -object rng-random with the id \"%s\"", id), false;
    if (!rng || !rng->file) return true;
    wired->fd = host_open(rng->file, O_RDONLY | O_NONBLOCK, 0);
    if (wired->fd < 0) snprintf(error, error_bytes, "cannot open '%s': %s", rng->file, strerror(errno));
    return wired->fd >= 0;
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
    if (!open_source(wired, board, option, error, error_bytes)) {
        free(wired);
        return false;
    }
    board_add_device(board, option, wired, virtio_reset_line, destroy);
    virtio_rng_init(&wired->rng, &board->pci, &board->dma, &virtio, board->clock,
                    board->deterministic ? repeatable_random
                    : wired->fd >= 0     ? file_random
                                         : host_random,
                    wired);
    wired->rng.period_bytes = device_text(option, "max-bytes") ? device_number(option, "max-bytes") : 0;
    wired->rng.period_ns = device_number(option, "period") * 1000000;
    return true;
}

static const struct property properties[] = {
    {"rng", PROPERTY_TEXT, .help = "id of an -object rng-random (default: the host's generator)"},
    {"max-bytes", PROPERTY_NUMBER, .help = "the most bytes in a period", .most = UINT32_MAX,
     .preset = INT64_MAX},
    {"period", PROPERTY_NUMBER, .help = "of max-bytes, in milliseconds", .most = UINT32_MAX, .preset = 65536},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type virtio_rng_type = {
    .name = "virtio-rng-pci",
    .bus = &bus_pci,
    .help = "source of random numbers",
    .properties = properties,
    .check = virtio_check,
    .create = create,
    .plugs = true,
};
