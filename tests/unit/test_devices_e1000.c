/*
 * Intel 82540EM by its registers (8254x Software Developer's Manual): EEPROM, transceiver, interrupts, descriptors in both directions,
 * offloads as the cable sees them, address filters.
 */
#include "check.h"
#include "devices/net/e1000.h"
#include "devices/net/e1000_private.h"
#include "devices/net/ethernet.h"

#include <string.h>

#define RAM_BYTES (1u << 20)
enum { TX_RING = 0x1000, RX_RING = 0x2000, DATA = 0x10000, ENTRIES = 8 };

struct rig {
    u8 ram[RAM_BYTES];
    struct pci_bus bus;
    struct clock clock;
    u64 now_ns;
    bool line;
    struct net_cable cable;
    struct net_frame *sent[16];
    unsigned sent_count;
    struct net_buffer *offered[64];
    unsigned offered_count;
    struct net_filter filter;
    bool has_filter;
    const struct net_card_ops *card_ops;
    struct e1000 e;
};
static struct rig rig;

/* --- around the chip --- */

static void dma_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    memset(buffer, 0xff, bytes);
    if (gpa + bytes <= RAM_BYTES) memcpy(buffer, rig.ram + gpa, bytes);
}
static void dma_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    if (gpa + bytes <= RAM_BYTES) memcpy(rig.ram + gpa, buffer, bytes);
}
static u8 *dma_map(void *memory, u64 gpa, u64 *bytes)
{
    if (gpa >= RAM_BYTES) return NULL;
    if (*bytes > RAM_BYTES - gpa) *bytes = RAM_BYTES - gpa;
    return rig.ram + gpa;
}
static void dma_written(void *memory, u64 gpa, u64 bytes) {}
static u64 now(const struct clock *clock)
{
    return rig.now_ns;
}
static void line(void *receiver, unsigned pin, bool level)
{
    rig.line = level;
}
static void attach(struct net_cable *cable, const struct net_card_ops *ops, void *card)
{
    rig.card_ops = ops;
}
static void send_frame(struct net_cable *cable, struct net_frame *frame)
{
    rig.sent[rig.sent_count++ % ARRAY_SIZE(rig.sent)] = frame;
}
static void flush(struct net_cable *cable) {}
static void offer(struct net_cable *cable, struct net_buffer *buffer)
{
    rig.offered[rig.offered_count++ % ARRAY_SIZE(rig.offered)] = buffer;
}
static void withdraw(struct net_cable *cable)
{
    rig.offered_count = rig.sent_count = 0;
}
static void filter(struct net_cable *cable, const struct net_filter *f)
{
    rig.has_filter = f != NULL;
    if (f) rig.filter = *f;
}
static void receive(struct net_cable *cable, u32 takes, bool merges) {}

static u32 read_reg(u32 offset)
{
    const struct pci_bar *bar = &rig.e.pci.bar[0];
    return bar->ops->read(bar->handler, offset, 4);
}
static void write_reg(u32 offset, u32 value)
{
    const struct pci_bar *bar = &rig.e.pci.bar[0];
    bar->ops->write(bar->handler, offset, 4, value);
}

