#include "ne2000.h"

#include "ethernet.h"

#include <string.h>

/* CR (DP 10.3) */
enum {
    CR_STP = 0x01,
    CR_STA = 0x02,
    CR_TXP = 0x04,
    CR_REMOTE = 0x38, /* 001 read, 010 write, 011 send packet, 1xx none */
    CR_REMOTE_READ = 0x08,
    CR_REMOTE_WRITE = 0x10,
    CR_REMOTE_SEND = 0x18,
    CR_REMOTE_NONE = 0x20,
};
/* ISR */
enum {
    ISR_PRX = 0x01,
    ISR_PTX = 0x02,
    ISR_TXE = 0x08,
    ISR_OVW = 0x10,
    ISR_CNT = 0x20,
    ISR_RDC = 0x40,
    ISR_RST = 0x80,
};
enum { DCR_WTS = 0x01, DCR_LS = 0x08, DCR_ARM = 0x10 };
enum { TCR_LOOPBACK = 0x06 };
enum { RCR_AR = 0x02, RCR_AB = 0x04, RCR_AM = 0x08, RCR_PRO = 0x10, RCR_MON = 0x20 };
enum { TSR_PTX = 0x01 };
enum { RSR_PRX = 0x01, RSR_PHY = 0x20, RSR_DIS = 0x40 };
enum { PAGE_BYTES = 256, HEADER_BYTES = 4, RECEIVE_MOST = 2048 };

/* --- interrupts --- */

static void update(struct ne2000 *ne)
{
    ne->interrupt(ne->owner, ne->interrupts & ne->interrupt_mask & 0x7f);
}

static void cause(struct ne2000 *ne, u8 causes)
{
    ne->interrupts |= causes;
    update(ne);
}

/* --- the memory --- */

/* 16 address lines reach the PROM and the packet memory; other addresses are empty. */
static u8 load(const struct ne2000 *ne, u32 address)
{
    address &= 0xffff;
    if (address < NE2000_PROM_BYTES) return ne->prom[address];
    if (address >= NE2000_MEMORY_START && address < NE2000_MEMORY_END)
        return ne->memory[address - NE2000_MEMORY_START];
    return 0xff;
}

static void store(struct ne2000 *ne, u32 address, u8 value)
{
    address &= 0xffff;
    if (address >= NE2000_MEMORY_START && address < NE2000_MEMORY_END)
        ne->memory[address - NE2000_MEMORY_START] = value;
}

/* --- remote DMA (DP 8) --- */

static unsigned remote_step(const struct ne2000 *ne)
{
    return ne->data_configuration & DCR_WTS ? 2 : 1;
}

static void remote_advance(struct ne2000 *ne, unsigned step)
{
    ne->remote_address = (u16)(ne->remote_address + step);
    if (ne->remote_address == (u16)(ne->page_stop * PAGE_BYTES))
        ne->remote_address = (u16)(ne->page_start * PAGE_BYTES);
    ne->remote_bytes = ne->remote_bytes > step ? (u16)(ne->remote_bytes - step) : 0;
    if (!ne->remote_bytes) cause(ne, ISR_RDC);
}

/* An access narrower than a transfer moves a whole one; a wider one moves several. */
static u32 data_read(struct ne2000 *ne, unsigned size)
{
    u32 value = 0;
    unsigned step = remote_step(ne);
    for (unsigned n = 0; n < size; n += step) {
        bool reads = (ne->command & CR_REMOTE) == CR_REMOTE_READ && ne->remote_bytes;
        for (unsigned i = 0; i < step; i++)
            value |= (u32)(reads ? load(ne, ne->remote_address + i) : 0xff) << 8 * ((n + i) & 3);
        if (reads) remote_advance(ne, step);
    }
    return (u32)mask_bytes(value, size);
}

static void data_write(struct ne2000 *ne, unsigned size, u32 value)
{
    unsigned step = remote_step(ne);
    for (unsigned n = 0; n < size; n += step) {
        if ((ne->command & CR_REMOTE) != CR_REMOTE_WRITE || !ne->remote_bytes) return;
        for (unsigned i = 0; i < step && n + i < size; i++)
            store(ne, ne->remote_address + i, (u8)(value >> 8 * (n + i)));
        remote_advance(ne, step);
    }
}

/* --- receiving (DP 7) --- */

