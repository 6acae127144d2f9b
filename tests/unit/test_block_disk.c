/*
 * Disks over images: requests in flight, errors by policy, requests that no disk can do, deterministic
 * completion; locks between two openings of one file; overlays.
 */
#include "block/block_disk.h"
#include "block/host_file.h"
#include "check.h"
#include "events.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MB (1u << 20)

static char directory[] = "/tmp/ringer-test-XXXXXX";
static char error[512];
static sem_t letter, flushed;

static void letter_came(void *owner)
{
    sem_post(&letter);
}

static struct mailbox box = {.wake = letter_came};

/* Waits until letters have come, and reads them. */
static void read_letters(void)
{
    while (!mailbox_run(&box))
        event_wait(&letter, "a letter of the disk's");
}

static const char *file_named(const char *name, u64 bytes)
{
    static char path[2][128];
    static unsigned turn;
    char *it = path[turn++ % 2];
    snprintf(it, 128, "%s/%s", directory, name);
    FILE *file = fopen(it, "w");
    CHECK(file && !ftruncate(fileno(file), (off_t)bytes));
    if (file) fclose(file);
    return it;
}

/* --- an image that fails on demand --- */

struct failing {
    struct disk_image image;
    _Atomic int error;
    unsigned flushes;
    u8 bytes[MB];
};

static int failing_read(struct disk_image *image, u64 offset, struct span to)
{
    struct failing *f = container_of(image, struct failing, image);
    if (!f->error) span_write(to, f->bytes + offset);
    return f->error;
}

static int failing_read_now(struct disk_image *image, u64 offset, struct span to)
{
    return -EAGAIN;
}

static int failing_write(struct disk_image *image, u64 offset, struct span from)
{
    struct failing *f = container_of(image, struct failing, image);
    if (!f->error) span_read(from, f->bytes + offset);
    return f->error;
}

static int failing_flush(struct disk_image *image)
{
    struct failing *f = container_of(image, struct failing, image);
    int failed = f->error;
    __atomic_add_fetch(&f->flushes, 1, __ATOMIC_SEQ_CST);
    sem_post(&flushed);
    return failed;
}

static int failing_zero(struct disk_image *image, u64 offset, u64 bytes)
{
    struct failing *f = container_of(image, struct failing, image);
    if (!f->error) memset(f->bytes + offset, 0, bytes);
    return f->error;
}

static int failing_close(struct disk_image *image)
{
    return 0;
}

static const struct disk_image_ops failing_ops = {.format = "failing",
                                                  .read = failing_read,
                                                  .read_now = failing_read_now,
                                                  .write = failing_write,
                                                  .flush = failing_flush,
                                                  .discard = failing_zero,
                                                  .zero = failing_zero,
                                                  .close = failing_close};

static struct failing failing = {.image = {&failing_ops, MB, false}};

/* --- requests --- */

struct order {
    struct disk_request request;
    struct iovec part[4];
    bool done;
};

static unsigned done_count;

static void done(struct disk_request *request)
{
    container_of(request, struct order, request)->done = true;
    done_count++;
}

static void submit(struct disk *disk, struct order *order, enum disk_operation operation, u64 offset,
                   void *memory, u64 bytes)
{
    *order = (struct order){.request = {.operation = operation,
                                        .offset = offset,
                                        .bytes = bytes,
                                        .part = order->part,
                                        .part_count = 4,
                                        .done = done}};
    /* Scattered in memory, at odd addresses, with empty parts. */
    u64 third = bytes / 3 | 1;
    if (memory && bytes >= 3) {
        order->part[1] = (struct iovec){memory, third};
        order->part[3] = (struct iovec){(u8 *)memory + third, bytes - third};
    }
    disk_submit(disk, &order->request);
    CHECK(!order->done);
}

static int wait_for(struct order *order)
{
    while (!order->done)
        read_letters();
    return order->request.error;
}

