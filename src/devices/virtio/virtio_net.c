/*
 * Virtio network card. See virtio_net.h.
 *
 * Every frame has a header (5.1.6): struct net_offload and, from version 1 on or with mergeable buffers, the number of
 * buffers of the frame.
 */
#include "virtio_net.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_NETWORK_ETHERNET 0x020000u

enum { RECEIVE_QUEUE, SEND_QUEUE, COMMAND_QUEUE, QUEUES };

/* Configuration (5.1.4) */
enum {
    CONFIG_MAC = 0,
    CONFIG_STATUS = 6,
    CONFIG_PAIRS = 8,
    CONFIG_MTU = 10,
    CONFIG_SPEED = 12,
    CONFIG_DUPLEX = 16,
    CONFIG_BYTES = 17,
};
enum { STATUS_LINK_UP = 1, STATUS_ANNOUNCE = 2 };
#define SPEED_UNKNOWN  0xffffffffu
#define DUPLEX_UNKNOWN 0xff

/* Commands (5.1.6.5): class, command, data; a byte of answer. */
enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_VLAN = 2, CLASS_ANNOUNCE = 3, CLASS_OFFLOADS = 5 };
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1, VLAN_ADD = 0, VLAN_DELETE = 1, OFFLOADS_SET = 0 };
enum { ANSWER_OK = 0, ANSWER_ERROR = 1 };
#define COMMAND_BYTES 2
#define VLANS         4096

#define GUEST_OFFLOADS                                                                                       \
    (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN)

#define HOST_OFFLOADS                                                                                        \
    (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN)

/* The header without and with the number of buffers, and that number's offset. */
enum {
    HEADER_LEGACY_BYTES = sizeof(struct net_offload),
    HEADER_COUNT = HEADER_LEGACY_BYTES,
    HEADER_BYTES = HEADER_COUNT + 2
};

/* Pieces of host memory that a receive buffer may lie in. A driver that cannot merge gives 64 KB as 17 pages
 * and the header. */
#define BUFFER_PARTS 20

struct virtio_net_frame {
    struct net_frame frame; /* first */
    struct virtio_net_frame *next_free;
    bool out; /* with the cable */
    u32 epoch;
    u16 head;
    struct iovec part[VIRTIO_CHAIN_PARTS];
};

struct virtio_net_buffer {
    struct net_buffer buffer; /* first */
    struct virtio_net_buffer *next_free;
    bool out; /* with the cable */
    u32 epoch;
    u16 head;
    struct iovec part[BUFFER_PARTS];
    u64 gpa[BUFFER_PARTS];
};

static bool has_count(const struct virtio_net *net)
{
    return virtio_has(&net->virtio, VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_VERSION_1);
}

static u32 header_bytes(const struct virtio_net *net)
{
    return has_count(net) ? HEADER_BYTES : HEADER_LEGACY_BYTES;
}

/* Find the parts of a buffer from its byte `skip` on, and return their number. `skip` is less than the bytes of the
 * buffer. */
static unsigned skip_parts(const struct iovec *from, unsigned count, u32 skip, struct iovec *to)
{
    unsigned first = 0, n = 0;
    while (first < count && skip >= from[first].iov_len)
        skip -= (u32)from[first++].iov_len;
    for (; first < count; first++, skip = 0)
        to[n++] = (struct iovec){(u8 *)from[first].iov_base + skip, from[first].iov_len - skip};
    return n;
}

/* --- sending --- */

static void give_frame(struct virtio_net *net, struct virtio_net_frame *frame)
{
    virtio_give_head(&net->virtio, SEND_QUEUE, frame->epoch, frame->head, 0);
    frame->out = false;
    frame->next_free = net->free_frames;
    net->free_frames = frame;
}

