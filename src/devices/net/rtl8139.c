#include "rtl8139_private.h"

#include <string.h>

#define VENDOR_REALTEK         0x10ec
#define DEVICE_RTL8139         0x8139
#define REVISION_C             0x10
#define REVISION_C_PLUS        0x20
#define SUBSYSTEM_VENDOR       0x1af4
#define SUBSYSTEM              0x1100
#define CLASS_NETWORK_ETHERNET 0x020000u
enum { BAR_PORTS = 0, BAR_MEMORY = 1 };

/* The timer counts cycles of the PCI bus, 33 MHz (C 6.10). */
#define CYCLE_NS 30

/* --- interrupts --- */

static void update(struct rtl8139 *r)
{
    pci_set_interrupt(&r->pci, pci_get16(r->reg + ISR) & pci_get16(r->reg + IMR));
}

void rtl8139_cause(struct rtl8139 *r, unsigned causes)
{
    pci_put16(r->reg + ISR, (u16)(pci_get16(r->reg + ISR) | causes));
    update(r);
}

/* --- the timer --- */

static u32 count(const struct rtl8139 *r)
{
    return (u32)((clock_now(r->timer.clock) - r->counting_since_ns) / CYCLE_NS);
}

/* The next time at which TCTR is TimerInt; 0 there turns it off (C 6.16). */
static void arm_timer(struct rtl8139 *r)
{
    u32 wanted = pci_get32(r->reg + TIMER_INT), now = count(r);
    u64 cycles = (u32)(wanted - now);
    if (!cycles) cycles = 1ull << 32;
    if (wanted)
        timer_arm(&r->timer, clock_now(r->timer.clock) + cycles * CYCLE_NS);
    else
        timer_cancel(&r->timer);
}

static void timer_expired(void *device)
{
    rtl8139_cause(device, INT_TIMEOUT);
    arm_timer(device);
}

/* --- resets --- */

/* CR.RST (C 6.5): addresses, configuration and the interrupt mask's registers of other parts stay. */
static void reset(struct rtl8139 *r)
{
    u8 *reg = r->reg;
    net_fifo_reset(&r->fifo);
    timer_cancel(&r->timer);
    memset(reg + TSD, 0, CR9346 - TSD);
    memset(reg + CPCR, 0, RTL8139_REGISTER_BYTES - CPCR);
    pci_put32(reg + TIMER_INT, 0);
    pci_put16(reg + CAPR, 0xfff0);
    pci_put32(reg + TCR, r->plus ? TCR_RTL8139C_PLUS : TCR_RTL8139C);
    pci_put16(reg + MULINT, 0);
    r->counting_since_ns = clock_now(r->timer.clock);
    rtl8139_transmit_reset(r);
    rtl8139_receive_reset(r);
    update(r);
}

void rtl8139_hard_reset(struct rtl8139 *r)
{
    pci_device_reset(&r->pci);
    memset(r->reg, 0, sizeof(r->reg));
    r->tally = (struct rtl8139_tally){0};
    rtl8139_config_reset(r);
    reset(r);
}

/* --- the tally (C+ 6.4) --- */

/* DTCCR: the address of 64 bytes, aligned so; bit 3: dump. It is done at once. */
static void dump_tally(struct rtl8139 *r)
{
    enum { DUMP = 8, TALLY_BYTES = 64 };
    u8 dump[TALLY_BYTES] = {0};
    if (!(r->reg[DTCCR] & DUMP)) return;
    const struct rtl8139_tally *tally = &r->tally;
    store_any(dump, 8, tally->sent);
    store_any(dump + 8, 8, tally->received);
    pci_put16(dump + 28, tally->missed);
    store_any(dump + 40, 8, tally->received_unicast);
    store_any(dump + 48, 8, tally->received_broadcast);
    pci_put32(dump + 56, tally->received_multicast);
    if (pci_is_master(&r->pci))
        r->dma.write(r->dma.memory, rtl8139_get64(r, DTCCR) & ~(u64)(TALLY_BYTES - 1), dump, sizeof(dump));
    r->reg[DTCCR] &= (u8)~DUMP;
}

/* --- registers --- */

