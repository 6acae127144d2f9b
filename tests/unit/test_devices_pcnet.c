/*
 * Am79C970A by its registers (AMD's datasheet): both I/O modes, initialization block and descriptors in the software
 * styles, filters, interrupts, hostile drivers.
 */
#include "check.h"
#include "devices/net/ethernet.h"
#include "devices/net/pcnet.h"
#include "devices/net/pcnet_private.h"
#include "net_rig.h"

static struct pcnet pcnet;
enum { BLOCK = 0x1000, RX = 0x2000, TX = 0x3000, DATA = 0x40000, ROOM = 0x60000 };

static u32 in(u32 offset, unsigned size)
{
    return net_rig_in(&pcnet.pci, 0, offset, size);
}
static void out(u32 offset, unsigned size, u32 value)
{
    net_rig_out(&pcnet.pci, 0, offset, size, value);
}
static u16 csr(unsigned n)
{
    out(0x12, 2, n);
    return (u16)in(0x10, 2);
}
static void set_csr(unsigned n, u16 value)
{
    out(0x12, 2, n);
    out(0x10, 2, value);
}
static u16 bcr(unsigned n)
{
    out(0x12, 2, n);
    return (u16)in(0x16, 2);
}
static void set_bcr(unsigned n, u16 value)
{
    out(0x12, 2, n);
    out(0x16, 2, value);
}

static void start(void)
{
    struct dma dma = net_rig_dma();
    net_rig_start();
    CHECK(
        pcnet_init(&pcnet, &net_rig.bus, &dma, &net_rig.clock, PCI_DEVFN(3, 0), net_rig_mac, &net_rig.cable));
    pcnet.pci.config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
}

/* "Address PROM", "CSR88", "RESET Register", "DWIO" */
static void test_resources(void)
{
    u16 sum = 0;
    for (u32 n = 0; n < 16; n++) {
        if (n < 6) CHECK_EQ(in(n, 1), net_rig_mac[n]);
        if (n != 12 && n != 13) sum = (u16)(sum + in(n, 1));
    }
    CHECK_EQ(in(12, 2), sum);
    CHECK_EQ(in(14, 2), 0x5757);
    CHECK_EQ(((u32)csr(89) << 16 | csr(88)) >> 12 & 0xffff, 0x2621);
    CHECK_EQ(csr(0), STATUS_STOP);
    CHECK_EQ(csr(12), 0x5452);
    set_csr(4, 0x0915);
    in(0x14, 2);
    CHECK_EQ(csr(4), 0x0115);
    CHECK_EQ(bcr(BCR_LINK_LED), 0x80c0);
    net_rig_carrier(false);
    CHECK_EQ(bcr(BCR_LINK_LED), 0x00c0);
    net_rig_carrier(true);
    /* A dword to RDP: from now on dwords, until the hard reset. */
    out(0x10, 4, 0);
    out(0x14, 4, 88);
    CHECK_EQ(in(0x10, 4), 0x1003);
    out(0x14, 4, 18);
    CHECK(in(0x1c, 4) & BUS_DWIO);
    CHECK_EQ(in(0x12, 2), 0xffffffff);
    in(0x18, 4);
    out(0x14, 4, 18);
    CHECK(in(0x1c, 4) & BUS_DWIO);
    pcnet_hard_reset(&pcnet);
    pcnet.pci.config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
    CHECK_EQ(csr(0), STATUS_STOP);
}

/* A ring of two descriptors each way, in any style. */
static void put_descriptor(u32 ring, u32 n, unsigned style, u32 gpa, u16 flags, u32 bytes)
{
    u8 *at = net_rig.ram + ring + n * (style ? 16 : 8);
    u16 count = (u16)(0xf000 | (0x1000 - bytes));
    memset(at, 0, style ? 16 : 8);
    if (!style) {
        pci_put32(at, (gpa & 0xffffff) | (u32)(flags >> 8) << 24);
        pci_put16(at + 4, count);
        return;
    }
    pci_put32(at + (style == 3 ? 8 : 0), gpa);
    pci_put16(at + 4, count);
    pci_put16(at + 6, flags);
}

static u16 flags_of(u32 ring, u32 n, unsigned style)
{
    const u8 *at = net_rig.ram + ring + n * (style ? 16 : 8);
    return style ? pci_get16(at + 6) : (u16)(at[3] << 8);
}

