#include "wire_net.h"

#include "base/log.h"
#include "board.h"
#include "firmware_file.h"
#include "net/dgram.h"
#include "net/none.h"
#include "net/stream.h"
#include "net/tap.h"
#include "net/user.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* The first entry that no network has. */
static unsigned free_entry(const struct wire_net *wire)
{
    unsigned n = 0;
    while (n < wire->count && wire->net[n].backend)
        n++;
    return n;
}

static void add(struct wire_net *wire, struct board *board, struct net_backend *backend,
                const struct netdev_option *option)
{
    unsigned n = free_entry(wire);
    assert(n < WIRE_NETS);
    if (n == wire->count) wire->count++;
    wire->net[n].backend = backend;
    wire->net[n].option = option;
    net_end_init(&wire->net[n].end, &wire->loop, backend, board->mailbox);
}

static struct net_backend *create(struct net_loop *loop, const struct netdev_option *netdev, char *error,
                                  size_t error_bytes)
{
    switch (netdev->kind) {
    case NETDEV_USER: return user_create(loop, netdev->user, error, error_bytes);
    case NETDEV_STREAM: return stream_create(loop, netdev->stream, error, error_bytes);
    case NETDEV_VHOST_USER: return none_create(loop); /* the card itself speaks to it */
    case NETDEV_DGRAM: return dgram_create(loop, netdev->dgram, error, error_bytes);
    case NETDEV_TAP: return tap_create(loop, netdev->ifname, netdev->fd, error, error_bytes);
    }
    return NULL;
}

static bool listen_to(struct wire_net *wire, const struct net_options *options,
                      const struct dump_option *option, struct net_dump *dump, char *error,
                      size_t error_bytes)
{
    bool any = false;
    for (unsigned n = 0; n < options->count; n++) {
        if (option->netdev && strcmp(option->netdev, options->netdev[n].id)) continue;
        any = true;
        if (!net_dump_listen(dump, &wire->net[n].end)) return SAY("out of memory");
    }
    return any || !option->netdev ||
           SAY("filter-dump: there is no -netdev with the id \"%s\"", option->netdev);
}

static bool create_dumps(struct wire_net *wire, const struct net_options *options, char *error,
                         size_t error_bytes)
{
    for (unsigned n = 0; n < options->dumps; n++) {
        const struct dump_option *option = &options->dump[n];
        struct net_dump *dump =
            net_dump_create(&wire->loop, option->file, option->frame_bytes_max, error, error_bytes);
        if (!dump) return false;
        wire->dump[wire->dumps++] = dump;
        if (!listen_to(wire, options, option, dump, error, error_bytes)) return false;
    }
    return true;
}

bool wire_net_init(struct board *board, char *error, size_t error_bytes)
{
    const struct net_options *options = &board->options->net;
    struct wire_net *wire = calloc(1, sizeof(*wire));
    int failed = wire ? net_loop_init(&wire->loop, ROLE_NETWORK) : -ENOMEM;
    if (failed) {
        free(wire);
        return SAY("cannot start the network: %s", strerror(-failed));
    }
    board->net = wire;
    if (options->count && board->deterministic && !board->follower)
        log_warn("what comes from the network is not recorded: this run cannot be repeated");
    for (unsigned n = 0; n < options->count; n++) {
        for (unsigned other = 0; other < n; other++)
            if (!strcmp(options->netdev[n].id, options->netdev[other].id))
                return SAY("there are two networks with the id \"%s\"", options->netdev[n].id);
        /* The second machine of a lockstep run has no network of its own. */
        struct net_backend *backend = board->follower
                                          ? none_create(&wire->loop)
                                          : create(&wire->loop, &options->netdev[n], error, error_bytes);
        if (!backend) return false;
        add(wire, board, backend, &options->netdev[n]);
    }
    return board->follower || create_dumps(wire, options, error, error_bytes);
}

bool board_set_link(struct board *board, const char *id, bool up)
{
    struct wire_net *wire = board->net;
    for (unsigned n = 0; wire && n < wire->count; n++) {
        const struct netdev_option *option = wire->net[n].option;
        const struct device_option *card = wire->net[n].card;
        bool named = option && !strcmp(option->id, id);
        if (!named && !(card && card->id && !strcmp(card->id, id))) continue;
        net_end_set_link(&wire->net[n].end, up);
        return true;
    }
    return false;
}

bool board_start_net(struct board *board)
{
    struct wire_net *wire = board->net;
    /* Also for no network: one may be plugged in when the vCPU thread can no longer start a thread with more rights
     * than its own. */
    bool wanted = wire && (wire->count || !board->follower) && !wire->loop.started;
    return !wanted || net_loop_start(&wire->loop) == 0;
}