static int run(struct disk *disk, enum disk_operation operation, u64 offset, void *memory, u64 bytes)
{
    struct order order;
    submit(disk, &order, operation, offset, memory, bytes);
    return wait_for(&order);
}

static struct disk_image *open_raw(const char *path, bool read_only)
{
    struct disk_image_how how = {.format = "raw", .read_only = read_only};
    return disk_image_open(path, &how, error, sizeof(error));
}

static void fill(u8 *bytes, u64 count, unsigned seed)
{
    for (u64 n = 0; n < count; n++)
        bytes[n] = (u8)(n * 7 + n / 512 + seed);
}

/* --- tests --- */

static void test_transfers(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    static u8 wrote[MB], read[MB];
    static struct order orders[64];
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, open_raw(file_named("raw", MB), false), "raw");
    CHECK_EQ(disk.disk.bytes, MB);
    fill(wrote, sizeof(wrote), 1);
    for (unsigned n = 0; n < 64; n++)
        submit(&disk.disk, &orders[n], DISK_WRITE, n * 16384, wrote + n * 16384, 16384);
    for (unsigned n = 0; n < 64; n++)
        CHECK_EQ(wait_for(&orders[n]), 0);
    CHECK_EQ(run(&disk.disk, DISK_FLUSH, 0, NULL, 0), 0);
    for (unsigned n = 0; n < 64; n++)
        submit(&disk.disk, &orders[n], DISK_READ, n * 16384, read + n * 16384, 16384);
    for (unsigned n = 0; n < 64; n++)
        CHECK_EQ(wait_for(&orders[n]), 0);
    CHECK(!memcmp(wrote, read, MB));
    CHECK_EQ(run(&disk.disk, DISK_ZERO, 512, NULL, 100 * 512), 0);
    memset(wrote + 512, 0, 100 * 512);
    CHECK_EQ(run(&disk.disk, DISK_DISCARD, 512, NULL, 100 * 512), 0);
    CHECK_EQ(run(&disk.disk, DISK_READ, 0, read, MB), 0);
    CHECK(!memcmp(wrote, read, MB));
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
}

static void test_refusals(void)
{
    struct disk_crew crew;
    struct block_disk disk, empty;
    u8 sector[512];
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, open_raw(file_named("raw", MB), true), "raw");
    block_disk_init(&empty, &crew, NULL, "empty");
    CHECK_EQ(run(&disk.disk, DISK_READ, MB, sector, 512), -EINVAL);
    CHECK_EQ(run(&disk.disk, DISK_READ, ~0ull << 9, sector, 512), -EINVAL);
    CHECK_EQ(run(&disk.disk, DISK_READ, 1, sector, 512), -EINVAL);
    CHECK_EQ(run(&disk.disk, DISK_READ, 0, sector, 511), -EINVAL);
    CHECK_EQ(run(&disk.disk, DISK_READ, 0, NULL, 512), -EINVAL);
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), -EROFS);
    CHECK_EQ(run(&disk.disk, DISK_DISCARD, 0, NULL, 512), -EROFS);
    CHECK_EQ(run(&disk.disk, DISK_FLUSH, 0, NULL, 0), 0);
    CHECK_EQ(run(&disk.disk, DISK_READ, 0, sector, 512), 0);
    CHECK_EQ(run(&disk.disk, DISK_READ, 0, sector, 0), 0);
    CHECK_EQ(disk.counts.of[DISK_READ].refused, 5);
    CHECK_EQ(disk.counts.of[DISK_WRITE].refused, 1);
    CHECK_EQ(disk.counts.of[DISK_READ].done, 2);
    CHECK_EQ(disk.counts.of[DISK_READ].bytes, 512);
    CHECK_EQ(empty.disk.bytes, 0);
    CHECK_EQ(run(&empty.disk, DISK_READ, 0, sector, 512), -ENOMEDIUM);
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
    block_disk_destroy(&empty);
}

static unsigned stalls, resumes;

