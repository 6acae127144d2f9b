/*
 * Commands about drives and the media in them. QEMU's steps of a change:
 *
 *   blockdev-open-tray
 *   blockdev-remove-medium
 *   blockdev-insert-medium   the image of a blockdev-add
 *   blockdev-close-tray
 *
 * eject is the first two of them, blockdev-change-medium all four, with an image that it opens itself.
 */
#include "base/host_time.h"
#include "base/json.h"
#include "board/media.h"
#include "control_private.h"
#include "vm/vm.h"

#include <stdio.h>
#include <string.h>

/* --- what is there --- */

/* A node that no device has is no drive. */
static bool is_listed(const struct vm *vm, const struct drive *drive)
{
    if (!drive->fitted || !drive->option->node) return drive->fitted;
    return device_options_use_drive(&vm->options->board.devices, drive->id);
}

static bool is_on(const struct json_object *object, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(object, key, &value) && json_object_get_boolean(value);
}

/* An image that is open. */
static struct json_object *image_json(const struct drive *drive)
{
    const struct disk_image *image = drive->block.image;
    const struct drive *node = drive->node ? drive->node : drive;
    struct json_object *object = json_object_new_object(), *details = json_object_new_object();
    /* "IDE drive 2 (FILE)": the block layer's name includes the medium's */
    const char *name = drive->block.name ? strchr(drive->block.name, '(') : NULL;
    char file[512] = "";
    if (name) snprintf(file, sizeof(file), "%.*s", (int)strlen(name + 1) - 1, name + 1);
    json_add_text(object, "file", file);
    if (node->option->node) json_add_text(object, "node-name", node->id);
    json_add_text(object, "drv", image->ops->format);
    json_add_flag(object, "ro", image->read_only);
    json_add_flag(object, "encrypted", false);
    json_add_text(details, "filename", file);
    json_add_text(details, "format", image->ops->format);
    json_add_number(details, "virtual-size", image->bytes);
    json_object_object_add(object, "image", details);
    return object;
}

/* A node without an image of its own is a file below another node. */
static struct json_object *node_json(const struct drive *node)
{
    const struct drive *holder = node->user ? node->user : node;
    if (holder->block.image) return image_json(holder);
    struct json_object *object = json_object_new_object();
    json_add_text(object, "file", node->option->file);
    json_add_text(object, "node-name", node->id);
    json_add_text(object, "drv", "file");
    json_add_flag(object, "ro", node->option->read_only);
    json_add_flag(object, "encrypted", false);
    return object;
}

/* A drive's names: its own, and that of the device that has it. */
static struct json_object *named_json(const struct control_call *call, const struct drive *drive)
{
    struct json_object *object = json_object_new_object();
    char name[DRIVE_NAME_BYTES];
    const struct device_options *devices = &call->vm->options->board.devices;
    const struct device_option *device = drive->id ? device_options_use_drive(devices, drive->id) : NULL;
    drive_name(drive, name);
    json_add_text(object, "device", name);
    if (device && device->id) json_add_text(object, "qdev", device->id);
    return object;
}

static struct json_object *drive_json(const struct control_call *call, const struct drive *drive)
{
    struct json_object *object = named_json(call, drive);
    struct media_state state = media_state(&call->vm->chipset, drive);
    json_add_text(object, "type", "unknown");
    json_add_flag(object, "removable", drive_is_removable(drive));
    json_add_flag(object, "locked", state.locked);
    if (drive_is_removable(drive)) json_add_flag(object, "tray_open", state.tray_open);
    if (drive->block.image) json_object_object_add(object, "inserted", image_json(drive));
    json_add_text(object, "io-status", call->vm->paused & PAUSE_DISK ? "failed" : "ok");
    return object;
}

void run_query_block(struct control_call *call)
{
    const struct drives *drives = &call->vm->drives;
    call->result = json_object_new_array();
    for (unsigned n = 0; n < drives->count; n++)
        if (is_listed(call->vm, &drives->drive[n]))
            json_object_array_add(call->result, drive_json(call, &drives->drive[n]));
}

void run_query_nodes(struct control_call *call)
{
    const struct drives *drives = &call->vm->drives;
    call->result = json_object_new_array();
    for (unsigned n = 0; n < drives->count; n++) {
        const struct drive *node = &drives->drive[n];
        if (node->fitted && node->option->node) json_object_array_add(call->result, node_json(node));
    }
}

