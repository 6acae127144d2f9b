#include "wire_ide.h"

#include "board.h"
#include "device_table.h"
#include "drives.h"

#include <stdio.h>
#include <string.h>

static const struct {
    u16 command, control;
    u8 irq;
} channels[2] = {{0x1f0, 0x3f6, 14}, {0x170, 0x376, 15}};

static void map_channel(void *machine, unsigned channel, bool decoded)
{
    struct wire_ide *wire = machine;
    struct port_bus *ports = &wire->board->ports;
    ports_move(ports, wire->command[channel], channels[channel].command, decoded);
    ports_move(ports, wire->control[channel], channels[channel].control, decoded);
}

static bool attach(struct wire_ide *wire, unsigned index, struct drive *drive, char *error,
                   size_t error_bytes)
{
    enum ide_kind kind = drive->medium == MEDIUM_CDROM ? IDE_CDROM : IDE_DISK;
    struct disk *disk = drive_disk(drive);
    char serial[21];
    if (kind == IDE_DISK && !disk->bytes) {
        snprintf(error, error_bytes, "the image in IDE drive %u is empty: only a CD drive may be empty",
                 index);
        return false;
    }
    snprintf(serial, sizeof(serial), "RINGER%05u", index + 1);
    ide_attach(&wire->ide.channel[index / 2], index % 2, kind, disk, drive->serial ? drive->serial : serial);
    board_add_boot_entry(wire->board, drive->boot_index, "/pci@i0cf8/ide@1,1/drive@%u/disk@%u", index / 2,
                         index % 2);
    return true;
}

bool wire_ide_init(struct wire_ide *wire, struct board *board, char *error, size_t error_bytes)
{
    struct piix3_ide_wiring wiring = {.memory = board->dma, .map_channel = map_channel, .machine = wire};
    wire->board = board;
    for (unsigned n = 0; n < 2; n++) {
        struct ide_channel *channel = &wire->ide.channel[n];
        wiring.irq[n] = board->irq[channels[n].irq];
        wire->command[n] = ports_add(&board->ports, 8, 4, &ide_command_ops, channel);
        ports_set_string(wire->command[n], &ide_string_ops);
        wire->control[n] = ports_add(&board->ports, 1, 1, &ide_control_ops, channel);
    }
    piix3_ide_init(&wire->ide, &board->pci, &wiring);
    for (unsigned index = 0; index < 4; index++) {
        struct drive *drive = drives_at(board->drives, DRIVE_IDE, index);
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

static const struct property properties[] = {
    {"drive", PROPERTY_DRIVE, .help = "what is in it", .required = true},
    {"serial", PROPERTY_TEXT, .help = "serial number, for the guest"},
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},
    {0},
};

const struct device_type ide_hd_type = {
    .name = "ide-hd",
    .bus = &bus_ide,
    .help = "disk on the PIIX3's IDE controller",
    .properties = properties,
    .interface = DRIVE_IDE,
    .medium = MEDIUM_DISK,
};

const struct device_type ide_cd_type = {
    .name = "ide-cd",
    .bus = &bus_ide,
    .help = "CD drive on the PIIX3's IDE controller",
    .properties = properties,
    .interface = DRIVE_IDE,
    .medium = MEDIUM_CDROM,
};
