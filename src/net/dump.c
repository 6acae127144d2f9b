#include "dump.h"

#include "base/host_path.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OUT_BYTES (256u << 10)

/* In the host's byte order, which the magic number tells. */
struct file_header {
    u32 magic;
    u16 major, minor;
    u32 zone, accuracy, frame_bytes_max, link_type;
};
struct frame_header {
    u32 seconds, microseconds, bytes_here, bytes;
};
#define MAGIC_MICROSECONDS 0xa1b2c3d4u
#define LINK_ETHERNET      1

struct listener {
    struct net_tap_ear ear; /* first */
    struct net_dump *dump;
};

struct net_dump {
    struct net_source source;
    struct listener *listener[32];
    unsigned listeners;
    const char *file;
    int fd; /* -1: given up */
    u32 frame_bytes_max;
    u32 out_bytes;
    u8 out[OUT_BYTES];
};

static void give_up(struct net_dump *dump)
{
    log_warn("%s: %s: the dump of the network ends here", dump->file, strerror(errno));
    close(dump->fd);
    dump->fd = -1;
}

static void flush(struct net_dump *dump)
{
    u32 done = 0;
    while (dump->fd >= 0 && done < dump->out_bytes) {
        ssize_t written = write(dump->fd, dump->out + done, dump->out_bytes - done);
        if (written >= 0)
            done += (u32)written;
        else if (errno != EINTR)
            give_up(dump);
    }
    dump->out_bytes = 0;
}

static void put(struct net_dump *dump, const void *from, u32 bytes)
{
    memcpy(dump->out + dump->out_bytes, from, bytes);
    dump->out_bytes += bytes;
}

static void hear(struct net_tap_ear *ear, const struct iovec *part, unsigned part_count, u32 bytes,
                 const struct net_offload *offload)
{
    struct net_dump *dump = container_of(ear, struct listener, ear)->dump;
    u32 left = bytes < dump->frame_bytes_max ? bytes : dump->frame_bytes_max;
    struct timespec now;
    if (dump->fd < 0 || bytes > NET_FRAME_MAX) return;
    clock_gettime(CLOCK_REALTIME, &now);
    struct frame_header header = {(u32)now.tv_sec, (u32)(now.tv_nsec / 1000), left, bytes};
    if (dump->out_bytes + sizeof(header) + left > OUT_BYTES) flush(dump);
    put(dump, &header, sizeof(header));
    for (unsigned n = 0; n < part_count && left; n++) {
        u32 length = part[n].iov_len < left ? (u32)part[n].iov_len : left;
        put(dump, part[n].iov_base, length);
        left -= length;
    }
}

static void rest(struct net_source *source)
{
    flush(container_of(source, struct net_dump, source));
}

struct net_dump *net_dump_create(struct net_loop *loop, const char *file, u32 frame_bytes_max, char *error,
                                 size_t error_bytes)
{
    struct net_dump *dump = calloc(1, sizeof(*dump));
    struct file_header header = {.magic = MAGIC_MICROSECONDS,
                                 .major = 2,
                                 .minor = 4,
                                 .frame_bytes_max = frame_bytes_max,
                                 .link_type = LINK_ETHERNET};
    if (!dump) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    dump->file = file;
    dump->frame_bytes_max = frame_bytes_max;
    dump->source.rest = rest;
    dump->fd = host_open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (dump->fd < 0) {
        snprintf(error, error_bytes, "cannot write %s: %s", file, strerror(errno));
        free(dump);
        return NULL;
    }
    put(dump, &header, sizeof(header));
    net_loop_add(loop, &dump->source);
    return dump;
}

bool net_dump_listen(struct net_dump *dump, struct net_end *end)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener || dump->listeners == ARRAY_SIZE(dump->listener)) {
        free(listener);
        return false;
    }
    *listener = (struct listener){.ear = {.hear = hear, .next = end->ears}, .dump = dump};
    end->ears = &listener->ear;
    dump->listener[dump->listeners++] = listener;
    return true;
}

void net_dump_destroy(struct net_dump *dump)
{
    flush(dump);
    if (dump->fd >= 0) close(dump->fd);
    for (unsigned n = 0; n < dump->listeners; n++)
        free(dump->listener[n]);
    free(dump);
}