static void stalled(void *machine, const char *message)
{
    CHECK(strstr(message, "No space left") != NULL);
    stalls++;
}

static void resumed(void *machine)
{
    resumes++;
}

static void test_policies(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    static u8 sector[512];
    struct order a, b;
    disk_crew_init(&crew, &box, NULL);
    crew.stalled = stalled;
    crew.resumed = resumed;
    block_disk_init(&disk, &crew, &failing.image, "failing");
    failing.error = -EIO;
    CHECK_EQ(run(&disk.disk, DISK_READ, 0, sector, 512), -EIO);
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), -EIO);
    CHECK_EQ(run(&disk.disk, DISK_FLUSH, 0, NULL, 0), -EIO);
    disk.on_write_error = ON_ERROR_IGNORE;
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), 0);
    CHECK_EQ(disk.counts.of[DISK_READ].failed, 1);
    CHECK_EQ(disk.counts.of[DISK_WRITE].failed, 1);
    CHECK_EQ(disk.counts.of[DISK_WRITE].done, 1);
    disk.on_write_error = ON_ERROR_ENOSPC;
    failing.error = -ENOSPC;
    memset(sector, 0x5a, sizeof(sector));
    submit(&disk.disk, &a, DISK_WRITE, 512, sector, 512);
    submit(&disk.disk, &b, DISK_WRITE, 1024, sector, 512);
    while (crew.held.count < 2)
        read_letters();
    CHECK_EQ(stalls, 1);
    disk_crew_retry(&crew);
    CHECK_EQ(crew.retrying, 2);
    while (crew.retrying)
        read_letters();
    CHECK_EQ(crew.held.count, 2);
    CHECK(!a.done && !b.done);
    CHECK_EQ(resumes, 0);
    failing.error = 0;
    disk_crew_retry(&crew);
    CHECK_EQ(wait_for(&a), 0);
    CHECK_EQ(wait_for(&b), 0);
    while (!resumes)
        read_letters();
    CHECK_EQ(stalls, 1);
    CHECK_EQ(resumes, 1);
    CHECK_EQ(failing.bytes[512], 0x5a);
    CHECK_EQ(failing.bytes[1535], 0x5a);
    /* However often a request was tried, it counts once. */
    CHECK_EQ(disk.counts.of[DISK_WRITE].failed, 1);
    CHECK_EQ(disk.counts.of[DISK_WRITE].done, 3);
    CHECK_EQ(disk.counts.of[DISK_WRITE].bytes, 1536);
    CHECK_EQ(disk.counts.written_to, 1536);
    /* A request that is held when the machine ends is dropped. */
    failing.error = -ENOSPC;
    submit(&disk.disk, &a, DISK_WRITE, 512, sector, 512);
    while (stalls < 2)
        read_letters();
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
    failing.error = 0;
}

/* A reset of the machine finishes the requests under way, with threads and without. */
static void test_drain(struct clock *clock)
{
    struct disk_crew crew;
    struct block_disk disk;
    static struct order order[64];
    static u8 sector[64][512];
    disk_crew_init(&crew, &box, clock);
    block_disk_init(&disk, &crew, &failing.image, "drained");
    disk_crew_drain(&crew);
    for (unsigned n = 1; n < 64; n++)
        submit(&disk.disk, &order[n], n & 1 ? DISK_WRITE : DISK_READ, n * 512, sector[n], 512);
    submit(&disk.disk, &order[0], DISK_READ, 2 * MB, sector[0], 512);
    disk_crew_drain(&crew);
    for (unsigned n = 0; n < 64; n++)
        CHECK(order[n].done);
    CHECK(!clock || clock_next_deadline(clock) == UINT64_MAX);
    CHECK(!mailbox_run(&box));
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
}

static u64 now_ns;

static u64 fake_now(const struct clock *clock)
{
    return now_ns;
}