/* Registers that are computed when they are read. */
static void refresh(struct rtl8139 *r)
{
    u8 *reg = r->reg;
    u16 summary = 0;
    bool plus = rtl8139_plus_mode(r, CPCR_RX);
    reg[CR] = (u8)((reg[CR] & ~CR_BUFE) | (!plus && rtl8139_is_empty(r) ? CR_BUFE : 0));
    reg[CR9346] = rtl8139_9346_read(r);
    pci_put32(reg + TCTR, count(r));
    for (unsigned n = 0; n < 4; n++) {
        u32 status = pci_get32(reg + TSD + 4 * n);
        if (status & TSD_OWN) summary |= (u16)(1 << n);
        if (status & TSD_TUN) summary |= (u16)(1 << (n + 8));
        if (status & TSD_TOK) summary |= (u16)(1 << (n + 12));
    }
    pci_put16(reg + TSAD_SUMMARY, summary);
}

static u32 memory_read(void *device, u32 offset, unsigned size)
{
    struct rtl8139 *r = device;
    refresh(r);
    offset &= RTL8139_REGISTER_BYTES - 1;
    u32 value = (u32)load_any(&r->reg[offset], size);
    if (offset < CSCR + 2 && offset + size > CSCR) rtl8139_cscr_read(r);
    return value;
}

/* The bytes of the register that `at` is in. */
static unsigned width_of(unsigned at)
{
    if ((at >= TSD && at < ERBCR) || (at >= TCR && at < CR9346) || (at >= TIMER_INT && at < MSR) ||
        (at >= RDSAR && at < RDSAR + 8))
        return 4;
    if ((at >= CAPR && at < TCR) || (at >= MULINT && at < PHY1_PARM) || (at >= CPCR && at < RDSAR)) return 2;
    return 1;
}

static void write_command(struct rtl8139 *r, u8 value)
{
    u8 before = r->reg[CR];
    if (value & CR_RST) {
        reset(r);
        return;
    }
    r->reg[CR] = value & (CR_TE | CR_RE);
    /* The transmitter starts with buffer 0, the receiver with an empty ring. */
    if (!(before & CR_TE) && (value & CR_TE)) rtl8139_transmit_reset(r);
    if (!(before & CR_RE) && (value & CR_RE)) pci_put16(r->reg + CBR, 0);
    if ((before ^ value) & CR_RE) rtl8139_update_filter(r);
    rtl8139_transmit(r);
}

static void write_byte(struct rtl8139 *r, unsigned at, u8 value)
{
    switch (at) {
    case CR: write_command(r, value); return;
    case CR9346: rtl8139_9346_write(r, value); return;
    case CONFIG0:
    case CONFIG1:
    case CONFIG3:
    case CONFIG4:
    case MSR: rtl8139_config_write(r, at, value); return;
    case CONFIG5:
        if (r->plus) rtl8139_config_write(r, at, value);
        return;
    case TPPOLL:
        if (!r->plus) return;
        if (value & 1) rtl8139_cause(r, INT_SOFTWARE);
        rtl8139_transmit(r);
        return;
    case ETTHR: r->reg[at] = r->plus ? value & 0x3f : 0; return;
    default: break;
    }
    if (at >= TSD && at < RERID) return; /* all others are wider, or read only */
    if (at < TSD || (at >= PHY1_PARM && at < CONFIG5)) r->reg[at] = value;
    if (at < TSD) rtl8139_update_filter(r);
}

static void write_word(struct rtl8139 *r, unsigned at, u16 value, u16 mask)
{
    u8 *reg = r->reg + at;
    u16 merged = (u16)((pci_get16(reg) & ~mask) | (value & mask));
    switch (at) {
    case CAPR:
        pci_put16(reg, merged);
        rtl8139_store_frames(r);
        return;
    case IMR:
        pci_put16(reg, merged);
        update(r);
        return;
    case ISR: /* writing 1 clears */
        pci_put16(reg, (u16)(pci_get16(reg) & ~(value & mask)));
        update(r);
        rtl8139_store_frames(r);
        return;
    case MULINT: pci_put16(reg, merged); return;
    case CPCR:
        if (!r->plus) return;
        pci_put16(reg, merged & CPCR_WRITABLE);
        rtl8139_store_frames(r);
        return;
    default:
        if (at >= BMCR && at < PHY1_PARM) rtl8139_phy_write(r, at, merged);
    }
}

