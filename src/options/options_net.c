/*
 * Options: networks, and files that hold what goes over them. -netdev's keys are in options_netdev.c, cards in
 * options_nic.c.
 */
#include "base/net.h"
#include "net/user.h"
#include "options_json.h"
#include "options_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set_netdev(struct options *o, const char *value, struct complaint *c)
{
    const char *comma = strchr(value, ',');
    if (!strcmp(value, "help") || !strcmp(value, "?") || (comma && !strcmp(comma, ",help"))) {
        o->netdev_help_kind = comma ? value : NULL;
        o->help = COMMAND_HELP_NETDEVS;
        return !comma || options_has_netdev(value, c);
    }
    o->board.net.given = true;
    char *list = options_list_of(value, "type", c->text, c->bytes);
    bool good = list && options_add_netdev(&o->board.net, list, NULL, NULL, 0, c);
    free(list);
    return good;
}

/* --- dumps --- */

static struct dump_option *add_dump(struct options *o, struct complaint *c)
{
    struct net_options *net = &o->board.net;
    if (net->dumps == DUMPS_MAX) {
        snprintf(c->text, c->bytes, "there are more than %u dumps of networks", DUMPS_MAX);
        return NULL;
    }
    struct dump_option *dump = &net->dump[net->dumps++];
    *dump = (struct dump_option){.frame_bytes_max = NET_FRAME_MAX};
    return dump;
}

static bool set_pcap(struct options *o, const char *value, struct complaint *c)
{
    struct dump_option *dump = add_dump(o, c);
    if (dump) dump->file = value;
    return dump;
}

/* "filter-dump,id=ID,netdev=ID,file=FILE,maxlen=BYTES" */
static bool add_filter_dump(struct options *o, const char *value, struct complaint *c)
{
    struct option_list list;
    char *key, *text;
    u64 bytes;
    struct dump_option *dump = add_dump(o, c);
    if (!dump) return false;
    if (!option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    dump->text = list.text; /* the strings stay: not closed */
    option_list_next(&list, &key, &text);
    while (option_list_next(&list, &key, &text)) {
        if (!strcmp(key, "id") && text)
            dump->id = text;
        else if (!strcmp(key, "netdev") && text)
            dump->netdev = text;
        else if (!strcmp(key, "file") && text)
            dump->file = text;
        else if (strcmp(key, "maxlen"))
            return COMPLAIN(c, "-object filter-dump: there is no key \"%s\"", key);
        else if (!text || !option_size(text, 0, &bytes) || !bytes)
            return COMPLAIN(c, "-object filter-dump: maxlen takes a number of bytes");
        else
            dump->frame_bytes_max = bytes < NET_FRAME_MAX ? (u32)bytes : NET_FRAME_MAX;
    }
    if (dump->id && dump->netdev && dump->file) return true;
    return COMPLAIN(c, "-object filter-dump needs id=, netdev= and file=");
}

static bool add_object(struct options *o, const char *value, struct complaint *c)
{
    size_t length = strcspn(value, ",");
    if (length == 11 && !strncmp(value, "filter-dump", length)) return add_filter_dump(o, value, c);
    if (!strncmp(value, "rng-", 4))
        return device_options_add_rng(&o->board.devices, value, c->text, c->bytes);
    /* The guest's RAM is a memfd that other programs can share, whatever an option says of it. */
    if (!strncmp(value, "memory-backend-", 15)) return true;
    return COMPLAIN(c,
                    "there is no object \"%.*s\"; there are filter-dump, rng-random and memory-backend-memfd",
                    (int)length, value);
}

static bool set_object(struct options *o, const char *value, struct complaint *c)
{
    char *list = options_list_of(value, "qom-type", c->text, c->bytes);
    bool good = list && add_object(o, list, c);
    free(list);
    return good;
}

void netdev_option_release(struct netdev_option *netdev)
{
    free(netdev->id);
    free(netdev->list);
    free(netdev->text);
    if (netdev->user) free(netdev->user->dns_search);
    free(netdev->user);
    free(netdev->stream);
    free(netdev->dgram);
    *netdev = (struct netdev_option){.id = NULL};
}

struct netdev_option *net_options_plug(struct net_options *net, const char *list, char *error,
                                       size_t error_bytes)
{
    struct complaint c = {error, error_bytes};
    struct net_options one = {.count = 0};
    unsigned n = 0;
    while (n < net->count && net->netdev[n].id)
        n++;
    if (n == NETDEVS_MAX) {
        snprintf(error, error_bytes, "there are more than %u networks", NETDEVS_MAX);
        return NULL;
    }
    bool good = options_add_netdev(&one, list, NULL, NULL, 0, &c);
    for (unsigned i = 0; good && i < net->count; i++)
        if (net->netdev[i].id && !strcmp(net->netdev[i].id, one.netdev[0].id))
            good = COMPLAIN(&c, "there is a network \"%s\" already", one.netdev[0].id);
    if (good && one.netdev[0].kind == NETDEV_VHOST_USER)
        good = COMPLAIN(&c, "a vhost-user network cannot come while the machine runs");
    if (!good) {
        net_options_release(&one);
        return NULL;
    }
    net->netdev[n] = one.netdev[0];
    if (n == net->count) net->count++;
    return &net->netdev[n];
}

void net_options_release(struct net_options *options)
{
    for (unsigned n = 0; n < options->count; n++)
        netdev_option_release(&options->netdev[n]);
    for (unsigned n = 0; n < options->dumps; n++)
        free(options->dump[n].text);
    for (unsigned n = 0; n < options->cards; n++)
        free(options->card[n]);
    options->count = options->dumps = options->cards = 0;
}

static const struct option_row rows[] = {
    {"netdev", "KIND,id=ID,...",
     "a network for a -device to be on: user, tap, socket, stream or dgram; see ringer(1)",
     .set = set_netdev},
    {"nic", "KIND,model=CARD,...",
     "a network card on a network of its own (default: user,model=e1000); none: no card",
     .set = options_set_nic},
    {"net", "nic,model=CARD | KIND,...", "the same in two options; none: no card", .set = options_set_net},
    {"object", "filter-dump,id=ID,netdev=ID,file=FILE",
     "write what goes over a network to a file that tcpdump reads; maxlen=BYTES of each frame",
     .set = set_object},
    {"pcap", "FILE", "write what goes over all networks to a file that tcpdump reads", .set = set_pcap},
};

const struct option_group options_net = {"Network", rows, ARRAY_SIZE(rows)};
