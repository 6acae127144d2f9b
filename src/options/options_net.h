/*
 * The options of the network: -netdev (options_net.c), and -nic and -net, which are short for a -netdev and a -device
 * (options_nic.c).
 */
#ifndef RINGER_OPTIONS_OPTIONS_NET_H
#define RINGER_OPTIONS_OPTIONS_NET_H

#include "base/types.h"

struct dgram_options;
struct user_options;
struct stream_options;

#define NETDEVS_MAX 8

enum netdev_kind { NETDEV_USER, NETDEV_STREAM, NETDEV_DGRAM, NETDEV_TAP, NETDEV_VHOST_USER };

/* A socket's address in pieces, as addr.*, local.* and remote.* give them, in any order; NULL: not given. */
struct netdev_address {
    const char *type, *host, *port, *path, *fd;
};

struct netdev_option {
    char *id;   /* NULL: the network has gone */
    char *list; /* the option as it was given; the strings below point into its copy, `text` */
    char *text;
    enum netdev_kind kind;
    struct user_options *user;     /* net/user.h */
    struct stream_options *stream; /* net/stream.h */
    struct dgram_options *dgram;   /* net/dgram.h */
    struct netdev_address local, remote;
    const char *ifname;  /* tap */
    int fd;              /* tap; -1: none */
    const char *chardev; /* vhost-user: an id */
};

/* What goes over networks, written to a file. */
struct dump_option {
    const char *id;     /* NULL: --pcap's */
    const char *netdev; /* NULL: all networks */
    const char *file;
    u32 frame_bytes_max;
    char *text; /* what the strings point into */
};

#define DUMPS_MAX 8

struct net_options {
    struct netdev_option netdev[NETDEVS_MAX];
    unsigned count;
    struct dump_option dump[DUMPS_MAX];
    unsigned dumps;
    char *card[NETDEVS_MAX]; /* of -nic and -net nic, as for -device */
    unsigned cards;
    bool given; /* an option says something about the network: there is no default card */
};

void net_options_release(struct net_options *options);

/* "KIND,id=ID,..." for a machine that runs. NULL with one sentence in error. */
struct netdev_option *net_options_plug(struct net_options *net, const char *list, char *error,
                                       size_t error_bytes);
/* Frees what the option owns; its number is free for another one. */
void netdev_option_release(struct netdev_option *netdev);

#endif
