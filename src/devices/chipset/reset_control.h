/*
 * The chipset's registers, beside the keyboard controller, that reset the CPU and gate address line 20:
 * port 92h (IBM PS/2 System Control Port A) and the PIIX3's reset control register (82371SB datasheet,
 * RC).
 *
 * Ports: port92_ops at 92h, cf9_ops at CF9h, one byte each. CF9h is claimed after the PCI configuration
 * ports, which lie around it. The device of both is the struct reset_control.
 *
 * Port 92h and the keyboard controller both set the A20 gate, and the last write counts: a program uses
 * one of them and expects it to open and close the gate. (On boards that OR the two, closing one may close
 * nothing.)
 */
#ifndef RINGER_DEVICES_CHIPSET_RESET_CONTROL_H
#define RINGER_DEVICES_CHIPSET_RESET_CONTROL_H

#include "base/device.h"

struct reset_control {
    u8 port92; /* bit 1: A20, bit 0: fast reset */
    u8 rc;     /* bit 2: reset now, bit 1: hard */
    void (*a20)(void *machine, bool open);
    /* hard: the whole machine, not only the CPU */
    void (*reset)(void *machine, bool hard);
    void *machine;
};

void reset_control_init(struct reset_control *control, void (*a20)(void *machine, bool open),
                        void (*reset)(void *machine, bool hard), void *machine);
/* Power-on: A20 is open. */
void reset_control_reset(struct reset_control *control);

/* The keyboard controller's two wires, with the signatures of struct i8042_wiring's callbacks. machine:
 * the reset_control. */
void reset_control_keyboard_a20(void *control, bool open);
void reset_control_keyboard_reset(void *control);

extern const struct io_ops port92_ops;
extern const struct io_ops cf9_ops;

#endif