/* The driver may leave only what was negotiated to the device (5.1.6.2.2). */
static struct net_offload sent_offload(const struct virtio_net *net, struct net_offload offload)
{
    const struct virtio *virtio = &net->virtio;
    u8 kind = offload.segmentation & ~NET_SEGMENT_ECN;
    bool may = kind == NET_WHOLE ||
               (kind == NET_SEGMENT_TCP4 && virtio_has(virtio, VIRTIO_NET_F_HOST_TSO4)) ||
               (kind == NET_SEGMENT_TCP6 && virtio_has(virtio, VIRTIO_NET_F_HOST_TSO6));
    if (!virtio_has(virtio, VIRTIO_NET_F_CSUM) || !may) return (struct net_offload){0};
    offload.flags &= NET_NEEDS_CHECKSUM;
    return offload;
}

static void begin_sending(struct virtio_net *net, struct virtio_net_frame *frame)
{
    const struct virtio_chain *chain = &net->chain;
    u32 skip = header_bytes(net);
    struct net_offload offload;
    frame->epoch = chain->epoch;
    frame->head = chain->head;
    if (chain->readable_bytes <= skip || chain->readable_bytes - skip > NET_FRAME_MAX) {
        give_frame(net, frame); /* no frame: nothing is sent */
        return;
    }
    virtio_chain_read(chain, 0, &offload, sizeof(offload));
    frame->frame.offload = sent_offload(net, offload);
    frame->frame.bytes = (u32)chain->readable_bytes - skip;
    frame->frame.part = frame->part;
    frame->frame.part_count = skip_parts(chain->part, chain->readable, skip, frame->part);
    frame->out = true;
    net_send(net->cable, &frame->frame);
}

static void send_frames(struct virtio_net *net)
{
    bool any = false;
    while (net->started && net->free_frames && virtio_take(&net->virtio, SEND_QUEUE, &net->chain)) {
        struct virtio_net_frame *frame = net->free_frames;
        net->free_frames = frame->next_free;
        begin_sending(net, frame);
        any = true;
    }
    if (any) net_flush(net->cable);
}

static void sent(void *card, struct net_frame *first)
{
    struct virtio_net *net = card;
    while (first) {
        struct net_frame *next = first->next;
        give_frame(net, container_of(first, struct virtio_net_frame, frame));
        first = next;
    }
    send_frames(net);
    virtio_interrupt(&net->virtio, SEND_QUEUE);
}

/* --- receiving --- */

static void free_buffer(struct virtio_net *net, struct virtio_net_buffer *buffer)
{
    buffer->out = false;
    buffer->next_free = net->free_buffers;
    net->free_buffers = buffer;
}

static bool offer_buffer(struct virtio_net *net, struct virtio_net_buffer *buffer)
{
    const struct virtio_chain *chain = &net->chain;
    u32 skip = header_bytes(net);
    if (chain->readable || chain->writable > BUFFER_PARTS || chain->writable_bytes <= skip) {
        virtio_break(&net->virtio, "a receive buffer that holds no frame");
        return false;
    }
    buffer->epoch = chain->epoch;
    buffer->head = chain->head;
    memcpy(buffer->part, chain->part, chain->writable * sizeof(chain->part[0]));
    memcpy(buffer->gpa, chain->gpa, chain->writable * sizeof(chain->gpa[0]));
    u64 capacity =
        chain->writable_bytes < NET_FRAME_MAX + skip ? chain->writable_bytes : NET_FRAME_MAX + skip;
    buffer->buffer = (struct net_buffer){
        .part = buffer->part, .part_count = chain->writable, .capacity = (u32)capacity, .reserved = skip};
    buffer->out = true;
    net_offer(net->cable, &buffer->buffer);
    return true;
}

static void offer_buffers(struct virtio_net *net)
{
    while (net->started && net->free_buffers && virtio_take(&net->virtio, RECEIVE_QUEUE, &net->chain)) {
        struct virtio_net_buffer *buffer = net->free_buffers;
        net->free_buffers = buffer->next_free;
        if (!offer_buffer(net, buffer)) free_buffer(net, buffer);
    }
}