void wire_net_stop(struct board *board)
{
    if (board->net) net_loop_stop(&board->net->loop);
}

void wire_net_destroy(struct board *board)
{
    struct wire_net *wire = board->net;
    if (!wire) return;
    wire_net_stop(board);
    for (unsigned n = 0; n < wire->count; n++) {
        if (!wire->net[n].backend) continue;
        wire->net[n].backend->ops->destroy(wire->net[n].backend);
        net_end_destroy(&wire->net[n].end);
        free(wire->net[n].rom);
    }
    for (unsigned n = 0; n < wire->dumps; n++)
        net_dump_destroy(wire->dump[n]);
    net_loop_destroy(&wire->loop);
    free(wire);
    board->net = NULL;
}

/* --- networks that come and go while the machine runs --- */

struct change {
    struct board *board;
    const struct netdev_option *option;
    unsigned n;
    char *error;
    size_t error_bytes;
    bool done;
};

/* On the network thread. */
static void make(void *argument)
{
    struct change *change = argument;
    struct wire_net *wire = change->board->net;
    struct net_backend *backend =
        change->option ? create(&wire->loop, change->option, change->error, change->error_bytes)
                       : none_create(&wire->loop);
    change->done = backend != NULL;
    if (backend) add(wire, change->board, backend, change->option);
}

/* On the network thread. */
static void unmake(void *argument)
{
    struct change *change = argument;
    struct wire_net *wire = change->board->net;
    struct net_backend *backend = wire->net[change->n].backend;
    net_loop_remove(&wire->loop, &wire->net[change->n].end.source);
    net_loop_remove(&wire->loop, &backend->source);
    backend->ops->destroy(backend);
}

static void remove_entry(struct board *board, unsigned n)
{
    struct wire_net *wire = board->net;
    struct change change = {.board = board, .n = n};
    net_loop_run(&wire->loop, unmake, &change);
    mailbox_withdraw(board->mailbox, &wire->net[n].end.letter);
    net_end_destroy(&wire->net[n].end);
    memset(&wire->net[n], 0, sizeof(wire->net[n]));
}

void wire_net_run(struct board *board, void (*call)(void *argument), void *argument)
{
    net_loop_run(&board->net->loop, call, argument);
}

bool wire_net_add(struct board *board, const struct netdev_option *netdev, char *error, size_t error_bytes)
{
    struct wire_net *wire = board->net;
    struct change change = {.board = board, .option = netdev, .error = error, .error_bytes = error_bytes};
    if (free_entry(wire) == WIRE_NETS) return SAY("there are too many networks");
    net_loop_run(&wire->loop, make, &change);
    return change.done && (board_start_net(board) || SAY("cannot start the network thread"));
}

/* The entry of a network, or wire->count. */
static unsigned entry_of(const struct wire_net *wire, const struct netdev_option *netdev)
{
    unsigned n = 0;
    while (n < wire->count && (!wire->net[n].backend || wire->net[n].option != netdev))
        n++;
    return n;
}

bool wire_net_remove(struct board *board, const struct netdev_option *netdev, char *error, size_t error_bytes)
{
    unsigned n = entry_of(board->net, netdev);
    if (n == board->net->count) return true;
    if (board->net->net[n].taken) return SAY("the network \"%s\" is in use", netdev->id);
    remove_entry(board, n);
    return true;
}

void wire_net_release(struct board *board, const struct device_option *card)
{
    struct wire_net *wire = board->net;
    for (unsigned n = 0; n < wire->count; n++) {
        if (wire->net[n].card != card) continue;
        free(wire->net[n].rom);
        wire->net[n].rom = NULL;
        wire->net[n].card = NULL;
        wire->net[n].taken = false;
        net_set_filter(&wire->net[n].end.cable, NULL);
        net_withdraw(&wire->net[n].end.cable);
        net_set_receive(&wire->net[n].end.cable, 0, false);
        net_attach(&wire->net[n].end.cable, NULL, NULL);
        if (!wire->net[n].option) remove_entry(board, n);
    }
}

/* --- for cards --- */

const struct netdev_option *wire_net_option(const struct board *board, const struct device_option *option)
{
    const struct net_options *options = &board->options->net;
    const char *id = device_text(option, "netdev");
    for (unsigned n = 0; id && n < options->count; n++)
        if (options->netdev[n].id && !strcmp(options->netdev[n].id, id)) return &options->netdev[n];
    return NULL;
}

