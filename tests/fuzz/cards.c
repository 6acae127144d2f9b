/*
 * Hostile drivers of network cards, and hostile networks. Input: a byte that chooses the card, then what the driver and
 * the network do, an operation a byte with its arguments behind it: accesses to registers and ports, configuration
 * space, memory, frames that arrive, frames that have been sent, the carrier and the clock.
 */
#include "input.h"

#include "../unit/net_rig.h"
#include "devices/net/e1000.h"
#include "devices/net/ne2000.h"
#include "devices/net/pcnet.h"
#include "devices/net/rtl8139.h"
#include "devices/virtio/virtio_net.h"

enum { E1000, RTL8139_PLUS, RTL8139, PCNET, NE2000, VIRTIO_MODERN, VIRTIO_LEGACY, CARDS };

static union {
    struct e1000 e1000;
    struct rtl8139 rtl8139;
    struct pcnet pcnet;
    struct ne2000 ne2000;
    struct virtio_net virtio;
} card;

static void no_interrupt(void *owner, bool level) {}

/* Returns the card's PCI device, or NULL: it is on the ISA bus. */
static struct pci_device *make(unsigned kind)
{
    static const u8 mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    struct dma dma = net_rig_dma();
    struct virtio_options options = {
        .devfn = 24, .no_legacy = kind == VIRTIO_MODERN, .no_modern = kind == VIRTIO_LEGACY};
    struct virtio_net_options net_options = {.mtu = 1500};
    memset(&card, 0, sizeof(card));
    memcpy(net_options.mac, mac, sizeof(mac));
    switch (kind) {
    case E1000:
        if (!e1000_init(&card.e1000, &net_rig.bus, &dma, &net_rig.clock, 24, mac, &net_rig.cable)) abort();
        return &card.e1000.pci;
    case RTL8139_PLUS:
    case RTL8139:
        if (!rtl8139_init(&card.rtl8139, &net_rig.bus, &dma, &net_rig.clock, 24, kind == RTL8139_PLUS, mac,
                          &net_rig.cable))
            abort();
        return &card.rtl8139.pci;
    case PCNET:
        if (!pcnet_init(&card.pcnet, &net_rig.bus, &dma, &net_rig.clock, 24, mac, &net_rig.cable)) abort();
        return &card.pcnet.pci;
    case NE2000:
        if (!ne2000_init(&card.ne2000, true, no_interrupt, NULL, mac, &net_rig.cable)) abort();
        return NULL;
    default:
        if (!virtio_net_init(&card.virtio, &net_rig.bus, &dma, &options, &net_options, &net_rig.cable))
            abort();
        return &card.virtio.virtio.pci;
    }
}

static void destroy(unsigned kind)
{
    switch (kind) {
    case E1000: e1000_destroy(&card.e1000); break;
    case RTL8139_PLUS:
    case RTL8139: rtl8139_destroy(&card.rtl8139); break;
    case PCNET: pcnet_destroy(&card.pcnet); break;
    case NE2000: ne2000_destroy(&card.ne2000); break;
    default: virtio_net_destroy(&card.virtio); break;
    }
}

/* A range passes on accesses that are within it and do not cross an aligned dword. */
static void access_range(struct input *in, const struct pci_bar *bar, bool write)
{
    u32 offset = take(in, 3);
    unsigned size = 1u << take(in, 1) % 3;
    if (bar->kind == PCI_BAR_NONE || bar->kind == PCI_BAR_IMAGE) return;
    offset = offset % bar->bytes & ~(size - 1);
    if (write)
        bar->ops->write(bar->handler, offset, size, (u32)mask_bytes(take(in, size), size));
    else
        bar->ops->read(bar->handler, offset, size);
}

static void string_access(struct input *in, bool write)
{
    static u8 bytes[4096];
    unsigned size = 1u << take(in, 1) % 3;
    u32 count = take(in, 2) % (sizeof(bytes) / size);
    if (write)
        ne2000_string_ops.write(&card.ne2000, 0x10, size, bytes, count);
    else
        ne2000_string_ops.read(&card.ne2000, 0x10, size, bytes, count);
}

static void put_memory(struct input *in)
{
    u32 gpa = take(in, 3) % NET_RIG_RAM, count = take(in, 1);
    for (; count && gpa < NET_RIG_RAM; count--)
        net_rig.ram[gpa++] = (u8)take(in, 1);
}

static void arrive(struct input *in)
{
    static u8 frame[NET_FRAME_MAX];
    u32 bytes = take(in, 2), given = take(in, 1);
    memset(frame, 0xff, sizeof(frame));
    for (u32 n = 0; n < given; n++)
        frame[n] = (u8)take(in, 1);
    net_rig_arrive(frame, bytes);
}

static void step(struct input *in, unsigned kind, struct pci_device *pci)
{
    static const struct pci_bar isa = {
        .kind = PCI_BAR_PORTS, .bytes = NE2000_IO_BYTES, .ops = &ne2000_ops, .handler = &card.ne2000};
    u32 operation = take(in, 1) % 12;
    switch (operation) {
    case 0:
    case 1:
    case 2: access_range(in, pci ? &pci->bar[take(in, 1) % PCI_BARS] : &isa, operation != 0); break;
    case 3:
        if (kind == NE2000) string_access(in, take(in, 1) & 1);
        break;
    case 4:
    case 5: put_memory(in); break;
    case 6:
    case 7: arrive(in); break;
    case 8: net_rig_done(); break;
    case 9:
        net_rig.now_ns += take(in, 4);
        clock_run(&net_rig.clock);
        break;
    case 10: net_rig_carrier(take(in, 1) & 1); break;
    default:
        if (pci)
            pci->config[PCI_COMMAND] =
                (u8)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | (take(in, 1) & 1 ? PCI_COMMAND_MASTER : 0));
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    struct input in = {data, data + bytes};
    unsigned kind = take(&in, 1) % CARDS;
    net_rig_start();
    struct pci_device *pci = make(kind);
    if (pci) pci->config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    for (unsigned steps = 0; in.at < in.end && steps < 1000; steps++)
        step(&in, kind, pci);
    net_rig_done();
    destroy(kind);
    return 0;
}
