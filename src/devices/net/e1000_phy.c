/*
 * The transceiver, a Marvell 88E1011 (SDM 13.4.4 MDIC and 8.1; IEEE 802.3 clause 22), and the EEPROM (SDM 5.6), a
 * 93C46.
 */
#include "e1000_private.h"

/* --- the transceiver --- */

enum {
    PHY_CONTROL = 0,
    PHY_STATUS = 1,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    PHY_ADVERTISED = 4,
    PHY_PARTNER = 5,
    PHY_EXPANSION = 6,
    PHY_GIGABIT_CONTROL = 9,
    PHY_GIGABIT_STATUS = 10,
    PHY_EXTENDED_STATUS = 15,
    PHY_SPECIFIC_CONTROL = 16,
    PHY_SPECIFIC_STATUS = 17,
    PHY_INTERRUPTS = 18,
    PHY_EXTENDED_CONTROL = 20,
};
enum { CONTROL_RESTART = 1 << 9, CONTROL_NEGOTIATE = 1 << 12, CONTROL_RESET = 1 << 15 };
enum { STATUS_UP = 1 << 2, STATUS_NEGOTIATED = 1 << 5, SPECIFIC_UP = 1 << 10, SPECIFIC_1000_FULL = 0xa800 };

static const u16 phy_at_reset[E1000_PHY_REGISTERS] = {
    [PHY_CONTROL] = 0x1140,
    [PHY_STATUS] = 0x7949,
    [PHY_ID1] = 0x0141,
    [PHY_ID2] = 0x0c20,
    [PHY_ADVERTISED] = 0x0de1,
    [PHY_GIGABIT_CONTROL] = 0x0e00,
    [PHY_EXTENDED_STATUS] = 0x3000,
    [PHY_SPECIFIC_CONTROL] = 0x0360,
    [PHY_EXTENDED_CONTROL] = 0x0d60,
};
static const u16 phy_writable[E1000_PHY_REGISTERS] = {
    [PHY_CONTROL] = 0xfdc0,          [PHY_ADVERTISED] = 0xffff, [PHY_GIGABIT_CONTROL] = 0xff00,
    [PHY_SPECIFIC_CONTROL] = 0xffff, [PHY_INTERRUPTS] = 0xffff, [PHY_EXTENDED_CONTROL] = 0xffff,
};

void e1000_phy_link(struct e1000 *e, bool up)
{
    u16 *phy = e->phy;
    if (up) {
        /* The partner supports every mode, and negotiation has ended. */
        phy[PHY_STATUS] |= STATUS_UP | STATUS_NEGOTIATED;
        phy[PHY_PARTNER] = 0x45e1;
        phy[PHY_EXPANSION] = 0x000f;
        phy[PHY_GIGABIT_STATUS] = 0x3c00;
        phy[PHY_SPECIFIC_STATUS] = SPECIFIC_UP | SPECIFIC_1000_FULL;
        *reg_at(e, STATUS) |= STATUS_LU;
    } else {
        phy[PHY_STATUS] &= (u16) ~(STATUS_UP | STATUS_NEGOTIATED);
        phy[PHY_PARTNER] = phy[PHY_EXPANSION] = phy[PHY_GIGABIT_STATUS] = phy[PHY_SPECIFIC_STATUS] = 0;
        *reg_at(e, STATUS) &= ~(u32)STATUS_LU;
    }
}

void e1000_phy_reset(struct e1000 *e)
{
    for (unsigned n = 0; n < E1000_PHY_REGISTERS; n++)
        e->phy[n] = phy_at_reset[n];
    e1000_phy_link(e, e->cable->up);
}

static void phy_write(struct e1000 *e, unsigned n, u16 value)
{
    if (n == PHY_CONTROL && (value & CONTROL_RESET)) {
        e1000_phy_reset(e);
        return;
    }
    e->phy[n] = (u16)((e->phy[n] & ~phy_writable[n]) | (value & phy_writable[n]));
    if (n != PHY_CONTROL) return;
    bool restart = (value & CONTROL_RESTART) && (value & CONTROL_NEGOTIATE);
    e->phy[n] &= (u16)~CONTROL_RESTART;
    if (restart && e->cable->up) {
        e1000_phy_link(e, true);
        e1000_cause(e, CAUSE_LSC);
    }
}

