/*
 * Options: -nic and -net, which are short for a -netdev (options_netdev.c) and a -device; filter-dump and --pcap.
 */
#include "base/net.h"
#include "net/user.h"
#include "options_netdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set_netdev(struct options *o, const char *value, struct complaint *c)
{
    return netdev_option_add(o, value, NULL, NULL, 0, c);
}

/* --- -nic and -net --- */

static const char *card_name(const char *model)
{
    if (!model || !strcmp(model, "e1000")) return "e1000";
    return !strcmp(model, "virtio") || !strcmp(model, "virtio-net") ? "virtio-net-pci" : model;
}

/* "user,model=virtio,hostfwd=..." */
static bool set_nic(struct options *o, const char *value, struct complaint *c)
{
    char others[256] = "", id[16], device[512];
    if (!strcmp(value, "none")) return true;
    snprintf(id, sizeof(id), "#nic%u", o->board.net.count);
    if (!netdev_option_add(o, value, id, others, sizeof(others), c)) return false;
    char *model = option_item(others + (others[0] == ','), "model");
    snprintf(device, sizeof(device), "%s,netdev=%s", card_name(model),
             o->board.net.netdev[o->board.net.count - 1].id);
    free(model);
    /* The rest of what is the card's. */
    struct option_list list;
    char *key, *text;
    bool good = true;
    if (others[0] && option_list_open(&list, others + 1)) {
        while (option_list_next(&list, &key, &text)) {
            size_t length = strlen(device);
            if (strcmp(key, "model"))
                snprintf(device + length, sizeof(device) - length, ",%s=%s", key, text ? text : "");
        }
        option_list_close(&list);
    }
    return good && device_options_add(&o->board.devices, device, c->text, c->bytes);
}

/* "nic,model=virtio" and "user,hostfwd=...": the card and the network that belong together, in either order. */
static bool set_net(struct options *o, const char *value, struct complaint *c)
{
    char device[256];
    if (!strcmp(value, "none")) return true;
    if (strncmp(value, "nic", 3) || (value[3] && value[3] != ','))
        return netdev_option_add(o, value, "#net", NULL, 0, c);
    char *model = option_item(value, "model"), *mac = option_item(value, "macaddr"),
         *netdev = option_item(value, "netdev");
    snprintf(device, sizeof(device), "%s,netdev=%s%s%s", card_name(model), netdev ? netdev : "#net",
             mac ? ",mac=" : "", mac ? mac : "");
    free(model);
    free(mac);
    free(netdev);
    return device_options_add(&o->board.devices, device, c->text, c->bytes);
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

static bool set_object(struct options *o, const char *value, struct complaint *c)
{
    size_t length = strcspn(value, ",");
    if (length == 11 && !strncmp(value, "filter-dump", length)) return add_filter_dump(o, value, c);
    return COMPLAIN(c, "there is no object \"%.*s\"; there is filter-dump", (int)length, value);
}

void net_options_release(struct net_options *options)
{
    for (unsigned n = 0; n < options->count; n++) {
        free(options->netdev[n].id);
        free(options->netdev[n].list);
        free(options->netdev[n].text);
        if (options->netdev[n].user) free(options->netdev[n].user->dns_search);
        free(options->netdev[n].user);
        free(options->netdev[n].stream);
        free(options->netdev[n].dgram);
    }
    for (unsigned n = 0; n < options->dumps; n++)
        free(options->dump[n].text);
    options->count = options->dumps = 0;
}

static const struct option_row rows[] = {
    {"netdev", "KIND,id=ID,...",
     "a network for a -device to be on: user, tap, socket, stream or dgram; see ringer(1)",
     .set = set_netdev},
    {"nic", "KIND,model=CARD,...", "a network card on a network of its own; none: none", .set = set_nic},
    {"object", "filter-dump,id=ID,netdev=ID,file=FILE",
     "write what goes over a network to a file that tcpdump reads; maxlen=BYTES of each frame",
     .set = set_object},
    {"pcap", "FILE", "write what goes over all networks to a file that tcpdump reads", .set = set_pcap},
    {"net", "nic,model=CARD | KIND,...", "the same in two options; none: none", .set = set_net},
};

const struct option_group options_net = {"Network", rows, ARRAY_SIZE(rows)};
