/*
 * e1000, rtl8139 and pcnet: the network cards that are one chip on the PCI bus. A row of `chips` has what differs
 * between them.
 */
#include "board.h"
#include "device_table.h"
#include "devices/net/e1000.h"
#include "devices/net/pcnet.h"
#include "devices/net/rtl8139.h"

#include "wire_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHIP_C_PLUS, CHIP_C };

/* Where a chip goes, and the cable that is plugged into it. */
struct seat {
    struct board *board;
    const struct device_option *option;
    u8 devfn, mac[NET_MAC_BYTES];
    struct net_cable *cable;
};

struct chip {
    const struct device_type *type;
    size_t bytes; /* of its structure, which begins with its struct pci_device */
    const char *rom;
    bool (*init)(void *chip, const struct seat *seat); /* false: out of memory */
    void (*reset)(void *chip);
    void (*destroy)(void *chip);
};

static_assert(offsetof(struct e1000, pci) == 0, "the chips' structures begin with the PCI device");
static_assert(offsetof(struct rtl8139, pci) == 0, "the same");
static_assert(offsetof(struct pcnet, pci) == 0, "the same");

static bool init_e1000(void *chip, const struct seat *s)
{
    return e1000_init(chip, &s->board->pci, &s->board->dma, s->board->clock, s->devfn, s->mac, s->cable);
}

static void reset_e1000(void *chip)
{
    e1000_hard_reset(chip);
}

static void destroy_e1000(void *chip)
{
    e1000_destroy(chip);
    free(chip);
}

static bool init_rtl8139(void *chip, const struct seat *s)
{
    bool plus = device_number(s->option, "chip") == CHIP_C_PLUS;
    return rtl8139_init(chip, &s->board->pci, &s->board->dma, s->board->clock, s->devfn, plus, s->mac,
                        s->cable);
}

static void reset_rtl8139(void *chip)
{
    rtl8139_hard_reset(chip);
}

static void destroy_rtl8139(void *chip)
{
    rtl8139_destroy(chip);
    free(chip);
}

static bool init_pcnet(void *chip, const struct seat *s)
{
    return pcnet_init(chip, &s->board->pci, &s->board->dma, s->board->clock, s->devfn, s->mac, s->cable);
}

static void reset_pcnet(void *chip)
{
    pcnet_hard_reset(chip);
}

static void destroy_pcnet(void *chip)
{
    pcnet_destroy(chip);
    free(chip);
}

static const struct chip chips[] = {
    {&e1000_type, sizeof(struct e1000), "pxe-e1000.rom", init_e1000, reset_e1000, destroy_e1000},
    {&rtl8139_type, sizeof(struct rtl8139), "pxe-rtl8139.rom", init_rtl8139, reset_rtl8139, destroy_rtl8139},
    {&pcnet_type, sizeof(struct pcnet), "pxe-pcnet.rom", init_pcnet, reset_pcnet, destroy_pcnet},
};

static const struct chip *chip_of(const struct device_type *type)
{
    const struct chip *chip = chips;
    while (chip->type != type)
        chip++;
    return chip;
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    const struct chip *chip = chip_of(option->type);
    struct seat seat = {
        .board = board, .option = option, .cable = wire_net_cable(board, option, error, error_bytes)};
    if (!seat.cable || !board_find_slot(board, option, &seat.devfn, error, error_bytes)) return false;
    wire_net_mac(board, option, seat.mac);
    void *card = calloc(1, chip->bytes);
    if (!card || !chip->init(card, &seat)) {
        if (card) chip->destroy(card);
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, card, chip->reset, chip->destroy);
    return wire_net_boot(board, option, card, seat.cable, chip->rom, error, error_bytes);
}

static const struct property properties[] = {NET_PROPERTIES, NET_BOOT_PROPERTIES, {0}};
static const struct property rtl8139_properties[] = {
    NET_PROPERTIES,
    NET_BOOT_PROPERTIES,
    {"chip", PROPERTY_CHOICE, .help = "RTL8139C+ (default) or its predecessor RTL8139C", .choices = "c+ c",
     .preset = CHIP_C_PLUS},
    {0},
};

const struct device_type e1000_type = {
    .name = "e1000",
    .bus = &bus_pci,
    .help = "Intel 82540EM network card",
    .properties = properties,
    .create = create,
    .plugs = true,
};

const struct device_type rtl8139_type = {
    .name = "rtl8139",
    .bus = &bus_pci,
    .help = "Realtek RTL8139C+ network card",
    .properties = rtl8139_properties,
    .create = create,
    .plugs = true,
};

const struct device_type pcnet_type = {
    .name = "pcnet",
    .bus = &bus_pci,
    .help = "AMD Am79C970A PCnet-PCI II network card",
    .properties = properties,
    .create = create,
    .plugs = true,
};
