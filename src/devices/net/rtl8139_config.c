/*
 * Configuration registers, the EEPROM (a 93C46) behind 9346CR, and the transceiver. The transceiver's registers are
 * some of the chip's own (C 6.11 to 6.29).
 */
#include "rtl8139_private.h"

#include <string.h>

/* 9346CR (C 6.11): 7-6 mode | 3 EECS | 2 EESK | 1 EEDI | 0 EEDO */
enum { MODE = 0xc0, MODE_LOAD = 0x40, MODE_PROGRAM = 0x80, MODE_UNLOCKED = 0xc0 };
enum { EECS = 8, EESK = 4, EEDI = 2, EEDO = 1 };
/* MSR (C 6.17) */
enum { MSR_LINK_DOWN = 1 << 2, MSR_WRITABLE = 0xc0 };
/* BMCR, BMSR (IEEE 802.3, 22.2.4.1, .2) */
enum { BMCR_RESET = 1 << 15, BMCR_RESTART = 1 << 9, BMCR_WRITABLE = 0x3100 };
enum { BMSR_ABILITIES = 0x7809, BMSR_UP = 1 << 2, BMSR_NEGOTIATED = 1 << 5 };
enum { ABLE_ALL = 0x05e1, PARTNER_ALL = 0x45e1 };
/*
 * CSCR (C 6.27): Con_status. Bit 11 is reserved there; older chips of the family show in it that the link has changed,
 * and Linux's 8139too looks at the link only when it is set (CSCR_LinkChangeBit). A read clears it.
 */
enum { CSCR_CHANGED = 1 << 11, CSCR_CONNECTED = 1 << 3, CSCR_AT_RESET = 0x01c0 };

void rtl8139_link(struct rtl8139 *r, bool up)
{
    u8 *reg = r->reg;
    u16 csr = pci_get16(reg + CSCR) & (u16)~CSCR_CONNECTED;
    if (up)
        reg[MSR] &= (u8)~MSR_LINK_DOWN;
    else
        reg[MSR] |= MSR_LINK_DOWN;
    pci_put16(reg + BMSR, up ? BMSR_ABILITIES | BMSR_UP | BMSR_NEGOTIATED : BMSR_ABILITIES);
    pci_put16(reg + ANLPAR, up ? PARTNER_ALL : 0);
    pci_put16(reg + ANER, up ? 1 : 0);
    pci_put16(reg + CSCR, up ? csr | CSCR_CONNECTED : csr);
}

void rtl8139_link_changed(struct rtl8139 *r, bool up)
{
    rtl8139_link(r, up);
    pci_put16(r->reg + CSCR, pci_get16(r->reg + CSCR) | CSCR_CHANGED);
    rtl8139_cause(r, INT_LINK);
}

void rtl8139_cscr_read(struct rtl8139 *r)
{
    pci_put16(r->reg + CSCR, pci_get16(r->reg + CSCR) & (u16)~CSCR_CHANGED);
}

void rtl8139_phy_write(struct rtl8139 *r, unsigned at, u16 value)
{
    u8 *reg = r->reg;
    switch (at) {
    case BMCR:
        if (value & BMCR_RESET) {
            pci_put16(reg + BMCR, 0x3100);
            pci_put16(reg + ANAR, ABLE_ALL);
            return;
        }
        pci_put16(reg + BMCR, value & BMCR_WRITABLE);
        if ((value & BMCR_RESTART) && r->fifo.cable->up) rtl8139_cause(r, INT_LINK);
        return;
    case ANAR: pci_put16(reg + ANAR, (value & 0x2de0) | 1); return;
    case NWAYTR: pci_put16(reg + NWAYTR, value & 0x80); return;
    case CSCR:
        pci_put16(reg + CSCR, (u16)((value & 0x8360) | (pci_get16(reg + CSCR) & (CSCR_CONNECTED | 0x0080))));
        return;
    default: return; /* read only */
    }
}

u8 rtl8139_9346_read(const struct rtl8139 *r)
{
    return (u8)((r->reg[CR9346] & ~EEDO) | (r->eeprom.out ? EEDO : 0));
}

/* The address that the EEPROM holds: words 7 to 9 (C 5). */
static void load_address(struct rtl8139 *r)
{
    for (unsigned n = 0; n < 3; n++)
        pci_put16(&r->reg[IDR + 2 * n], r->eeprom.word[7 + n]);
}

void rtl8139_9346_write(struct rtl8139 *r, u8 value)
{
    r->reg[CR9346] = value & (MODE | EECS | EESK | EEDI);
    bool programs = (value & MODE) == MODE_PROGRAM;
    eeprom_93c46_pins(&r->eeprom, programs && (value & EECS), value & EESK, value & EEDI);
    if ((value & MODE) != MODE_LOAD) return;
    load_address(r);
    rtl8139_update_filter(r);
    r->reg[CR9346] = 0;
}

void rtl8139_config_write(struct rtl8139 *r, unsigned at, u8 value)
{
    static const struct {
        u8 at, writable;
    } rows[] = {{CONFIG0, 0},    {CONFIG1, 0xf3},     {CONFIG3, 0x70},
                {CONFIG4, 0xf5}, {MSR, MSR_WRITABLE}, {CONFIG5, 0x7b}};
    bool unlocked = (r->reg[CR9346] & MODE) == MODE_UNLOCKED;
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++)
        if (rows[n].at == at && (unlocked || at == MSR || at == CONFIG5))
            r->reg[at] = (u8)((r->reg[at] & ~rows[n].writable) | (value & rows[n].writable));
}

void rtl8139_fill_eeprom(struct rtl8139 *r)
{
    u16 *word = r->eeprom.word;
    memset(word, 0, sizeof(r->eeprom.word));
    word[0] = 0x8129; /* valid */
    word[1] = pci_get16(&r->pci.config[PCI_VENDOR]);
    word[2] = pci_get16(&r->pci.config[PCI_DEVICE]);
    word[3] = pci_get16(&r->pci.config[PCI_SUBSYSTEM_VENDOR]);
    word[4] = pci_get16(&r->pci.config[PCI_SUBSYSTEM]);
    word[5] = 0x4020; /* MNGNT, MXLAT */
    for (unsigned n = 0; n < 3; n++)
        word[7 + n] = (u16)(r->mac[2 * n] | r->mac[2 * n + 1] << 8);
}

void rtl8139_config_reset(struct rtl8139 *r)
{
    eeprom_93c46_reset(&r->eeprom);
    load_address(r);
    r->reg[CONFIG1] = 0x0c; /* memory and I/O mapping */
    r->reg[CONFIG3] = 0x01;
    pci_put16(r->reg + BMCR, 0x3100); /* 100 Mb/s, negotiating, full duplex */
    pci_put16(r->reg + ANAR, ABLE_ALL);
    pci_put16(r->reg + CSCR, CSCR_AT_RESET);
    rtl8139_link(r, r->fifo.cable->up);
}