struct ne2000_filter {
    u8 physical[NET_MAC_BYTES], multicast[8], configuration;
};
_Static_assert(sizeof(struct ne2000_filter) <= NET_FILTER_STATE_BYTES, "it is a filter's state");

/* On the network thread. */
static bool accepts(const struct net_filter *filter, const u8 *frame, u32 bytes)
{
    const struct ne2000_filter *f = (const struct ne2000_filter *)filter->state;
    if (bytes < NET_HEADER_BYTES || bytes > RECEIVE_MOST - ETHERNET_FCS_BYTES) return false;
    if (net_is_broadcast(frame)) return f->configuration & RCR_AB;
    if (net_is_multicast(frame)) {
        u32 hash = ethernet_hash(frame) >> 26;
        return (f->configuration & RCR_AM) && (f->multicast[hash / 8] >> hash % 8 & 1);
    }
    return (f->configuration & RCR_PRO) || !memcmp(frame, f->physical, NET_MAC_BYTES);
}

static struct net_filter filter_of(const struct ne2000 *ne)
{
    struct net_filter filter = {.accepts = accepts};
    struct ne2000_filter *f = (struct ne2000_filter *)filter.state;
    memcpy(f->physical, ne->physical, NET_MAC_BYTES);
    memcpy(f->multicast, ne->multicast, sizeof(f->multicast));
    f->configuration = ne->receive_configuration;
    return filter;
}

static bool is_running(const struct ne2000 *ne)
{
    return (ne->command & (CR_STA | CR_STP)) == CR_STA;
}

static void update_filter(struct ne2000 *ne)
{
    struct net_filter filter = filter_of(ne);
    bool on = is_running(ne) && !(ne->receive_configuration & RCR_MON) &&
              !(ne->transmit_configuration & TCR_LOOPBACK);
    net_fifo_receive(&ne->fifo, on ? &filter : NULL);
}

static u8 next_page(const struct ne2000 *ne, u8 page)
{
    page++;
    return page == ne->page_stop ? ne->page_start : page;
}

/*
 * Is there room for this number of bytes? The page at BNRY is the driver's. Drivers write to BNRY the page before the
 * next packet's, which may be the page before the ring; that stands for the ring's last page. A nonsensical ring never
 * has room.
 */
static bool has_room(const struct ne2000 *ne, u32 bytes, bool *never)
{
    u32 pages = ne->page_stop > ne->page_start ? (u32)ne->page_stop - ne->page_start : 0;
    u32 needed = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    bool outside = ne->boundary < ne->page_start || ne->boundary >= ne->page_stop;
    u32 boundary = outside ? ne->page_stop - 1u : ne->boundary;
    *never = ne->current < ne->page_start || ne->current >= ne->page_stop || needed >= pages;
    if (*never) return false;
    u32 free = (boundary + pages - ne->current) % pages;
    return needed < (free ? free : pages);
}

/* Header: status, the page of the next packet, the bytes of frame and FCS. Drivers hold the count against the pages. */
static bool store_frame(struct ne2000 *ne, const u8 *frame, u32 bytes, bool *never)
{
    u8 packet[HEADER_BYTES + RECEIVE_MOST];
    u32 count = bytes + ETHERNET_FCS_BYTES, length = HEADER_BYTES + count;
    if (!has_room(ne, length, never)) return false;
    memcpy(packet + HEADER_BYTES, frame, bytes);
    store_any(packet + HEADER_BYTES + bytes, 4, ethernet_fcs(frame, bytes));
    u8 page = ne->current;
    for (u32 at = 0; at < length; at += PAGE_BYTES, page = next_page(ne, page))
        for (u32 n = 0; n < PAGE_BYTES && at + n < length; n++)
            store(ne, (u32)page * PAGE_BYTES + n, packet[at + n]);
    ne->receive_status = RSR_PRX | (net_is_multicast(frame) ? RSR_PHY : 0);
    u32 at = (u32)ne->current * PAGE_BYTES;
    store(ne, at, ne->receive_status);
    store(ne, at + 1, page);
    store(ne, at + 2, (u8)count);
    store(ne, at + 3, (u8)(count >> 8));
    ne->current = page;
    return true;
}

static void miss(struct ne2000 *ne)
{
    if (ne->missed < 0xc0) ne->missed++;
    cause(ne, ISR_OVW | (ne->missed & 0x80 ? ISR_CNT : 0));
}

