/*
 * Virtio console. See virtio_console.h.
 */
#include "virtio_console.h"

#define CLASS_COMMUNICATION_OTHER 0x078000u
#define QUEUE_SIZE                128

enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUES };

/* Configuration (5.3.4). Screen size and number of ports belong to features that are not offered. */
enum { CONFIG_EMERGENCY_WRITE = 8, CONFIG_BYTES = 12 };

/* Bytes that are sent before other work is done. */
#define SEND_BYTES 65536u

static void send_some(struct virtio_console *console)
{
    struct virtio *virtio = &console->virtio;
    const struct virtio_chain *chain = &console->output;
    u8 piece[512];
    u64 count = 0;
    if (!virtio_chain_is_live(virtio, chain)) console->sending = false;
    for (u64 left = SEND_BYTES; left; left -= count) {
        if (!console->sending && !virtio_take(virtio, QUEUE_TRANSMIT, &console->output)) break;
        if (!console->sending) console->sent = 0;
        count = virtio_chain_read(chain, console->sent, piece, left < sizeof(piece) ? left : sizeof(piece));
        u64 taken = count ? console->transmit(console->sink, piece, count) : 0;
        console->sent += taken;
        console->blocked = taken < count;
        console->sending = count && console->sent < chain->readable_bytes;
        if (console->blocked) break;
        if (!console->sending) virtio_give(virtio, chain, 0);
    }
    if (!console->blocked && (console->sending || virtio_is_waiting(virtio, QUEUE_TRANSMIT)))
        timer_arm(&console->more, clock_now(console->more.clock) + 1);
    virtio_interrupt(virtio, QUEUE_TRANSMIT);
}

void virtio_console_go_on(struct virtio_console *console)
{
    if (!console->blocked) return;
    console->blocked = false;
    send_some(console);
}

static void more(void *device)
{
    send_some(device);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);
    if (queue == QUEUE_TRANSMIT && !console->more.armed && !console->blocked)
        send_some(console);
    else if (queue == QUEUE_RECEIVE && console->room)
        console->room(console->sink);
}

static void reset(struct virtio *virtio)
{
    struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);
    console->sending = console->blocked = false;
    timer_cancel(&console->more);
}

unsigned virtio_console_receive(struct virtio_console *console, const u8 *bytes, unsigned count)
{
    struct virtio *virtio = &console->virtio;
    unsigned done = 0;
    while (done < count && virtio_take(virtio, QUEUE_RECEIVE, &console->input)) {
        u64 now = virtio_chain_write(&console->input, 0, bytes + done, count - done);
        virtio_give(virtio, &console->input, (u32)now);
        done += (unsigned)now;
    }
    virtio_interrupt(virtio, QUEUE_RECEIVE);
    return done;
}

/* A character for the console without a queue, for early messages (emergency write). */
static void config_written(struct virtio *virtio, u32 offset, unsigned size)
{
    struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);
    if (offset == CONFIG_EMERGENCY_WRITE)
        console->transmit(console->sink, &virtio->config[CONFIG_EMERGENCY_WRITE], 1);
}

static const struct virtio_kind console_kind = {
    .notify = notify, .config_written = config_written, .reset = reset};

void virtio_console_init(struct virtio_console *console, struct pci_bus *bus, const struct dma *dma,
                         const struct virtio_options *options, struct clock *clock,
                         u64 (*transmit)(void *sink, const u8 *bytes, u64 count), void (*room)(void *sink),
                         void *sink)
{
    static const u16 sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE};
    console->transmit = transmit;
    console->room = room;
    console->sink = sink;
    console->sending = console->blocked = false;
    timer_init(&console->more, clock, more, console);
    virtio_init(&console->virtio, &console_kind, bus, dma, options, VIRTIO_CONSOLE, CLASS_COMMUNICATION_OTHER,
                VIRTIO_CONSOLE_F_EMERG_WRITE, sizes, QUEUES);
    console->virtio.config_bytes = CONFIG_BYTES;
    store_any(&console->virtio.config_writable[CONFIG_EMERGENCY_WRITE], 4, 0xffffffff);
}
