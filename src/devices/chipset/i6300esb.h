/*
 * The watchdog timer of Intel's 6300ESB I/O Controller Hub (datasheet, order number 300641, chapter 15). Two stages of
 * 20 bits count down one after the other. The end of the first is an interrupt, the end of the second an alarm: the
 * machine is to be reset.
 *
 * Configuration space
 *   60h  15-6 0 | 5 no alarm (WDT_OUTPUT) | 2 fast prescaler | 1-0 interrupt: 0 IRQ, 2 SMI, 3 none
 *   68h  2 free running: stage 2 is followed by stage 1 | 1 enable | 0 lock: this register cannot be written until a
 *       reset
 * Memory
 *   00h  preload of stage 1 | 04h preload of stage 2 | 08h  bit 0: stage 1 has ended (write 1 to clear)
 *   0Ch  9 stage 2 has ended (write 1 to clear; survives a reset) | 8 reload: start again with stage 1
 * A write to 00h, 04h or 0Ch has an effect only behind writes of 80h and 86h to 0Ch.
 *
 * A preload counts 2^15 (2^5 with the fast prescaler) clocks of the PCI bus. The interrupt of stage 1 goes to a second
 * I/O APIC, which this board does not have: only its status bit shows.
 */
#ifndef RINGER_DEVICES_CHIPSET_I6300ESB_H
#define RINGER_DEVICES_CHIPSET_I6300ESB_H

#include "devices/pci/pci_bus.h"

struct i6300esb {
    struct pci_device pci; /* first */
    struct timer timer;
    u32 preload[2];
    bool enabled, free_running, locked;
    bool stage2;        /* it counts */
    bool stage1_ended;  /* 08h, bit 0 */
    bool timed_out;     /* 0Ch, bit 9 */
    unsigned unlocking; /* of the two writes, how many have come */
    void (*alarm)(void *owner);
    void *owner;
};

void i6300esb_init(struct i6300esb *watchdog, struct pci_bus *bus, u8 devfn, struct clock *clock,
                   void (*alarm)(void *owner), void *owner);
/* The reset line. */
void i6300esb_reset(void *device);

#endif
