/*
 * What comes and goes while the machine runs: devices of -device options, with their drives and networks.
 *
 *   device_add     option -> created as at power-on -> pci_hotplug_add() -> the guest scans the slot
 *   device_del     pci_hotplug_ask() -> the guest's driver lets go -> ejected() -> timer -> the device is taken off
 *                  the bus and freed, and BOARD_DEVICE_DELETED is told
 *
 * A reset completes what device_del has begun: a guest that starts anew has no driver that must let go. A device
 * without a PCI function of its own (a port of a virtio-serial-pci) comes and goes at once.
 *
 * Invariants
 * 1. Options and devices keep their numbers: a number that has become free goes to the next one that comes.
 * 2. A device is freed between two instructions, never from within its own callbacks.
 *
 * Only the vCPU thread calls any of this. All functions that return bool: false with one sentence in error.
 */
#ifndef RINGER_BOARD_PLUG_H
#define RINGER_BOARD_PLUG_H

#include "base/device.h"
#include "devices/chipset/pci_hotplug.h"

#include <stddef.h>

struct board;
struct json_object;
struct board_options;

struct plug {
    struct board *board;
    struct board_options *options; /* the board's own; NULL: nothing may come or go */
    struct pci_hotplug controller;
    struct timer timer;
    void (*event)(void *machine); /* the controller's wire */
    void *machine;
    bool busy;          /* a device is leaving: letters that come meanwhile change nothing */
    u32 asked, ejected; /* slots: of device_del, and of what the guest has let go since the timer was armed */
};

/* The board has all its devices. `wire`: an event for the guest. */
void plug_init(struct plug *plug, struct board *board, void (*wire)(void *machine), void *machine);
/* From now on things may come and go. `options` are those of the board. */
void plug_allow(struct plug *plug, struct board_options *options);
void plug_reset(struct plug *plug);

/* Lists as those of -device, -drive and -netdev. */
bool plug_device(struct plug *plug, const char *list, char *error, size_t error_bytes);
bool plug_drive(struct plug *plug, const char *list, char *error, size_t error_bytes);
/* `node`: as that of a -blockdev */
bool plug_node(struct plug *plug, struct json_object *node, char *error, size_t error_bytes);
bool plug_net(struct plug *plug, const char *list, char *error, size_t error_bytes);

/* Asks the guest. *found: there is such a device. */
bool unplug_device(struct plug *plug, const char *id, bool *found, char *error, size_t error_bytes);
bool unplug_drive(struct plug *plug, const char *id, bool *found, char *error, size_t error_bytes);
bool unplug_net(struct plug *plug, const char *id, bool *found, char *error, size_t error_bytes);

#endif
