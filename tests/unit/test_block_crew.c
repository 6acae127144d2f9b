/*
 * The threads of disks: what takes long holds up nothing that does not, and a letter that the vCPU's thread
 * does not come for by itself calls it (hazards: a request that waits behind a flush though threads sleep, a
 * guest that computes and never hears that its disk is done).
 */
#include "block/block_disk.h"
#include "check.h"

#include <errno.h>
#include <unistd.h>

#define SECTORS 16u

static struct mailbox box;
static unsigned notices, wakes; /* atomic */

/* A disk whose flushes wait for leave. */
struct slow {
    struct disk_image image;
    bool closed; /* atomic */
};

static int nothing_read(struct disk_image *image, u64 offset, struct span to)
{
    return 0;
}

static int never_now(struct disk_image *image, u64 offset, struct span to)
{
    return -EAGAIN;
}

static int nothing_write(struct disk_image *image, u64 offset, struct span from)
{
    return 0;
}

static int slow_flush(struct disk_image *image)
{
    struct slow *slow = container_of(image, struct slow, image);
    while (__atomic_load_n(&slow->closed, __ATOMIC_SEQ_CST))
        usleep(100);
    return 0;
}

static int nothing_close(struct disk_image *image)
{
    return 0;
}

static const struct disk_image_ops ops = {.format = "slow",
                                          .read = nothing_read,
                                          .read_now = never_now,
                                          .write = nothing_write,
                                          .flush = slow_flush,
                                          .close = nothing_close};
static struct slow slow = {.image = {&ops, SECTORS * 512, false}};

struct order {
    struct disk_request request;
    struct iovec part;
    bool done;
};

static void done(struct disk_request *request)
{
    container_of(request, struct order, request)->done = true;
}

static void submit(struct block_disk *disk, struct order *order, enum disk_operation operation)
{
    static u8 sector[512];
    u64 bytes = operation == DISK_FLUSH ? 0 : 512;
    *order = (struct order){.request = {.operation = operation, .bytes = bytes, .done = done},
                            .part = {sector, bytes}};
    order->request.part = &order->part;
    order->request.part_count = 1;
    disk_submit(&disk->disk, &order->request);
}

static bool wait_for(const struct order *order)
{
    static bool given_up; /* one failure is enough to wait for */
    for (unsigned n = 0; n < 20000 && !order->done && !given_up; n++)
        if (!mailbox_run(&box)) usleep(100);
    given_up |= !order->done;
    return order->done;
}

/* Quick requests are left to one thread, which meets a flush among them. */
static void test_behind_a_flush(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    static struct order before[20], flush, behind[4];
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, &slow.image, "slow");
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned n = 0; n < ARRAY_SIZE(before); n++) {
            submit(&disk, &before[n], n & 1 ? DISK_READ : DISK_WRITE);
            if (n < 10) CHECK(wait_for(&before[n]));
        }
        __atomic_store_n(&slow.closed, true, __ATOMIC_SEQ_CST);
        submit(&disk, &flush, DISK_FLUSH);
        for (unsigned n = 0; n < ARRAY_SIZE(behind); n++)
            submit(&disk, &behind[n], DISK_WRITE);
        for (unsigned n = 0; n < ARRAY_SIZE(behind); n++)
            CHECK(wait_for(&behind[n]));
        CHECK(!flush.done);
        __atomic_store_n(&slow.closed, false, __ATOMIC_SEQ_CST);
        CHECK(wait_for(&flush));
        disk_crew_drain(&crew);
    }
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
}

static void count_notice(void *owner)
{
    __atomic_add_fetch(&notices, 1, __ATOMIC_SEQ_CST);
}

static void count_wake(void *owner)
{
    __atomic_add_fetch(&wakes, 1, __ATOMIC_SEQ_CST);
}

static void test_letters(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    struct order order;
    box.notice = count_notice;
    box.wake = count_wake;
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, &slow.image, "slow");
    for (unsigned round = 1; round <= 100; round++) {
        unsigned before = __atomic_load_n(&wakes, __ATOMIC_SEQ_CST);
        submit(&disk, &order, DISK_WRITE);
        for (unsigned n = 0; n < 20000 && __atomic_load_n(&wakes, __ATOMIC_SEQ_CST) == before; n++)
            usleep(100);
        bool woken = __atomic_load_n(&wakes, __ATOMIC_SEQ_CST) > before;
        CHECK(woken);
        if (!woken) break;
        CHECK_EQ(__atomic_load_n(&notices, __ATOMIC_SEQ_CST), round);
        CHECK(!order.done);
        CHECK(mailbox_run(&box));
        CHECK(order.done);
    }
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
    box.notice = box.wake = NULL;
}

int main(void)
{
    test_behind_a_flush();
    test_letters();
    return check_report();
}
