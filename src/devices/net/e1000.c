#include "e1000_private.h"

#include <stdlib.h>
#include <string.h>

#define VENDOR_INTEL           0x8086
#define DEVICE_82540EM         0x100e
#define REVISION               3
#define SUBSYSTEM_VENDOR       0x1af4
#define SUBSYSTEM              0x1100
#define CLASS_NETWORK_ETHERNET 0x020000u
enum { BAR_MEMORY = 0, BAR_PORTS = 1 };
#define PORTS_BYTES 64

/* --- interrupts (3.6) --- */

/* Recompute the interrupt output: cause and mask, and at least the interval of ITR since the last interrupt. */
static void update(struct e1000 *e)
{
    bool wanted = e->reg[ICR / 4] & e->reg[IMS / 4] & CAUSES;
    if (!wanted || e->pci.interrupt) {
        pci_set_interrupt(&e->pci, wanted);
        return;
    }
    u64 now = clock_now(e->throttle.clock);
    if (now < e->throttled_until_ns) {
        if (!e->throttle.armed) timer_arm(&e->throttle, e->throttled_until_ns);
        return;
    }
    e->throttled_until_ns = now + (e->reg[ITR / 4] & 0xffff) * 256ull;
    pci_set_interrupt(&e->pci, true);
}

void e1000_cause(struct e1000 *e, u32 causes)
{
    *reg_at(e, ICR) |= causes;
    update(e);
}

static void throttle_over(void *device)
{
    update(device);
}

static void receive_delay_over(void *device)
{
    struct e1000 *e = device;
    timer_cancel(&e->receive_delay);
    timer_cancel(&e->receive_limit);
    e1000_cause(e, CAUSE_RXT0);
}

static void transmit_delay_over(void *device)
{
    struct e1000 *e = device;
    timer_cancel(&e->transmit_delay);
    timer_cancel(&e->transmit_limit);
    e1000_cause(e, CAUSE_TXDW);
}

/* A read returns the causes and clears them (13.4.17). */
static u32 read_icr(struct e1000 *e)
{
    u32 value = e->reg[ICR / 4] & CAUSES;
    if (value & e->reg[IMS / 4]) value |= CAUSE_ASSERTED;
    *reg_at(e, ICR) = 0;
    update(e);
    return value;
}

/* --- statistics --- */

void e1000_count_bytes(struct e1000 *e, u32 low, u64 bytes)
{
    u32 *at = reg_at(e, low);
    u64 sum = (at[0] | (u64)at[1] << 32) + bytes;
    at[0] = (u32)sum;
    at[1] = (u32)(sum >> 32);
}

int e1000_size_class(u32 bytes)
{
    static const u16 most[] = {64, 127, 255, 511, 1023, 1522};
    for (unsigned n = 0; n < ARRAY_SIZE(most); n++)
        if (bytes <= most[n]) return (int)n;
    return -1;
}

/* A read clears the statistic. One of 64 bits is cleared by a read of its upper half. */
static u32 read_statistic(struct e1000 *e, u32 offset)
{
    bool low_half = offset == GORCL || offset == GOTCL || offset == TORL || offset == TOTL;
    u32 *at = reg_at(e, offset), value = *at;
    if (low_half) return value;
    *at = 0;
    if (offset == GORCL + 4 || offset == GOTCL + 4 || offset == TORL + 4 || offset == TOTL + 4) at[-1] = 0;
    return value;
}

/* --- resets --- */

/* CTRL.RST and the reset line (14.2). The values in the EEPROM are read again. */
static void reset(struct e1000 *e)
{
    net_set_filter(e->cable, NULL);
    net_withdraw(e->cable);
    timer_cancel(&e->throttle);
    timer_cancel(&e->receive_delay);
    timer_cancel(&e->receive_limit);
    timer_cancel(&e->transmit_delay);
    timer_cancel(&e->transmit_limit);
    memset(e->reg, 0, E1000_REGISTER_BYTES);
    e->throttled_until_ns = 0;
    *reg_at(e, CTRL) = CTRL_FD | CTRL_ASDE | CTRL_SPEED_1000;
    *reg_at(e, STATUS) = STATUS_FD | STATUS_SPEED_1000;
    *reg_at(e, PBA) = 0x00100030;
    *reg_at(e, VET) = 0x8100;
    *reg_at(e, LEDCTL) = 0x07068302;
    *reg_at(e, TIPG) = 0x00602008;
    *reg_at(e, RAL) = pci_get32(e->mac);
    *reg_at(e, RAH) = pci_get16(e->mac + 4) | RAH_AV;
    e1000_phy_reset(e);
    e1000_transmit_reset(e);
    e1000_receive_reset(e);
    pci_set_interrupt(&e->pci, false);
}

