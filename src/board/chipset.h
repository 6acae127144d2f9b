/*
 * The PC around the CPU: which chip sits at which ports, on which IRQ wire, and what the CMOS memory tells
 * the firmware.
 */
#ifndef RINGER_BOARD_CHIPSET_H
#define RINGER_BOARD_CHIPSET_H

#include "boot/wire_firmware.h"
#include "devices/chipset/debug_ports.h"
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
#include "devices/pci/pci_bus.h"
#include "pci_windows.h"
#include "serial_port.h"
#include "shadow_ram.h"
#include "wire_apic.h"
#include "wire_console.h"
#include "wire_floppy.h"
#include "wire_hpet.h"
#include "wire_ide.h"
#include "wire_sound.h"
#include "wire_video.h"
#include "wire_virtio.h"

#define CHIPSET_SERIAL_PORTS 4
#define CHIPSET_LINKS        (CHIPSET_SERIAL_PORTS + DEVICES_MAX)

struct chipset {
    struct vm *vm;
    struct i8259_pair pic;
    struct apic_wires apic;
    struct i8254 pit;
    struct i8237_pair dma;
    struct mc146818 rtc;
    struct i8042 keyboard;
    struct reset_control reset_control;
    struct pci_bus pci;
    struct pci_windows pci_windows;
    struct i440fx host_bridge;
    struct piix3 isa_bridge;
    struct piix4_pm power;
    struct port_window *power_ports, *smbus_ports;
    struct isa_pnp isa_pnp;
    struct port_window *isa_pnp_read_port;
    struct irq_line irq9; /* of the 8259 pair */
    u8 irq9_holders;      /* PCI interrupts and the SCI share it */
    struct wire_hpet hpet;
    struct video video;
    struct serial_port serial[CHIPSET_SERIAL_PORTS];
    bool serial_fitted[CHIPSET_SERIAL_PORTS];
    struct debug_exit debug_exit;
    struct debug_console debug_console;
    struct chardev debug_back_end;
    struct irq_line irq13;
    struct shadow_ram shadow_ram;
    struct wire_virtio virtio;
    struct char_link *link[CHIPSET_LINKS]; /* to the host: serial ports, consoles */
    unsigned links;
    struct wire_console console;
    struct wire_sound sound;
    bool started;
    struct firmware firmware;
    struct wire_ide ide;
    struct wire_floppy floppy;
};

/* Wire everything. Returns false with one sentence in error when a back end cannot be opened. */
bool chipset_init(struct chipset *chipset, struct vm *vm, char *error, size_t error_bytes);
void chipset_destroy(struct chipset *chipset);
/* For those who wire devices. */
void chipset_add_link(struct chipset *chipset, struct char_link *link);
/* The reset line of every chip. */
void chipset_reset(struct chipset *chipset);
/* S3: RAM, host bridge, real-time clock and the power management's resume well stay as they are; all else is
 * reset. */
void chipset_suspend(struct chipset *chipset);
/* After chipset_reset() and the loader: its ROM is what the PAM registers show for now. */
void chipset_firmware_loaded(struct chipset *chipset);

/* The power button, which asks the guest to shut down. */
void chipset_power_button(struct chipset *chipset);

/* FERR# of the CPU, by way of IRQ 13. */
void chipset_ferr(struct chipset *chipset, bool level);

/* --- the host side of the character devices --- */

/* Begin to look for input, now that vm->waker is what it is. */
void chipset_start(struct chipset *chipset);
/* The descriptor that the waker watches, or -1. */
int chipset_input_fd(const struct chipset *chipset);
void chipset_input_ready(struct chipset *chipset);
void chipset_flush_output(struct chipset *chipset);
/* What the leader is typed, the follower gets at the same instruction count. */
void chipset_mirror_input(struct chipset *leader, struct chipset *follower);

#endif
