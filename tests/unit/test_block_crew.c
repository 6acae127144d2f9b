/*
 * The threads of disks: a slow request does not hold up quick ones, and a letter interrupts a vCPU thread that does
 * not take it by itself. Hazards: a request that waits behind a flush while threads sleep; a guest that computes and
 * never hears that its disk is done.
 */
#include "block/block_disk.h"
#include "check.h"
#include "events.h"

#define SECTORS 16u

static sem_t letter, flush_may_go;
static unsigned notices; /* atomic */

static void letter_came(void *owner)
{
    sem_post(&letter);
}

static struct mailbox box = {.wake = letter_came};

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
    event_wait(&flush_may_go, "the end of a flush");
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
static struct disk_image slow = {&ops, SECTORS * 512, false};

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

static void wait_for(const struct order *order)
{
    while (!order->done)
        if (!mailbox_run(&box)) event_wait(&letter, "a letter of the disk's");
}

/* One thread does the quick requests and meets a flush among them. */
static void test_behind_a_flush(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    static struct order before[20], flush, behind[4];
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, &slow, "slow");
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned n = 0; n < ARRAY_SIZE(before); n++) {
            submit(&disk, &before[n], n & 1 ? DISK_READ : DISK_WRITE);
            if (n < 10) wait_for(&before[n]);
        }
        submit(&disk, &flush, DISK_FLUSH);
        for (unsigned n = 0; n < ARRAY_SIZE(behind); n++)
            submit(&disk, &behind[n], DISK_WRITE);
        for (unsigned n = 0; n < ARRAY_SIZE(behind); n++)
            wait_for(&behind[n]);
        CHECK(!flush.done);
        sem_post(&flush_may_go);
        wait_for(&flush);
        disk_crew_drain(&crew);
    }
    disk_crew_destroy(&crew);
    sem_post(&flush_may_go); /* that of a disk that leaves */
    block_disk_destroy(&disk);
}

static void count_notice(void *owner)
{
    __atomic_add_fetch(&notices, 1, __ATOMIC_SEQ_CST);
}

static void test_letters(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    struct order order;
    while (!sem_trywait(&letter)) { /* those of the test before */
    }
    box.notice = count_notice;
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, &slow, "slow");
    for (unsigned round = 1; round <= 100; round++) {
        submit(&disk, &order, DISK_WRITE);
        event_wait(&letter, "a call for a letter that lies");
        CHECK_EQ(__atomic_load_n(&notices, __ATOMIC_SEQ_CST), round);
        CHECK(!order.done);
        CHECK(mailbox_run(&box));
        CHECK(order.done);
    }
    disk_crew_destroy(&crew);
    sem_post(&flush_may_go); /* that of a disk that leaves */
    block_disk_destroy(&disk);
    box.notice = NULL;
}

int main(void)
{
    if (sem_init(&letter, 0, 0) || sem_init(&flush_may_go, 0, 0)) return 1;
    test_behind_a_flush();
    test_letters();
    return check_report();
}