static const u8 mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static void start(void)
{
    static const struct net_cable_ops ops = {attach, send_frame, flush, offer, withdraw, filter, receive};
    struct dma dma = {dma_read, dma_write, dma_map, dma_written, NULL, NULL};
    memset(&rig, 0, sizeof(rig));
    rig.now_ns = 1000000000;
    rig.clock.now_ns = now;
    pci_bus_init(&rig.bus);
    for (unsigned n = 0; n < 4; n++)
        rig.bus.pirq[n] = (struct irq_line){line, NULL, n};
    rig.cable = (struct net_cable){.ops = &ops, .up = true};
    CHECK(e1000_init(&rig.e, &rig.bus, &dma, &rig.clock, PCI_DEVFN(3, 0), mac, &rig.cable));
    rig.e.pci.config[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
}

/* --- EEPROM, transceiver --- */

static void test_eeprom(void)
{
    u16 sum = 0;
    for (u32 word = 0; word < 64; word++) {
        write_reg(EERD, word << 8 | 1);
        u32 value = read_reg(EERD);
        CHECK(value & 0x10);
        sum = (u16)(sum + (value >> 16));
        if (word < 3) CHECK_EQ(value >> 16, mac[2 * word] | mac[2 * word + 1] << 8);
    }
    CHECK_EQ(sum, 0xbaba);
    /* Word 1 by the serial interface (SDM 5.3): CS, then a start bit, 10, address; data on DO with each rising edge. */
    enum { SK = 1, CS = 2, DI = 4, DO = 8, REQ = 0x40, GNT = 0x80 };
    write_reg(EECD, REQ);
    CHECK(read_reg(EECD) & GNT);
    u32 command = 0x6 << 6 | 1, value = 0;
    write_reg(EECD, REQ | CS);
    for (int bit = 8; bit >= 0; bit--) {
        u32 di = command >> bit & 1 ? DI : 0;
        write_reg(EECD, REQ | CS | di);
        write_reg(EECD, REQ | CS | di | SK);
        write_reg(EECD, REQ | CS | di);
    }
    for (unsigned bit = 0; bit < 16; bit++) {
        write_reg(EECD, REQ | CS | SK);
        value = value << 1 | !!(read_reg(EECD) & DO);
        write_reg(EECD, REQ | CS);
    }
    CHECK_EQ(value, mac[2] | mac[3] << 8);
    write_reg(EECD, 0);
}

static void test_phy(void)
{
    write_reg(MDIC, 2 << 26 | 1 << 21 | 2 << 16);
    CHECK_EQ(read_reg(MDIC) & 0x1000ffff, 0x10000141);
    write_reg(MDIC, 2 << 26 | 1 << 21 | 1 << 16);
    CHECK(read_reg(MDIC) & 4); /* the link is up */
    write_reg(MDIC, 2 << 26 | 3 << 21);
    CHECK(read_reg(MDIC) & 1 << 30); /* there is no transceiver 3 */
    CHECK(read_reg(STATUS) & STATUS_LU);
    rig.cable.up = false;
    rig.card_ops->carrier(&rig.e, false);
    CHECK(!(read_reg(STATUS) & STATUS_LU));
    CHECK(read_reg(ICR) & CAUSE_LSC);
    rig.cable.up = true;
    rig.card_ops->carrier(&rig.e, true);
    CHECK(read_reg(STATUS) & STATUS_LU);
    read_reg(ICR);
}

static void test_interrupts(void)
{
    write_reg(IMC, 0xffffffff);
    write_reg(ICS, CAUSE_RXT0);
    CHECK(!rig.line);
    write_reg(IMS, CAUSE_RXT0);
    CHECK(rig.line);
    CHECK_EQ(read_reg(ICR), CAUSE_ASSERTED | CAUSE_RXT0);
    CHECK(!rig.line && !read_reg(ICR));
    /* ITR: the next one not before 256 ns times this. */
    write_reg(ITR, 1000);
    rig.now_ns += 1000000000;
    write_reg(ICS, CAUSE_RXT0);
    CHECK(rig.line);
    read_reg(ICR);
    write_reg(ICS, CAUSE_RXT0);
    CHECK(!rig.line);
    rig.now_ns += 256000;
    clock_run(&rig.clock);
    CHECK(rig.line);
    read_reg(ICR);
    write_reg(ITR, 0);
}

/* --- transmitting --- */

static void put_descriptor(u32 ring, unsigned n, u64 low, u64 high)
{
    store_any(rig.ram + ring + 16 * n, 8, low);
    store_any(rig.ram + ring + 16 * n + 8, 8, high);
}

static void start_transmitting(void)
{
    write_reg(TDBAL, TX_RING);
    write_reg(TDLEN, ENTRIES * 16);
    write_reg(TDH, 0);
    write_reg(TDT, 0);
    write_reg(TCTL, TCTL_EN | TCTL_PSP);
}

static u32 gather(const struct net_frame *frame, u8 *to)
{
    u32 at = 0;
    for (unsigned n = 0; n < frame->part_count; n++) {
        memcpy(to + at, frame->part[n].iov_base, frame->part[n].iov_len);
        at += (u32)frame->part[n].iov_len;
    }
    return at;
}

static void test_legacy_transmit(void)
{
    u8 out[2048];
    start_transmitting();
    for (unsigned n = 0; n < 1000; n++)
        rig.ram[DATA + n] = (u8)(n * 3);
    put_descriptor(TX_RING, 0, DATA, 400 | 8u << 24);       /* RS */
    put_descriptor(TX_RING, 1, DATA + 400, 600 | 9u << 24); /* RS, EOP */
    put_descriptor(TX_RING, 2, DATA, 40 | 9u << 24);        /* shorter than a frame may be */
    write_reg(TDT, 3);
    CHECK_EQ(rig.sent_count, 2);
    CHECK_EQ(gather(rig.sent[0], out), 1000);
    CHECK(!memcmp(out, rig.ram + DATA, 1000));
    CHECK_EQ(rig.sent[1]->bytes, 60);
    CHECK(!(rig.ram[TX_RING + 12] & 1));
    rig.sent[0]->next = rig.sent[1];
    rig.sent[1]->next = NULL;
    rig.card_ops->sent(&rig.e, rig.sent[0]);
    CHECK((rig.ram[TX_RING + 12] & 1) && (rig.ram[TX_RING + 28] & 1) && (rig.ram[TX_RING + 44] & 1));
    CHECK_EQ(read_reg(TDH), 3);
    CHECK_EQ(read_reg(ICR) & (CAUSE_TXDW | CAUSE_TXQE), CAUSE_TXDW | CAUSE_TXQE);
    CHECK_EQ(read_reg(GPTC), 2);
    CHECK_EQ(read_reg(GPTC), 0); /* cleared by reading */
    rig.sent_count = 0;
}

/* The driver leaves out the fields that differ from segment to segment; the frames on the cable have them. */
static void test_segmentation(void)
{
    u8 *frame = rig.ram + DATA, out[8192];
    memset(frame, 0, 4096);
    frame[12] = 8;
    frame[14] = 0x45;
    frame[14 + 9] = 6;
    frame[34 + 12] = 5 << 4;
    frame[34 + 16] = 0x12; /* the sum of the pseudo header without its length */
    frame[34 + 17] = 0x34;
    put_descriptor(TX_RING, 3, 14 | 24u << 8 | 33u << 16 | 34ull << 32 | 50ull << 40,
                   3000 | 0x2fu << 24 | 54ull << 40 | 1460ull << 48); /* context: TSE, TCP, IP, RS */
    put_descriptor(TX_RING, 4, DATA,
                   3054 | 1u << 20 | 0x2du << 24 | 3ull << 40); /* data: DEXT, TSE, RS, EOP; IXSM, TXSM */
    write_reg(TDT, 5);
    CHECK_EQ(rig.sent_count, 1);
    const struct net_frame *sent = rig.sent[0];
    CHECK_EQ(gather(sent, out), 3054);
    CHECK_EQ(sent->offload.segmentation, NET_SEGMENT_TCP4);
    CHECK_EQ(sent->offload.segment_bytes, 1460);
    CHECK_EQ(sent->offload.checksum_start, 34);
    CHECK_EQ(sent->offload.checksum_offset, 16);
    CHECK_EQ(out[16] << 8 | out[17], 3040);
    CHECK_EQ(out[50] << 8 | out[51], 0x1234 + 3020);
    u32 sum = 0;
    for (unsigned n = 14; n < 34; n += 2)
        sum += (u32)(out[n] << 8 | out[n + 1]);
    CHECK_EQ((sum & 0xffff) + (sum >> 16), 0xffff);
    rig.sent[0]->next = NULL;
    rig.card_ops->sent(&rig.e, rig.sent[0]);
    rig.sent_count = 0;
}

/* Nonsensical descriptors are marked as done, and send nothing. */
static void test_hostile_transmit(void)
{
    put_descriptor(TX_RING, 5, RAM_BYTES + 4096, 1000 | 9u << 24);      /* where no RAM is */
    put_descriptor(TX_RING, 6, DATA, 0xfffff | 1u << 20 | 0x29u << 24); /* a megabyte */
    write_reg(TDT, 7);
    CHECK_EQ(rig.sent_count, 2);
    CHECK(rig.sent[1]->bytes == 0);
    rig.sent[0]->next = rig.sent[1];
    rig.sent[1]->next = NULL;
    rig.card_ops->sent(&rig.e, rig.sent[0]);
    write_reg(TDT, 60000); /* behind the ring */
    write_reg(TDLEN, 0);
    write_reg(TDT, 1);
    CHECK_EQ(rig.sent_count, 2);
}

/* --- receiving --- */

static void test_receive(void)
{
    start();
    for (unsigned n = 0; n < ENTRIES; n++)
        put_descriptor(RX_RING, n, DATA + 0x1000 * n, 0);
    write_reg(RDBAL, RX_RING);
    write_reg(RDLEN, ENTRIES * 16);
    write_reg(RDT, ENTRIES - 1);
    CHECK_EQ(rig.offered_count, 0);
    write_reg(RCTL, RCTL_EN | RCTL_BAM);
    CHECK_EQ(rig.offered_count, ENTRIES - 1);
    struct net_buffer *buffer = rig.offered[0];
    CHECK_EQ(buffer->capacity, 2048 - 4);
    CHECK(buffer->part[0].iov_base == rig.ram + DATA);
    buffer->used = 100;
    buffer->count = 1;
    buffer->offload = (struct net_offload){.flags = NET_CHECKSUM_GOOD};
    buffer->next = NULL;
    for (unsigned n = 0; n < 100; n++)
        rig.ram[DATA + n] = (u8)(n * 3);
    /* IEEE 802.3, 3.2.9: the check value of the digits 1 to 9 is known. */
    CHECK_EQ(ethernet_fcs((const u8 *)"123456789", 9), 0xcbf43926);
    rig.card_ops->received(&rig.e, buffer);
    CHECK_EQ(load_any(rig.ram + RX_RING + 8, 2), 104); /* with the check sequence (13.4.22: SECRC = 0) */
    CHECK_EQ(load_any(rig.ram + DATA + 100, 4), ethernet_fcs(rig.ram + DATA, 100));
    CHECK_EQ(rig.ram[RX_RING + 12], 0x63); /* DD, EOP, both checksums looked at */
    CHECK_EQ(rig.ram[RX_RING + 13], 0);
    CHECK_EQ(read_reg(RDH), 1);
    CHECK(read_reg(ICR) & CAUSE_RXT0);
    write_reg(RDT, 0);
    CHECK_EQ(rig.offered_count, ENTRIES);
    write_reg(RCTL, 0);
    CHECK(!rig.has_filter);
}

/* The cable's part: a frame in as many buffers as it needs. Returns their number. */
static unsigned arrive(const u8 *frame, u32 bytes, unsigned from)
{
    struct net_buffer *first = rig.offered[from % ARRAY_SIZE(rig.offered)];
    unsigned count = 0;
    for (u32 done = 0; done < bytes; count++) {
        struct net_buffer *buffer = rig.offered[(from + count) % ARRAY_SIZE(rig.offered)];
        if (count) rig.offered[(from + count - 1) % ARRAY_SIZE(rig.offered)]->next = buffer;
        buffer->next = NULL;
        buffer->used = bytes - done < buffer->capacity ? bytes - done : buffer->capacity;
        buffer->count = 0;
        buffer->offload = (struct net_offload){0};
        memcpy(buffer->part[0].iov_base, frame + done, buffer->used);
        done += buffer->used;
    }
    first->count = (u16)count;
    rig.card_ops->received(&rig.e, first);
    return count;
}

/* Drivers add the lengths of a frame's descriptors, and take the check sequence off the last. Frames of all lengths in buffers of 256 bytes,
 * which end at each place of a buffer; jumbo frames in buffers of 2 KB. */
static void test_receive_lengths(u32 rctl, u32 least, u32 most)
{
    static u8 frame[16384], stored[16384 + 4096];
    unsigned at = 0, from = 0;
    start();
    for (unsigned n = 0; n < ENTRIES; n++)
        put_descriptor(RX_RING, n, DATA + 0x1000 * n, 0);
    for (u32 n = 0; n < sizeof(frame); n++)
        frame[n] = (u8)(n * 3);
    write_reg(RDBAL, RX_RING);
    write_reg(RDLEN, ENTRIES * 16);
    write_reg(RDT, ENTRIES - 1);
    write_reg(RCTL, RCTL_EN | rctl);
    for (u32 bytes = least; bytes <= most; bytes++) {
        u32 all = 0;
        frame[bytes - 1]++;
        unsigned count = arrive(frame, bytes, from);
        from += count;
        for (unsigned n = 0; n < count; n++, at = (at + 1) % ENTRIES) {
            const u8 *descriptor = rig.ram + RX_RING + 16 * at;
            CHECK_EQ(descriptor[12] & 3, n + 1 == count ? 3 : 1); /* DD, and EOP in the last */
            memcpy(stored + all, rig.ram + DATA + 0x1000 * at, pci_get16(descriptor + 8));
            all += pci_get16(descriptor + 8);
            write_reg(RDT, at);
        }
        CHECK_EQ(all, bytes + 4);
        CHECK(!memcmp(stored, frame, bytes) && pci_get32(stored + bytes) == ethernet_fcs(frame, bytes));
    }
    e1000_destroy(&rig.e);
}

static bool accepts(const char *address)
{
    u8 frame[60] = {0};
    memcpy(frame, address, 6);
    return rig.has_filter && rig.filter.accepts(&rig.filter, frame, sizeof(frame));
}

static void test_filters(void)
{
    write_reg(RCTL, RCTL_EN);
    CHECK(accepts("\x52\x54\0\x12\x34\x56") && !accepts("\x52\x54\0\x12\x34\x57"));
    CHECK(!accepts("\xff\xff\xff\xff\xff\xff") && !accepts("\x01\0\x5e\0\0\x01"));
    write_reg(RCTL, RCTL_EN | RCTL_BAM);
    CHECK(accepts("\xff\xff\xff\xff\xff\xff"));
    /* MO 0: bits 47 to 36 of 01:00:5e:00:00:01, that is 010h. */
    write_reg(MTA + 4 * (0x010 / 32), 1u << 0x010 % 32);
    CHECK(accepts("\x01\0\x5e\0\0\x01") && !accepts("\x01\0\x5e\0\0\x02"));
    write_reg(RCTL, RCTL_EN | RCTL_UPE);
    CHECK(accepts("\x52\x54\0\x12\x34\x57"));
    write_reg(RCTL, RCTL_EN | RCTL_MPE);
    CHECK(accepts("\x01\0\x5e\0\0\x02") && !accepts("\x52\x54\0\x12\x34\x57"));
}

static void test_reset(void)
{
    write_reg(IMS, CAUSE_LSC);
    write_reg(CTRL, CTRL_RST);
    CHECK_EQ(read_reg(RCTL), 0);
    CHECK_EQ(read_reg(IMS), 0);
    CHECK_EQ(read_reg(RAL), 0x12005452);
    CHECK_EQ(read_reg(RAH), 0x80005634);
    CHECK(!(read_reg(CTRL) & CTRL_RST));
}

int main(void)
{
    start();
    test_eeprom();
    test_phy();
    test_interrupts();
    test_legacy_transmit();
    test_segmentation();
    test_hostile_transmit();
    e1000_destroy(&rig.e);
    test_receive_lengths(3 << 16, 60, 1514);
    test_receive_lengths(RCTL_LPE, 1500, 9018);
    test_receive();
    test_filters();
    test_reset();
    e1000_destroy(&rig.e);
    return check_report();
}
