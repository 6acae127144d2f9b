/*
 * The files of the Am79C970A share this: registers ("User Accessible Registers") and descriptors ("Descriptors").
 */
#ifndef RINGER_DEVICES_NET_PCNET_PRIVATE_H
#define RINGER_DEVICES_NET_PCNET_PRIVATE_H

#include "base/device.h"
#include "ethernet.h"
#include "pcnet.h"

/* CSRs */
enum {
    CSR_STATUS = 0,
    CSR_IADR = 1, /* and 2 */
    CSR_MASKS = 3,
    CSR_FEATURES = 4,
    CSR_EXTENDED = 5,
    CSR_RING_LENGTHS = 6,
    CSR_LADRF = 8, /* to 11 */
    CSR_PADR = 12, /* to 14 */
    CSR_MODE = 15,
    CSR_BADR = 24, /* base of the receive ring, and 25 */
    CSR_BADX = 30, /* of the transmit ring, and 31 */
    CSR_CRDA = 28, /* current descriptors, and 29 */
    CSR_CXDA = 34, /* and 35 */
    CSR_POLLINT = 47,
    CSR_STYLE = 58, /* BCR20 */
    CSR_RCVRC = 72, /* receive ring counter */
    CSR_XMTRC = 74,
    CSR_RCVRL = 76, /* receive ring length */
    CSR_XMTRL = 78,
    CSR_FIFO = 80,
    CSR_CHIP = 88, /* and 89 */
    CSR_MISSED = 112,
    CSR_COLLISIONS = 114,
};

/* CSR0 */
enum {
    STATUS_INIT = 1 << 0,
    STATUS_STRT = 1 << 1,
    STATUS_STOP = 1 << 2,
    STATUS_TDMD = 1 << 3,
    STATUS_TXON = 1 << 4,
    STATUS_RXON = 1 << 5,
    STATUS_IENA = 1 << 6,
    STATUS_INTR = 1 << 7,
    STATUS_IDON = 1 << 8,
    STATUS_TINT = 1 << 9,
    STATUS_RINT = 1 << 10,
    STATUS_MERR = 1 << 11,
    STATUS_MISS = 1 << 12,
    STATUS_CERR = 1 << 13,
    STATUS_BABL = 1 << 14,
    STATUS_ERR = 1 << 15,
    STATUS_CAUSES = 0x7f00, /* cleared by writing 1 */
};
/* CSR3 */
enum { MASKS_BSWP = 1 << 2, MASKS_DXSUFLO = 1 << 6, MASKS_WRITABLE = 0x5f7c };
/* CSR4 */
enum {
    FEATURE_JABM = 1 << 0,
    FEATURE_JAB = 1 << 1,
    FEATURE_TXSTRTM = 1 << 2,
    FEATURE_TXSTRT = 1 << 3,
    FEATURE_RCVCCOM = 1 << 4,
    FEATURE_RCVCCO = 1 << 5,
    FEATURE_UINT = 1 << 6,
    FEATURE_UINTCMD = 1 << 7,
    FEATURE_MFCOM = 1 << 8,
    FEATURE_MFCO = 1 << 9,
    FEATURE_ASTRP_RCV = 1 << 10,
    FEATURE_APAD_XMT = 1 << 11,
    FEATURE_DPOLL = 1 << 12,
    FEATURE_CAUSES = FEATURE_JAB | FEATURE_TXSTRT | FEATURE_RCVCCO | FEATURE_UINT | FEATURE_MFCO,
};
/* CSR5 */
enum {
    EXTENDED_SPND = 1 << 0,
    EXTENDED_CAUSES = 0x0aaa & ~0x0002, /* SINT, SLPINT, EXDINT, MPINT: events that never occur here */
    EXTENDED_LTINTEN = 1 << 14,
    EXTENDED_TOKINTD = 1 << 15,
};
/* CSR15 */
enum {
    MODE_DRX = 1 << 0,
    MODE_DTX = 1 << 1,
    MODE_LOOP = 1 << 2,
    MODE_DXMTFCS = 1 << 3,
    MODE_DRCVPA = 1 << 13,
    MODE_DRCVBC = 1 << 14,
    MODE_PROM = 1 << 15,
};
/* BCRs */
enum { BCR_MISC = 2, BCR_LINK_LED = 4, BCR_DUPLEX = 9, BCR_BUS = 18, BCR_EEPROM = 19, BCR_STYLE = 20 };
enum { BUS_DWIO = 1 << 7, STYLE_SSIZE32 = 1 << 8, STYLE_CSRPCNET = 1 << 9, LED_OUT = 1 << 15 };

/*
 * A descriptor of any layout: its address, its flags as in the upper half of the second dword of the 32-bit styles,
 * the length of its buffer, and the third word, with the received length (MCNT) or errors.
 */
struct pcnet_descriptor {
    u32 gpa; /* of the buffer */
    u16 flags;
    u32 buffer_bytes; /* 1 to 4096 */
    u32 message;
};
enum {
    DESCRIPTOR_ENP = 1 << 8,
    DESCRIPTOR_STP = 1 << 9,
    DESCRIPTOR_BUFF = 1 << 10, /* receive: no further buffer; transmit: DEF */
    DESCRIPTOR_LTINT = 1 << 12,
    DESCRIPTOR_ADD_FCS = 1 << 13,
    DESCRIPTOR_OFLO = 1 << 12, /* receive */
    DESCRIPTOR_ERR = 1 << 14,
    DESCRIPTOR_OWN = 1 << 15,
    /* receive, 32-bit styles: how the address matched */
    DESCRIPTOR_BAM = 1 << 4,
    DESCRIPTOR_LAFM = 1 << 5,
    DESCRIPTOR_PAM = 1 << 6,
};
/* Of transmit descriptors' message. */
#define MESSAGE_BUFF (1u << 31)
#define MESSAGE_UFLO (1u << 30)

#define RECEIVE_MOST 4096 /* bytes with the check sequence: MCNT has 12 bits */

static inline u32 pcnet_csr32(const struct pcnet *p, unsigned n)
{
    return p->csr[n] | (u32)p->csr[n + 1] << 16;
}

static inline bool pcnet_is_32_bit(const struct pcnet *p)
{
    return p->bcr[BCR_STYLE] & STYLE_SSIZE32;
}

/* Neither stopped nor suspended. */
static inline bool pcnet_runs(const struct pcnet *p, u16 unit)
{
    return (p->csr[CSR_STATUS] & unit) && !(p->csr[CSR_EXTENDED] & EXTENDED_SPND);
}

/* pcnet.c */
void pcnet_cause(struct pcnet *p, u16 causes);
/* Look for descriptors again when it is time. */
void pcnet_arm_poll(struct pcnet *p);

/* pcnet_block.c */
void pcnet_read_block(struct pcnet *p);
struct pcnet_descriptor pcnet_read_descriptor(const struct pcnet *p, const struct pcnet_ring *ring,
                                              u32 index);
/* Write flags and message back; the flags, with OWN, last. */
void pcnet_write_descriptor(struct pcnet *p, const struct pcnet_ring *ring, u32 index,
                            const struct pcnet_descriptor *descriptor);

/* pcnet_transmit.c */
/* Returns whether a descriptor was the chip's. */
bool pcnet_transmit(struct pcnet *p);

/* pcnet_receive.c */
void pcnet_update_filter(struct pcnet *p);
void pcnet_store_frames(struct pcnet *p);
void pcnet_loop_back(struct pcnet *p, const u8 *frame, u32 bytes);

#endif
