/*
 * The files of the RTL8139C+ share this: registers (C 6, C+ 6) and their bits.
 */
#ifndef RINGER_DEVICES_NET_RTL8139_PRIVATE_H
#define RINGER_DEVICES_NET_RTL8139_PRIVATE_H

#include "base/device.h"
#include "ethernet.h"
#include "rtl8139.h"

enum {
    IDR = 0x00,
    MAR = 0x08,
    TSD = 0x10,   /* C mode: status of the four buffers */
    DTCCR = 0x10, /* C+ mode: where to dump the tally */
    TSAD = 0x20,  /* C mode: their addresses */
    TNPDS = 0x20, /* C+ mode: the ring of normal priority */
    THPDS = 0x28, /* and that of high priority */
    RBSTART = 0x30,
    ERBCR = 0x34,
    ERSR = 0x36,
    CR = 0x37,
    CAPR = 0x38,
    CBR = 0x3a,
    IMR = 0x3c,
    ISR = 0x3e,
    TCR = 0x40,
    RCR = 0x44,
    TCTR = 0x48,
    MPC = 0x4c,
    CR9346 = 0x50,
    CONFIG0 = 0x51,
    CONFIG1 = 0x52,
    TIMER_INT = 0x54,
    MSR = 0x58,
    CONFIG3 = 0x59,
    CONFIG4 = 0x5a,
    MULINT = 0x5c,
    RERID = 0x5e,
    TSAD_SUMMARY = 0x60,
    BMCR = 0x62,
    BMSR = 0x64,
    ANAR = 0x66,
    ANLPAR = 0x68,
    ANER = 0x6a,
    DIS = 0x6c,
    FCSC = 0x6e,
    NWAYTR = 0x70,
    REC = 0x72,
    CSCR = 0x74,
    PHY1_PARM = 0x78,
    TW_PARM = 0x7c,
    CONFIG5 = 0xd8,
    TPPOLL = 0xd9,
    CPCR = 0xe0,
    RDSAR = 0xe4,
    ETTHR = 0xec,
};

/* TSD (C 6.2) */
enum { TSD_SIZE = 0x1fff, TSD_OWN = 1 << 13, TSD_TUN = 1 << 14, TSD_TOK = 1 << 15 };
/* CR (C 6.5) */
enum { CR_BUFE = 1, CR_TE = 4, CR_RE = 8, CR_RST = 0x10 };
/* ISR (C 6.7, C+ 6.8) */
enum {
    INT_ROK = 1 << 0,
    INT_RER = 1 << 1,
    INT_TOK = 1 << 2,
    INT_RXOVW = 1 << 4, /* C+ mode: RDU, no free descriptor */
    INT_LINK = 1 << 5,
    INT_TDU = 1 << 7, /* C+ mode: nothing more to transmit */
    INT_SOFTWARE = 1 << 8,
    INT_TIMEOUT = 1 << 14,
};
/* TCR (C 6.8) */
enum { TCR_NO_CRC = 1 << 16, TCR_LOOPBACK = 3 << 17, TCR_WRITABLE = 0x030f07f0 };
#define TCR_RTL8139C      0x74000000u
#define TCR_RTL8139C_PLUS 0x74800000u
/* RCR (C 6.9) */
enum {
    RCR_AAP = 1 << 0,
    RCR_APM = 1 << 1,
    RCR_AM = 1 << 2,
    RCR_AB = 1 << 3,
    RCR_AR = 1 << 4,
    RCR_WRAP = 1 << 7,
};
/* C+CR (C+ 6.21) */
enum {
    CPCR_TX = 1 << 0,
    CPCR_RX = 1 << 1,
    CPCR_RX_CHECKSUM = 1 << 5,
    CPCR_RX_VLAN = 1 << 6,
    CPCR_WRITABLE = 0x007b
};

/* Descriptors (C+ 7): +0 command and status | +4 VLAN tag | +8 address, 64 bits */
#define DESCRIPTOR_BYTES 16
#define RING_ENTRIES     64
#define DESCRIPTOR_OWN   (1u << 31)
enum { DESCRIPTOR_EOR = 1 << 30, DESCRIPTOR_FS = 1 << 29, DESCRIPTOR_LS = 1 << 28 };

#define RECEIVE_MOST 4096 /* bytes with the check sequence (C+ 7.2: RES) */

static inline bool rtl8139_plus_mode(const struct rtl8139 *r, unsigned bit)
{
    return r->reg[CPCR] & bit;
}

static inline u64 rtl8139_get64(const struct rtl8139 *r, unsigned at)
{
    return load_any(&r->reg[at], 8);
}

/* rtl8139.c */
void rtl8139_cause(struct rtl8139 *r, unsigned causes);

/* rtl8139_config.c */
void rtl8139_fill_eeprom(struct rtl8139 *r);
void rtl8139_config_reset(struct rtl8139 *r);
void rtl8139_link(struct rtl8139 *r, bool up);
/* The cable was pulled or came back; CSCR was read. */
void rtl8139_link_changed(struct rtl8139 *r, bool up);
void rtl8139_cscr_read(struct rtl8139 *r);
u8 rtl8139_9346_read(const struct rtl8139 *r);
void rtl8139_9346_write(struct rtl8139 *r, u8 value);
void rtl8139_config_write(struct rtl8139 *r, unsigned at, u8 value);
void rtl8139_phy_write(struct rtl8139 *r, unsigned at, u16 value);

/* rtl8139_transmit.c */
void rtl8139_transmit(struct rtl8139 *r);
void rtl8139_transmit_reset(struct rtl8139 *r);

/* rtl8139_receive.c */
void rtl8139_receive_reset(struct rtl8139 *r);
/* RE, RCR, the address or the multicast filter has changed. */
void rtl8139_update_filter(struct rtl8139 *r);
bool rtl8139_is_empty(const struct rtl8139 *r);
/* Stores frames from the FIFO as far as there is room. */
void rtl8139_store_frames(struct rtl8139 *r);
void rtl8139_retry(void *device);
/* A frame that comes back by loopback. */
void rtl8139_loop_back(struct rtl8139 *r, const u8 *frame, u32 bytes);

#endif
