/*
 * Intel 82540EM by its registers (8254x Software Developer's Manual): EEPROM, transceiver, interrupts, descriptors in
 * both directions, offloads as the cable sees them, address filters.
 */
#include "check.h"
#include "devices/net/e1000.h"
#include "devices/net/e1000_private.h"
#include "devices/net/ethernet.h"
#include "net_rig.h"

#include <string.h>

enum { TX_RING = 0x1000, RX_RING = 0x2000, DATA = 0x10000, ENTRIES = 8 };

static struct e1000 e1000;

static u32 read_reg(u32 offset)
{
    return net_rig_in(&e1000.pci, 0, offset, 4);
}
static void write_reg(u32 offset, u32 value)
{
    net_rig_out(&e1000.pci, 0, offset, 4, value);
}

static void start(void)
{
    struct dma dma = net_rig_dma();
    net_rig_start();
    CHECK(
        e1000_init(&e1000, &net_rig.bus, &dma, &net_rig.clock, PCI_DEVFN(3, 0), net_rig_mac, &net_rig.cable));
    e1000.pci.config[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
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
        if (word < 3) CHECK_EQ(value >> 16, net_rig_mac[2 * word] | net_rig_mac[2 * word + 1] << 8);
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
    CHECK_EQ(value, net_rig_mac[2] | net_rig_mac[3] << 8);
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
    net_rig_carrier(false);
    CHECK(!(read_reg(STATUS) & STATUS_LU));
    CHECK(read_reg(ICR) & CAUSE_LSC);
    net_rig_carrier(true);
    CHECK(read_reg(STATUS) & STATUS_LU);
    read_reg(ICR);
}

static void test_interrupts(void)
{
    write_reg(IMC, 0xffffffff);
    write_reg(ICS, CAUSE_RXT0);
    CHECK(!net_rig.line);
    write_reg(IMS, CAUSE_RXT0);
    CHECK(net_rig.line);
    CHECK_EQ(read_reg(ICR), CAUSE_ASSERTED | CAUSE_RXT0);
    CHECK(!net_rig.line && !read_reg(ICR));
    /* ITR: the next one not before 256 ns times this. */
    write_reg(ITR, 1000);
    net_rig.now_ns += 1000000000;
    write_reg(ICS, CAUSE_RXT0);
    CHECK(net_rig.line);
    read_reg(ICR);
    write_reg(ICS, CAUSE_RXT0);
    CHECK(!net_rig.line);
    net_rig.now_ns += 256000;
    clock_run(&net_rig.clock);
    CHECK(net_rig.line);
    read_reg(ICR);
    write_reg(ITR, 0);
}

/* --- transmitting --- */

static void put_descriptor(u32 ring, unsigned n, u64 low, u64 high)
{
    store_any(net_rig.ram + ring + 16 * n, 8, low);
    store_any(net_rig.ram + ring + 16 * n + 8, 8, high);
}

static void start_transmitting(void)
{
    write_reg(TDBAL, TX_RING);
    write_reg(TDLEN, ENTRIES * 16);
    write_reg(TDH, 0);
    write_reg(TDT, 0);
    write_reg(TCTL, TCTL_EN | TCTL_PSP);
}

static void test_legacy_transmit(void)
{
    start_transmitting();
    for (unsigned n = 0; n < 1000; n++)
        net_rig.ram[DATA + n] = (u8)(n * 3);
    put_descriptor(TX_RING, 0, DATA, 400 | 8u << 24);       /* RS */
    put_descriptor(TX_RING, 1, DATA + 400, 600 | 9u << 24); /* RS, EOP */
    put_descriptor(TX_RING, 2, DATA, 40 | 9u << 24);        /* shorter than a frame may be */
    write_reg(TDT, 2);
    CHECK_EQ(net_rig.last_bytes, 1000);
    CHECK(!memcmp(net_rig.last, net_rig.ram + DATA, 1000));
    write_reg(TDT, 3);
    CHECK_EQ(net_rig.sent_count, 2);
    CHECK_EQ(net_rig.sent->next->bytes, 60);
    CHECK(!(net_rig.ram[TX_RING + 12] & 1));
    net_rig_done();
    CHECK((net_rig.ram[TX_RING + 12] & 1) && (net_rig.ram[TX_RING + 28] & 1) &&
          (net_rig.ram[TX_RING + 44] & 1));
    CHECK_EQ(read_reg(TDH), 3);
    CHECK_EQ(read_reg(ICR) & (CAUSE_TXDW | CAUSE_TXQE), CAUSE_TXDW | CAUSE_TXQE);
    CHECK_EQ(read_reg(GPTC), 2);
    CHECK_EQ(read_reg(GPTC), 0); /* cleared by reading */
}

/* The driver leaves out the fields that differ from segment to segment; the frames on the cable have them. */
static void test_segmentation(void)
{
    u8 *frame = net_rig.ram + DATA;
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
    CHECK_EQ(net_rig.sent_count, 1);
    const struct net_frame *sent = net_rig.sent;
    CHECK_EQ(net_rig.last_bytes, 3054);
    CHECK_EQ(sent->offload.segmentation, NET_SEGMENT_TCP4);
    CHECK_EQ(sent->offload.segment_bytes, 1460);
    CHECK_EQ(sent->offload.checksum_start, 34);
    CHECK_EQ(sent->offload.checksum_offset, 16);
    CHECK_EQ(net_rig.last[16] << 8 | net_rig.last[17], 3040);
    CHECK_EQ(net_rig.last[50] << 8 | net_rig.last[51], 0x1234 + 3020);
    u32 sum = 0;
    for (unsigned n = 14; n < 34; n += 2)
        sum += (u32)(net_rig.last[n] << 8 | net_rig.last[n + 1]);
    CHECK_EQ((sum & 0xffff) + (sum >> 16), 0xffff);
    net_rig_done();
}

/* Nonsensical descriptors are marked as done, and send nothing. */
static void test_hostile_transmit(void)
{
    put_descriptor(TX_RING, 5, NET_RIG_RAM + 4096, 1000 | 9u << 24);    /* where no RAM is */
    put_descriptor(TX_RING, 6, DATA, 0xfffff | 1u << 20 | 0x29u << 24); /* a megabyte */
    write_reg(TDT, 7);
    CHECK_EQ(net_rig.sent_count, 2);
    CHECK(net_rig.sent->next->bytes == 0);
    net_rig_done();
    write_reg(TDT, 60000); /* behind the ring */
    write_reg(TDLEN, 0);
    write_reg(TDT, 1);
    CHECK_EQ(net_rig.sent_count, 0);
}

/* --- receiving --- */

static void test_receive(void)
{
    u8 frame[100];
    start();
    for (unsigned n = 0; n < ENTRIES; n++)
        put_descriptor(RX_RING, n, DATA + 0x1000 * n, 0);
    write_reg(RDBAL, RX_RING);
    write_reg(RDLEN, ENTRIES * 16);
    write_reg(RDT, ENTRIES - 1);
    CHECK_EQ(net_rig_offered_count(), 0);
    write_reg(RCTL, RCTL_EN | RCTL_BAM);
    CHECK_EQ(net_rig_offered_count(), ENTRIES - 1);
    struct net_buffer *buffer = net_rig.offered;
    CHECK_EQ(buffer->capacity, 2048 - 4);
    CHECK(buffer->part[0].iov_base == net_rig.ram + DATA);
    for (unsigned n = 0; n < sizeof(frame); n++)
        frame[n] = (u8)(n * 3);
    memcpy(frame, net_rig_everybody, NET_MAC_BYTES);
    /* IEEE 802.3, 3.2.9: the check value of the digits 1 to 9 is known. */
    CHECK_EQ(ethernet_fcs((const u8 *)"123456789", 9), 0xcbf43926);
    CHECK(net_rig_arrive(frame, sizeof(frame)));
    CHECK(!memcmp(net_rig.ram + DATA, frame, sizeof(frame)));
    CHECK_EQ(load_any(net_rig.ram + RX_RING + 8, 2), 104); /* with the check sequence (13.4.22: SECRC = 0) */
    CHECK_EQ(load_any(net_rig.ram + DATA + 100, 4), ethernet_fcs(net_rig.ram + DATA, 100));
    CHECK_EQ(net_rig.ram[RX_RING + 12], 0x63); /* DD, EOP, both checksums looked at */
    CHECK_EQ(net_rig.ram[RX_RING + 13], 0);
    CHECK_EQ(read_reg(RDH), 1);
    CHECK(read_reg(ICR) & CAUSE_RXT0);
    write_reg(RDT, 0);
    CHECK_EQ(net_rig_offered_count(), ENTRIES - 1);
    write_reg(RCTL, 0);
    CHECK(!net_rig.has_filter);
}

/* The cable's part: a frame in as many buffers as it needs. Returns their number. */
static unsigned arrive(const u8 *frame, u32 bytes)
{
    struct net_buffer *first = net_rig.offered, *last = NULL;
    unsigned count = 0;
    for (u32 done = 0; done < bytes; count++) {
        struct net_buffer *buffer = net_rig.offered;
        net_rig.offered = buffer->next;
        if (!net_rig.offered) net_rig.offered_last = &net_rig.offered;
        if (last) last->next = buffer;
        last = buffer;
        buffer->next = NULL;
        buffer->used = bytes - done < buffer->capacity ? bytes - done : buffer->capacity;
        buffer->count = 0;
        buffer->offload = (struct net_offload){0};
        memcpy(buffer->part[0].iov_base, frame + done, buffer->used);
        done += buffer->used;
    }
    first->count = (u16)count;
    net_rig.card_ops->received(&e1000, first);
    return count;
}

/* Drivers add the lengths of a frame's descriptors, and take the check sequence off the last. Frames of all lengths in
 * buffers of 256 bytes, which end at each place of a buffer; jumbo frames in buffers of 2 KB. */
static void test_receive_lengths(u32 rctl, u32 least, u32 most)
{
    static u8 frame[16384], stored[16384 + 4096];
    unsigned at = 0;
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
        unsigned count = arrive(frame, bytes);
        for (unsigned n = 0; n < count; n++, at = (at + 1) % ENTRIES) {
            const u8 *descriptor = net_rig.ram + RX_RING + 16 * at;
            CHECK_EQ(descriptor[12] & 3, n + 1 == count ? 3 : 1); /* DD, and EOP in the last */
            memcpy(stored + all, net_rig.ram + DATA + 0x1000 * at, pci_get16(descriptor + 8));
            all += pci_get16(descriptor + 8);
            write_reg(RDT, at);
        }
        CHECK_EQ(all, bytes + 4);
        CHECK(!memcmp(stored, frame, bytes) && pci_get32(stored + bytes) == ethernet_fcs(frame, bytes));
    }
    e1000_destroy(&e1000);
}

static bool accepts(const char *address)
{
    u8 frame[60] = {0};
    memcpy(frame, address, 6);
    return net_rig.has_filter && net_rig.filter.accepts(&net_rig.filter, frame, sizeof(frame));
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
    e1000_destroy(&e1000);
    test_receive_lengths(3 << 16, 60, 1514);
    test_receive_lengths(RCTL_LPE, 1500, 9018);
    test_receive();
    test_filters();
    test_reset();
    e1000_destroy(&e1000);
    return check_report();
}
