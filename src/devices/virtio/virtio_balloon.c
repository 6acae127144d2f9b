/*
 * Virtio memory balloon. See virtio_balloon.h.
 */
#include "virtio_balloon.h"

#include <string.h>

#define CLASS_OTHER 0x00ff00u
#define QUEUE_SIZE  128

/* Configuration (5.5.4), little-endian through both interfaces. */
enum { CONFIG_TARGET = 0, CONFIG_ACTUAL = 4, CONFIG_BYTES = 8 };
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTS, QUEUES };
enum { STAT_BYTES = 10, STAT_VALUE = 2 };
enum { NUMBERS = 256 }; /* page numbers read at a time */

/* A queue that was not negotiated has no number: the later ones move up. */
static unsigned reports_queue(const struct virtio *virtio)
{
    return virtio_has(virtio, VIRTIO_BALLOON_F_STATS_VQ) ? QUEUE_REPORTS : QUEUE_STATS;
}

static void release(struct virtio_balloon *balloon, u64 gpa, u64 bytes)
{
    const struct dma *dma = &balloon->virtio.dma;
    if (!bytes) return;
    balloon->released_bytes += bytes;
    dma->release(dma->memory, gpa, bytes);
}

/* Runs of pages, upwards or downwards, are released at once. */
static void inflate(struct virtio_balloon *balloon, const struct virtio_chain *chain)
{
    u8 bytes[NUMBERS * 4];
    u64 from = 0, to = 0;
    for (u64 offset = 0, got; (got = virtio_chain_read(chain, offset, bytes, sizeof(bytes))) >= 4;
         offset += got)
        for (u64 n = 0; n + 4 <= got; n += 4) {
            u64 page = pci_get32(bytes + n);
            if (page == to && to) {
                to++;
            } else if (page + 1 == from) {
                from--;
            } else {
                release(balloon, from << PAGE_SHIFT, (to - from) << PAGE_SHIFT);
                from = page;
                to = page + 1;
            }
        }
    release(balloon, from << PAGE_SHIFT, (to - from) << PAGE_SHIFT);
}

static void take_reports(struct virtio_balloon *balloon, const struct virtio_chain *chain)
{
    for (unsigned n = chain->readable; n < chain->readable + chain->writable; n++)
        release(balloon, chain->gpa[n], chain->part[n].iov_len);
}

static void take_stats(struct virtio_balloon *balloon, const struct virtio_chain *chain)
{
    u8 record[STAT_BYTES];
    for (u64 offset = 0; virtio_chain_read(chain, offset, record, sizeof(record)) == sizeof(record);
         offset += sizeof(record)) {
        u16 tag = pci_get16(record);
        if (tag < VIRTIO_BALLOON_STATS) balloon->stat[tag] = load_any(record + STAT_VALUE, 8);
    }
    if (chain->readable && balloon->told) balloon->told(balloon->owner);
}

/* The buffer stays with the device until it wants statistics again. */
static void hold_stats(struct virtio_balloon *balloon)
{
    struct virtio *virtio = &balloon->virtio;
    struct virtio_chain *chain = &balloon->chain;
    while (virtio_take(virtio, QUEUE_STATS, chain)) {
        take_stats(balloon, chain);
        balloon->stats_held = true;
        balloon->stats_epoch = chain->epoch;
        balloon->stats_head = chain->head;
    }
    if (balloon->stats_wanted) virtio_balloon_ask_stats(balloon);
}

void virtio_balloon_ask_stats(struct virtio_balloon *balloon)
{
    struct virtio *virtio = &balloon->virtio;
    balloon->stats_wanted = !balloon->stats_held;
    if (!balloon->stats_held) return;
    balloon->stats_held = false;
    virtio_give_head(virtio, QUEUE_STATS, balloon->stats_epoch, balloon->stats_head, 0);
    virtio_interrupt(virtio, QUEUE_STATS);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_balloon *balloon = container_of(virtio, struct virtio_balloon, virtio);
    struct virtio_chain *chain = &balloon->chain;
    bool reports = virtio_has(virtio, VIRTIO_BALLOON_F_REPORTING) && queue == reports_queue(virtio);
    if (!reports && queue == QUEUE_STATS) {
        hold_stats(balloon);
        return;
    }
    while (virtio_take(virtio, queue, chain)) {
        if (reports)
            take_reports(balloon, chain);
        else if (queue == QUEUE_INFLATE)
            inflate(balloon, chain);
        virtio_give(virtio, chain, 0);
    }
    virtio_interrupt(virtio, queue);
}

u32 virtio_balloon_actual(const struct virtio_balloon *balloon)
{
    return pci_get32(balloon->virtio.config + CONFIG_ACTUAL);
}

static void config_written(struct virtio *virtio, u32 offset, unsigned size)
{
    struct virtio_balloon *balloon = container_of(virtio, struct virtio_balloon, virtio);
    if (balloon->changed) balloon->changed(balloon->owner, virtio_balloon_actual(balloon));
}

void virtio_balloon_set_target(struct virtio_balloon *balloon, u32 pages)
{
    pci_put32(balloon->virtio.config + CONFIG_TARGET, pages);
    virtio_config_changed(&balloon->virtio);
}

/* --- set-up --- */

static void reset(struct virtio *virtio)
{
    struct virtio_balloon *balloon = container_of(virtio, struct virtio_balloon, virtio);
    pci_put32(virtio->config + CONFIG_ACTUAL, 0);
    balloon->stats_held = balloon->stats_wanted = false;
    memset(balloon->stat, 0xff, sizeof(balloon->stat));
}

static const struct virtio_kind balloon_kind = {
    .notify = notify, .config_written = config_written, .reset = reset};

void virtio_balloon_init(struct virtio_balloon *balloon, struct pci_bus *bus, const struct dma *dma,
                         const struct virtio_options *options, const struct virtio_balloon_options *how)
{
    static const u16 sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE};
    u64 features = VIRTIO_BALLOON_F_STATS_VQ;
    if (how->deflate_on_oom) features |= VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
    if (how->reporting) features |= VIRTIO_BALLOON_F_REPORTING;
    balloon->changed = NULL;
    balloon->told = NULL;
    balloon->released_bytes = 0;
    virtio_init(&balloon->virtio, &balloon_kind, bus, dma, options, VIRTIO_BALLOON, CLASS_OTHER, features,
                sizes, how->reporting ? QUEUES : QUEUE_REPORTS);
    balloon->virtio.config_bytes = CONFIG_BYTES;
    memset(balloon->virtio.config_writable + CONFIG_ACTUAL, 0xff, 4);
}