/*
 * Frames wait in the FIFO until the driver moves BNRY. Drivers take some frames from the ring, then clear PRX, and
 * expect PRX again with the next frame, which comes later on a wire of 10 Mb/s. So each frame waits until PRX is
 * clear, except if the driver polls.
 */
static void store_frames(struct ne2000 *ne)
{
    const struct net_buffer *first;
    while (is_running(ne) && (first = net_fifo_first(&ne->fifo)) != NULL) {
        bool never;
        if (ne->interrupts & ne->interrupt_mask & ISR_PRX) break;
        if (store_frame(ne, net_fifo_bytes(first), first->used, &never))
            cause(ne, ISR_PRX);
        else if (never)
            miss(ne);
        else
            break;
        net_fifo_drop(&ne->fifo);
    }
}

/* --- transmitting (DP 7) --- */

/* In loopback the packet stays here (DP 11); the ring gets it where the filter accepts it. */
static void loop_back(struct ne2000 *ne, const u8 *frame, u32 bytes)
{
    struct net_filter filter = filter_of(ne);
    bool never;
    if (!accepts(&filter, frame, bytes)) return;
    if (store_frame(ne, frame, bytes, &never))
        cause(ne, ISR_PRX);
    else
        miss(ne);
}

static void transmit(struct ne2000 *ne)
{
    u8 *frame = net_fifo_next(&ne->fifo);
    u32 bytes = ne->transmit_bytes;
    ne->transmit_waits = !frame;
    if (!frame) return;
    for (u32 n = 0; n < bytes; n++)
        frame[n] = load(ne, (u32)ne->transmit_page * PAGE_BYTES + n);
    if (bytes < ETHERNET_LEAST && bytes >= NET_HEADER_BYTES) {
        memset(frame + bytes, 0, ETHERNET_LEAST - bytes);
        bytes = ETHERNET_LEAST;
    }
    ne->command &= (u8)~CR_TXP;
    ne->transmit_status = TSR_PTX;
    if (ne->transmit_configuration & TCR_LOOPBACK) {
        loop_back(ne, frame, bytes);
    } else if (bytes >= NET_HEADER_BYTES) {
        net_fifo_send(&ne->fifo, bytes, NULL);
        net_fifo_flush(&ne->fifo);
    }
    cause(ne, ISR_PTX);
}

/* --- registers (DP 10) --- */

static void write_command(struct ne2000 *ne, u8 value)
{
    bool was_running = is_running(ne);
    /* The chip runs until it is stopped: without either bit nothing changes. */
    if (!(value & (CR_STP | CR_STA))) value |= ne->command & (CR_STP | CR_STA);
    /* TXP clears by itself when the packet has gone (DP 10.3). */
    ne->command = (u8)((value & ~CR_TXP) | (ne->command & CR_TXP));
    if (value & CR_STP) {
        ne->interrupts |= ISR_RST;
        ne->command &= (u8)~CR_TXP;
        ne->transmit_waits = false;
    } else {
        ne->interrupts &= (u8)~ISR_RST;
    }
    if ((value & CR_REMOTE) == CR_REMOTE_SEND) {
        /* The packet at BNRY; its header has the length (DP 8). */
        u32 at = (u32)ne->boundary * PAGE_BYTES;
        ne->remote_address = (u16)at;
        ne->remote_bytes = (u16)(load(ne, at + 2) | load(ne, at + 3) << 8);
        ne->command = (u8)((ne->command & ~CR_REMOTE) | CR_REMOTE_READ);
    }
    bool reads_or_writes = !(value & CR_REMOTE_NONE) && (value & CR_REMOTE);
    if (reads_or_writes && !ne->remote_bytes) ne->interrupts |= ISR_RDC;
    if (was_running != is_running(ne)) update_filter(ne);
    if ((value & CR_TXP) && !(value & CR_STP) && !(ne->command & CR_TXP)) {
        ne->command |= CR_TXP;
        transmit(ne);
    }
    update(ne);
}

static u8 counter_read(u8 *counter)
{
    u8 value = *counter;
    *counter = 0;
    return value;
}