static void put_header(const struct virtio_net_buffer *buffer, const u8 *header, u32 bytes)
{
    for (unsigned n = 0; n < buffer->buffer.part_count && bytes; n++) {
        u32 now = bytes < buffer->part[n].iov_len ? bytes : (u32)buffer->part[n].iov_len;
        memcpy(buffer->part[n].iov_base, header, now);
        header += now;
        bytes -= now;
    }
}

/* Report that the first `bytes` bytes of a buffer were written. */
static void tell_written(const struct virtio_net *net, const struct virtio_net_buffer *buffer, u32 bytes)
{
    const struct dma *dma = &net->virtio.dma;
    for (unsigned n = 0; n < buffer->buffer.part_count && bytes; n++) {
        u32 now = bytes < buffer->part[n].iov_len ? bytes : (u32)buffer->part[n].iov_len;
        dma->written(dma->memory, buffer->gpa[n], now);
        bytes -= now;
    }
}

static void give_buffer(struct virtio_net *net, struct virtio_net_buffer *buffer)
{
    u32 skip = header_bytes(net);
    u8 header[HEADER_BYTES] = {0};
    if (buffer->buffer.count) { /* the first of a frame */
        memcpy(header, &buffer->buffer.offload, sizeof(buffer->buffer.offload));
        store_any(header + HEADER_COUNT, 2, buffer->buffer.count);
        put_header(buffer, header, skip);
    } else {
        skip = 0; /* the others hold nothing but the frame (5.1.6.4) */
    }
    tell_written(net, buffer, skip + buffer->buffer.used);
    virtio_give_head(&net->virtio, RECEIVE_QUEUE, buffer->epoch, buffer->head, skip + buffer->buffer.used);
    free_buffer(net, buffer);
}

static void received(void *card, struct net_buffer *first)
{
    struct virtio_net *net = card;
    while (first) {
        struct net_buffer *next = first->next;
        give_buffer(net, container_of(first, struct virtio_net_buffer, buffer));
        first = next;
    }
    offer_buffers(net);
    virtio_interrupt(&net->virtio, RECEIVE_QUEUE);
}

/* --- what is received --- */

static bool in_table(const u8 (*table)[NET_MAC_BYTES], unsigned count, const u8 *mac)
{
    for (unsigned n = 0; n < count; n++)
        if (!memcmp(table[n], mac, NET_MAC_BYTES)) return true;
    return false;
}

static bool accepts_vlan(const struct virtio_net_filter *f, const u8 *frame, u32 bytes)
{
    if (!f->filters_vlans || bytes < NET_HEADER_BYTES + NET_VLAN_BYTES || frame[12] != 0x81 || frame[13])
        return true;
    unsigned vlan = (frame[14] & 15u) << 8 | frame[15];
    return f->vlan[vlan / 8] >> vlan % 8 & 1;
}

/* On the network thread. */
static bool accepts(const struct net_filter *filter, const u8 *frame, u32 bytes)
{
    const struct virtio_net_filter *f = (const struct virtio_net_filter *)filter->state;
    if (bytes < NET_HEADER_BYTES || !accepts_vlan(f, frame, bytes)) return false;
    if (f->promiscuous) return true;
    if (net_is_broadcast(frame)) return !f->no_broadcast;
    if (net_is_multicast(frame))
        return !f->no_multicast && (f->all_multicast || in_table(f->multicast, f->multicasts, frame));
    if (f->no_unicast) return false;
    return f->all_unicast || !memcmp(frame, f->mac, NET_MAC_BYTES) ||
           in_table(f->unicast, f->unicasts, frame);
}

static void update_filter(struct virtio_net *net)
{
    struct net_filter filter = {.accepts = accepts};
    memcpy(filter.state, &net->filter, sizeof(net->filter));
    net_set_filter(net->cable, net->started ? &filter : NULL);
}

