#include "wire_ide.h"

#include "vm/vm.h"

#include <stdio.h>
#include <string.h>

static const struct {
    u16 command, control;
    u8 irq;
} places[2] = {{0x1f0, 0x3f6, 14}, {0x170, 0x376, 15}};

static void map_channel(void *machine, unsigned channel, bool decoded)
{
    struct wire_ide *wire = machine;
    struct port_bus *ports = &wire->vm->ports;
    ports_move(ports, wire->command[channel], places[channel].command, decoded);
    ports_move(ports, wire->control[channel], places[channel].control, decoded);
}

static bool attach(struct wire_ide *wire, unsigned index, struct drive *drive, char *error,
                   size_t error_bytes)
{
    enum ide_kind kind = drive->medium == MEDIUM_CDROM ? IDE_CDROM : IDE_DISK;
    struct disk *disk = drive_disk(drive);
    char serial[21];
    if (kind == IDE_DISK && !disk->bytes) {
        snprintf(error, error_bytes, "the image in IDE drive %u is empty: only CD drives may be", index);
        return false;
    }
    snprintf(serial, sizeof(serial), "RINGER%05u", index + 1);
    ide_attach(&wire->ide.channel[index / 2], index % 2, kind, disk, drive->serial ? drive->serial : serial);
    return true;
}

bool wire_ide_init(struct wire_ide *wire, struct vm *vm, char *error, size_t error_bytes)
{
    struct chipset *chipset = &vm->chipset;
    struct piix3_ide_wiring wiring = {
        .memory = phys_dma(&vm->phys), .map_channel = map_channel, .machine = wire};
    wire->vm = vm;
    for (unsigned n = 0; n < 2; n++) {
        struct ide_channel *channel = &wire->ide.channel[n];
        wiring.irq[n] = apic_wires_isa(vm, places[n].irq);
        wire->command[n] = ports_add(&vm->ports, 8, 4, &ide_command_ops, channel);
        ports_set_string(wire->command[n], &ide_string_ops);
        wire->control[n] = ports_add(&vm->ports, 1, 1, &ide_control_ops, channel);
    }
    piix3_ide_init(&wire->ide, &chipset->pci, &wiring);
    for (unsigned index = 0; index < 4; index++) {
        struct drive *drive = drives_at(&vm->drives, DRIVE_IDE, index);
        if (drive && !attach(wire, index, drive, error, error_bytes)) return false;
    }
    return true;
}

void wire_ide_reset(struct wire_ide *wire)
{
    piix3_ide_reset(&wire->ide);
}

void wire_ide_suspend(struct wire_ide *wire)
{
    piix3_ide_suspend(&wire->ide);
}
