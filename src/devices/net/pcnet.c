#include "pcnet_private.h"

#include <string.h>

#define VENDOR_AMD             0x1022
#define DEVICE_PCNET           0x2000
#define REVISION               0x16
#define CLASS_NETWORK_ETHERNET 0x020000u
enum { BAR_PORTS = 0, BAR_MEMORY = 1, IO_BYTES = 32 };
/* Version 0, part 2621h, AMD ("CSR88", "CSR89"). */
#define CHIP_ID 0x02621003u
/* The interval at which the chip looks for a buffer for a waiting frame. */
#define RETRY_NS 200000u

/* --- interrupts --- */

static bool wants_interrupt(const struct pcnet *p)
{
    static const struct {
        u16 cause, mask;
    } features[] = {{FEATURE_JAB, FEATURE_JABM},
                    {FEATURE_TXSTRT, FEATURE_TXSTRTM},
                    {FEATURE_RCVCCO, FEATURE_RCVCCOM},
                    {FEATURE_MFCO, FEATURE_MFCOM}};
    /* BABL, MISS, MERR, RINT, TINT and IDON have their masks in the same bits of CSR3. */
    u16 causes = p->csr[CSR_STATUS] & STATUS_CAUSES & (u16)~STATUS_CERR;
    if (causes & ~p->csr[CSR_MASKS]) return true;
    for (unsigned n = 0; n < ARRAY_SIZE(features); n++)
        if ((p->csr[CSR_FEATURES] & features[n].cause) && !(p->csr[CSR_FEATURES] & features[n].mask))
            return true;
    return p->csr[CSR_FEATURES] & FEATURE_UINT;
}

static void update(struct pcnet *p)
{
    u16 *status = &p->csr[CSR_STATUS];
    bool errors = *status & (STATUS_BABL | STATUS_CERR | STATUS_MISS | STATUS_MERR);
    bool wanted = wants_interrupt(p);
    *status = (u16)((*status & ~(STATUS_ERR | STATUS_INTR)) | (errors ? STATUS_ERR : 0) |
                    (wanted ? STATUS_INTR : 0));
    pci_set_interrupt(&p->pci, wanted && (*status & STATUS_IENA));
}

void pcnet_cause(struct pcnet *p, u16 causes)
{
    p->csr[CSR_STATUS] |= causes;
    update(p);
}

/* --- polling ("Polling") --- */

/* 65,536 cycles of the PCI bus, or the two's complement of CSR47 ("CSR47: Polling Interval"). */
static u64 poll_interval_ns(const struct pcnet *p)
{
    enum { CYCLE_NS = 30, CYCLES = 65536 };
    u32 cycles = (u16)-p->csr[CSR_POLLINT];
    return (u64)(cycles ? cycles : CYCLES) * CYCLE_NS;
}

/* The chip polls the transmit ring as long as it runs. Most drivers demand a poll for each frame (TDMD), and the timer
 * would keep an idle host awake for nothing. So polls that find nothing come less often, down to one in this number of
 * intervals. */
#define POLL_SLOWEST 32u

static bool polls_transmit_ring(const struct pcnet *p)
{
    return pcnet_runs(p, STATUS_TXON) && !(p->csr[CSR_FEATURES] & FEATURE_DPOLL);
}

void pcnet_arm_poll(struct pcnet *p)
{
    bool waits = pcnet_runs(p, STATUS_RXON) && net_fifo_first(&p->fifo);
    u64 at = clock_now(p->poll.clock) + (waits && p->poll_ns > RETRY_NS ? RETRY_NS : p->poll_ns);
    if ((waits || polls_transmit_ring(p)) && (!p->poll.armed || p->poll.deadline_ns > at))
        timer_arm(&p->poll, at);
}

static void poll_transmit_ring(struct pcnet *p)
{
    u64 interval = poll_interval_ns(p);
    if (!polls_transmit_ring(p)) return;
    p->poll_ns = p->poll_ns * 2 < interval * POLL_SLOWEST ? p->poll_ns * 2 : interval * POLL_SLOWEST;
    if (pcnet_transmit(p)) p->poll_ns = interval;
}

static void poll(void *device)
{
    struct pcnet *p = device;
    if (net_fifo_first(&p->fifo)) p->retries++;
    poll_transmit_ring(p);
    pcnet_store_frames(p);
    pcnet_arm_poll(p);
}

/* --- resets, start and stop --- */

