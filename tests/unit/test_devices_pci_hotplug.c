/*
 * The hot-plug controller: what it tells the guest's methods, once, and which slots they can eject. Hazard: a guest
 * that ejects a device which cannot go, or one that has come into the slot since.
 */
#include "devices/chipset/pci_hotplug.h"

#include "check.h"

enum { PCIU = 0, PCID = 4, B0EJ = 8, RMV = 12 };

static struct pci_hotplug plug;
static unsigned events, ejections, last_slot;

static void event(void *machine)
{
    events++;
}

static void ejected(void *machine, unsigned slot)
{
    ejections++;
    last_slot = slot;
}

static u32 in(u32 offset)
{
    return pci_hotplug_ops.read(&plug, offset, 4);
}

static void out(u32 offset, u32 value)
{
    pci_hotplug_ops.write(&plug, offset, 4, value);
}

int main(void)
{
    pci_hotplug_init(&plug, &(struct pci_hotplug_wiring){.event = event, .ejected = ejected});
    CHECK_EQ(in(PCIU) | in(PCID) | in(RMV), 0);

    pci_hotplug_add(&plug, 3, false); /* there from the start: no event */
    CHECK_EQ(events, 0);
    CHECK_EQ(in(PCIU), 0);
    CHECK_EQ(in(RMV), 1u << 3);

    pci_hotplug_add(&plug, 31, true);
    pci_hotplug_add(&plug, 4, true);
    CHECK_EQ(events, 2);
    CHECK_EQ(in(PCIU), 1u << 31 | 1u << 4);
    CHECK_EQ(in(PCIU), 0);

    pci_hotplug_ask(&plug, 4);
    CHECK_EQ(events, 3);
    CHECK_EQ(in(PCID), 1u << 4);
    CHECK_EQ(in(PCID), 0);
    CHECK_EQ(ejections, 0);
    out(PCIU, ~0u); /* nothing but B0EJ can be written */
    out(RMV, ~0u);
    out(B0EJ, 1u << 5); /* an empty slot */
    pci_hotplug_ops.write(&plug, B0EJ, 1, 1u << 4);
    CHECK_EQ(ejections, 0);
    out(B0EJ, 1u << 4);
    CHECK_EQ(ejections, 1);
    CHECK_EQ(last_slot, 4);
    pci_hotplug_remove(&plug, 4);
    CHECK_EQ(in(RMV), 1u << 31 | 1u << 3);
    out(B0EJ, 1u << 4);
    CHECK_EQ(ejections, 1);
    CHECK_EQ(in(B0EJ), 0);

    pci_hotplug_add(&plug, 4, true);
    pci_hotplug_reset(&plug);
    CHECK_EQ(in(PCIU), 0);
    CHECK_EQ(in(RMV), 1u << 31 | 1u << 4 | 1u << 3);
    out(B0EJ, ~0u);
    CHECK_EQ(ejections, 4);
    return check_report();
}