static void update_receive(struct virtio_net *net)
{
    static const struct {
        u64 feature;
        u32 takes;
    } offloads[] = {{VIRTIO_NET_F_GUEST_CSUM, NET_TAKES_CHECKSUM},
                    {VIRTIO_NET_F_GUEST_TSO4, NET_TAKES_TCP4},
                    {VIRTIO_NET_F_GUEST_TSO6, NET_TAKES_TCP6},
                    {VIRTIO_NET_F_GUEST_ECN, NET_TAKES_ECN}};
    u32 takes = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(offloads); n++)
        if (net->offloads & offloads[n].feature) takes |= offloads[n].takes;
    net_set_receive(net->cable, takes, virtio_has(&net->virtio, VIRTIO_NET_F_MRG_RXBUF));
}

/* --- commands --- */

static bool rx_command(struct virtio_net *net, u8 command, const u8 *data, u32 bytes)
{
    struct virtio_net_filter *f = &net->filter;
    bool *const flags[] = {&f->promiscuous,  &f->all_multicast, &f->all_unicast,
                           &f->no_multicast, &f->no_unicast,    &f->no_broadcast};
    if (command >= ARRAY_SIZE(flags) || bytes != 1 || *data > 1) return false;
    *flags[command] = *data;
    return true;
}

/* One of the two tables of MAC_TABLE_SET: 32 bits of count, addresses. Returns what is behind it; NULL: it is
 * damaged. */
static const u8 *read_macs(const u8 *data, const u8 *end, u8 (*table)[NET_MAC_BYTES], u8 *count,
                           bool *overflow)
{
    if (end - data < 4) return NULL;
    u64 entries = load_any(data, 4);
    data += 4;
    if (entries > (u64)(end - data) / NET_MAC_BYTES) return NULL;
    *overflow = entries > VIRTIO_NET_MACS;
    *count = *overflow ? 0 : (u8)entries;
    if (!*overflow) memcpy(table, data, entries * NET_MAC_BYTES);
    return data + entries * NET_MAC_BYTES;
}

static bool mac_command(struct virtio_net *net, u8 command, const u8 *data, u32 bytes)
{
    struct virtio_net_filter f = net->filter;
    bool unicasts, multicasts;
    if (command == MAC_ADDR_SET && bytes == NET_MAC_BYTES) {
        memcpy(net->filter.mac, data, NET_MAC_BYTES);
        memcpy(net->virtio.config + CONFIG_MAC, data, NET_MAC_BYTES);
        return true;
    }
    if (command != MAC_TABLE_SET) return false;
    const u8 *end = data + bytes;
    data = read_macs(data, end, f.unicast, &f.unicasts, &unicasts);
    if (data) data = read_macs(data, end, f.multicast, &f.multicasts, &multicasts);
    if (data != end) return false;
    /* If the table is too long, more is received than the driver asked for. The driver must expect that
     * (5.1.6.5.2). */
    f.all_unicast |= unicasts;
    f.all_multicast |= multicasts;
    net->filter = f;
    return true;
}

static bool vlan_command(struct virtio_net *net, u8 command, const u8 *data, u32 bytes)
{
    u64 vlan = bytes == 2 ? load_any(data, 2) : VLANS;
    if (vlan >= VLANS || command > VLAN_DELETE) return false;
    u8 *at = &net->filter.vlan[vlan / 8], bit = (u8)(1 << vlan % 8);
    *at = command == VLAN_ADD ? *at | bit : *at & (u8)~bit;
    return true;
}

static bool announce_command(struct virtio_net *net, u8 command, const u8 *data, u32 bytes)
{
    if (command || bytes) return false;
    net->virtio.config[CONFIG_STATUS] &= (u8)~STATUS_ANNOUNCE;
    return true;
}

static bool offloads_command(struct virtio_net *net, u8 command, const u8 *data, u32 bytes)
{
    u64 wanted = bytes == 8 ? load_any(data, 8) : UINT64_MAX;
    if (command != OFFLOADS_SET || wanted & ~(net->virtio.accepted & GUEST_OFFLOADS)) return false;
    net->offloads = wanted;
    update_receive(net);
    return true;
}

