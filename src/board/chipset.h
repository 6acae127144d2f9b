/*
 * The chips of a PC on the board, with their ports and interrupt lines, and the contents of the CMOS memory.
 */
#ifndef RINGER_BOARD_CHIPSET_H
#define RINGER_BOARD_CHIPSET_H

#include "board.h"
#include "devices/chipset/i440fx.h"
#include "devices/chipset/i8237.h"
#include "devices/chipset/i8254.h"
#include "devices/chipset/i8259.h"
#include "devices/chipset/isa_pnp.h"
#include "devices/chipset/mc146818.h"
#include "devices/chipset/piix3.h"
#include "devices/chipset/piix4_pm.h"
#include "devices/chipset/reset_control.h"
#include "devices/input/i8042.h"
#include "plug.h"
#include "serial_port.h"
#include "shadow_ram.h"
#include "wire_apic.h"
#include "wire_console.h"
#include "wire_flash.h"
#include "wire_floppy.h"
#include "wire_hpet.h"
#include "wire_ide.h"
#include "wire_parallel.h"
#include "wire_sound.h"
#include "wire_video.h"

struct chipset {
    struct board *board; /* NULL: chipset_init() has not been called */
    struct i8259_pair pic;
    struct apic_wires apic;
    struct wire_hpet hpet;
    struct i8254 pit;
    struct i8237_pair dma;
    struct mc146818 rtc;
    struct i8042 keyboard;
    struct reset_control reset_control;
    struct i440fx host_bridge;
    struct piix3 isa_bridge;
    struct piix4_pm power;
    struct port_range *power_ports, *smbus_ports;
    struct isa_pnp isa_pnp;
    struct port_range *isa_pnp_read_port;
    u8 irq9_holders; /* sources that hold IRQ 9: PCI interrupts and the SCI */
    struct video video;
    struct serial_port serial[SERIAL_PORTS];
    struct wire_parallel parallel;
    struct shadow_ram shadow_ram;
    struct wire_console console;
    struct wire_sound sound;
    struct wire_ide ide;
    struct wire_floppy floppy;
    struct wire_flash flash;
    struct plug plug;
};

/* Wire everything to the board, which is empty on entry. False with one sentence in error. */
bool chipset_init(struct chipset *chipset, struct board *board, char *error, size_t error_bytes);
void chipset_destroy(struct chipset *chipset);
/* The reset line of every chip. */
void chipset_reset(struct chipset *chipset);
/* S3: reset all chips but RAM, host bridge, real-time clock and the resume well of power management. */
void chipset_suspend(struct chipset *chipset);
/* Call after chipset_reset() and the loader, because the PAM registers select the ROM at first. */
void chipset_firmware_loaded(struct chipset *chipset);
/* FERR# of the CPU, which is wired to IRQ 13. */
void chipset_ferr(struct chipset *chipset, bool level);
/* From now on a lockstep follower gets the input and the console's events of its leader. */
void chipset_mirror_input(struct chipset *leader, struct chipset *follower);

#endif
