/*
 * The devices of -device options on the board: creation in the order of the command line, reset, the end.
 */
#include "board.h"

#include <assert.h>
#include <stdio.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* Slot 0 has the host bridge, 1 the PIIX3, and 2 by convention the display. */
enum { FIRST_SLOT = 3, SLOTS = 32 };

unsigned board_number_of(const struct board *board, const struct device_option *option)
{
    return (unsigned)(option - board->options->devices.device);
}

void board_add_device(struct board *board, const struct device_option *option, void *device,
                      void (*reset)(void *device), void (*destroy)(void *device))
{
    struct board_device *slot = &board->device[board_number_of(board, option)];
    assert(!slot->device);
    slot->device = device;
    slot->reset = reset;
    slot->destroy = destroy;
}

void board_choose(struct board *board, const struct device_option *option, u64 value)
{
    board->device[board_number_of(board, option)].chosen = value;
}

void *board_parent(const struct board *board, const struct device_option *option)
{
    assert(option->parent);
    return board->device[option->parent - 1].device;
}

/* Does an option ask for this slot? No other device may have it. */
static bool is_reserved(const struct board *board, unsigned slot)
{
    const struct device_options *options = &board->options->devices;
    for (unsigned n = 0; n < options->count; n++)
        if (options->device[n].type && options->device[n].type->bus == &bus_pci &&
            (device_number(&options->device[n], "addr") & 31) == slot)
            return true;
    return false;
}

/* Only the PIIX3 tells software to look for more functions than 0 (PCI 3.0, 6.2.1, header type). */
static bool find_function(struct board *board, const struct device_option *option, unsigned slot,
                          unsigned function, u8 *devfn, char *error, size_t error_bytes)
{
    const struct pci_device *first = board->pci.device[PCI_DEVFN(slot, 0)];
    *devfn = (u8)PCI_DEVFN(slot, function);
    if (!first || !(first->config[PCI_HEADER_TYPE] & PCI_MULTI_FUNCTION))
        return SAY("PCI slot %x takes a device of one function: addr=%x.%x is not possible", slot, slot,
                   function);
    if (board->pci.device[*devfn])
        return SAY("there is a device at function %x of PCI slot %x already", function, slot);
    board->device[board_number_of(board, option)].devfn = *devfn;
    return true;
}

bool board_find_slot(struct board *board, const struct device_option *option, u8 *devfn, char *error,
                     size_t error_bytes)
{
    const struct pci_bus *bus = &board->pci;
    unsigned slot = (unsigned)device_number(option, "addr") & 31;
    unsigned function = (unsigned)device_number(option, "addr") >> 5;
    if (function) return find_function(board, option, slot, function, devfn, error, error_bytes);
    if (slot && bus->device[PCI_DEVFN(slot, 0)]) return SAY("there is a device in PCI slot %x already", slot);
    if (!slot) slot = FIRST_SLOT;
    while (!device_text(option, "addr") && slot < SLOTS &&
           (bus->device[PCI_DEVFN(slot, 0)] || is_reserved(board, slot)))
        slot++;
    if (slot == SLOTS) return SAY("the PCI bus has no free slot left");
    *devfn = PCI_DEVFN(slot, 0);
    board->device[board_number_of(board, option)].devfn = *devfn;
    return true;
}

bool board_create_devices(struct board *board, char *error, size_t error_bytes)
{
    const struct device_options *options = &board->options->devices;
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *option = &options->device[n];
        if (option->type->create && !option->type->create(board, option, error, error_bytes)) return false;
    }
    return true;
}

void board_reset_devices(struct board *board)
{
    for (unsigned n = 0; n < DEVICES_MAX; n++)
        if (board->device[n].reset) board->device[n].reset(board->device[n].device);
}

/* In reverse order: a device is destroyed before the one that it plugs into. */
void board_destroy_devices(struct board *board)
{
    for (unsigned n = DEVICES_MAX; n-- > 0;)
        if (board->device[n].destroy) board->device[n].destroy(board->device[n].device);
}