/* STOP, and S_RESET, which is a read of the RESET register. */
static void stop(struct pcnet *p)
{
    net_fifo_reset(&p->fifo);
    timer_cancel(&p->poll);
    p->csr[CSR_STATUS] = STATUS_STOP;
    p->csr[CSR_FEATURES] &= (u16)~FEATURE_CAUSES;
    p->csr[CSR_EXTENDED] &= (u16)~EXTENDED_SPND;
    p->gathering = false;
    p->retries = 0;
    update(p);
}

static void soft_reset(struct pcnet *p)
{
    p->csr[CSR_MASKS] = 0;
    p->csr[CSR_FEATURES] = FEATURE_JABM | FEATURE_TXSTRTM | FEATURE_RCVCCOM | FEATURE_MFCOM;
    p->csr[CSR_EXTENDED] = 0;
    p->csr[CSR_MODE] = 0;
    p->rap = 0;
    stop(p);
}

static void show_link(struct pcnet *p)
{
    u16 *led = &p->bcr[BCR_LINK_LED];
    *led = (u16)((*led & ~LED_OUT) | (p->fifo.cable->up ? LED_OUT : 0));
}

void pcnet_hard_reset(struct pcnet *p)
{
    static const struct {
        u8 bcr;
        u16 value;
    } bcrs[] = {
        {0, 0x0005}, {1, 0x0005}, {BCR_MISC, 0x0002}, {BCR_LINK_LED, 0x00c0}, {5, 0x0084},
        {6, 0x0088}, {7, 0x0090}, {BCR_BUS, 0x9001},  {BCR_EEPROM, 0xa002},   {BCR_STYLE, STYLE_CSRPCNET},
        {22, 0xff06}};
    pci_device_reset(&p->pci);
    memset(p->csr, 0, sizeof(p->csr));
    memset(p->bcr, 0, sizeof(p->bcr));
    for (unsigned n = 0; n < ARRAY_SIZE(bcrs); n++)
        p->bcr[bcrs[n].bcr] = bcrs[n].value;
    /* From the EEPROM. */
    for (unsigned n = 0; n < 3; n++)
        p->csr[CSR_PADR + n] = pci_get16(p->aprom + 2 * n);
    p->csr[CSR_FIFO] = 0x1410;
    p->csr[CSR_CHIP] = (u16)CHIP_ID;
    p->csr[CSR_CHIP + 1] = (u16)(CHIP_ID >> 16);
    show_link(p);
    soft_reset(p);
}

/* The rings as the CSRs have them. The initialization block or the driver has set these. */
static void load_ring(const struct pcnet *p, struct pcnet_ring *ring, unsigned base, unsigned length,
                      unsigned counter)
{
    u32 entries = (u16)-p->csr[length], left = (u16)-p->csr[counter];
    ring->base = pcnet_csr32(p, base);
    ring->entries = entries ? entries : 65536;
    ring->at = left && left <= ring->entries ? ring->entries - left : 0;
}

static void start(struct pcnet *p)
{
    u16 mode = p->csr[CSR_MODE];
    load_ring(p, &p->receive, CSR_BADR, CSR_RCVRL, CSR_RCVRC);
    load_ring(p, &p->transmit, CSR_BADX, CSR_XMTRL, CSR_XMTRC);
    p->csr[CSR_STATUS] |=
        STATUS_STRT | (mode & MODE_DTX ? 0 : STATUS_TXON) | (mode & MODE_DRX ? 0 : STATUS_RXON);
    p->csr[CSR_STATUS] &= (u16)~STATUS_STOP;
    pcnet_update_filter(p);
    p->poll_ns = poll_interval_ns(p);
    pcnet_arm_poll(p);
}

static void write_status(struct pcnet *p, u16 value)
{
    u16 *status = &p->csr[CSR_STATUS];
    *status &= (u16) ~(value & STATUS_CAUSES);
    *status = (u16)((*status & ~STATUS_IENA) | (value & STATUS_IENA));
    if (value & STATUS_STOP) {
        stop(p);
        return;
    }
    bool stopped = *status & STATUS_STOP;
    if ((value & STATUS_INIT) && (stopped || !(*status & STATUS_INIT))) {
        pcnet_read_block(p);
        *status = (u16)((*status & ~STATUS_STOP) | STATUS_INIT | STATUS_IDON);
    }
    if ((value & STATUS_STRT) && !(*status & STATUS_STRT)) start(p);
    if ((value & STATUS_TDMD) && (*status & STATUS_TXON)) pcnet_transmit(p);
    update(p);
    /* A driver that has taken frames may have returned their descriptors. */
    pcnet_store_frames(p);
}

