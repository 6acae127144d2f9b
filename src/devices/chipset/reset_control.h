/*
 * Registers that reset the CPU and gate address line 20, apart from the keyboard controller: port 92h (IBM PS/2 System
 * Control Port A) and the PIIX3's reset control register (82371SB datasheet, RC).
 *
 * Ports: port92_ops at 92h, cf9_ops at CF9h, one byte each. CF9h lies within the PCI configuration ports and is claimed
 * after them. The device of both is the struct reset_control.
 *
 * Port 92h and the keyboard controller both set the A20 gate, and the last write counts: a program uses one of them and
 * expects it to open and close the gate. (On boards that OR the two, the gate stays open until both close it.)
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

/* The two wires from the keyboard controller, for struct i8042_wiring with the reset_control as its machine. */
void reset_control_keyboard_a20(void *control, bool open);
void reset_control_keyboard_reset(void *control);

extern const struct io_ops port92_ops;
extern const struct io_ops cf9_ops;

#endif