static const struct {
    u8 class;
    u64 feature;
    bool (*run)(struct virtio_net *net, u8 command, const u8 *data, u32 bytes);
} classes[] = {
    {CLASS_RX, VIRTIO_NET_F_CTRL_RX, rx_command},
    {CLASS_MAC, VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR, mac_command},
    {CLASS_VLAN, VIRTIO_NET_F_CTRL_VLAN, vlan_command},
    {CLASS_ANNOUNCE, VIRTIO_NET_F_GUEST_ANNOUNCE, announce_command},
    {CLASS_OFFLOADS, VIRTIO_NET_F_CTRL_OFFLOADS, offloads_command},
};

static bool run_command(struct virtio_net *net)
{
    /* Room for both tables with four times as many addresses as are kept. Longer commands are refused. */
    u8 command[COMMAND_BYTES + 2 * (4 + 4 * VIRTIO_NET_MACS * NET_MAC_BYTES)];
    u64 bytes = net->chain.readable_bytes;
    if (bytes < COMMAND_BYTES || bytes > sizeof(command)) return false;
    virtio_chain_read(&net->chain, 0, command, bytes);
    for (unsigned n = 0; n < ARRAY_SIZE(classes); n++)
        if (classes[n].class == command[0] && virtio_has(&net->virtio, classes[n].feature))
            return classes[n].run(net, command[1], command + COMMAND_BYTES, (u32)bytes - COMMAND_BYTES);
    return false;
}

static void run_commands(struct virtio_net *net)
{
    while (virtio_take(&net->virtio, COMMAND_QUEUE, &net->chain)) {
        if (!net->chain.writable_bytes) {
            virtio_break(&net->virtio, "a command without space for its answer");
            return;
        }
        u8 answer = run_command(net) ? ANSWER_OK : ANSWER_ERROR;
        virtio_chain_write(&net->chain, 0, &answer, 1);
        virtio_give(&net->virtio, &net->chain, 1);
        update_filter(net);
    }
    virtio_interrupt(&net->virtio, COMMAND_QUEUE);
}

/* --- the device --- */

/* The driver has negotiated and offers its first buffers. */
static void start(struct virtio_net *net)
{
    net->started = true;
    net->offloads = net->virtio.accepted & GUEST_OFFLOADS;
    net->filter.filters_vlans = virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_VLAN);
    /* A driver that cannot say what it wants filters by itself. */
    net->filter.promiscuous = !virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_RX);
    update_receive(net);
    update_filter(net);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_net *net = container_of(virtio, struct virtio_net, virtio);
    if (!net->started) start(net);
    switch (queue) {
    case RECEIVE_QUEUE: offer_buffers(net); break;
    case SEND_QUEUE: send_frames(net); break;
    default: run_commands(net); break;
    }
}

static void put_link(struct virtio_net *net)
{
    u8 *status = &net->virtio.config[CONFIG_STATUS];
    *status = (u8)((*status & ~STATUS_LINK_UP) | (net->cable->up ? STATUS_LINK_UP : 0));
}

static void carrier(void *card, bool up)
{
    struct virtio_net *net = card;
    put_link(net);
    /* The network behind the cable may have changed, so the guest must announce its address there. */
    if (up && virtio_has(&net->virtio, VIRTIO_NET_F_GUEST_ANNOUNCE))
        net->virtio.config[CONFIG_STATUS] |= STATUS_ANNOUNCE;
    if (virtio_has(&net->virtio, VIRTIO_NET_F_STATUS)) virtio_config_changed(&net->virtio);
}

/* A legacy driver sets its address here. A modern one has a command for it (5.1.4). */
static void config_written(struct virtio *virtio, u32 offset, unsigned size)
{
    struct virtio_net *net = container_of(virtio, struct virtio_net, virtio);
    if (!virtio_is_legacy(virtio)) {
        memcpy(virtio->config + CONFIG_MAC, net->filter.mac, NET_MAC_BYTES);
        return;
    }
    memcpy(net->filter.mac, virtio->config + CONFIG_MAC, NET_MAC_BYTES);
    update_filter(net);
}