static u8 page0_read(struct ne2000 *ne, unsigned n)
{
    switch (n) {
    case 0x1: return (u8)ne->remote_address; /* CLDA: local DMA is over before the driver can look */
    case 0x2: return (u8)(ne->remote_address >> 8);
    case 0x3: return ne->boundary;
    case 0x4: return ne->transmit_status;
    case 0x5: return 0; /* NCR: there are no collisions */
    case 0x7: return ne->interrupts;
    case 0x8: return (u8)ne->remote_address;
    case 0x9: return (u8)(ne->remote_address >> 8);
    case 0xa: return ne->rtl8029 ? 0x50 : 0xff; /* 8029ID0, 8029ID1 */
    case 0xb: return ne->rtl8029 ? 0x43 : 0xff;
    case 0xc: return ne->receive_status;
    case 0xd:
    case 0xe: return 0;
    case 0xf: return counter_read(&ne->missed);
    default: return 0;
    }
}

static void page0_write(struct ne2000 *ne, unsigned n, u8 value)
{
    switch (n) {
    case 0x1: ne->page_start = value; return;
    case 0x2: ne->page_stop = value; return;
    case 0x3:
        ne->boundary = value;
        store_frames(ne);
        return;
    case 0x4: ne->transmit_page = value; return;
    case 0x5: ne->transmit_bytes = (u16)((ne->transmit_bytes & 0xff00) | value); return;
    case 0x6: ne->transmit_bytes = (u16)((ne->transmit_bytes & 0xff) | value << 8); return;
    case 0x7: /* writing 1 clears; RST shows the state */
        ne->interrupts &= (u8) ~(value & 0x7f);
        update(ne);
        store_frames(ne);
        return;
    case 0x8: ne->remote_address = (u16)((ne->remote_address & 0xff00) | value); return;
    case 0x9: ne->remote_address = (u16)((ne->remote_address & 0xff) | value << 8); return;
    case 0xa: ne->remote_bytes = (u16)((ne->remote_bytes & 0xff00) | value); return;
    case 0xb: ne->remote_bytes = (u16)((ne->remote_bytes & 0xff) | value << 8); return;
    case 0xc:
        ne->receive_configuration = value & 0x3f;
        update_filter(ne);
        return;
    case 0xd:
        ne->transmit_configuration = value & 0x1f;
        update_filter(ne);
        return;
    case 0xe: ne->data_configuration = value & 0x7f; return;
    case 0xf:
        ne->interrupt_mask = value & 0x7f;
        update(ne);
        return;
    default: return;
    }
}

static u8 page1_read(const struct ne2000 *ne, unsigned n)
{
    if (n >= 1 && n <= 6) return ne->physical[n - 1];
    return n == 7 ? ne->current : ne->multicast[n - 8];
}

static void page1_write(struct ne2000 *ne, unsigned n, u8 value)
{
    if (n >= 1 && n <= 6)
        ne->physical[n - 1] = value;
    else if (n == 7)
        ne->current = value;
    else
        ne->multicast[n - 8] = value;
    update_filter(ne);
}

/* What page 0 takes, for diagnosis. */
static u8 page2_read(const struct ne2000 *ne, unsigned n)
{
    switch (n) {
    case 0x1: return ne->page_start;
    case 0x2: return ne->page_stop;
    case 0x4: return ne->transmit_page;
    case 0xc: return ne->receive_configuration | 0xc0;
    case 0xd: return ne->transmit_configuration | 0xe0;
    case 0xe: return ne->data_configuration | 0x80;
    case 0xf: return ne->interrupt_mask | 0x80;
    default: return 0xff;
    }
}

/* Page 3 (RTL 5.1): 1 9346CR, 3 CONFIG0, 5 CONFIG2 and 6 CONFIG3 say what cable and duplex there are. */
enum { RTL_CONFIG2 = 5, RTL_CONFIG3 = 6, RTL_FULL_DUPLEX = 0x40 };

static u8 register_read(struct ne2000 *ne, unsigned n)
{
    if (n == 0) return ne->command;
    switch (ne->command >> 6) {
    case 0: return page0_read(ne, n);
    case 1: return page1_read(ne, n);
    case 2: return page2_read(ne, n);
    default: return ne->rtl8029 ? ne->config[n] : 0xff;
    }
}

