#include "wire_floppy.h"

#include "board.h"
#include "device_table.h"
#include "drives.h"

#include <stdio.h>

enum { FLOPPY_PORTS = 0x3f0, CHANGE_PORT = 0x3f7, FLOPPY_IRQ = 6 };

u8 wire_floppy_type(struct board *board, unsigned number)
{
    struct drive *drive = drives_at(board->drives, DRIVE_FLOPPY, number);
    struct floppy_drive floppy;
    if (!drive) return FLOPPY_DRIVE_NONE;
    floppy_drive_init(&floppy, drive_disk(drive));
    return (u8)floppy.type;
}

static bool attach(struct wire_floppy *wire, struct board *board, unsigned number, struct drive *drive,
                   char *error, size_t error_bytes)
{
    struct disk *disk = drive_disk(drive);
    if (disk->bytes && !floppy_format_of(disk->bytes)) {
        snprintf(error, error_bytes,
                 "the image in floppy drive %c has %llu bytes, and no diskette has that size",
                 'A' + (int)number, (unsigned long long)disk->bytes);
        return false;
    }
    i82077_attach(&wire->controller, number, disk);
    board_add_boot_entry(board, drive->boot_index, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%u", number);
    board->facts.floppy = true;
    return true;
}

bool wire_floppy_init(struct wire_floppy *wire, struct board *board, struct i8237_pair *dma, char *error,
                      size_t error_bytes)
{
    i82077_init(&wire->controller, board->clock, board->irq[FLOPPY_IRQ], dma);
    for (unsigned n = 0; n < I82077_DRIVES; n++) {
        struct drive *drive = drives_at(board->drives, DRIVE_FLOPPY, n);
        if (drive && !attach(wire, board, n, drive, error, error_bytes)) return false;
    }
    if (!board->facts.floppy) return true;
    ports_claim(&board->ports, FLOPPY_PORTS, 6, 1, &i82077_ops, &wire->controller);
    ports_claim(&board->ports, CHANGE_PORT, 1, 1, &i82077_change_ops, &wire->controller);
    return true;
}

void wire_floppy_reset(struct wire_floppy *wire)
{
    i82077_reset(&wire->controller);
}

static const struct property properties[] = {
    {"drive", PROPERTY_DRIVE, .help = "what is in it", .required = true},
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},
    {0},
};

const struct device_type floppy_type = {
    .name = "floppy",
    .bus = &bus_floppy,
    .help = "floppy drive",
    .properties = properties,
    .interface = DRIVE_FLOPPY,
    .medium = MEDIUM_DISK,
};