/* --- CSRs and BCRs --- */

static unsigned alias_of(unsigned n)
{
    return n == 16 || n == 17 ? n - 15 : n; /* CSR16 and 17 are IADR */
}

static u16 read_csr(const struct pcnet *p, unsigned n)
{
    n = alias_of(n);
    if (n >= PCNET_CSRS) return 0;
    switch (n) {
    case CSR_STYLE: return p->bcr[BCR_STYLE];
    case CSR_CRDA: return (u16)(p->receive.base + p->receive.at * (pcnet_is_32_bit(p) ? 16 : 8));
    case CSR_CXDA: return (u16)(p->transmit.base + p->transmit.at * (pcnet_is_32_bit(p) ? 16 : 8));
    default: return p->csr[n];
    }
}

static void write_style(struct pcnet *p, u16 value)
{
    static const u16 sizes[] = {STYLE_CSRPCNET, STYLE_SSIZE32, STYLE_SSIZE32 | STYLE_CSRPCNET,
                                STYLE_SSIZE32 | STYLE_CSRPCNET};
    unsigned style = value & 0xff;
    if (style < ARRAY_SIZE(sizes)) p->bcr[BCR_STYLE] = (u16)(sizes[style] | style);
}

static void write_features(struct pcnet *p, u16 value)
{
    u16 *features = &p->csr[CSR_FEATURES];
    u16 causes = *features & FEATURE_CAUSES & (u16)~value;
    if (value & FEATURE_UINTCMD) causes |= FEATURE_UINT;
    *features = (u16)((value & ~(FEATURE_CAUSES | FEATURE_UINTCMD)) | causes);
    pcnet_arm_poll(p);
}

/* Suspended, the chip keeps its rings, and registers may be changed as when it is stopped. */
static void write_extended(struct pcnet *p, u16 value)
{
    p->csr[CSR_EXTENDED] = (u16)(value & ~EXTENDED_CAUSES);
    pcnet_transmit(p);
    pcnet_store_frames(p);
}

static void write_csr(struct pcnet *p, unsigned n, u16 value)
{
    bool open = (p->csr[CSR_STATUS] & STATUS_STOP) || (p->csr[CSR_EXTENDED] & EXTENDED_SPND);
    n = alias_of(n);
    switch (n) {
    case CSR_STATUS: write_status(p, value); return;
    case CSR_MASKS: p->csr[n] = value & MASKS_WRITABLE; break;
    case CSR_FEATURES: write_features(p, value); break;
    case CSR_EXTENDED: write_extended(p, value); break;
    case CSR_MODE:
        if (!open) return;
        p->csr[n] = value;
        pcnet_update_filter(p);
        return;
    case CSR_STYLE:
        if (open) write_style(p, value);
        return;
    case CSR_CHIP:
    case CSR_CHIP + 1:
    case CSR_CRDA:
    case CSR_CXDA: return;
    default:
        if (n >= PCNET_CSRS || !open) return;
        p->csr[n] = value;
        if (n >= CSR_LADRF && n < CSR_MODE) pcnet_update_filter(p);
        return;
    }
    update(p);
}

static void write_bcr(struct pcnet *p, unsigned n, u16 value)
{
    bool open = (p->csr[CSR_STATUS] & STATUS_STOP) || (p->csr[CSR_EXTENDED] & EXTENDED_SPND);
    switch (n) {
    case BCR_LINK_LED:
        p->bcr[n] = value;
        show_link(p);
        return;
    case BCR_STYLE:
        if (open) write_style(p, value);
        return;
    case BCR_BUS: p->bcr[n] = (u16)((value & ~BUS_DWIO) | (p->bcr[n] & BUS_DWIO)); return;
    case BCR_EEPROM: return;
    default:
        if (n > 1 && n < PCNET_BCRS) p->bcr[n] = value;
    }
}

/* --- I/O resources: words apart by 2 (WIO) or dwords apart by 4 (DWIO) ("I/O Resources") --- */

enum { RDP = 0, RAP = 1, RESET = 2, BDP = 3, RESOURCES = 0x10 };
enum { APROMWE = 1 << 8 };