static void register_write(struct ne2000 *ne, unsigned n, u8 value)
{
    if (n == 0)
        write_command(ne, value);
    else if (ne->command >> 6 == 0)
        page0_write(ne, n, value);
    else if (ne->command >> 6 == 1)
        page1_write(ne, n, value);
    else if (ne->command >> 6 == 3 && ne->rtl8029 && (n == RTL_CONFIG2 || n == RTL_CONFIG3))
        ne->config[n] = value;
}

static void reset(struct ne2000 *ne)
{
    net_fifo_reset(&ne->fifo);
    ne->command = CR_STP | CR_REMOTE_NONE;
    ne->interrupts = ISR_RST;
    ne->interrupt_mask = 0;
    ne->transmit_configuration = 0;
    ne->data_configuration &= (u8) ~(DCR_WTS | 0x04);
    ne->transmit_waits = false;
    ne->remote_bytes = 0;
    update(ne);
}

static u32 io_read(void *device, u32 offset, unsigned size)
{
    struct ne2000 *ne = device;
    u32 value = 0;
    if (offset >= 0x18) {
        reset(ne);
        return (u32)mask_bytes(~0ull, size);
    }
    if (offset >= 0x10) return data_read(ne, size);
    for (unsigned n = 0; n < size; n++)
        value |= (u32)register_read(ne, offset + n) << 8 * n;
    return value;
}

static void io_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct ne2000 *ne = device;
    if (offset >= 0x18) return;
    if (offset >= 0x10) {
        data_write(ne, size, value);
        return;
    }
    for (unsigned n = 0; n < size; n++)
        register_write(ne, offset + n, (u8)(value >> 8 * n));
}

const struct io_ops ne2000_ops = {io_read, io_write};

static u32 string_read(void *device, u32 offset, unsigned size, u8 *to, u32 count)
{
    if (offset < 0x10 || offset >= 0x18) return 0;
    for (u32 n = 0; n < count; n++)
        store_any(to + n * size, size, data_read(device, size));
    return count;
}

static u32 string_write(void *device, u32 offset, unsigned size, const u8 *from, u32 count)
{
    if (offset < 0x10 || offset >= 0x18) return 0;
    for (u32 n = 0; n < count; n++)
        data_write(device, size, (u32)load_any(from + n * size, size));
    return count;
}

const struct io_string_ops ne2000_string_ops = {string_read, string_write};

/* --- set-up --- */

static void fifo_has_room(void *chip)
{
    struct ne2000 *ne = chip;
    if (ne->transmit_waits) transmit(ne);
}

static void fifo_has_frames(void *chip)
{
    store_frames(chip);
}

/* The chip has no register for the link. */
static void carrier(void *chip, bool up) {}

static const struct net_fifo_ops fifo_ops = {
    .has_room = fifo_has_room, .has_frames = fifo_has_frames, .carrier = carrier};

bool ne2000_init(struct ne2000 *ne, bool rtl8029, void (*interrupt)(void *owner, bool level), void *owner,
                 const u8 mac[NET_MAC_BYTES], struct net_cable *cable)
{
    ne->rtl8029 = rtl8029;
    ne->interrupt = interrupt;
    ne->owner = owner;
    /* Behind the address "WW" says that the card is a 16-bit one. */
    for (unsigned n = 0; n < NE2000_PROM_BYTES; n++)
        ne->prom[n] = n / 2 < NET_MAC_BYTES ? mac[n / 2] : n / 2 >= 14 ? 'W' : 0;
    if (!net_fifo_init(&ne->fifo, cable, &fifo_ops, ne, RECEIVE_MOST)) return false;
    ne2000_hard_reset(ne);
    return true;
}

void ne2000_hard_reset(struct ne2000 *ne)
{
    ne->page_start = ne->page_stop = ne->boundary = ne->current = ne->transmit_page = 0;
    ne->transmit_bytes = ne->remote_address = 0;
    ne->receive_configuration = ne->data_configuration = ne->receive_status = ne->transmit_status = 0;
    ne->missed = 0;
    memset(ne->physical, 0, sizeof(ne->physical));
    memset(ne->multicast, 0, sizeof(ne->multicast));
    memset(ne->config, 0, sizeof(ne->config));
    memset(ne->memory, 0, sizeof(ne->memory));
    ne->config[RTL_CONFIG3] = RTL_FULL_DUPLEX;
    reset(ne);
}

void ne2000_destroy(struct ne2000 *ne)
{
    net_fifo_destroy(&ne->fifo);
}
