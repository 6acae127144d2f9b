/*
 * kill -9 at any moment: a child writes through crew threads, with several requests in flight, and is killed. qemu-
 * img must find no error in the image, and all flushed data must be there. The next child uses the same image.
 */
#include "base/hash.h"
#include "block/block_disk.h"
#include "block_rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SECTOR    512u
#define SIZE      (4u << 20)
#define SECTORS   (SIZE / SECTOR)
#define IN_FLIGHT 8u
#define BATCHES   100000u
/* Each request of a batch has a part of the medium to itself. The parts are not aligned to clusters. */
#define LANE_SECTORS (SECTORS / IN_FLIGHT)

/* The child's report, in memory that outlives the child. */
struct progress {
    u64 begun, flushed; /* batches */
};

struct order {
    struct disk_request request;
    struct iovec part;
    bool done;
    u8 bytes[64 * SECTOR];
};

static struct progress *progress;
static struct mailbox box;

/* The writer and the checker make the same batch. */
static u64 batch_seed(u64 child, u64 batch)
{
    return (child * BATCHES + batch + 1) * HASH_MULTIPLIER | 1;
}

struct plan {
    enum disk_operation operation;
    u64 first, count; /* sectors */
};

static struct plan plan_of(unsigned lane)
{
    struct plan plan = {DISK_WRITE, rig_random() % LANE_SECTORS, rig_random() % 64 + 1};
    if (rig_random() % 8 == 0) plan.operation = DISK_ZERO;
    if (rig_random() % 8 == 0) plan.first &= ~(u64)15;
    if (plan.count > LANE_SECTORS - plan.first) plan.count = LANE_SECTORS - plan.first;
    /* Lanes begin in the middle of clusters, so that neighbours meet there. */
    plan.first = (plan.first + lane * LANE_SECTORS + 3) % SECTORS;
    if (plan.count > SECTORS - plan.first) plan.count = SECTORS - plan.first;
    return plan;
}

static u64 tag_of(u64 child, u64 batch, const struct plan *plan)
{
    return plan->operation == DISK_ZERO ? 0 : child << 32 | (batch + 1);
}

/* --- the child --- */

static void done(struct disk_request *request)
{
    if (request->error) _exit(3);
    container_of(request, struct order, request)->done = true;
}

static void wait_for(struct order *order)
{
    while (!order->done)
        mailbox_run(&box);
}

static void submit(struct disk *disk, struct order *order, const struct plan *plan, u64 tag)
{
    for (u64 at = 0; at < plan->count * SECTOR; at += sizeof(tag))
        memcpy(order->bytes + at, &tag, sizeof(tag));
    order->part = (struct iovec){order->bytes, plan->count * SECTOR};
    order->done = false;
    order->request = (struct disk_request){.operation = plan->operation,
                                           .offset = plan->first * SECTOR,
                                           .bytes = plan->count * SECTOR,
                                           .part = &order->part,
                                           .part_count = 1,
                                           .done = done};
    disk_submit(disk, &order->request);
}

static void flush(struct disk *disk)
{
    struct order order = {.request = {.operation = DISK_FLUSH, .done = done}};
    disk_submit(disk, &order.request);
    wait_for(&order);
}

static void child(u64 number)
{
    static struct order orders[IN_FLIGHT];
    struct disk_crew crew;
    struct block_disk disk;
    disk_crew_init(&crew, &box, NULL);
    struct disk_image *image = rig_open("image", "qcow2", false);
    if (!image) _exit(2);
    block_disk_init(&disk, &crew, image, "image");
    for (u64 batch = 0; batch < BATCHES; batch++) {
        rig_seed = batch_seed(number, batch);
        __atomic_store_n(&progress->begun, batch + 1, __ATOMIC_SEQ_CST);
        for (unsigned n = 0; n < IN_FLIGHT; n++) {
            struct plan plan = plan_of(n);
            submit(&disk.disk, &orders[n], &plan, tag_of(number, batch, &plan));
        }
        bool flushes = rig_random() % 4 == 0;
        for (unsigned n = 0; n < IN_FLIGHT; n++)
            wait_for(&orders[n]);
        if (flushes) {
            flush(&disk.disk);
            __atomic_store_n(&progress->flushed, batch + 1, __ATOMIC_SEQ_CST);
        }
    }
    _exit(0);
}

/* --- the parent --- */

static u64 before[SECTORS]; /* the contents that the last child left */

static bool holds(const u8 *sector, u64 tag)
{
    for (unsigned at = 0; at < SECTOR; at += sizeof(tag))
        if (memcmp(sector + at, &tag, sizeof(tag))) return false;
    return true;
}

static unsigned check_contents(u64 number)
{
    static u64 stable[SECTORS];
    static u8 bytes[SIZE], good[SECTORS];
    unsigned wrong = 0;
    struct disk_image *image = rig_open("image", "qcow2", true);
    if (!image || rig_read(image, 0, bytes, SIZE)) return SECTORS;
    disk_image_close(image);
    memcpy(stable, before, sizeof(stable));
    memset(good, 0, sizeof(good));
    for (u64 batch = 0; batch < progress->begun; batch++) {
        rig_seed = batch_seed(number, batch);
        for (unsigned n = 0; n < IN_FLIGHT; n++) {
            struct plan plan = plan_of(n);
            u64 tag = tag_of(number, batch, &plan);
            for (u64 s = plan.first; s < plan.first + plan.count; s++) {
                if (batch < progress->flushed)
                    stable[s] = tag;
                else if (holds(bytes + s * SECTOR, tag))
                    good[s] = 1;
            }
        }
    }
    for (unsigned s = 0; s < SECTORS; s++) {
        if (!good[s] && !holds(bytes + s * SECTOR, stable[s])) wrong++;
        memcpy(&before[s], bytes + s * SECTOR, sizeof(before[s]));
    }
    return wrong;
}

static void test_kills(const char *options, unsigned kills)
{
    u64 batches = 0;
    memset(before, 0, sizeof(before));
    CHECK(rig_run("qemu-img create -f qcow2 -o %s image %u", options, SIZE));
    for (unsigned n = 0; n < kills; n++) {
        *progress = (struct progress){0, 0};
        pid_t pid = fork();
        if (!pid) child(n + 1);
        /* Some die while they open the image, the others with their first batches begun. */
        while (n % 4 && !__atomic_load_n(&progress->begun, __ATOMIC_SEQ_CST) && !waitpid(pid, NULL, WNOHANG))
            usleep(100);
        usleep(2000 + (unsigned)(batch_seed(n, 7) >> 20) % 60000);
        CHECK(!kill(pid, SIGKILL));
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        CHECK(rig_run("qemu-img check -f qcow2 image || [ $? -eq 3 ]"));
        CHECK_EQ(check_contents(n + 1), 0);
        batches += progress->begun;
    }
    printf("%s: %llu batches\n", options, (unsigned long long)batches);
    CHECK(batches > kills / 2);
    CHECK(rig_run(
        "qemu-img check -q -f qcow2 -r leaks image || [ $? -eq 3 ] && qemu-img check -f qcow2 image"));
}

int main(int argc, char **argv)
{
    unsigned kills = argc > 1 ? (unsigned)atoi(argv[1]) : 12;
    if (!rig_begin()) return 0;
    progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_kills("cluster_size=64k", kills);
    test_kills("cluster_size=4k", kills);
    test_kills("cluster_size=512,refcount_bits=64", kills);
    return rig_end();
}