static bool is_dword_io(const struct pcnet *p)
{
    return p->bcr[BCR_BUS] & BUS_DWIO;
}

static u32 resource_read(struct pcnet *p, unsigned n)
{
    switch (n) {
    case RDP: return read_csr(p, p->rap);
    case RAP: return p->rap;
    case RESET: soft_reset(p); return 0;
    case BDP: return p->rap < PCNET_BCRS ? p->bcr[p->rap] : 0;
    default: return 0;
    }
}

static void resource_write(struct pcnet *p, unsigned n, u16 value)
{
    switch (n) {
    case RDP: write_csr(p, p->rap, value); return;
    case RAP: p->rap = value & 0x7f; return;
    case BDP: write_bcr(p, p->rap, value); return;
    default: return; /* only some older chips need a write to RESET */
    }
}

static u32 io_read(void *device, u32 offset, unsigned size)
{
    struct pcnet *p = device;
    unsigned step = is_dword_io(p) ? 4 : 2;
    offset %= IO_BYTES;
    if (offset < RESOURCES)
        return offset + size <= PCNET_APROM_BYTES ? (u32)load_any(p->aprom + offset, size) : ~0u;
    if (size != step || offset % step) return ~0u;
    return resource_read(p, (offset - RESOURCES) / step);
}

static void io_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct pcnet *p = device;
    unsigned step = is_dword_io(p) ? 4 : 2;
    offset %= IO_BYTES;
    if (offset < RESOURCES) {
        if ((p->bcr[BCR_MISC] & APROMWE) && offset + size <= PCNET_APROM_BYTES)
            store_any(p->aprom + offset, size, value);
        return;
    }
    /* A dword to RDP in word mode changes the mode until the next hard reset ("DWIO"). */
    if (size == 4 && step == 2 && offset == RESOURCES) {
        p->bcr[BCR_BUS] |= BUS_DWIO;
        step = 4;
    }
    if (size == step && offset % step == 0) resource_write(p, (offset - RESOURCES) / step, (u16)value);
}

static const struct io_ops io_ops = {io_read, io_write};

/* --- set-up --- */

static void has_room(void *chip)
{
    pcnet_transmit(chip);
}

/* A frame that was received is a reason to poll, too ("Polling"). */
static void has_frames(void *chip)
{
    struct pcnet *p = chip;
    pcnet_store_frames(p);
    if (polls_transmit_ring(p)) pcnet_transmit(p);
}

static void carrier(void *chip, bool up)
{
    show_link(chip);
}

static const struct net_fifo_ops fifo_ops = {
    .has_room = has_room, .has_frames = has_frames, .carrier = carrier};

/* The address, with the marks by which drivers recognize it ("Address PROM"): "WW" in the last two bytes, and the sum
 * of the others before them. */
static void fill_aprom(struct pcnet *p)
{
    u16 sum = 0;
    memcpy(p->aprom, p->mac, NET_MAC_BYTES);
    p->aprom[14] = p->aprom[15] = 'W';
    for (unsigned n = 0; n < PCNET_APROM_BYTES; n++)
        sum = (u16)(sum + p->aprom[n]);
    pci_put16(p->aprom + 12, sum);
}

bool pcnet_init(struct pcnet *p, struct pci_bus *bus, const struct dma *dma, struct clock *clock, u8 devfn,
                const u8 mac[NET_MAC_BYTES], struct net_cable *cable)
{
    *p = (struct pcnet){.dma = *dma};
    memcpy(p->mac, mac, NET_MAC_BYTES);
    if (!net_fifo_init(&p->fifo, cable, &fifo_ops, p, RECEIVE_MOST)) return false;
    timer_init(&p->poll, clock, poll, p);
    fill_aprom(p);
    pci_device_init(&p->pci, bus, devfn, VENDOR_AMD, DEVICE_PCNET, CLASS_NETWORK_ETHERNET);
    p->pci.config[PCI_REVISION] = REVISION;
    p->pci.writable[PCI_LATENCY] = 0xff;
    pci_interrupt_pin(&p->pci, 1);
    pci_bar_ports(&p->pci, BAR_PORTS, IO_BYTES, 4, &io_ops, p);
    pci_bar_mmio(&p->pci, BAR_MEMORY, PAGE_SIZE, &io_ops, p);
    pcnet_hard_reset(p);
    return true;
}

void pcnet_destroy(struct pcnet *p)
{
    net_fifo_destroy(&p->fifo);
}
