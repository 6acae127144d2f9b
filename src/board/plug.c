#include "plug.h"

#include "board.h"
#include "drives.h"
#include "options/options_json.h"
#include "wire_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

static bool may_change(const struct plug *plug, char *error, size_t error_bytes)
{
    if (!plug->options) return SAY("nothing can come or go in a lockstep run");
    return !plug->busy || SAY("another device is leaving at the moment");
}

static bool has_netdev(const struct device_option *device)
{
    return device_type_has(device->type, "netdev");
}

/* --- the end of a device --- */

/* Its requests to disks end: with the device's memory still there. */
static void end_requests(struct board *board, const struct device_option *option)
{
    const char *id = device_type_has(option->type, "drive") ? device_text(option, "drive") : NULL;
    struct drive *drive = id ? drives_by_id(board->drives, id) : NULL;
    if (!drive) return;
    disk_crew_drain(&board->drives->crew);
    block_disk_give_up(&drive->block);
}

/* The option's device leaves the board, and the option goes too. */
static void take_out(struct plug *plug, struct device_option *option)
{
    struct board *board = plug->board;
    struct board_device *device = &board->device[board_number_of(board, option)];
    struct pci_device *pci = device->devfn ? board->pci.device[device->devfn] : NULL;
    if (device->reset) device->reset(device->device);
    if (option->type->unplug) option->type->unplug(board, option);
    if (device->device) end_requests(board, option);
    if (pci && device->device) pci_device_remove(pci);
    if (pci) board->pci.device[device->devfn] = NULL; /* also one that could not be completed */
    if (has_netdev(option)) wire_net_release(board, option);
    if (device->destroy) device->destroy(device->device);
    if (device->devfn) pci_hotplug_remove(&plug->controller, device->devfn >> 3);
    *device = (struct board_device){.device = NULL};
    device_options_unplug(&plug->options->devices, option);
}

static void delete_device(struct plug *plug, struct device_option *option)
{
    char *id = option->id ? strdup(option->id) : NULL;
    plug->busy = true;
    take_out(plug, option);
    plug->busy = false;
    board_tell(plug->board, BOARD_DEVICE_DELETED, id, 0);
    free(id);
}

/* The option of the device in a slot, or NULL. */
static struct device_option *option_in(struct plug *plug, unsigned slot)
{
    struct device_options *options = &plug->options->devices;
    for (unsigned n = 0; n < options->count; n++)
        if (options->device[n].type && plug->board->device[n].devfn == PCI_DEVFN(slot, 0))
            return &options->device[n];
    return NULL;
}

static void delete_in(struct plug *plug, u32 slots)
{
    for (; slots; slots &= slots - 1) {
        struct device_option *option = option_in(plug, (unsigned)__builtin_ctz(slots));
        if (option) delete_device(plug, option);
    }
}

static void eject(void *device)
{
    struct plug *plug = device;
    u32 slots = plug->ejected;
    plug->ejected = 0;
    plug->asked &= ~slots;
    delete_in(plug, slots);
}

static void ejected(void *machine, unsigned slot)
{
    struct plug *plug = machine;
    plug->ejected |= 1u << slot;
    timer_arm(&plug->timer, clock_now(plug->timer.clock));
}

static void event(void *machine)
{
    struct plug *plug = machine;
    plug->event(plug->machine);
}

/* --- devices --- */

bool plug_device(struct plug *plug, const char *list, char *error, size_t error_bytes)
{
    struct board *board = plug->board;
    if (!may_change(plug, error, error_bytes)) return false;
    struct device_option *option =
        device_options_plug(&plug->options->devices, &plug->options->drives, list, error, error_bytes);
    if (!option) return false;
    if (!option->type->create(board, option, error, error_bytes)) {
        take_out(plug, option);
        return false;
    }
    u8 devfn = board->device[board_number_of(board, option)].devfn;
    if (devfn) pci_hotplug_add(&plug->controller, devfn >> 3, true);
    return true;
}

/* A device that others plug into, or that cannot go, stays. */
static bool can_go(const struct device_option *option, char *error, size_t error_bytes)
{
    if (!device_type_plugs(option->type, error, error_bytes)) return false;
    return !option->children || SAY("other devices are plugged into the %s", option->type->name);
}

bool unplug_device(struct plug *plug, const char *id, bool *found, char *error, size_t error_bytes)
{
    *found = true;
    if (!may_change(plug, error, error_bytes)) return false;
    struct device_option *option = device_options_find(&plug->options->devices, id);
    *found = option != NULL;
    if (!option) return SAY("Device '%.100s' not found", id);
    if (!can_go(option, error, error_bytes)) return false;
    unsigned slot = plug->board->device[board_number_of(plug->board, option)].devfn >> 3;
    if (!slot) {
        delete_device(plug, option);
        return true;
    }
    /* QEMU's rule: the guest may have been too busy to hear it, so the same device may be asked for again. */
    plug->asked |= 1u << slot;
    pci_hotplug_ask(&plug->controller, slot);
    return true;
}

/* --- drives --- */

/* The nodes below an option that comes let go of their images, which are part of its own; when it has gone, they open
 * them again. */
