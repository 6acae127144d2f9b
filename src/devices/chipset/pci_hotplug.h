/*
 * The controller of PCI hot plug, as QEMU's i440FX machine has it (QEMU's docs/specs/acpi_pci_hotplug.txt). The methods
 * of the ACPI tables (boot/acpi/hotplug.asl.in) are its driver: a guest needs no other.
 *
 *   +0h PCIU   slots into which a device has come      a bit a slot; reading clears it
 *   +4h PCID   slots that a device is to leave          the same
 *   +8h B0EJ   write: the guest has let go of the devices in these slots; reads as 0
 *   +Ch RMV    slots that a device can leave
 *
 *   device_add   PCIU, event -> _E09: Notify (slot, 1) -> the guest scans the slot
 *   device_del   PCID, event -> _E09: Notify (slot, 3) -> its driver lets go -> _EJ0 -> B0EJ -> ejected()
 *
 * Ports: pci_hotplug_ops, 16 ports, 4 bytes wide, device: the struct pci_hotplug.
 */
#ifndef RINGER_DEVICES_CHIPSET_PCI_HOTPLUG_H
#define RINGER_DEVICES_CHIPSET_PCI_HOTPLUG_H

#include "base/device.h"

#define PCI_HOTPLUG_PORTS 16

struct pci_hotplug_wiring {
    /* The wire to GPI1# of the PIIX4 is pulled for a moment. */
    void (*event)(void *machine);
    /* The guest has let go of the device in a slot that `removable` has. The machine takes it off the bus later, not
     * from within this call. */
    void (*ejected)(void *machine, unsigned slot);
    void *machine;
};

struct pci_hotplug {
    struct pci_hotplug_wiring wiring;
    u32 came, leaving; /* PCIU, PCID */
    u32 removable;     /* RMV */
};

void pci_hotplug_init(struct pci_hotplug *plug, const struct pci_hotplug_wiring *wiring);
void pci_hotplug_reset(struct pci_hotplug *plug);

/* A device is in the slot. `late`: it has come while the machine runs. */
void pci_hotplug_add(struct pci_hotplug *plug, unsigned slot, bool late);
/* The guest is asked to let go of the device in the slot. */
void pci_hotplug_ask(struct pci_hotplug *plug, unsigned slot);
/* The slot is empty. */
void pci_hotplug_remove(struct pci_hotplug *plug, unsigned slot);

extern const struct io_ops pci_hotplug_ops;

#endif