static void test_deterministic(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    struct clock clock = {.now_ns = fake_now};
    struct order a, b, c;
    static u8 wrote[4096], read[4096];
    fill(wrote, sizeof(wrote), 9);
    disk_crew_init(&crew, &box, &clock);
    block_disk_init(&disk, &crew, &failing.image, "deterministic");
    submit(&disk.disk, &a, DISK_WRITE, 4096, wrote, 4096);
    submit(&disk.disk, &b, DISK_READ, 4096, read, 4096);
    submit(&disk.disk, &c, DISK_READ, 2 * MB, read, 4096);
    clock_run(&clock);
    CHECK(!a.done);
    u64 first = clock_next_deadline(&clock);
    CHECK(first > now_ns && first < UINT64_MAX);
    now_ns = first;
    clock_run(&clock);
    CHECK(a.done && !b.done);
    now_ns = clock_next_deadline(&clock);
    clock_run(&clock);
    CHECK(b.done && !c.done);
    CHECK(!memcmp(wrote, read, 4096));
    now_ns = clock_next_deadline(&clock);
    clock_run(&clock);
    CHECK(c.done);
    CHECK_EQ(c.request.error, -EINVAL);
    CHECK_EQ(clock_next_deadline(&clock), UINT64_MAX);
    CHECK(!mailbox_run(&box));
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
}

/* A paused deterministic machine has no guest time in which to try again. */
static void test_deterministic_retry(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    struct clock clock = {.now_ns = fake_now};
    struct order a, b;
    static u8 sector[512];
    stalls = resumes = 0;
    disk_crew_init(&crew, &box, &clock);
    crew.stalled = stalled;
    crew.resumed = resumed;
    block_disk_init(&disk, &crew, &failing.image, "deterministic");
    failing.error = -ENOSPC;
    submit(&disk.disk, &a, DISK_WRITE, 512, sector, 512);
    submit(&disk.disk, &b, DISK_WRITE, 1024, sector, 512);
    for (unsigned n = 0; n < 2; n++) {
        now_ns = clock_next_deadline(&clock);
        clock_run(&clock);
    }
    CHECK_EQ(stalls, 1);
    disk_crew_retry(&crew);
    CHECK(!a.done && !b.done && !resumes);
    failing.error = 0;
    disk_crew_retry(&crew);
    CHECK(a.done && b.done);
    CHECK_EQ(stalls, 1);
    CHECK_EQ(resumes, 1);
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
}

static unsigned flushes(void)
{
    return __atomic_load_n(&failing.flushes, __ATOMIC_SEQ_CST);
}

static void wait_for_flushes(unsigned count)
{
    while (flushes() < count)
        event_wait(&flushed, "a flush");
}

/* Whether a flush by the disk's own timer is still to come. */
static bool write_back_planned(struct disk_crew *crew)
{
    disk_crew_lock_idle(crew);
    bool planned = crew->write_back_at != UINT64_MAX;
    disk_crew_unlock(crew);
    return planned;
}

/* An image that keeps tables is flushed a while after a write without a request, and again until that
 * succeeds. */
static void test_write_back(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    static u8 sector[512];
    struct disk_image_ops ops = failing_ops;
    ops.keeps_tables = true;
    failing.image.ops = &ops;
    failing.flushes = 0;
    disk_crew_init(&crew, &box, NULL);
    crew.write_back_ns = 20000000;
    block_disk_init(&disk, &crew, &failing.image, "keeping");
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), 0);
    wait_for_flushes(1);
    CHECK(!write_back_planned(&crew));
    CHECK_EQ(flushes(), 1);
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), 0);
    failing.error = -EIO;
    wait_for_flushes(3);
    CHECK_EQ(run(&disk.disk, DISK_FLUSH, 0, NULL, 0), -EIO);
    failing.error = 0;
    unsigned before = flushes();
    wait_for_flushes(before + 1);
    CHECK(!write_back_planned(&crew));
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
    failing.image.ops = &failing_ops;
}