static void write_dword(struct rtl8139 *r, unsigned at, u32 value, u32 mask)
{
    u8 *reg = r->reg + at;
    u32 merged = (pci_get32(reg) & ~mask) | (value & mask);
    switch (at) {
    case TCR: pci_put32(reg, (pci_get32(reg) & ~(u32)TCR_WRITABLE) | (merged & TCR_WRITABLE)); return;
    case RCR:
        pci_put32(reg, merged);
        rtl8139_update_filter(r);
        return;
    case TCTR: /* any value */
        r->counting_since_ns = clock_now(r->timer.clock);
        arm_timer(r);
        return;
    case MPC: pci_put32(reg, 0); return;
    case TIMER_INT:
        pci_put32(reg, merged);
        arm_timer(r);
        return;
    case RDSAR:
        merged &= ~0xffu; /* rings are aligned to 256 bytes (C+ 7) */
        r->receive_at = 0;
        break;
    case RDSAR + 4: break;
    default:
        if (at >= TSD && at < TSAD && rtl8139_plus_mode(r, CPCR_TX | CPCR_RX)) {
            pci_put32(reg, merged);
            dump_tally(r);
            return;
        }
        if (at >= TSD && at < TSAD) {
            pci_put32(reg, merged & 0x003f3fff); /* the status bits begin anew */
            rtl8139_transmit(r);
            return;
        }
        if (r->plus && (at == TNPDS || at == THPDS))
            *(at == TNPDS ? &r->normal : &r->high) = (struct rtl8139_ring){0};
    }
    pci_put32(reg, merged);
}

/* An access may cover parts of registers, or several. */
static void memory_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct rtl8139 *r = device;
    unsigned at = offset & (RTL8139_REGISTER_BYTES - 1), end = at + size;
    while (at < end && at < RTL8139_REGISTER_BYTES) {
        unsigned width = width_of(at), start = at & ~(width - 1), shift = 8 * (at - start);
        unsigned now = start + width < end ? start + width - at : end - at;
        u32 mask = (u32)mask_bytes(~0ull, now) << shift, bits = value << shift;
        if (width == 1)
            write_byte(r, start, (u8)bits);
        else if (width == 2)
            write_word(r, start, (u16)bits, (u16)mask);
        else
            write_dword(r, start, bits, mask);
        value = now < 4 ? value >> 8 * now : 0;
        at += now;
    }
}

static const struct io_ops register_ops = {memory_read, memory_write};

/* --- set-up --- */

static void has_room(void *chip)
{
    rtl8139_transmit(chip);
}

static void has_frames(void *chip)
{
    struct rtl8139 *r = chip;
    r->retries = 0;
    rtl8139_store_frames(r);
}

static void carrier(void *chip, bool up)
{
    rtl8139_link_changed(chip, up);
}

static const struct net_fifo_ops fifo_ops = {
    .has_room = has_room, .has_frames = has_frames, .carrier = carrier};

bool rtl8139_init(struct rtl8139 *r, struct pci_bus *bus, const struct dma *dma, struct clock *clock,
                  u8 devfn, bool plus, const u8 mac[NET_MAC_BYTES], struct net_cable *cable)
{
    *r = (struct rtl8139){.dma = *dma, .plus = plus};
    memcpy(r->mac, mac, NET_MAC_BYTES);
    if (!net_fifo_init(&r->fifo, cable, &fifo_ops, r, RECEIVE_MOST)) return false;
    timer_init(&r->timer, clock, timer_expired, r);
    timer_init(&r->retry, clock, rtl8139_retry, r);
    pci_device_init(&r->pci, bus, devfn, VENDOR_REALTEK, DEVICE_RTL8139, CLASS_NETWORK_ETHERNET);
    r->pci.config[PCI_REVISION] = plus ? REVISION_C_PLUS : REVISION_C;
    pci_put16(&r->pci.config[PCI_SUBSYSTEM_VENDOR], SUBSYSTEM_VENDOR);
    pci_put16(&r->pci.config[PCI_SUBSYSTEM], SUBSYSTEM);
    /* Memory write and invalidate, with the cache line size that it needs (C+ 9.2), has no effect here. */
    r->pci.writable[PCI_COMMAND] |= PCI_COMMAND_INVALIDATE;
    r->pci.writable[PCI_CACHE_LINE] = 0xff;
    r->pci.writable[PCI_LATENCY] = 0xff;
    pci_interrupt_pin(&r->pci, 1);
    pci_bar_ports(&r->pci, BAR_PORTS, RTL8139_REGISTER_BYTES, 4, &register_ops, r);
    pci_bar_mmio(&r->pci, BAR_MEMORY, PAGE_SIZE, &register_ops, r);
    rtl8139_fill_eeprom(r);
    rtl8139_hard_reset(r);
    return true;
}

void rtl8139_destroy(struct rtl8139 *r)
{
    net_fifo_destroy(&r->fifo);
}