static void collect(struct virtio_net *net)
{
    net->free_frames = NULL;
    net->free_buffers = NULL;
    for (unsigned n = 0; n < VIRTIO_NET_QUEUE; n++) {
        net->frames[n].out = false;
        net->frames[n].next_free = net->free_frames;
        net->free_frames = &net->frames[n];
        free_buffer(net, &net->buffers[n]);
    }
}

static void reset(struct virtio *virtio)
{
    struct virtio_net *net = container_of(virtio, struct virtio_net, virtio);
    net->started = false;
    net_set_filter(net->cable, NULL);
    net_withdraw(net->cable);
    collect(net);
    net->filter = (struct virtio_net_filter){0};
    memcpy(net->filter.mac, net->mac, NET_MAC_BYTES);
    memcpy(virtio->config + CONFIG_MAC, net->mac, NET_MAC_BYTES);
    virtio->config[CONFIG_STATUS] = 0;
    put_link(net);
}

/* The cable gives back what it has of both queues. Frames that were not sent are lost, as they may be on any network.
 * The buffers of a receive queue that was not reset are offered again. */
static void queue_reset(struct virtio *virtio, unsigned queue)
{
    struct virtio_net *net = container_of(virtio, struct virtio_net, virtio);
    if (!net->started || queue == COMMAND_QUEUE) return;
    net_withdraw(net->cable);
    for (unsigned n = 0; n < VIRTIO_NET_QUEUE; n++) {
        struct virtio_net_buffer *buffer = &net->buffers[n];
        if (net->frames[n].out) give_frame(net, &net->frames[n]);
        if (buffer->out && queue == RECEIVE_QUEUE)
            free_buffer(net, buffer);
        else if (buffer->out)
            net_offer(net->cable, &buffer->buffer);
    }
    update_filter(net);
    if (queue == RECEIVE_QUEUE) virtio_interrupt(virtio, SEND_QUEUE);
}

static const struct virtio_kind net_kind = {
    .notify = notify, .config_written = config_written, .reset = reset, .queue_reset = queue_reset};
static const struct net_card_ops card_ops = {
    .sent = sent, .received = received, .carrier = carrier, .patient = true};

static void put_config(struct virtio_net *net, u16 mtu)
{
    u8 *config = net->virtio.config;
    pci_put16(config + CONFIG_PAIRS, 1);
    pci_put16(config + CONFIG_MTU, mtu);
    pci_put32(config + CONFIG_SPEED, SPEED_UNKNOWN);
    config[CONFIG_DUPLEX] = DUPLEX_UNKNOWN;
    /* A legacy driver sets its address by writing it here. */
    memset(net->virtio.config_writable + CONFIG_MAC, 0xff, NET_MAC_BYTES);
    net->virtio.config_bytes = CONFIG_BYTES;
}

bool virtio_net_init(struct virtio_net *net, struct pci_bus *bus, const struct dma *dma,
                     const struct virtio_options *options, const struct virtio_net_options *net_options,
                     struct net_cable *cable)
{
    static const u16 sizes[QUEUES] = {VIRTIO_NET_QUEUE, VIRTIO_NET_QUEUE, 64};
    u64 features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ |
                   VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_RX_EXTRA |
                   VIRTIO_NET_F_GUEST_ANNOUNCE | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_CTRL_OFFLOADS |
                   HOST_OFFLOADS | GUEST_OFFLOADS;
    if (net_options->mtu) features |= VIRTIO_NET_F_MTU;
    net->frames = calloc(VIRTIO_NET_QUEUE, sizeof(net->frames[0]));
    net->buffers = calloc(VIRTIO_NET_QUEUE, sizeof(net->buffers[0]));
    if (!net->frames || !net->buffers) return false;
    net->cable = cable;
    memcpy(net->mac, net_options->mac, NET_MAC_BYTES);
    net_attach(cable, &card_ops, net);
    virtio_init(&net->virtio, &net_kind, bus, dma, options, VIRTIO_NET, CLASS_NETWORK_ETHERNET, features,
                sizes, QUEUES);
    put_config(net, net_options->mtu);
    return true;
}

void virtio_net_destroy(struct virtio_net *net)
{
    free(net->frames);
    free(net->buffers);
}
