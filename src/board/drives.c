#include "drives.h"

#include "base/log.h"
#include "board.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void stalled(void *machine, const char *message)
{
    log_warn("%s; the machine is paused until this succeeds (next try every %u s, and on SIGUSR2)", message,
             PAUSE_RETRY_S);
    struct board *board = machine;
    board->host->pause(board->machine, PAUSE_DISK, true);
}

static void resumed(void *machine)
{
    struct board *board = machine;
    log_warn("the machine goes on");
    board->host->pause(board->machine, PAUSE_DISK, false);
}

static struct disk_image *open_image(const struct drives *drives, const struct drive_option *option,
                                     const char *file, char *error, size_t error_bytes)
{
    bool temporary = (option->snapshot || drives->snapshot) && !option->read_only;
    const struct disk_image_how how = {.format = option->format,
                                       .read_only = option->read_only || temporary,
                                       .no_backing = option->no_backing && file == option->file};
    struct disk_image *image = disk_image_open(file, &how, error, error_bytes);
    return image && temporary ? overlay_open(image, error, error_bytes) : image;
}

/* For messages. */
static void name_drive(char *name, size_t bytes, const struct drive_option *option, const char *file)
{
    char location[64];
    snprintf(location, sizeof(location), "%s drive %u", drive_interface_name(option->interface),
             option->index);
    snprintf(name, bytes, "%s (%s)", option->interface == DRIVE_NONE ? option->id : location,
             file ? file : "empty");
}

void drive_name(const struct drive *drive, char name[DRIVE_NAME_BYTES])
{
    if (drive->id && drive->id[0] != '#')
        snprintf(name, DRIVE_NAME_BYTES, "%s", drive->id);
    else if (drive->interface == DRIVE_FLOPPY)
        snprintf(name, DRIVE_NAME_BYTES, "floppy%u", drive->index);
    else if (drive->interface == DRIVE_IDE)
        snprintf(name, DRIVE_NAME_BYTES, "ide%u-%s%u", drive->index / 2,
                 drive->medium == MEDIUM_CDROM ? "cd" : "hd", drive->index % 2);
    else
        snprintf(name, DRIVE_NAME_BYTES, "%s%u", drive_interface_name(drive->interface), drive->index);
}

bool drive_is_removable(const struct drive *drive)
{
    return drive->interface == DRIVE_FLOPPY || drive->medium == MEDIUM_CDROM;
}

static void tray_moved(struct disk *disk, bool open)
{
    const struct drive *drive = container_of(disk, struct drive, block.disk);
    char name[DRIVE_NAME_BYTES];
    drive_name(drive, name);
    board_tell(drive->block.crew->machine, BOARD_TRAY_MOVED, name, open);
}

static bool open_drive(struct drives *drives, struct drive *drive, const struct drive_option *option,
                       char *error, size_t error_bytes)
{
    struct disk_image *image = NULL;
    char name[256];
    bool open = option->file && !option->above;
    if (open && !(image = open_image(drives, option, option->file, error, error_bytes))) return false;
    drive->fitted = true;
    drive->option = option;
    drive->interface = option->interface;
    drive->index = option->index;
    drive->medium = option->medium;
    drive->id = option->id;
    drive->serial = option->serial;
    drive->boot_index = option->boot_index;
    name_drive(name, sizeof(name), option, option->file);
    struct block_disk *block = &drive->block;
    block_disk_init(block, &drives->crew, image, name);
    block->disk.tray_moved = tray_moved;
    block->on_read_error = option->on_read_error;
    block->on_write_error = option->on_write_error;
    block->detect_zeroes = option->detect_zeroes;
    block->discard = !option->no_discard;
    block->write_through = option->write_through;
    block->never_flush = option->never_flush;
    return true;
}

