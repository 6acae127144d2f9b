/*
 * RTL8139C+ by its registers (datasheets RTL8139C(L) and RTL8139C+): EEPROM, both modes in both directions, filters,
 * timer, hostile drivers.
 */
#include "check.h"
#include "devices/net/ethernet.h"
#include "devices/net/rtl8139.h"
#include "devices/net/rtl8139_private.h"
#include "net_rig.h"

static struct rtl8139 rtl;
enum { RING = 0x10000, TX_RING = 0x2000, RX_RING = 0x3000, DATA = 0x40000, TALLY = 0x8000 };

static u32 get(u32 offset, unsigned size)
{
    return net_rig_in(&rtl.pci, 1, offset, size);
}

static void put(u32 offset, unsigned size, u32 value)
{
    net_rig_out(&rtl.pci, 1, offset, size, value);
}

static void start(bool plus)
{
    struct dma dma = net_rig_dma();
    net_rig_start();
    CHECK(rtl8139_init(&rtl, &net_rig.bus, &dma, &net_rig.clock, PCI_DEVFN(3, 0), plus, net_rig_mac,
                       &net_rig.cable));
    rtl.pci.config[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
}

static void make_frame(u8 *frame, const u8 *to, u32 bytes)
{
    for (u32 n = 0; n < bytes; n++)
        frame[n] = (u8)(n * 7);
    memcpy(frame, to, NET_MAC_BYTES);
    frame[12] = 8;
    frame[13] = 6;
}

/* --- EEPROM (C 5, 6.11), chips --- */

static void clock_bit(bool bit)
{
    put(CR9346, 1, 0x88 | (bit ? 2 : 0));
    put(CR9346, 1, 0x8c | (bit ? 2 : 0));
}

static u16 eeprom_read(unsigned word)
{
    u16 value = 0;
    put(CR9346, 1, 0x80);
    for (int bit = 8; bit >= 0; bit--)
        clock_bit((0x180 | word) >> bit & 1);
    for (unsigned n = 0; n < 16; n++) {
        clock_bit(false);
        value = (u16)(value << 1 | (get(CR9346, 1) & 1));
    }
    put(CR9346, 1, 0);
    return value;
}

static void eeprom_command(u32 command, unsigned bits)
{
    put(CR9346, 1, 0x80);
    while (bits--)
        clock_bit(command >> bits & 1);
    put(CR9346, 1, 0x80);
    put(CR9346, 1, 0);
}

static void test_eeprom(void)
{
    CHECK_EQ(eeprom_read(0), 0x8129);
    for (unsigned n = 0; n < 3; n++)
        CHECK_EQ(eeprom_read(7 + n), net_rig_mac[2 * n] | net_rig_mac[2 * n + 1] << 8);
    eeprom_command(0x145u << 16 | 0xabcd, 25); /* WRITE 5, before EWEN: refused */
    CHECK(eeprom_read(5) != 0xabcd);
    eeprom_command(0x130, 9);
    eeprom_command(0x145u << 16 | 0xabcd, 25);
    CHECK_EQ(eeprom_read(5), 0xabcd);
    eeprom_command(0x1c5, 9); /* ERASE */
    CHECK_EQ(eeprom_read(5), 0xffff);
    /* The address is loaded anew by mode 01. */
    put(IDR, 4, 0);
    put(CR9346, 1, 0x40);
    CHECK_EQ(get(IDR, 4), 0x12005452);
    /* CONFIG1 takes nothing while it is locked (C 6.13). */
    u32 before = get(CONFIG1, 1);
    put(CONFIG1, 1, before ^ 0x20);
    CHECK_EQ(get(CONFIG1, 1), before);
    put(CR9346, 1, 0xc0);
    put(CONFIG1, 1, before ^ 0x20);
    CHECK_EQ(get(CONFIG1, 1), before ^ 0x20);
    put(CR9346, 1, 0);
}

/* --- C mode --- */

static void test_ring_transmit(void)
{
    put(CR, 1, CR_TE | CR_RE);
    put(IMR, 2, INT_TOK);
    make_frame(net_rig.ram + DATA, net_rig_everybody, 300);
    put(TSAD, 4, DATA);
    put(TSD, 4, 300); /* C 6.2: OWN = 0 starts */
    CHECK_EQ(net_rig.sent_count, 1);
    CHECK(net_rig.last_bytes == 300 && !memcmp(net_rig.last, net_rig.ram + DATA, 300));
    CHECK_EQ(get(TSD, 4) & (TSD_OWN | TSD_TOK), TSD_OWN | TSD_TOK);
    CHECK(net_rig.line);
    put(ISR, 2, INT_TOK);
    CHECK(!net_rig.line && !get(ISR, 2));
    put(TSD + 4, 4, 20); /* the second buffer, at address 0; it is padded */
    CHECK_EQ(net_rig.last_bytes, 60);
    CHECK_EQ(get(TSAD_SUMMARY, 2), 0x300f);
    net_rig_done();
}

/* C 7.1: header, frame, check sequence, dword alignment, CAPR 16 behind. */
static void test_ring_receive(void)
{
    u8 frame[1514];
    put(RBSTART, 4, RING);
    put(RCR, 4, RCR_APM | RCR_AB);
    put(ISR, 2, 0xffff);
    put(IMR, 2, INT_ROK);
    CHECK(get(CR, 1) & CR_BUFE);
    make_frame(frame, net_rig_mac, 101);
    CHECK(net_rig_arrive(frame, 101));
    CHECK(net_rig.line && !(get(CR, 1) & CR_BUFE));
    CHECK_EQ(pci_get16(net_rig.ram + RING), 0x4001); /* PAM, ROK */
    CHECK_EQ(pci_get16(net_rig.ram + RING + 2), 105);
    CHECK(!memcmp(net_rig.ram + RING + 4, frame, 101));
    CHECK_EQ(pci_get32(net_rig.ram + RING + 105), ethernet_fcs(frame, 101));
    CHECK_EQ(get(CBR, 2), 112);
    put(CAPR, 2, 112 - 16);
    CHECK(get(CR, 1) & CR_BUFE);
    /* What does not fit waits, and follows when the driver has read. */
    make_frame(frame, net_rig_everybody, 1514);
    for (unsigned n = 0; n < 8; n++)
        CHECK(net_rig_arrive(frame, 1514));
    /* A driver that clears the ISR before it has read all frames gets another interrupt. */
    put(ISR, 2, 0xffff);
    CHECK_EQ(get(ISR, 2), INT_RXOVW);
    u32 full = get(CBR, 2);
    put(CAPR, 2, (full - 16) & 0xffff);
    CHECK(get(CBR, 2) != full);
    CHECK_EQ(get(MPC, 4), 0);
    put(ISR, 2, 0xffff);
    CHECK_EQ(get(ISR, 2), 0);
    make_frame(frame, (const u8 *)"\x52\x54\0\x12\x34\x57", 60);
    CHECK(!net_rig_arrive(frame, 60));
    make_frame(frame, (const u8 *)"\x01\0\x5e\0\0\x01", 60);
    CHECK(!net_rig_arrive(frame, 60));
    put(RCR, 4, RCR_APM | RCR_AM);
    u32 hash = ethernet_hash(frame) >> 26;
    put(MAR + hash / 32 * 4, 4, 1u << hash % 32);
    CHECK(net_rig_arrive(frame, 60));
}

/* Linux reads the ring by the lengths alone: it drops what has another status or is shorter than 8 bytes, and then
 * resets the receiver. With WRAP it reads on behind the end of the ring. */
static void test_ring_lengths(u32 rcr, u32 ring_bytes)
{
    u8 frame[RECEIVE_MOST];
    u32 at = 0, wraps = rcr & RCR_WRAP;
    put(CR, 1, CR_RST);
    put(CR, 1, CR_TE | CR_RE);
    put(RBSTART, 4, RING);
    put(RCR, 4, RCR_APM | rcr);
    put(CAPR, 2, 0xfff0);
    for (u32 bytes = ETHERNET_LEAST; bytes <= RECEIVE_MOST - ETHERNET_FCS_BYTES; bytes++) {
        u8 stored[RECEIVE_MOST];
        make_frame(frame, net_rig_mac, bytes);
        frame[bytes - 1] = (u8)bytes;
        CHECK(net_rig_arrive(frame, bytes));
        CHECK(!(get(CR, 1) & CR_BUFE));
        const u8 *header = net_rig.ram + RING + at;
        u32 size = pci_get16(header + 2);
        CHECK(pci_get16(header) == 0x4001 && size == bytes + ETHERNET_FCS_BYTES);
        for (u32 n = 0; n < size; n++)
            stored[n] = net_rig.ram[RING + (wraps ? at + 4 + n : (at + 4 + n) % ring_bytes)];
        CHECK(!memcmp(stored, frame, bytes) && pci_get32(stored + bytes) == ethernet_fcs(frame, bytes));
        at = ((at + 4 + size + 3) & ~3u) % ring_bytes;
        put(CAPR, 2, (at - 16) & 0xffff);
        CHECK(get(CR, 1) & CR_BUFE);
    }
}

/* --- C+ mode --- */

static void put_descriptor(u32 at, u32 command, u32 vlan, u32 gpa)
{
    pci_put32(net_rig.ram + at, command);
    pci_put32(net_rig.ram + at + 4, vlan);
    pci_put32(net_rig.ram + at + 8, gpa);
    pci_put32(net_rig.ram + at + 12, 0);
}

static void test_descriptors(void)
{
    u8 frame[1514], *ram = net_rig.ram;
    put(CPCR, 2, CPCR_TX | CPCR_RX | CPCR_RX_VLAN | CPCR_RX_CHECKSUM);
    put(TNPDS, 4, TX_RING);
    put(RDSAR, 4, RX_RING);
    put(RCR, 4, RCR_APM | RCR_AB);
    make_frame(ram + DATA, net_rig_everybody, 200);
    put_descriptor(TX_RING, DESCRIPTOR_OWN | DESCRIPTOR_FS | 100, 1 << 17 | 0x0500, DATA);
    put_descriptor(TX_RING + 16, DESCRIPTOR_OWN | DESCRIPTOR_LS | DESCRIPTOR_EOR | 100, 0, DATA + 100);
    put(CR, 1, CR_TE | CR_RE);
    put(TPPOLL, 1, 0x40);
    CHECK_EQ(net_rig.sent_count, 1);
    CHECK_EQ(net_rig.last_bytes, 204); /* C+ 7.1: the tag is put in */
    CHECK(!memcmp(net_rig.last + 12, "\x81\0\0\x05\x08\x06", 6));
    CHECK_EQ(pci_get32(ram + TX_RING), DESCRIPTOR_FS | 100);
    CHECK_EQ(pci_get32(ram + TX_RING + 16), DESCRIPTOR_EOR | DESCRIPTOR_LS | 100);
    CHECK_EQ(get(ISR, 2) & (INT_TOK | INT_TDU), INT_TOK | INT_TDU);
    net_rig_done();
    /* Two buffers of 64 bytes for a frame of 90; its tag is taken out (C+ 7.2). */
    make_frame(frame, net_rig_mac, 90);
    memcpy(frame + 12, "\x81\0\0\x07\x08\x06", 6);
    put_descriptor(RX_RING, DESCRIPTOR_OWN | 64, 0, DATA + 0x1000);
    put_descriptor(RX_RING + 16, DESCRIPTOR_OWN | 64, 0, DATA + 0x2000);
    put_descriptor(RX_RING + 32, DESCRIPTOR_EOR, 0, 0);
    CHECK(net_rig_arrive(frame, 90));
    CHECK_EQ(pci_get32(ram + RX_RING) & 0xf0001fff, DESCRIPTOR_FS | 64);
    CHECK_EQ(pci_get32(ram + RX_RING + 16) & 0xf0001fff, DESCRIPTOR_LS | 90);
    CHECK_EQ(pci_get32(ram + RX_RING + 20), 0x10000 | 0x0700);
    CHECK(!memcmp(ram + DATA + 0x1000 + 12, "\x08\x06", 2));
    /* No descriptor: RDU; the frame is stored when there is one. */
    put(ISR, 2, 0xffff);
    CHECK(net_rig_arrive(frame, 90));
    CHECK_EQ(get(ISR, 2), INT_RXOVW);
    put_descriptor(RX_RING + 32, DESCRIPTOR_OWN | DESCRIPTOR_EOR | 2048, 0, DATA + 0x3000);
    net_rig.now_ns += 1000000;
    clock_run(&net_rig.clock);
    CHECK(get(ISR, 2) & INT_ROK);
    CHECK_EQ(pci_get32(ram + RX_RING + 32) & 0xf0001fff,
             (u32)DESCRIPTOR_FS | DESCRIPTOR_LS | DESCRIPTOR_EOR | 90);
    /* C+ 6.4: the tally. */
    put(DTCCR + 4, 4, 0);
    put(DTCCR, 4, TALLY | 8);
    CHECK(!(get(DTCCR, 4) & 8));
    CHECK_EQ(load_any(ram + TALLY, 8), 1);
    CHECK_EQ(load_any(ram + TALLY + 8, 8), 2);
}

/* Frames whose check sequence ends at each place of a buffer. The descriptors tell all of a frame's bytes so far. */
static void test_descriptor_lengths(void)
{
    enum { ROOM = 256, ENTRIES = 32 };
    u8 frame[RECEIVE_MOST], *ram = net_rig.ram;
    u32 at = 0;
    put(CR, 1, CR_RST);
    put(CPCR, 2, CPCR_RX);
    put(RDSAR, 4, RX_RING);
    put(RCR, 4, RCR_APM);
    for (u32 n = 0; n < ENTRIES; n++)
        put_descriptor(RX_RING + 16 * n, DESCRIPTOR_OWN | (n == ENTRIES - 1 ? DESCRIPTOR_EOR : 0) | ROOM, 0,
                       DATA + ROOM * n);
    put(CR, 1, CR_RE);
    for (u32 bytes = ETHERNET_LEAST; bytes <= RECEIVE_MOST - ETHERNET_FCS_BYTES; bytes++) {
        u8 stored[RECEIVE_MOST];
        make_frame(frame, net_rig_mac, bytes);
        frame[bytes - 1] = (u8)bytes;
        CHECK(net_rig_arrive(frame, bytes));
        u32 all = bytes + ETHERNET_FCS_BYTES;
        for (u32 done = 0; done < all;) {
            u32 now = all - done < ROOM ? all - done : ROOM, end = at == ENTRIES - 1 ? DESCRIPTOR_EOR : 0;
            memcpy(stored + done, ram + DATA + ROOM * at, now);
            u32 wanted = (done ? 0 : DESCRIPTOR_FS) | end | (done + now);
            done += now;
            if (done == all) wanted |= DESCRIPTOR_LS;
            CHECK_EQ(pci_get32(ram + RX_RING + 16 * at) & 0xf0001fff, wanted);
            put_descriptor(RX_RING + 16 * at, DESCRIPTOR_OWN | end | ROOM, 0, DATA + ROOM * at);
            at = (at + 1) % ENTRIES;
        }
        CHECK(!memcmp(stored, frame, bytes) && pci_get32(stored + bytes) == ethernet_fcs(frame, bytes));
    }
}

/* LGSEN: the driver's IP header, the cable's segments. */
static void test_large_send(void)
{
    u8 *frame = net_rig.ram + DATA;
    memset(frame, 0, 4000);
    memcpy(frame + 12, "\x08\0\x45", 3);
    frame[14 + 9] = 6;
    frame[34 + 12] = 0x50;
    put_descriptor(TX_RING,
                   DESCRIPTOR_OWN | DESCRIPTOR_FS | DESCRIPTOR_LS | DESCRIPTOR_EOR | 1 << 27 | 1000u << 16 |
                       4000,
                   0, DATA);
    put(TNPDS, 4, TX_RING);
    put(TPPOLL, 1, 0x40);
    CHECK_EQ(net_rig.last_bytes, 4000);
    CHECK_EQ(net_rig.last_offload.segmentation, NET_SEGMENT_TCP4);
    CHECK_EQ(net_rig.last_offload.segment_bytes, 1000);
    CHECK_EQ(net_rig.last_offload.header_bytes, 54);
    CHECK_EQ(net_rig.last_offload.checksum_start, 34);
    CHECK_EQ(net_rig.last[16] << 8 | net_rig.last[17], 3986);
    net_rig_done();
}

/* --- timer (C 6.10, 6.16), link (6.17), reset --- */

static void test_timer_and_link(void)
{
    put(ISR, 2, 0xffff);
    put(TCTR, 4, 0);
    put(TIMER_INT, 4, 1000);
    net_rig.now_ns += 29999;
    clock_run(&net_rig.clock);
    CHECK(!(get(ISR, 2) & INT_TIMEOUT));
    net_rig.now_ns += 1;
    clock_run(&net_rig.clock);
    CHECK(get(ISR, 2) & INT_TIMEOUT);
    CHECK_EQ(get(TCTR, 4), 1000);
    put(TIMER_INT, 4, 0);
    CHECK(!(get(MSR, 1) & 4) && (get(BMSR, 2) & 4));
    net_rig_carrier(false);
    CHECK((get(MSR, 1) & 4) && !(get(BMSR, 2) & 4) && (get(ISR, 2) & INT_LINK));
    /* Linux's 8139too looks for the change here, once. */
    CHECK(get(CSCR, 2) & 1 << 11);
    CHECK(!(get(CSCR, 2) & 1 << 11));
    net_rig_carrier(true);
    put(CR, 1, CR_RST);
    CHECK_EQ(get(CR, 1), CR_BUFE);
    CHECK_EQ(get(ISR, 2) | get(IMR, 2), 0);
    CHECK_EQ(get(TSD, 4), TSD_OWN);
    CHECK(!net_rig.has_filter);
    CHECK_EQ(get(TCR, 4) & 0x7cc00000, rtl.plus ? TCR_RTL8139C_PLUS : TCR_RTL8139C);
}

/* Rings that loop, lie outside of RAM, and frames that never end. */
static void test_hostile(void)
{
    u8 frame[4096];
    put(CPCR, 2, CPCR_TX | CPCR_RX);
    put(CR, 1, CR_TE | CR_RE);
    put(RCR, 4, RCR_AAP | RCR_AB);
    for (u32 n = 0; n < 64; n++)
        put_descriptor(TX_RING + 16 * n, DESCRIPTOR_OWN | (n ? 0 : DESCRIPTOR_FS) | 0xffff, 0, DATA);
    put(TNPDS, 4, TX_RING);
    put(TPPOLL, 1, 0xc0);
    CHECK_EQ(net_rig.sent_count, 0);
    CHECK(!(pci_get32(net_rig.ram + TX_RING + 16 * 63) & DESCRIPTOR_OWN));
    put(TNPDS, 4, 0xffffff00);
    put(THPDS, 4, 0xfffffe00);
    put(TPPOLL, 1, 0xc0); /* ones: OWN, EOR, FS, LS; 65535 bytes where no RAM is */
    net_rig_done();
    put(RDSAR, 4, 0xffffff00);
    make_frame(frame, net_rig_everybody, 60);
    for (unsigned bytes = 14; bytes < 4000; bytes += 200)
        net_rig_arrive(frame, bytes);
    put_descriptor(RX_RING, DESCRIPTOR_OWN | DESCRIPTOR_EOR, 0, DATA); /* a ring without room */
    put(RDSAR, 4, RX_RING);
    u32 missed = get(MPC, 4);
    CHECK(net_rig_arrive(frame, 60));
    CHECK(get(MPC, 4) > missed);
}

int main(void)
{
    start(false);
    test_eeprom();
    test_ring_transmit();
    test_ring_receive();
    test_ring_lengths(0, 8192);
    test_ring_lengths(RCR_WRAP, 8192);
    test_ring_lengths(3 << 11, 65536);
    test_timer_and_link();
    rtl8139_destroy(&rtl);
    start(true);
    test_descriptors();
    test_large_send();
    test_descriptor_lengths();
    test_timer_and_link();
    test_hostile();
    rtl8139_destroy(&rtl);
    return check_report();
}
