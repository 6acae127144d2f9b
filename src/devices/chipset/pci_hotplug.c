#include "pci_hotplug.h"

enum { PCIU = 0x0, PCID = 0x4, B0EJ = 0x8, RMV = 0xc };

static u32 take(u32 *bits)
{
    u32 value = *bits;
    *bits = 0;
    return value;
}

static u32 read_register(void *device, u32 offset, unsigned size)
{
    struct pci_hotplug *plug = device;
    if (size != 4) return 0;
    switch (offset) {
    case PCIU: return take(&plug->came);
    case PCID: return take(&plug->leaving);
    case RMV: return plug->removable;
    default: return 0;
    }
}

static void write_register(void *device, u32 offset, unsigned size, u32 value)
{
    struct pci_hotplug *plug = device;
    if (offset != B0EJ || size != 4) return;
    for (u32 slots = value & plug->removable; slots; slots &= slots - 1)
        plug->wiring.ejected(plug->wiring.machine, (unsigned)__builtin_ctz(slots));
}

const struct io_ops pci_hotplug_ops = {read_register, write_register};

void pci_hotplug_add(struct pci_hotplug *plug, unsigned slot, bool late)
{
    plug->removable |= 1u << slot;
    if (!late) return;
    plug->came |= 1u << slot;
    plug->wiring.event(plug->wiring.machine);
}

void pci_hotplug_ask(struct pci_hotplug *plug, unsigned slot)
{
    plug->leaving |= 1u << slot;
    plug->wiring.event(plug->wiring.machine);
}

void pci_hotplug_remove(struct pci_hotplug *plug, unsigned slot)
{
    plug->came &= ~(1u << slot);
    plug->leaving &= ~(1u << slot);
    plug->removable &= ~(1u << slot);
}

void pci_hotplug_reset(struct pci_hotplug *plug)
{
    plug->came = plug->leaving = 0; /* what is in the slots, the guest finds by itself */
}

void pci_hotplug_init(struct pci_hotplug *plug, const struct pci_hotplug_wiring *wiring)
{
    *plug = (struct pci_hotplug){.wiring = *wiring};
}