void e1000_hard_reset(struct e1000 *e)
{
    pci_device_reset(&e->pci);
    eeprom_93c46_reset(&e->eeprom);
    e->eecd = 0;
    e->io_address = 0;
    reset(e);
}

static void write_ctrl(struct e1000 *e, u32 value)
{
    if (value & CTRL_RST) {
        reset(e);
        return;
    }
    if (value & CTRL_PHY_RST) e1000_phy_reset(e);
    *reg_at(e, CTRL) = value & ~(u32)CTRL_RST & ~CTRL_PHY_RST;
}

static void carrier(void *card, bool up)
{
    struct e1000 *e = card;
    e1000_phy_link(e, up);
    e1000_cause(e, CAUSE_LSC);
}

/* --- registers --- */

static u32 read_register(struct e1000 *e, u32 offset)
{
    switch (offset) {
    case CTRL_DUP: return e->reg[CTRL / 4];
    case ICR: return read_icr(e);
    case IMC: return 0;
    case ICS: return 0;
    case EECD: return e1000_eecd_read(e);
    default: break;
    }
    if (offset >= STATISTICS && offset < STATISTICS_END) return read_statistic(e, offset);
    return e->reg[offset / 4];
}

/* The bits that a register has. */
static u32 implemented(u32 offset)
{
    switch (offset) {
    case FCAL: return 0xffffffff;
    case FCAH: return 0xffff;
    case FCT: return 0xffff;
    case FCTTV: return 0xffff;
    case VET: return 0xffff;
    case ITR: return 0xffff;
    case RDBAL:
    case TDBAL: return 0xfffffff0;
    case RDLEN:
    case TDLEN: return 0xfff80;
    case RDH:
    case RDT:
    case TDH:
    case TDT:
    case RADV:
    case TADV: return 0xffff;
    case RDTR:
    case TIDV: return 0xffff;
    case FCRTL: return 0x8000fff8;
    case FCRTH: return 0xfff8;
    default: return 0xffffffff;
    }
}

static void write_rctl(struct e1000 *e, u32 value)
{
    bool was = e->reg[RCTL / 4] & RCTL_EN;
    *reg_at(e, RCTL) = value;
    if (was && !(value & RCTL_EN)) { /* the cable gives the buffers back, and the head stays */
        net_set_filter(e->cable, NULL);
        net_withdraw(e->cable);
        e1000_receive_reset(e);
        e->offered = e->reg[RDH / 4];
        /* Frames that were taken back have not been sent; they count as if they had. */
        u32 fetched = e->fetched;
        e1000_transmit_reset(e);
        e->fetched = e->frame_from = fetched;
        *reg_at(e, TDH) = fetched;
    }
    e1000_update_filter(e);
    e1000_offer(e);
}

static void write_register(struct e1000 *e, u32 offset, u32 value)
{
    switch (offset) {
    case CTRL:
    case CTRL_DUP: write_ctrl(e, value); return;
    case STATUS: return;
    case EECD: e1000_eecd_write(e, value); return;
    case EERD: *reg_at(e, EERD) = e1000_eerd(e, value); return;
    case MDIC: *reg_at(e, MDIC) = e1000_mdic(e, value); return;
    case ICR: /* writing 1 clears, too */
        *reg_at(e, ICR) &= ~value;
        update(e);
        return;
    case ICS: e1000_cause(e, value & CAUSES); return;
    case IMS:
        *reg_at(e, IMS) |= value & CAUSES;
        update(e);
        return;
    case IMC:
        *reg_at(e, IMS) &= ~value;
        update(e);
        return;
    case RCTL: write_rctl(e, value); return;
    default: break;
    }
    if (offset >= STATISTICS && offset < STATISTICS_END) return; /* read only */
    *reg_at(e, offset) = value & implemented(offset);
    switch (offset) {
    case RDH: e->offered = e->reg[RDH / 4]; break;
    case RDT: e1000_offer(e); break;
    case TDH: e->fetched = e->frame_from = e->reg[TDH / 4]; break;
    case TDT:
    case TCTL: e1000_transmit(e); break;
    case RDTR:
        if (value >> 31 && e->receive_delay.armed) receive_delay_over(e); /* FPD: flush */
        break;
    case VET: e1000_update_filter(e); break;
    default:
        if ((offset >= MTA && offset < RAL + 8 * RECEIVE_ADDRESSES) ||
            (offset >= VFTA && offset < VFTA + 4 * VFTA_WORDS))
            e1000_update_filter(e);
    }
}