/* Requests are not merged, and no histories are kept. */
static struct json_object *counts_json(const struct block_disk_counts *counts)
{
    static const struct {
        const char *name;
        unsigned operations;
    } kinds[] = {{"rd", 1u << DISK_READ},
                 {"wr", 1u << DISK_WRITE | 1u << DISK_ZERO},
                 {"flush", 1u << DISK_FLUSH},
                 {"unmap", 1u << DISK_DISCARD}};
    struct json_object *object = json_object_new_object();
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
        u64 done = 0, bytes = 0, failed = 0, refused = 0, total_ns = 0;
        for (unsigned n = 0; n < ARRAY_SIZE(counts->of); n++) {
            if (!(kinds[k].operations >> n & 1)) continue;
            done += counts->of[n].done;
            bytes += counts->of[n].bytes;
            failed += counts->of[n].failed;
            refused += counts->of[n].refused;
            total_ns += counts->of[n].total_ns;
        }
        const struct {
            const char *format;
            u64 value;
        } rows[] = {{"%s_operations", done},
                    {"%s_total_time_ns", total_ns},
                    {"failed_%s_operations", failed},
                    {"invalid_%s_operations", refused},
                    {"%s_bytes", bytes},
                    {"%s_merged", 0}};
        unsigned count = kinds[k].operations == 1u << DISK_FLUSH ? 4 : ARRAY_SIZE(rows);
        for (unsigned n = 0; n < count; n++) {
            char name[40];
            snprintf(name, sizeof(name), rows[n].format, kinds[k].name);
            json_add_number(object, name, rows[n].value);
        }
    }
    json_add_number(object, "wr_highest_offset", counts->written_to);
    if (counts->last_ns) json_add_number(object, "idle_time_ns", host_now_ns() - counts->last_ns);
    json_add_flag(object, "account_invalid", false);
    json_add_flag(object, "account_failed", true);
    json_object_object_add(object, "timed_stats", json_object_new_array());
    return object;
}

/* Of each drive; with "query-nodes" of each node. A node's image that is a medium counts for the drive. */
void run_query_blockstats(struct control_call *call)
{
    const struct drives *drives = &call->vm->drives;
    bool nodes = call_switch(call, "query-nodes");
    call->result = json_object_new_array();
    for (unsigned n = 0; n < drives->count; n++) {
        const struct drive *drive = &drives->drive[n], *node = drive->node ? drive->node : drive;
        bool listed = nodes ? drive->fitted && drive->option->node : is_listed(call->vm, drive);
        if (!listed) continue;
        struct json_object *object = nodes ? json_object_new_object() : named_json(call, drive);
        if (node->option->node) json_add_text(object, "node-name", node->id);
        json_object_object_add(object, "stats", counts_json(&drive->block.counts));
        json_object_array_add(call->result, object);
    }
}

void print_blockstats(const struct json_object *result, struct json_object *text)
{
    static const char *const names[] = {
        "rd_bytes",         "wr_bytes",         "rd_operations",    "wr_operations",
        "flush_operations", "wr_total_time_ns", "rd_total_time_ns", "flush_total_time_ns",
        "rd_merged",        "wr_merged",        "idle_time_ns"};
    for (size_t n = 0; n < json_object_array_length(result); n++) {
        const struct json_object *drive = json_object_array_get_idx(result, n);
        struct json_object *stats, *value;
        json_object_object_get_ex(drive, "stats", &stats);
        text_add(text, "%s:", json_text_of(drive, "device"));
        for (unsigned k = 0; k < ARRAY_SIZE(names); k++)
            if (json_object_object_get_ex(stats, names[k], &value))
                text_add(text, " %s=%s", names[k], json_object_get_string(value));
        text_add(text, "\n");
    }
}

void print_block(const struct json_object *result, struct json_object *text)
{
    for (size_t n = 0; n < json_object_array_length(result); n++) {
        const struct json_object *drive = json_object_array_get_idx(result, n);
        struct json_object *medium;
        if (json_object_object_get_ex(drive, "inserted", &medium))
            text_add(text, "%s: %s (%s%s)\n", json_text_of(drive, "device"), json_text_of(medium, "file"),
                     json_text_of(medium, "drv"), is_on(medium, "ro") ? ", read-only" : "");
        else
            text_add(text, "%s: [not inserted]\n", json_text_of(drive, "device"));
        if (is_on(drive, "removable"))
            text_add(text, "    Removable device: %slocked, tray %s\n", is_on(drive, "locked") ? "" : "not ",
                     is_on(drive, "tray_open") ? "open" : "closed");
    }
}