/* A disk without a cache, and one that is closed, leave nothing in the cache. */
static void test_flushes(void)
{
    struct disk_crew crew;
    struct block_disk disk;
    static u8 sector[512];
    failing.flushes = 0;
    disk_crew_init(&crew, &box, NULL);
    block_disk_init(&disk, &crew, &failing.image, "through");
    disk.write_through = true;
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), 0);
    CHECK_EQ(flushes(), 1);
    CHECK_EQ(run(&disk.disk, DISK_ZERO, 0, NULL, 512), 0);
    CHECK_EQ(flushes(), 2);
    disk.write_through = false;
    CHECK_EQ(run(&disk.disk, DISK_WRITE, 0, sector, 512), 0);
    CHECK_EQ(flushes(), 2);
    CHECK(block_disk_change(&disk, &failing.image, "another"));
    CHECK_EQ(flushes(), 3);
    disk_crew_destroy(&crew);
    block_disk_destroy(&disk);
    CHECK_EQ(flushes(), 4);
}

static void test_locks(void)
{
    const char *path = file_named("locked", MB);
    struct disk_image *reader = open_raw(path, true), *other = open_raw(path, true);
    CHECK(reader && other);
    CHECK(!open_raw(path, false));
    CHECK(strstr(error, "in use") != NULL);
    disk_image_close(reader);
    disk_image_close(other);
    struct disk_image *writer = open_raw(path, false);
    CHECK(writer != NULL);
    CHECK(!open_raw(path, true));
    CHECK(!open_raw(path, false));
    disk_image_close(writer);
    writer = open_raw(path, false);
    CHECK(writer != NULL);
    disk_image_close(writer);
}

static int transfer(struct disk_image *image, bool write, u64 offset, void *memory, u64 bytes)
{
    struct iovec part;
    struct span span = span_of(&part, memory, bytes);
    return write ? image->ops->write(image, offset, span) : image->ops->read(image, offset, span);
}

static void test_overlay(void)
{
    const u64 odd = MB - 5 * 512;
    static u8 model[MB], read[MB], piece[65536];
    const char *path = file_named("base", odd);
    struct disk_image *base = open_raw(path, false);
    fill(model, odd, 3);
    CHECK_EQ(transfer(base, true, 0, model, odd), 0);
    disk_image_close(base);
    struct disk_image *overlay = overlay_open(open_raw(path, true), error, sizeof(error));
    CHECK(overlay != NULL);
    if (!overlay) return;
    srand(1);
    for (unsigned n = 0; n < 400; n++) {
        u64 offset = (u64)rand() % (odd / 512) * 512, bytes = ((u64)rand() % 64 + 1) * 512;
        if (bytes > odd - offset) bytes = odd - offset;
        if (n % 5 == 0) {
            CHECK_EQ(overlay->ops->zero(overlay, offset, bytes), 0);
            memset(model + offset, 0, bytes);
        } else {
            fill(piece, bytes, n);
            memcpy(model + offset, piece, bytes);
            CHECK_EQ(transfer(overlay, true, offset, piece, bytes), 0);
        }
    }
    CHECK_EQ(transfer(overlay, false, 0, read, odd), 0);
    CHECK(!memcmp(model, read, odd));
    disk_image_close(overlay);
    base = open_raw(path, true);
    fill(model, odd, 3);
    CHECK_EQ(transfer(base, false, 0, read, odd), 0);
    CHECK(!memcmp(model, read, odd));
    disk_image_close(base);
}

/* A base in which, while a block is read for a write of a part of it, another thread writes all of it. */
struct slow_base {
    struct disk_image image;
    struct disk_image *overlay;
    u8 block[4096];
    pthread_t other;
    long other_id; /* atomic */
};

static void *write_all(void *argument)
{
    struct slow_base *base = argument;
    __atomic_store_n(&base->other_id, gettid(), __ATOMIC_SEQ_CST);
    return transfer(base->overlay, true, 0, base->block, sizeof(base->block)) ? base : NULL;
}

