/*
 * The files of the 82540EM share this: registers (SDM table 13-2) and their bits.
 */
#ifndef RINGER_DEVICES_NET_E1000_PRIVATE_H
#define RINGER_DEVICES_NET_E1000_PRIVATE_H

#include "base/device.h"
#include "e1000.h"

enum {
    CTRL = 0x0000,
    CTRL_DUP = 0x0004,
    STATUS = 0x0008,
    EECD = 0x0010,
    EERD = 0x0014,
    CTRL_EXT = 0x0018,
    MDIC = 0x0020,
    FCAL = 0x0028,
    FCAH = 0x002c,
    FCT = 0x0030,
    VET = 0x0038,
    ICR = 0x00c0,
    ITR = 0x00c4,
    ICS = 0x00c8,
    IMS = 0x00d0,
    IMC = 0x00d8,
    RCTL = 0x0100,
    FCTTV = 0x0170,
    TXCW = 0x0178,
    RXCW = 0x0180,
    TCTL = 0x0400,
    TIPG = 0x0410,
    AIT = 0x0458,
    LEDCTL = 0x0e00,
    PBA = 0x1000,
    FCRTL = 0x2160,
    FCRTH = 0x2168,
    RDFH = 0x2410,
    RDFPC = 0x2430,
    RDBAL = 0x2800,
    RDBAH = 0x2804,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    RDTR = 0x2820,
    RXDCTL = 0x2828,
    RADV = 0x282c,
    RSRPD = 0x2c00,
    TDFH = 0x3410,
    TDFPC = 0x3430,
    TDBAL = 0x3800,
    TDBAH = 0x3804,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    TIDV = 0x3820,
    TXDCTL = 0x3828,
    TADV = 0x382c,
    TSPMT = 0x3830,
    STATISTICS = 0x4000,
    MPC = 0x4010,
    PRC64 = 0x405c,
    GPRC = 0x4074,
    BPRC = 0x4078,
    MPRC = 0x407c,
    GPTC = 0x4080,
    GORCL = 0x4088,
    GOTCL = 0x4090,
    TORL = 0x40c0,
    TOTL = 0x40c8,
    TPR = 0x40d0,
    TPT = 0x40d4,
    PTC64 = 0x40d8,
    MPTC = 0x40f0,
    BPTC = 0x40f4,
    TSCTC = 0x40f8,
    STATISTICS_END = 0x4100,
    RXCSUM = 0x5000,
    MTA = 0x5200,
    RAL = 0x5400,
    RAH = 0x5404,
    VFTA = 0x5600,
    WUC = 0x5800,
    WUFC = 0x5808,
    WUS = 0x5810,
    MANC = 0x5820,
    IPAV = 0x5838,
    WUPL = 0x5900,
    FFLT = 0x5f00,
    FFMT = 0x9000,
    FFVT = 0x9800,
    PACKET_BUFFER = 0x10000,
};
#define RECEIVE_ADDRESSES 16
#define MTA_WORDS         128
#define VFTA_WORDS        128

/* CTRL (13.4.1), STATUS (13.4.2) */
enum {
    CTRL_FD = 1 << 0,
    CTRL_ASDE = 1 << 5,
    CTRL_SLU = 1 << 6,
    CTRL_SPEED_1000 = 2 << 8,
    CTRL_RST = 1 << 26,
    CTRL_VME = 1 << 30,
};
#define CTRL_PHY_RST (1u << 31)
enum { STATUS_FD = 1 << 0, STATUS_LU = 1 << 1, STATUS_SPEED_1000 = 2 << 6 };

/* Interrupt causes (13.4.17) */
enum {
    CAUSE_TXDW = 1 << 0,
    CAUSE_TXQE = 1 << 1,
    CAUSE_LSC = 1 << 2,
    CAUSE_RXDMT0 = 1 << 4,
    CAUSE_RXO = 1 << 6,
    CAUSE_RXT0 = 1 << 7,
    CAUSE_MDAC = 1 << 9,
    CAUSE_TXD_LOW = 1 << 15,
    CAUSE_SRPD = 1 << 16,
    CAUSES = 0x1ffff,
};
#define CAUSE_ASSERTED (1u << 31)

/* RCTL (13.4.22), TCTL (13.4.33) */
enum {
    RCTL_EN = 1 << 1,
    RCTL_SBP = 1 << 2,
    RCTL_UPE = 1 << 3,
    RCTL_MPE = 1 << 4,
    RCTL_LPE = 1 << 5,
    RCTL_LOOPBACK = 3 << 6,
    RCTL_BAM = 1 << 15,
    RCTL_VFE = 1 << 18,
    RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26,
};
enum { TCTL_EN = 1 << 1, TCTL_PSP = 1 << 3 };
#define RAH_AV (1u << 31)

/* The cable has gathered frames for about so long when it reports them. Delays that are meant to gather frames (RDTR,
 * RADV, TIDV, TADV) and are no longer than this are over by then, and need no timer. */
#define GATHERED_NS 40000u

#define DESCRIPTOR_BYTES 16
#define FCS_BYTES        4
#define FRAME_LEAST      60 /* without the check sequence */

static inline u32 *reg_at(struct e1000 *e, u32 offset)
{
    return &e->reg[offset / 4];
}

/* e1000.c */
void e1000_cause(struct e1000 *e, u32 causes);
/* 64 bits, in two registers. */
void e1000_count_bytes(struct e1000 *e, u32 low, u64 bytes);
static inline void e1000_count(struct e1000 *e, u32 counter)
{
    if (++*reg_at(e, counter) == 0) *reg_at(e, counter) = UINT32_MAX; /* it sticks at its maximum (13.7) */
}
/* The index in PRC64 to PRC1522 or PTC64 to PTC1522 for a frame of this size, FCS included; -1: none. */
int e1000_size_class(u32 bytes);

/* e1000_phy.c */
void e1000_phy_reset(struct e1000 *e);
void e1000_phy_link(struct e1000 *e, bool up);
u32 e1000_mdic(struct e1000 *e, u32 value);
void e1000_eeprom_fill(struct e1000 *e);
u32 e1000_eecd_read(const struct e1000 *e);
void e1000_eecd_write(struct e1000 *e, u32 value);
u32 e1000_eerd(struct e1000 *e, u32 value);

/* e1000_transmit.c */
void e1000_transmit(struct e1000 *e);
void e1000_transmit_reset(struct e1000 *e);
void e1000_sent(void *card, struct net_frame *first);

/* e1000_receive.c */
void e1000_offer(struct e1000 *e);
void e1000_receive_reset(struct e1000 *e);
void e1000_received(void *card, struct net_buffer *first);
void e1000_update_filter(struct e1000 *e);

#endif