static u32 message_of(u32 ring, u32 n, unsigned style)
{
    const u8 *at = net_rig.ram + ring + n * (style ? 16 : 8);
    return style ? pci_get32(at + (style == 3 ? 0 : 8)) : pci_get16(at + 6);
}

static void initialize(unsigned style, u16 mode)
{
    u8 *block = net_rig.ram + BLOCK;
    memset(block, 0, 28);
    set_csr(0, STATUS_STOP);
    set_bcr(BCR_STYLE, (u16)style);
    pci_put16(block, mode);
    memcpy(block + (style ? 4 : 2), net_rig_mac, NET_MAC_BYTES);
    if (style) {
        block[2] = block[3] = 1 << 4;
        pci_put32(block + 20, RX);
        pci_put32(block + 24, TX);
    } else {
        pci_put32(block + 16, RX | 1u << 29);
        pci_put32(block + 20, TX | 1u << 29);
    }
    set_csr(1, BLOCK);
    set_csr(2, 0);
    set_csr(0, STATUS_INIT);
    CHECK_EQ(csr(0), STATUS_INIT | STATUS_IDON | STATUS_INTR);
    CHECK_EQ(csr(CSR_RCVRL), 0xfffe);
    CHECK_EQ(csr(CSR_PADR + 2), 0x5634);
    put_descriptor(RX, 0, style, ROOM, DESCRIPTOR_OWN, 64);
    put_descriptor(RX, 1, style, ROOM + 0x1000, DESCRIPTOR_OWN, 256);
    put_descriptor(TX, 0, style, 0, 0, 1);
    put_descriptor(TX, 1, style, 0, 0, 1);
    set_csr(0, STATUS_STRT | STATUS_IENA | STATUS_IDON);
    CHECK_EQ(csr(0), STATUS_INIT | STATUS_STRT | STATUS_TXON | STATUS_RXON | STATUS_IENA);
}

static void test_style(unsigned style)
{
    u8 frame[200];
    for (unsigned n = 0; n < sizeof(frame); n++)
        net_rig.ram[DATA + n] = frame[n] = (u8)(n * 5);
    initialize(style, 0);
    /* A frame in two buffers goes out with TDMD. */
    put_descriptor(TX, 0, style, DATA, DESCRIPTOR_OWN | DESCRIPTOR_STP, 150);
    put_descriptor(TX, 1, style, DATA + 150, DESCRIPTOR_OWN | DESCRIPTOR_ENP, 50);
    set_csr(0, STATUS_TDMD | STATUS_IENA);
    CHECK_EQ(net_rig.sent_count, 1);
    CHECK(net_rig.last_bytes == 200 && !memcmp(net_rig.last, frame, 200));
    CHECK_EQ(flags_of(TX, 0, style), DESCRIPTOR_STP);
    CHECK_EQ(flags_of(TX, 1, style), DESCRIPTOR_ENP);
    CHECK(net_rig.line && (csr(0) & STATUS_TINT));
    set_csr(0, STATUS_TINT | STATUS_IENA);
    CHECK(!net_rig.line);
    net_rig_done();
    /* One that comes fills both receive buffers; its length, with the check sequence, is in the last. */
    memcpy(frame, net_rig_mac, NET_MAC_BYTES);
    CHECK(net_rig_arrive(frame, 100));
    CHECK_EQ(flags_of(RX, 0, style), DESCRIPTOR_STP | (style ? DESCRIPTOR_PAM : 0));
    CHECK_EQ(flags_of(RX, 1, style), DESCRIPTOR_ENP);
    CHECK_EQ(message_of(RX, 1, style) & 0xfff, 104);
    CHECK(!memcmp(net_rig.ram + ROOM, frame, 64) && !memcmp(net_rig.ram + ROOM + 0x1000, frame + 64, 36));
    CHECK_EQ(pci_get32(net_rig.ram + ROOM + 0x1000 + 36), ethernet_fcs(frame, 100));
    CHECK(net_rig.line && (csr(0) & STATUS_RINT));
    /* The next finds no buffer until the driver hands one back, which the chip sees by itself. */
    set_csr(0, STATUS_RINT | STATUS_IENA);
    CHECK(net_rig_arrive(frame, 40));
    CHECK(!(csr(0) & STATUS_RINT));
    put_descriptor(RX, 0, style, ROOM, DESCRIPTOR_OWN, 64);
    net_rig.now_ns += 1000000;
    clock_run(&net_rig.clock);
    CHECK(csr(0) & STATUS_RINT);
    CHECK_EQ(message_of(RX, 0, style) & 0xfff, 64); /* no frame is shorter */
    /* CSR3 masks it. */
    set_csr(CSR_MASKS, STATUS_RINT);
    CHECK(!net_rig.line);
    set_csr(CSR_MASKS, 0);
    CHECK(net_rig.line);
    set_csr(0, STATUS_STOP);
    CHECK(!net_rig.line && csr(0) == STATUS_STOP && !net_rig.has_filter);
}

