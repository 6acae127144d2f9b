/*
 * The options of the network: -netdev (options_net.c), and -nic and -net, which are short for a -netdev and a -device (options_nic.c).
 */
#ifndef RINGER_OPTIONS_OPTIONS_NET_H
#define RINGER_OPTIONS_OPTIONS_NET_H

#include "base/types.h"

struct user_options;
struct stream_options;

#define NETDEVS_MAX 8

enum netdev_kind { NETDEV_USER, NETDEV_STREAM, NETDEV_TAP };

struct netdev_option {
    char *id;
    char *list; /* the option as it was given; the strings below point into its copy, `text` */
    char *text;
    enum netdev_kind kind;
    struct user_options *user;     /* net/user.h */
    struct stream_options *stream; /* net/stream.h */
    const char *ifname;            /* tap */
    int fd;                        /* tap; -1: none */
};

struct net_options {
    struct netdev_option netdev[NETDEVS_MAX];
    unsigned count;
    char *card[NETDEVS_MAX]; /* of -nic and -net nic, as for -device */
    unsigned cards;
    bool given; /* an option says something about the network: there is no default card */
};

void net_options_release(struct net_options *options);

#endif