static int slow_read(struct disk_image *image, u64 offset, struct span to)
{
    struct slow_base *base = container_of(image, struct slow_base, image);
    span_clear(to);
    CHECK(!pthread_create(&base->other, NULL, write_all, base));
    while (!__atomic_load_n(&base->other_id, __ATOMIC_SEQ_CST))
        sched_yield();
    wait_until_asleep(
        base->other_id); /* it waits for this read, or has written already, which is the error */
    return 0;
}

static void test_overlay_race(void)
{
    static const struct disk_image_ops ops = {.read = slow_read, .close = failing_close};
    static struct slow_base base = {.image = {&ops, MB, true}};
    static u8 read[4096];
    base.overlay = overlay_open(&base.image, error, sizeof(error));
    CHECK(base.overlay != NULL);
    if (!base.overlay) return;
    memset(base.block, 0x77, sizeof(base.block));
    CHECK_EQ(transfer(base.overlay, true, 512, base.block, 512), 0);
    void *failed = &base;
    pthread_join(base.other, &failed);
    CHECK(!failed);
    CHECK_EQ(transfer(base.overlay, false, 0, read, 4096), 0);
    CHECK(!memcmp(read, base.block, 4096));
    disk_image_close(base.overlay);
}

/* Data that are truncated while in use do not read as zeros. */
static void test_truncated(void)
{
    static u8 read[4096];
    const char *path = file_named("cut", MB);
    struct disk_image *image = open_raw(path, false);
    CHECK(!truncate(path, MB / 2));
    CHECK_EQ(transfer(image, false, 0, read, 4096), 0);
    CHECK_EQ(transfer(image, false, MB / 2 - 512, read, 1024), -EIO);
    CHECK_EQ(transfer(image, false, MB - 512, read, 512), -EIO);
    /* A write does not turn lost data into zeros either. */
    CHECK_EQ(transfer(image, true, MB - 512, read, 512), -EIO);
    CHECK_EQ(image->ops->zero(image, MB - 512, 512), -EIO);
    CHECK_EQ(transfer(image, false, MB / 2, read, 512), -EIO);
    CHECK_EQ(image->ops->flush(image), -EIO);
    disk_image_close(image);
    /* Half a sector at the end counts as one. */
    image = open_raw(file_named("odd", 700), false);
    CHECK_EQ(image->bytes, 1024);
    CHECK_EQ(transfer(image, false, 512, read, 512), 0);
    CHECK_EQ(transfer(image, true, 512, read, 512), 0);
    disk_image_close(image);
}

static int sync_error;

/* Instead of the C library's. */
int fdatasync(int fd)
{
    errno = sync_error;
    return sync_error ? -1 : fsync(fd);
}

/* After a failed sync the host marks the pages that it could not write as clean, so another sync would succeed. */
static void test_lost(void)
{
    static u8 sector[512];
    struct disk_image *image = open_raw(file_named("lost", MB), false);
    CHECK_EQ(transfer(image, true, 0, sector, 512), 0);
    sync_error = ENOSPC;
    CHECK_EQ(image->ops->flush(image), -EIO); /* a second attempt does not help, whatever the error was */
    sync_error = 0;
    CHECK_EQ(image->ops->flush(image), -EIO);
    CHECK_EQ(transfer(image, true, 0, sector, 512), -EIO);
    CHECK_EQ(transfer(image, false, 0, sector, 512), 0);
    disk_image_close(image);
}

int main(void)
{
    if (!mkdtemp(directory) || sem_init(&letter, 0, 0) || sem_init(&flushed, 0, 0)) return 1;
    test_transfers();
    test_refusals();
    test_policies();
    test_deterministic();
    test_deterministic_retry();
    test_write_back();
    test_flushes();
    test_drain(NULL);
    test_drain(&(struct clock){.now_ns = fake_now});
    test_locks();
    test_overlay();
    test_overlay_race();
    test_truncated();
    test_lost();
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", directory);
    CHECK_EQ(system(command), 0);
    return check_report();
}