/* MDIC: data | register << 16 | address << 21 | operation << 26 | ready 28 | interrupt 29 | error 30 */
u32 e1000_mdic(struct e1000 *e, u32 value)
{
    enum {
        OPERATION = 3 << 26,
        WRITE = 1 << 26,
        READ = 2 << 26,
        READY = 1 << 28,
        INTERRUPT = 1 << 29,
        ERROR = 1 << 30,
        ADDRESS = 1
    };
    unsigned n = value >> 16 & 31;
    u32 operation = value & OPERATION;
    value &= 0x3fffffff & ~(u32)READY;
    if ((value >> 21 & 31) != ADDRESS || (operation != READ && operation != WRITE)) {
        value |= ERROR;
    } else if (operation == READ) {
        value = (value & 0xffff0000) | e->phy[n];
    } else {
        phy_write(e, n, (u16)value);
    }
    if (value & INTERRUPT) e1000_cause(e, CAUSE_MDAC);
    return value | READY;
}

/* --- the EEPROM --- */

enum {
    EECD_SK = 1,
    EECD_CS = 2,
    EECD_DI = 4,
    EECD_DO = 8,
    EECD_REQ = 0x40,
    EECD_GNT = 0x80,
    EECD_PRES = 0x100
};
enum { EERD_START = 1, EERD_DONE = 1 << 4 };
#define EEPROM_SUM 0xbaba

void e1000_eeprom_fill(struct e1000 *e)
{
    /* SDM table 5-2. */
    static const struct {
        u8 word;
        u16 value;
    } words[] = {
        {0x04, 0xffff},                 /* compatibility: all features */
        {0x08, 0x3000}, {0x09, 0x1000}, /* part number */
        {0x0a, 0x640b}, /* initialization control 1: the IDs below are valid, power management */
        {0x0d, 0x100e}, {0x0e, 0x8086}, /* device, vendor */
        {0x0f, 0x3040},                 /* initialization control 2 */
        {0x21, 0x7841},                 /* LEDs 0 and 2 */
        {0x23, 0x0602},                 /* LEDs 1 and 3 */
    };
    u16 *word = e->eeprom.word, sum = 0;
    for (unsigned n = 0; n < EEPROM_93C46_WORDS; n++)
        word[n] = 0;
    for (unsigned n = 0; n < 3; n++)
        word[n] = (u16)(e->mac[2 * n] | e->mac[2 * n + 1] << 8);
    for (unsigned n = 0; n < ARRAY_SIZE(words); n++)
        word[words[n].word] = words[n].value;
    word[0x0b] = pci_get16(&e->pci.config[PCI_SUBSYSTEM]);
    word[0x0c] = pci_get16(&e->pci.config[PCI_SUBSYSTEM_VENDOR]);
    for (unsigned n = 0; n < EEPROM_93C46_WORDS - 1; n++)
        sum = (u16)(sum + word[n]);
    word[EEPROM_93C46_WORDS - 1] = (u16)(EEPROM_SUM - sum);
}

u32 e1000_eecd_read(const struct e1000 *e)
{
    u32 value = e->eecd | EECD_PRES;
    if (value & EECD_REQ) value |= EECD_GNT;
    return value | (e->eeprom.out ? EECD_DO : 0);
}

void e1000_eecd_write(struct e1000 *e, u32 value)
{
    e->eecd = value & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ);
    eeprom_93c46_pins(&e->eeprom, value & EECD_CS, value & EECD_SK, value & EECD_DI);
}

u32 e1000_eerd(struct e1000 *e, u32 value)
{
    if (!(value & EERD_START)) return value & 0xff00;
    u32 word = value >> 8 & 0xff;
    return (word < EEPROM_93C46_WORDS ? (u32)e->eeprom.word[word] << 16 : 0) | (value & 0xff00) | EERD_DONE;
}