/* Frames whose check sequence ends before, across and behind the end of the first buffer. Drivers take the length of
 * the last descriptor, and drop a frame whose upper flags are other than STP and ENP. */
static void test_lengths(unsigned style)
{
    enum { FIRST = 1024, SECOND = 4096, MOST = RECEIVE_MOST - 1 - ETHERNET_FCS_BYTES };
    static u8 frame[MOST], stored[RECEIVE_MOST];
    u32 at = 0;
    for (u32 n = 0; n < sizeof(frame); n++)
        frame[n] = (u8)(n * 5);
    memcpy(frame, net_rig_mac, NET_MAC_BYTES);
    initialize(style, 0);
    for (u32 bytes = ETHERNET_LEAST; bytes <= MOST; bytes++) {
        u32 all = bytes + ETHERNET_FCS_BYTES, done = 0;
        put_descriptor(RX, at, style, ROOM, DESCRIPTOR_OWN, FIRST);
        put_descriptor(RX, at ^ 1, style, ROOM + 0x1000, DESCRIPTOR_OWN, SECOND);
        frame[bytes - 1]++;
        CHECK(net_rig_arrive(frame, bytes));
        for (; done < all; at ^= 1) {
            u32 now = done || all <= FIRST ? all - done : FIRST;
            u16 wanted = (u16)((done ? 0 : DESCRIPTOR_STP) | (done + now == all ? DESCRIPTOR_ENP : 0));
            CHECK_EQ(flags_of(RX, at, style) & 0xff00, wanted);
            memcpy(stored + done, net_rig.ram + ROOM + (done ? 0x1000 : 0), now);
            done += now;
            if (done == all) CHECK_EQ(message_of(RX, at, style) & 0xfff, all);
        }
        CHECK(!memcmp(stored, frame, bytes) && pci_get32(stored + bytes) == ethernet_fcs(frame, bytes));
    }
    set_csr(0, STATUS_STOP);
}

/* "Address Matching" */
static void test_filters(void)
{
    static const u8 group[] = {0x01, 0, 0x5e, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0};
    static const u8 other[] = {0x52, 0x54, 0, 0x12, 0x34, 0x57, 0, 0, 0, 0, 0, 0, 8, 0};
    u8 all[14] = {0};
    memcpy(all, net_rig_everybody, 6);
#define ACCEPTS(frame) (net_rig.filter.accepts(&net_rig.filter, frame, 14))
    initialize(2, 0);
    CHECK(ACCEPTS(all) && !ACCEPTS(group) && !ACCEPTS(other));
    initialize(2, MODE_DRCVBC | MODE_DRCVPA);
    CHECK(!ACCEPTS(all) && !ACCEPTS(group));
    initialize(2, MODE_PROM);
    CHECK(ACCEPTS(all) && ACCEPTS(group) && ACCEPTS(other));
    initialize(2, 0);
    u32 hash = ~ethernet_fcs(group, 6) >> 26;
    set_csr(CSR_EXTENDED, EXTENDED_SPND);
    set_csr(CSR_LADRF + hash / 16, (u16)(1 << hash % 16));
    set_csr(CSR_EXTENDED, 0);
    CHECK(ACCEPTS(group) && !ACCEPTS(other));
#undef ACCEPTS
    /* Loopback: what is sent comes back, and does not leave. */
    initialize(2, MODE_LOOP | MODE_PROM);
    put_descriptor(TX, 0, 2, DATA, DESCRIPTOR_OWN | DESCRIPTOR_STP | DESCRIPTOR_ENP, 100);
    set_csr(0, STATUS_TDMD);
    CHECK_EQ(net_rig.sent_count, 0);
    CHECK(!memcmp(net_rig.ram + ROOM, net_rig.ram + DATA, 64));
}

