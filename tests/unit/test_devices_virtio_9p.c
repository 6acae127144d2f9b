/*
 * The virtio 9P transport: its tag, chains in and out, a reset while a message is with the server, and drivers that
 * leave no room for a reply.
 */
#include "check.h"
#include "devices/virtio/virtio_9p.h"
#include "virtio_rig.h"

static struct rig rig;
static struct virtio_9p device;
static struct share_request *held[VIRTIO_9P_REQUESTS];
static unsigned holds, forgotten;

static void submit(struct share *share, struct share_request *request)
{
    held[holds++] = request;
}

static void forget(struct share *share)
{
    forgotten++;
}

static struct share share = {submit, forget};

static void start(bool legacy)
{
    struct virtio_options options = {.devfn = PCI_DEVFN(3, 0)};
    struct dma dma = rig_dma(&rig);
    rig_init(&rig);
    rig.legacy = legacy;
    rig.virtio = &device.virtio;
    virtio_9p_init(&device, &rig.bus, &dma, &options, &share, "tag");
    holds = forgotten = 0;
    rig_start(&rig, VIRTIO_9P_MOUNT_TAG, 1);
}

static u16 add(u32 in, u32 out)
{
    struct rig_buffer buffer[] = {{0x20000, in, false}, {0x30000, out, true}};
    u16 head = rig_add(&rig, 0, buffer, out ? 2 : 1);
    rig_notify(&rig, 0);
    return head;
}

static void test_tag(bool legacy)
{
    start(legacy);
    u32 base = legacy ? 20 : 0x2000;
    u32 (*read)(struct rig * rig, u32 offset, unsigned size) = legacy ? rig_in : rig_read;
    CHECK_EQ(read(&rig, base, 2), 3);
    CHECK_EQ(read(&rig, base + 2, 1), 't');
    CHECK_EQ(read(&rig, base + 4, 1), 'g');
    CHECK_EQ(read(&rig, base + 5, 1), 0);
    CHECK_EQ(rig_config_read(&rig, PCI_DEVICE, 2), 0x1009);
}

static void test_message(void)
{
    u32 got, written;
    start(false);
    memcpy(rig.ram + 0x20000, "message", 7);
    u16 head = add(7, 100);
    CHECK_EQ(holds, 1);
    CHECK(!rig_get(&rig, 0, &got, &written));
    CHECK_EQ(held[0]->in_bytes, 7);
    CHECK_EQ(held[0]->out_bytes, 100);
    CHECK(!memcmp(held[0]->in[0].iov_base, "message", 7));
    memcpy(held[0]->out[0].iov_base, "reply", 5);
    held[0]->written = 5;
    held[0]->done(held[0]);
    CHECK(rig_get(&rig, 0, &got, &written));
    CHECK_EQ(got, head);
    CHECK_EQ(written, 5);
    CHECK(rig.line);
}

/* The driver waits until the server lets the buffers go. */
static void test_reset(void)
{
    u32 got, written;
    start(false);
    add(7, 100);
    rig_write(&rig, 20, 1, 0);
    CHECK_EQ(forgotten, 2); /* the driver resets at its start, too */
    CHECK(rig_status(&rig) != 0);
    held[0]->written = 0;
    held[0]->done(held[0]);
    CHECK_EQ(rig_status(&rig), 0);
    rig_start(&rig, VIRTIO_9P_MOUNT_TAG, 1);
    CHECK(!rig_get(&rig, 0, &got, &written));
    for (unsigned n = 0; n < 8; n++)
        add(7, 100);
    CHECK_EQ(holds, 9);
}

static void test_broken(void)
{
    start(false);
    add(7, 0);
    CHECK_EQ(holds, 1);
    CHECK_EQ(held[0]->out_count, 0);
    held[0]->broken = true;
    held[0]->done(held[0]);
    CHECK(rig_status(&rig) & VIRTIO_NEEDS_RESET);
}

int main(void)
{
    test_tag(false);
    test_tag(true);
    test_message();
    test_reset();
    test_broken();
    return check_report();
}