bool drives_init(struct drives *drives, struct board *board, char *error, size_t error_bytes)
{
    const struct drive_options *options = &board->options->drives;
    disk_crew_init(&drives->crew, board->mailbox, board->deterministic ? board->clock : NULL);
    drives->crew.stalled = stalled;
    drives->crew.resumed = resumed;
    drives->crew.machine = board;
    drives->snapshot = options->snapshot;
    drives->initialized = true;
    for (unsigned n = 0; n < options->count; n++) {
        if (!open_drive(drives, &drives->drive[n], &options->drive[n], error, error_bytes)) return false;
        drives->count++;
    }
    return true;
}

void drives_destroy(struct drives *drives)
{
    if (!drives->initialized) return;
    disk_crew_destroy(&drives->crew);
    for (unsigned n = 0; n < drives->count; n++)
        if (drives->drive[n].fitted) block_disk_destroy(&drives->drive[n].block);
}

bool drives_add(struct drives *drives, const struct drive_option *option, char *error, size_t error_bytes)
{
    unsigned n = 0;
    while (n < drives->count && drives->drive[n].fitted)
        n++;
    assert(n < DRIVES_MAX);
    if (!open_drive(drives, &drives->drive[n], option, error, error_bytes)) return false;
    if (n == drives->count) drives->count++;
    return true;
}

/* The image in the drive is its node's again; the drive is empty. */
static void give_back(struct drive *drive)
{
    block_disk_swap(&drive->block, &drive->node->block);
    drive->node->user = NULL;
    drive->node = NULL;
}

void drives_remove(struct drives *drives, struct drive *drive)
{
    if (drive->node) give_back(drive);
    block_disk_leave(&drive->block);
    block_disk_destroy(&drive->block);
    *drive = (struct drive){.fitted = false};
}

void drives_settle_node(struct drives *drives, struct drive *node)
{
    const struct drive_option *option = node->option;
    struct disk_image *image = NULL;
    char name[256], error[256];
    if (!option->above == !!node->block.image) return;
    if (!option->above && !(image = open_image(drives, option, option->file, error, sizeof(error)))) {
        log_warn("the node %s has no image any more: %s", option->id, error);
        return;
    }
    name_drive(name, sizeof(name), option, option->file);
    if (!block_disk_change(&node->block, image, name)) disk_image_close(image);
}

struct disk_image *drives_open_medium(struct drives *drives, const struct drive *drive, const char *file,
                                      char *error, size_t error_bytes)
{
    return open_image(drives, drive->option, file, error, error_bytes);
}

/* A request that fails now may be held, and must not be tried on the new medium. */
static bool may_change(struct drives *drives, char *error, size_t error_bytes)
{
    disk_crew_drain(&drives->crew);
    if (!drives->crew.held.first) return true;
    snprintf(error, error_bytes, "the machine is paused until a transfer succeeds");
    return false;
}

bool drives_change(struct drives *drives, struct drive *drive, struct disk_image *image, const char *file,
                   char *error, size_t error_bytes)
{
    char name[256];
    name_drive(name, sizeof(name), drive->option, file);
    if (!may_change(drives, error, error_bytes)) return false;
    if (drive->node) give_back(drive);
    if (block_disk_change(&drive->block, image, name)) return true;
    snprintf(error, error_bytes, "out of memory");
    return false;
}

bool drives_insert(struct drives *drives, struct drive *drive, struct drive *node, char *error,
                   size_t error_bytes)
{
    if (!may_change(drives, error, error_bytes)) return false;
    block_disk_swap(&drive->block, &node->block);
    drive->node = node;
    node->user = drive;
    return true;
}

struct drive *drives_at(struct drives *drives, enum drive_interface interface, unsigned index)
{
    for (unsigned n = 0; n < drives->count; n++)
        if (drives->drive[n].fitted && drives->drive[n].interface == interface &&
            drives->drive[n].index == index)
            return &drives->drive[n];
    return NULL;
}

struct drive *drives_by_id(struct drives *drives, const char *id)
{
    for (unsigned n = 0; n < drives->count; n++)
        if (drives->drive[n].id && !strcmp(drives->drive[n].id, id)) return &drives->drive[n];
    return NULL;
}