/* Let this time pass. Returns how often the chip's timer fired. */
static unsigned pass(u64 ns)
{
    unsigned fired = 0;
    for (u64 end = net_rig.now_ns + ns; net_rig.clock.armed && net_rig.clock.armed->deadline_ns <= end;
         fired++) {
        net_rig.now_ns = net_rig.clock.armed->deadline_ns;
        clock_run(&net_rig.clock);
    }
    return fired;
}

/* "Polling", "CSR47: Polling Interval": frames that no TDMD announces are found, also after a TDMD, unless DPOLL is
 * set. */
static void test_polling(void)
{
    enum { MS = 1000000, FRAME = DESCRIPTOR_OWN | DESCRIPTOR_STP | DESCRIPTOR_ENP };
    initialize(2, 0);
    put_descriptor(TX, 0, 2, DATA, FRAME, 100);
    pass(2 * MS);
    CHECK_EQ(net_rig.sent_count, 1);
    net_rig_done();
    put_descriptor(TX, 1, 2, DATA, FRAME, 100);
    set_csr(0, STATUS_TDMD);
    CHECK_EQ(net_rig.sent_count, 1);
    net_rig_done();
    /* With nothing to send, polls become rare. */
    CHECK(pass(1000 * MS) < 40);
    put_descriptor(TX, 0, 2, DATA, FRAME, 100);
    pass(65 * MS);
    CHECK_EQ(net_rig.sent_count, 1);
    net_rig_done();
    /* After a poll that found something, they are as frequent as at the start. */
    put_descriptor(TX, 1, 2, DATA, FRAME, 100);
    pass(4 * MS);
    CHECK_EQ(net_rig.sent_count, 1);
    net_rig_done();
    set_csr(CSR_FEATURES, FEATURE_DPOLL);
    put_descriptor(TX, 0, 2, DATA, FRAME, 100);
    pass(100 * MS);
    CHECK(net_rig.sent_count == 0 && !net_rig.clock.armed);
    set_csr(0, STATUS_STOP);
    set_csr(CSR_FEATURES, 0);
    set_csr(CSR_POLLINT, (u16)-1000); /* 30 us */
    initialize(2, 0);
    put_descriptor(TX, 0, 2, DATA, FRAME, 100);
    pass(MS / 20);
    CHECK_EQ(net_rig.sent_count, 1);
    net_rig_done();
    set_csr(0, STATUS_STOP);
    set_csr(CSR_POLLINT, 0);
}

static void test_hostile(void)
{
    /* A frame without an end: the transmitter underflows. */
    initialize(2, 0);
    put_descriptor(TX, 0, 2, DATA, DESCRIPTOR_OWN | DESCRIPTOR_STP, 100);
    set_csr(0, STATUS_TDMD);
    CHECK_EQ(message_of(TX, 0, 2), MESSAGE_BUFF | MESSAGE_UFLO);
    CHECK(!(csr(0) & STATUS_TXON) && (csr(0) & STATUS_TINT));
    /* Rings where no RAM is: all ones. */
    u8 frame[1500] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    initialize(2, 0);
    set_csr(0, STATUS_STOP);
    for (unsigned n = 0; n < 2; n++) {
        set_csr(CSR_BADR + n, 0xfff0);
        set_csr(CSR_BADX + n, 0xfff0);
    }
    set_csr(CSR_RCVRL, 0);
    set_csr(CSR_XMTRL, 0);
    set_csr(0, STATUS_STRT);
    set_csr(0, STATUS_TDMD);
    for (unsigned n = 0; n < 100; n++) {
        net_rig_arrive(frame, 14 + n * 14);
        net_rig_done();
    }
    /* The receive ring is one descriptor that lies on its own buffer. */
    initialize(2, 0);
    put_descriptor(RX, 0, 2, RX, DESCRIPTOR_OWN, 4096);
    for (unsigned n = 0; n < 100; n++)
        net_rig_arrive(frame, 1500);
    for (unsigned n = 0; n < 300; n++) {
        net_rig.now_ns += 1000000;
        clock_run(&net_rig.clock);
    }
    CHECK(csr(CSR_MISSED) > 0);
}

int main(void)
{
    start();
    test_resources();
    for (unsigned style = 0; style < 4; style++)
        test_style(style);
    for (unsigned style = 0; style < 4; style++)
        test_lengths(style);
    test_filters();
    test_polling();
    test_hostile();
    pcnet_destroy(&pcnet);
    return check_report();
}