static u32 memory_read(void *device, u32 offset, unsigned size)
{
    u32 value = read_register(device, offset & ~3u & (E1000_REGISTER_BYTES - 1));
    return value >> 8 * (offset & 3);
}

/* Registers are written as dwords only (13.1). */
static void memory_write(void *device, u32 offset, unsigned size, u32 value)
{
    if (size == 4 && !(offset & 3)) write_register(device, offset & (E1000_REGISTER_BYTES - 1), value);
}

static const struct io_ops memory_ops = {memory_read, memory_write};

/* IOADDR and IODATA (13.1.2) */
static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct e1000 *e = device;
    if (offset == 0) return e->io_address;
    return offset == 4 && e->io_address < E1000_REGISTER_BYTES ? memory_read(e, e->io_address, size) : 0;
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct e1000 *e = device;
    if (offset == 0 && size == 4) e->io_address = value & ~3u;
    if (offset == 4 && e->io_address < E1000_REGISTER_BYTES) memory_write(e, e->io_address, size, value);
}

static const struct io_ops port_ops = {ports_read, ports_write};

/* --- set-up --- */

static const struct net_card_ops card_ops = {
    .sent = e1000_sent, .received = e1000_received, .carrier = carrier};

bool e1000_init(struct e1000 *e, struct pci_bus *bus, const struct dma *dma, struct clock *clock, u8 devfn,
                const u8 mac[NET_MAC_BYTES], struct net_cable *cable)
{
    *e = (struct e1000){.dma = *dma, .cable = cable};
    memcpy(e->mac, mac, NET_MAC_BYTES);
    e->reg = calloc(1, E1000_REGISTER_BYTES);
    e->frames = calloc(E1000_FRAMES, sizeof(e->frames[0]));
    e->buffers = calloc(E1000_BUFFERS, sizeof(e->buffers[0]));
    if (!e->reg || !e->frames || !e->buffers) return false;
    timer_init(&e->throttle, clock, throttle_over, e);
    timer_init(&e->receive_delay, clock, receive_delay_over, e);
    timer_init(&e->receive_limit, clock, receive_delay_over, e);
    timer_init(&e->transmit_delay, clock, transmit_delay_over, e);
    timer_init(&e->transmit_limit, clock, transmit_delay_over, e);
    pci_device_init(&e->pci, bus, devfn, VENDOR_INTEL, DEVICE_82540EM, CLASS_NETWORK_ETHERNET);
    e->pci.config[PCI_REVISION] = REVISION;
    pci_put16(&e->pci.config[PCI_SUBSYSTEM_VENDOR], SUBSYSTEM_VENDOR);
    pci_put16(&e->pci.config[PCI_SUBSYSTEM], SUBSYSTEM);
    pci_interrupt_pin(&e->pci, 1);
    pci_bar_mmio(&e->pci, BAR_MEMORY, E1000_REGISTER_BYTES, &memory_ops, e);
    pci_bar_ports(&e->pci, BAR_PORTS, PORTS_BYTES, 4, &port_ops, e);
    net_attach(cable, &card_ops, e);
    net_set_receive(cable, 0, true);
    e1000_eeprom_fill(e);
    e1000_hard_reset(e);
    return true;
}

void e1000_destroy(struct e1000 *e)
{
    free(e->reg);
    free(e->frames);
    free(e->buffers);
}
