#include "drives.h"

#include "vm.h"

#include <stdio.h>
#include <string.h>

static void stalled(void *machine, const char *message)
{
    log_warn("%s; the machine stands still until this can be done (tried every %u s, and on SIGUSR2)",
             message, PAUSE_RETRY_S);
    machine_pause(machine, PAUSE_DISK);
}

static void resumed(void *machine)
{
    log_warn("the machine goes on");
    machine_resume(machine, PAUSE_DISK);
}

/* Lockstep: both machines do the same, so neither may see what the other writes. */
static bool is_temporary(const struct vm *vm, const struct drive_option *option)
{
    return option->snapshot || vm->options->drives.snapshot || vm->options->lockstep;
}

static bool open_drive(struct drive *drive, struct vm *vm, const struct drive_option *option, char *error,
                       size_t error_bytes)
{
    bool temporary = is_temporary(vm, option) && !option->read_only;
    struct disk_image *image = NULL;
    if (option->file) {
        const struct disk_image_how how = {.format = option->format,
                                           .read_only = option->read_only || temporary};
        image = disk_image_open(option->file, &how, error, error_bytes);
        if (image && temporary) image = overlay_open(image, error, error_bytes);
        if (!image) return false;
    }
    drive->interface = option->interface;
    drive->index = option->index;
    drive->medium = option->medium;
    drive->id = option->id;
    drive->boot_index = option->boot_index;
    char name[256], place[64];
    snprintf(place, sizeof(place), "%s drive %u", drive_interface_name(option->interface), option->index);
    snprintf(name, sizeof(name), "%s (%s)", option->interface == DRIVE_NONE ? option->id : place,
             option->file ? option->file : "empty");
    struct block_disk *block = &drive->block;
    block_disk_init(block, &vm->drives.crew, image, name);
    block->on_read_error = option->on_read_error;
    block->on_write_error = option->on_write_error;
    block->detect_zeroes = option->detect_zeroes;
    block->discard = !option->no_discard;
    block->write_through = option->write_through;
    block->never_flush = option->never_flush;
    return true;
}

bool drives_init(struct drives *drives, struct vm *vm, char *error, size_t error_bytes)
{
    const struct drive_options *options = &vm->options->drives;
    disk_crew_init(&drives->crew, &vm->post, vm->options->deterministic ? &vm->time.clock : NULL);
    drives->crew.stalled = stalled;
    drives->crew.resumed = resumed;
    drives->crew.machine = vm;
    drives->there = true;
    for (unsigned n = 0; n < options->count; n++) {
        if (!open_drive(&drives->drive[n], vm, &options->drive[n], error, error_bytes)) return false;
        drives->count++;
    }
    return true;
}

void drives_destroy(struct drives *drives)
{
    if (!drives->there) return;
    disk_crew_destroy(&drives->crew);
    for (unsigned n = 0; n < drives->count; n++)
        block_disk_destroy(&drives->drive[n].block);
}

bool drives_open_medium(struct vm *vm, const struct drive *drive, const char *file, struct drive *fresh,
                        char *error, size_t error_bytes)
{
    struct drive_option option = vm->options->drives.drive[drive - vm->drives.drive];
    option.file = (char *)file; /* which is only read */
    if (vm->drives.crew.held.first) {
        snprintf(error, error_bytes, "a transfer waits for the medium that is in");
        return false;
    }
    return open_drive(fresh, vm, &option, error, error_bytes);
}

void drives_swap(struct drives *drives, struct drive *drive, struct drive *fresh)
{
    disk_crew_drain(&drives->crew);
    block_disk_destroy(&drive->block);
    drive->block = fresh->block;
}

struct drive *drives_at(struct drives *drives, enum drive_interface interface, unsigned index)
{
    for (unsigned n = 0; n < drives->count; n++)
        if (drives->drive[n].interface == interface && drives->drive[n].index == index)
            return &drives->drive[n];
    return NULL;
}

struct drive *drives_by_id(struct drives *drives, const char *id)
{
    for (unsigned n = 0; n < drives->count; n++)
        if (drives->drive[n].id && !strcmp(drives->drive[n].id, id)) return &drives->drive[n];
    return NULL;
}
