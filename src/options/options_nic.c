/*
 * Options: network cards. -nic and -net nic are short for a -device (and -nic for its -netdev as well), and a machine
 * gets a card on a user network unless some option says otherwise.
 *
 * These cards come before the devices of -device on the PCI bus, as in QEMU: guests derive the names of interfaces from
 * PCI slots.
 */
#include "options_table.h"

#include "base/types.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_CARD "e1000"
/* The network that "-net user" makes and "-net nic" is on. */
#define SHARED_ID "#net"

/* QEMU's names of cards that are not names of devices. */
static const struct {
    const char *model, *device;
} models[] = {{"virtio", "virtio-net-pci"}, {"virtio-net", "virtio-net-pci"}};

static bool is_card(const struct device_type *type)
{
    const struct property *property = type->properties;
    while (property && property->name && strcmp(property->name, "netdev"))
        property++;
    return property && property->name;
}

static const char *device_of(const char *model)
{
    for (unsigned n = 0; n < ARRAY_SIZE(models); n++)
        if (!strcmp(models[n].model, model)) return models[n].device;
    return model;
}

static bool no_such_card(const struct options *o, const char *model, struct complaint *c)
{
    const struct device_type *const *types = o->board.devices.types;
    int at = snprintf(c->text, c->bytes, "there is no network card \"%s\"; there are virtio", model);
    for (unsigned n = 0; types[n] && at >= 0 && (size_t)at < c->bytes; n++)
        if (is_card(types[n])) at += snprintf(c->text + at, c->bytes - (size_t)at, ", %s", types[n]->name);
    return false;
}

/* `others`: ",KEY=VALUE..." for the card. */
static bool add_card(struct options *o, const char *model, const char *netdev, const char *others,
                     struct complaint *c)
{
    struct net_options *net = &o->board.net;
    const char *name = device_of(model ? model : DEFAULT_CARD);
    if (model && (!strcmp(model, "help") || !strcmp(model, "?"))) return o->help = COMMAND_HELP_DEVICES, true;
    const struct device_type *type = device_type_find(o->board.devices.types, name);
    if (!type || !is_card(type)) return no_such_card(o, name, c);
    if (net->cards == NETDEVS_MAX) return COMPLAIN(c, "there are more than %u network cards", NETDEVS_MAX);
    if (asprintf(&net->card[net->cards], "%s,netdev=%s%s", name, netdev, others) < 0)
        return COMPLAIN(c, "out of memory");
    net->cards++;
    return true;
}

/* The items of `list`, but for `model`, as ",KEY=VALUE..."; the value of `model` in *model, to be freed. */
static bool split_model(const char *list, char **model, char *others, size_t others_bytes)
{
    struct option_list items;
    char *key, *text;
    *model = NULL;
    if (!*list) return true;
    if (!option_list_open(&items, list)) return false;
    while (option_list_next(&items, &key, &text)) {
        size_t length = strlen(others);
        if (strcmp(key, "model"))
            snprintf(others + length, others_bytes - length, ",%s=%s", key, text ? text : "");
        else if (!*model)
            *model = strdup(text ? text : "");
    }
    option_list_close(&items);
    return true;
}

/* "user,model=virtio,hostfwd=..." */
bool options_set_nic(struct options *o, const char *value, struct complaint *c)
{
    struct net_options *net = &o->board.net;
    char list[512] = "", others[512] = "", id[16], *model;
    net->given = true;
    if (!strcmp(value, "none")) return true;
    if (!strcmp(value, "model=help")) return o->help = COMMAND_HELP_DEVICES, true;
    snprintf(id, sizeof(id), "#nic%u", net->count);
    if (!options_add_netdev(&o->board.net, value, id, list, sizeof(list), c)) return false;
    if (!split_model(list + (list[0] == ','), &model, others, sizeof(others)))
        return COMPLAIN(c, "out of memory");
    bool good = add_card(o, model, net->netdev[net->count - 1].id, others, c);
    free(model);
    return good;
}

/* "nic,model=virtio" and "user,hostfwd=...": the card and the network that belong together, in either order. */
bool options_set_net(struct options *o, const char *value, struct complaint *c)
{
    char others[256] = "";
    o->board.net.given = true;
    if (!strcmp(value, "none")) return true;
    if (strncmp(value, "nic", 3) || (value[3] && value[3] != ','))
        return options_add_netdev(&o->board.net, value, SHARED_ID, NULL, 0, c);
    char *model = option_item(value, "model"), *mac = option_item(value, "macaddr"),
         *address = option_item(value, "addr"), *netdev = option_item(value, "netdev");
    if (mac) snprintf(others, sizeof(others), ",mac=%s", mac);
    if (address) snprintf(others + strlen(others), sizeof(others) - strlen(others), ",addr=%s", address);
    bool good = add_card(o, model, netdev ? netdev : SHARED_ID, others, c);
    free(model);
    free(mac);
    free(address);
    free(netdev);
    return good;
}

/* A "-net nic" without a network beside it has a cable that leads nowhere. */
static void unplug(const struct net_options *net, char *card)
{
    char *netdev = strstr(card, ",netdev=" SHARED_ID);
    for (unsigned n = 0; n < net->count; n++)
        if (!strcmp(net->netdev[n].id, SHARED_ID)) return;
    if (!netdev) return;
    char *rest = netdev + strlen(",netdev=" SHARED_ID);
    memmove(netdev, rest, strlen(rest) + 1);
}

bool options_settle_cards(struct options *o, struct complaint *c)
{
    struct net_options *net = &o->board.net;
    /* What comes from a network is not recorded: runs that are to be repeated have none unless it is asked for. */
    if (!net->given && !o->nodefaults && !o->deterministic && !o->lockstep && !options_set_nic(o, "user", c))
        return false;
    for (unsigned n = 0; n < net->cards; n++) {
        unplug(net, net->card[n]);
        if (!device_options_insert(&o->board.devices, n, net->card[n], c->text, c->bytes)) return false;
    }
    return true;
}
