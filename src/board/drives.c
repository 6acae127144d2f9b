#include "drives.h"

#include "vm/vm.h"

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

static struct disk_image *open_image(const struct vm *vm, const struct drive_option *option, const char *file,
                                     char *error, size_t error_bytes)
{
    bool temporary = is_temporary(vm, option) && !option->read_only;
    const struct disk_image_how how = {.format = option->format, .read_only = option->read_only || temporary};
    struct disk_image *image = disk_image_open(file, &how, error, error_bytes);
    return image && temporary ? overlay_open(image, error, error_bytes) : image;
}

/* For messages. */
static void name_drive(char *name, size_t bytes, const struct drive_option *option, const char *file)
{
    char place[64];
    snprintf(place, sizeof(place), "%s drive %u", drive_interface_name(option->interface), option->index);
    snprintf(name, bytes, "%s (%s)", option->interface == DRIVE_NONE ? option->id : place,
             file ? file : "empty");
}

static bool open_drive(struct drive *drive, struct vm *vm, const struct drive_option *option, char *error,
                       size_t error_bytes)
{
    struct disk_image *image = NULL;
    char name[256];
    if (option->file && !(image = open_image(vm, option, option->file, error, error_bytes))) return false;
    drive->interface = option->interface;
    drive->index = option->index;
    drive->medium = option->medium;
    drive->id = option->id;
    drive->serial = option->serial;
    drive->boot_index = option->boot_index;
    name_drive(name, sizeof(name), option, option->file);
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

struct disk_image *drives_open_medium(struct vm *vm, const struct drive *drive, const char *file, char *error,
                                      size_t error_bytes)
{
    return open_image(vm, &vm->options->drives.drive[drive - vm->drives.drive], file, error, error_bytes);
}

bool drives_change(struct vm *vm, struct drive *drive, struct disk_image *image, const char *file,
                   char *error, size_t error_bytes)
{
    char name[256];
    name_drive(name, sizeof(name), &vm->options->drives.drive[drive - vm->drives.drive], file);
    disk_crew_drain(&vm->drives.crew); /* what fails now may be held, and would be tried on the new medium */
    bool held = vm->drives.crew.held.first;
    if (!held && block_disk_change(&drive->block, image, name)) return true;
    snprintf(error, error_bytes, held ? "the machine waits for a transfer to be done" : "out of memory");
    return false;
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