/* --- changes --- */

/* By the name that query-block gives, or one of media_find(). NULL: there is no such drive. */
static struct drive *find_drive(struct control_call *call)
{
    const char *wanted = call_text(call, "id") ? call_text(call, "id") : call_text(call, "device");
    if (!wanted) {
        call_fail(call, "Parameter 'device' is missing");
        return NULL;
    }
    struct drives *drives = &call->vm->drives;
    struct drive *found = media_find(&call->vm->board, wanted);
    char name[DRIVE_NAME_BYTES];
    for (unsigned n = 0; !found && n < drives->count; n++) {
        drive_name(&drives->drive[n], name);
        if (drives->drive[n].fitted && !strcmp(name, wanted)) found = &drives->drive[n];
    }
    if (found && drive_is_removable(found)) return found;
    if (found) {
        call_fail(call, "Device '%.100s' is not removable", wanted);
        return NULL;
    }
    call_not_found(call, wanted);
    return NULL;
}

static bool has_failed(struct control_call *call, const struct drive *drive, enum media_outcome outcome,
                       const char *error)
{
    char name[DRIVE_NAME_BYTES];
    drive_name(drive, name);
    if (outcome == MEDIA_LOCKED)
        call_fail(
            call,
            "Device '%.100s' is locked and force was not specified, wait for tray to open and try again",
            name);
    else if (outcome == MEDIA_FAILED)
        call_fail(call, "%s", error);
    return outcome != MEDIA_CHANGED;
}

static void change_medium(struct control_call *call, const char *file)
{
    char error[256];
    struct drive *drive = find_drive(call);
    if (!drive) return;
    has_failed(
        call, drive,
        media_change(&call->vm->chipset, drive, file, call_switch(call, "force"), error, sizeof(error)),
        error);
}

void run_eject(struct control_call *call)
{
    change_medium(call, NULL);
}

/* HMP also has "change vnc password PASSWORD". */
void run_change(struct control_call *call)
{
    const char *device = call_text(call, "device");
    if (call->by_line && device && !strcmp(device, "vnc") && !strcmp(call_text(call, "filename"), "password"))
        control_vnc_password(call, call_text(call, "format"));
    else
        change_medium(call, call_text(call, "filename"));
}

/* The guest that has locked its tray is asked to open it: that is no error. */
void run_open_tray(struct control_call *call)
{
    char error[256];
    struct drive *drive = find_drive(call);
    if (drive) media_open_tray(&call->vm->chipset, drive, call_switch(call, "force"), error, sizeof(error));
}

void run_close_tray(struct control_call *call)
{
    struct drive *drive = find_drive(call);
    if (drive) media_close_tray(&call->vm->chipset, drive);
}

/* The drive, if its tray is open, or if it has none. */
static struct drive *find_open_drive(struct control_call *call)
{
    struct drive *drive = find_drive(call);
    if (!drive) return NULL;
    struct media_state state = media_state(&call->vm->chipset, drive);
    if (!state.has_tray || state.tray_open) return drive;
    call_fail(call, "Tray of device '%.100s' is not open", call_text(call, "id"));
    return NULL;
}

void run_remove_medium(struct control_call *call)
{
    char error[256];
    struct drive *drive = find_open_drive(call);
    if (drive && drive->block.image)
        has_failed(call, drive, media_remove(&call->vm->chipset, drive, error, sizeof(error)), error);
}

void run_insert_medium(struct control_call *call)
{
    char error[256];
    const char *name = call_text(call, "node-name");
    struct drive *drive = find_open_drive(call), *node = drives_by_id(&call->vm->drives, name);
    if (!drive) return;
    if (!node || !node->fitted || node->interface != DRIVE_NONE)
        call_fail(call, "Node '%.100s' not found", name);
    else if (drive->block.image)
        call_fail(call, "There already is a medium in device '%.100s'", call_text(call, "id"));
    else if (!node->block.image || device_options_use_drive(&call->vm->options->board.devices, name))
        call_fail(call, "Node '%.100s' is already in use", name);
    else
        has_failed(call, drive, media_insert(&call->vm->chipset, drive, node, error, sizeof(error)), error);
}