struct net_cable *wire_net_cable(struct board *board, const struct device_option *option, char *error,
                                 size_t error_bytes)
{
    struct wire_net *wire = board->net;
    const struct netdev_option *netdev = wire_net_option(board, option);
    const char *id = device_text(option, "netdev");
    unsigned n = netdev ? entry_of(wire, netdev) : free_entry(wire);
    if (!id) {
        struct change change = {.board = board};
        net_loop_run(&wire->loop, make, &change);
        if (!change.done) {
            snprintf(error, error_bytes, "out of memory");
            return NULL;
        }
    } else if (!netdev) {
        snprintf(error, error_bytes, "there is no -netdev with the id \"%s\"", id);
        return NULL;
    } else if (netdev->kind == NETDEV_VHOST_USER && strncmp(option->type->name, "virtio-net", 10)) {
        snprintf(error, error_bytes, "a vhost-user network is for a virtio-net-pci, not for a %s",
                 option->type->name);
        return NULL;
    } else if (wire->net[n].taken) {
        snprintf(error, error_bytes, "two devices want the network \"%s\"", id);
        return NULL;
    }
    wire->net[n].taken = true;
    wire->net[n].card = option;
    return &wire->net[n].end.cable;
}

void wire_net_mac(struct board *board, const struct device_option *option, u8 mac[NET_MAC_BYTES])
{
    u64 address = device_number(option, "mac");
    if (!device_text(option, "mac")) address = 0x525400123456 + board->net->cards++;
    board_choose(board, option, address);
    for (unsigned n = 0; n < NET_MAC_BYTES; n++)
        mac[n] = (u8)(address >> (40 - 8 * n));
}

/* The path of the ROM in *path. False: the card has none. */
static bool find_rom(struct board *board, const struct device_option *option, const char *name,
                     char path[FIRMWARE_PATH_BYTES])
{
    const char *file = device_text(option, "romfile");
    if (!device_number(option, "rombar") || (file && !*file)) return false;
    /* As QEMU has it: a file, or one in the directories of firmware. */
    snprintf(path, FIRMWARE_PATH_BYTES, "%s", file ? file : name);
    if (file && (strchr(file, '/') || !access(file, R_OK))) return true;
    if (firmware_find(board->options->firmware_directory, file ? file : name, path) || file) return true;
    if (device_text(option, "bootindex") || board->options->boots_network)
        log_warn(
            "the network card %s cannot be booted from: its ROM '%s' is missing (Debian's package ipxe-qemu)",
            option->type->name, name);
    return false;
}

/*
 * One ROM serves all cards that its driver knows, but firmware starts a ROM only for the device that its data structure
 * names (PCI Firmware Specification 3.0, 5.1.2): name this card. The bytes of an image add up to 0, and byte 6 is free
 * to make them.
 *
 *   ROM   +0 55h AAh | +2 length / 512 | +6 (part of the entry's reserved bytes) | +18h offset of "PCIR"
 *   PCIR  +4 vendor, 16 | +6 device, 16
 */
static void name_card_in_rom(u8 *rom, u32 bytes, const struct pci_device *pci)
{
    enum { PCIR_POINTER = 0x18, PCIR_VENDOR = 4, PCIR_BYTES = 24, FREE_BYTE = 6 };
    u32 at = pci_get16(rom + PCIR_POINTER);
    if (at + PCIR_BYTES > bytes || memcmp(rom + at, "PCIR", 4)) return;
    for (unsigned n = 0; n < 4; n++) {
        u8 *byte = rom + at + PCIR_VENDOR + n;
        rom[FREE_BYTE] = (u8)(rom[FREE_BYTE] + *byte - pci->config[PCI_VENDOR + n]);
        *byte = pci->config[PCI_VENDOR + n];
    }
}

bool wire_net_boot(struct board *board, const struct device_option *option, struct pci_device *pci,
                   const struct net_cable *cable, const char *name, char *error, size_t error_bytes)
{
    char path[FIRMWARE_PATH_BYTES];
    struct wire_net *wire = board->net;
    board_add_boot_entry(board, device_boot_index(option, 0), "/pci@i0cf8/ethernet@%x/ethernet-phy@0",
                         pci->devfn >> 3);
    for (unsigned n = 0; n < wire->count && find_rom(board, option, name, path); n++) {
        u32 bytes;
        if (&wire->net[n].end.cable != cable) continue;
        wire->net[n].rom = firmware_load_rom(path, &bytes, error, error_bytes);
        if (!wire->net[n].rom) return false;
        if (!device_text(option, "romfile")) name_card_in_rom(wire->net[n].rom, bytes, pci);
        pci_expansion_rom(pci, wire->net[n].rom, bytes);
        break;
    }
    return true;
}
