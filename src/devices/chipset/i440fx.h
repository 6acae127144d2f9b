/*
 * The 440FX host bridge: function 0 of device 0 (Intel 82441FX PMC datasheet, order 290549). Its
 * PAM registers send reads and writes of the BIOS area to DRAM, or to PCI, where the ROM is.
 */
#ifndef RINGER_DEVICES_CHIPSET_I440FX_H
#define RINGER_DEVICES_CHIPSET_I440FX_H

#include "devices/pci/pci_bus.h"

struct i440fx {
    struct pci_device pci;
    u8 pam[7]; /* the state that shadow() was last called with */
    void (*shadow)(void *machine, u32 gpa, u32 bytes, bool read_dram, bool write_dram);
    void *machine;
};

/* shadow (may be NULL): an area of C0000h-FFFFFh is now read from, and written to, DRAM (true) or PCI
 * (false). Called for changes only. At reset everything goes to PCI. */
void i440fx_init(struct i440fx *bridge, struct pci_bus *bus,
                 void (*shadow)(void *machine, u32 gpa, u32 bytes, bool read_dram, bool write_dram),
                 void *machine);
void i440fx_reset(struct i440fx *bridge);

#endif