static void settle_below(struct plug *plug, struct drive_option *const below[2])
{
    for (unsigned n = 0; n < 2; n++)
        if (below[n])
            drives_settle_node(plug->board->drives, drives_by_id(plug->board->drives, below[n]->id));
}

static void release_drive(struct plug *plug, struct drive_option *option)
{
    struct drive_option *const below[2] = {option->below[0], option->below[1]};
    drive_option_release(option);
    settle_below(plug, below);
}

/* `option`: NULL fails. */
static bool add_drive(struct plug *plug, struct drive_option *option, char *error, size_t error_bytes)
{
    if (!option) return false;
    settle_below(plug, option->below);
    if (drives_add(plug->board->drives, option, error, error_bytes)) return true;
    release_drive(plug, option);
    return false;
}

bool plug_drive(struct plug *plug, const char *list, char *error, size_t error_bytes)
{
    if (!may_change(plug, error, error_bytes)) return false;
    return add_drive(plug, drive_options_plug(&plug->options->drives, list, error, error_bytes), error,
                     error_bytes);
}

/* A node below another one is no device's, nor in a drive. */
static bool may_stack(const struct plug *plug, struct json_object *node, char *error, size_t error_bytes)
{
    const char *names[2];
    options_nodes_below(node, names);
    for (unsigned n = 0; n < 2; n++) {
        const struct drive *drive = names[n] ? drives_by_id(plug->board->drives, names[n]) : NULL;
        if (drive && (drive->user || device_options_use_drive(&plug->options->devices, names[n])))
            return SAY("Node %.100s is in use", names[n]);
    }
    return true;
}

bool plug_node(struct plug *plug, struct json_object *node, char *error, size_t error_bytes)
{
    if (!may_change(plug, error, error_bytes) || !may_stack(plug, node, error, error_bytes)) return false;
    return add_drive(plug, drive_options_plug_node(&plug->options->drives, node, error, error_bytes), error,
                     error_bytes);
}

bool unplug_drive(struct plug *plug, const char *id, bool *found, char *error, size_t error_bytes)
{
    *found = true;
    if (!may_change(plug, error, error_bytes)) return false;
    struct drive_option *option = drive_options_find(&plug->options->drives, id);
    struct drive *drive = option ? drives_by_id(plug->board->drives, id) : NULL;
    *found = drive != NULL;
    if (!drive) return SAY("Failed to find node with node-name='%.100s'", id);
    if (option->interface != DRIVE_NONE || drive->user || option->above ||
        device_options_use_drive(&plug->options->devices, id))
        return SAY("Node %.100s is in use", id);
    drives_remove(plug->board->drives, drive);
    release_drive(plug, option);
    return true;
}

/* --- networks --- */

struct net_parse {
    struct net_options *options;
    const char *list;
    char *error;
    size_t error_bytes;
    struct netdev_option *option;
};

/* On the network thread, which may ask name servers. */
static void parse_net(void *argument)
{
    struct net_parse *parse = argument;
    parse->option = net_options_plug(parse->options, parse->list, parse->error, parse->error_bytes);
}

bool plug_net(struct plug *plug, const char *list, char *error, size_t error_bytes)
{
    if (!may_change(plug, error, error_bytes)) return false;
    struct net_parse parse = {&plug->options->net, list, error, error_bytes, NULL};
    wire_net_run(plug->board, parse_net, &parse);
    if (!parse.option) return false;
    if (wire_net_add(plug->board, parse.option, error, error_bytes)) return true;
    netdev_option_release(parse.option);
    return false;
}

bool unplug_net(struct plug *plug, const char *id, bool *found, char *error, size_t error_bytes)
{
    *found = true;
    if (!may_change(plug, error, error_bytes)) return false;
    struct netdev_option *option = NULL;
    for (unsigned n = 0; n < plug->options->net.count; n++)
        if (plug->options->net.netdev[n].id && !strcmp(plug->options->net.netdev[n].id, id))
            option = &plug->options->net.netdev[n];
    *found = option != NULL;
    if (!option) return SAY("Device '%.100s' not found", id);
    if (!wire_net_remove(plug->board, option, error, error_bytes)) return false;
    netdev_option_release(option);
    return true;
}

/* --- set-up --- */

void plug_reset(struct plug *plug)
{
    u32 slots = plug->asked | plug->ejected;
    plug->asked = plug->ejected = 0;
    timer_cancel(&plug->timer);
    if (plug->options) delete_in(plug, slots);
    pci_hotplug_reset(&plug->controller);
}

void plug_allow(struct plug *plug, struct board_options *options)
{
    plug->options = options;
    for (unsigned n = 0; n < options->devices.count; n++) {
        u8 devfn = plug->board->device[n].devfn;
        if (devfn && options->devices.device[n].type->plugs)
            pci_hotplug_add(&plug->controller, devfn >> 3, false);
    }
}

void plug_init(struct plug *plug, struct board *board, void (*wire)(void *machine), void *machine)
{
    *plug = (struct plug){.board = board, .event = wire, .machine = machine};
    timer_init(&plug->timer, board->clock, eject, plug);
    pci_hotplug_init(&plug->controller,
                     &(struct pci_hotplug_wiring){.event = event, .ejected = ejected, .machine = plug});
    board->plug = plug;
}
