/*
 * The networks of a machine: the back ends of -netdev options, the thread that runs them, and the cables to the cards.
 */
#ifndef RINGER_BOARD_WIRE_NET_H
#define RINGER_BOARD_WIRE_NET_H

#include "net/cable.h"
#include "net/dump.h"
#include "options/options_device.h"
#include "options/options_net.h"

struct board;
struct pci_device;

/* Back ends of -netdev options, and of cards without one. */
#define WIRE_NETS (NETDEVS_MAX + DEVICES_MAX)

struct wire_net {
    struct net_loop loop;
    struct {
        struct net_backend *backend;        /* NULL: free for another network */
        const struct netdev_option *option; /* NULL: of a card without a -netdev */
        struct net_end end;
        bool taken;                       /* a card has it */
        const struct device_option *card; /* that card */
        u8 *rom;                          /* the card's boot ROM, or NULL */
    } net[WIRE_NETS];
    unsigned count; /* entries that are or were in use */
    struct net_dump *dump[DUMPS_MAX];
    unsigned dumps;
    unsigned cards; /* cards that got a default address */
};

/* Make the back ends: board->net. False with one sentence in error. */
bool wire_net_init(struct board *board, char *error, size_t error_bytes);
/* End the thread: nothing touches guest memory any more. */
void wire_net_stop(struct board *board);
void wire_net_destroy(struct board *board);

/* Run a call on the network thread, and wait for its end (net/loop.h). */
void wire_net_run(struct board *board, void (*call)(void *argument), void *argument);
/* A network that comes while the machine runs. False with one sentence in error. */
bool wire_net_add(struct board *board, const struct netdev_option *netdev, char *error, size_t error_bytes);
/* It goes again. False with one sentence in error: a card has it. */
bool wire_net_remove(struct board *board, const struct netdev_option *netdev, char *error,
                     size_t error_bytes);
/* The card, which is off its bus, lets go of the cable. A cable that leads nowhere goes with it. */
void wire_net_release(struct board *board, const struct device_option *card);

/* For cards: the property rows that all have, those of the cards on the PCI bus, the cable that the option names, and
 * the card's address. */
#define NET_PROPERTIES                                                                                       \
    {"netdev", PROPERTY_TEXT, .help = "the id of a -netdev (default: the cable is not plugged in)"},         \
    {                                                                                                        \
        "mac", PROPERTY_MAC, .help = "the card's address (default: 52:54:00:12:34:56 and following)",        \
                             .chosen = true                                                                  \
    }
#define NET_BOOT_PROPERTIES                                                                                  \
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},                              \
        {"romfile", PROPERTY_FILE, .help = "the boot ROM (default: of Debian's ipxe-qemu; empty: none)"},    \
    {                                                                                                        \
        "rombar", PROPERTY_NUMBER, .help = "0: no boot ROM", .most = 1, .preset = 1                          \
    }
/* The network that the option names; NULL: it names none that there is. */
const struct netdev_option *wire_net_option(const struct board *board, const struct device_option *option);
/* NULL with one sentence in error. */
struct net_cable *wire_net_cable(struct board *board, const struct device_option *option, char *error,
                                 size_t error_bytes);
void wire_net_mac(struct board *board, const struct device_option *option, u8 mac[NET_MAC_BYTES]);
/* When the card is on the PCI bus: its boot ROM (`name`: of the file), and its entry in firmware's order. False with
 * one sentence in error. */
bool wire_net_boot(struct board *board, const struct device_option *option, struct pci_device *pci,
                   const struct net_cable *cable, const char *name, char *error, size_t error_bytes);

#endif
