/*
 * The user network: a NAT router, DHCP, DNS and TFTP server in this process, without any privilege, by
 * libslirp.
 *
 * libslirp's TCP moves a segment a call, and knows of no offloads and no window scaling. So Ringer lets it
 * see large segments: what a driver sends unsegmented goes in unsegmented, and the maximum segment size that
 * the guest announces is raised on its way in, so that libslirp answers with large segments. They reach the
 * guest as one frame that says into how many packets it might have been cut, or the cable cuts them if the
 * card takes no such frames.
 */
#ifndef RINGER_NET_USER_H
#define RINGER_NET_USER_H

#include "backend.h"

#define USER_FORWARDS 64

struct user_forward {
    bool udp;
    u32 host,
        guest; /* IPv4 addresses in the order of the network; guest 0: the first address that DHCP gives */
    u16 host_port, guest_port;
    const char *rule; /* as it was given */
};

struct user_guest_forward {
    u32 address; /* in the order of the network */
    u16 port;
    const char *command;   /* run for each connection, or NULL */
    const char *unix_path; /* a socket to connect to */
    const char *tcp;       /* "HOST:PORT" to connect to */
};

struct user_options {
    bool restricted, no_ipv4, no_ipv6;
    u32 network, mask, host, dhcp_start, dns; /* IPv4, in the order of the network */
    u8 prefix6[16], host6[16], dns6[16];
    u8 prefix6_bits;
    const char *hostname, *domain, *tftp_directory, *tftp_server, *bootfile;
    const char **dns_search; /* NULL-terminated, or NULL */
    struct user_forward forward[USER_FORWARDS];
    unsigned forwards;
    struct user_guest_forward guest_forward[USER_FORWARDS];
    unsigned guest_forwards;
};

/* 10.0.2.0/24 with the router at .2, DNS at .3, the first guest at .15, and fec0::/64, as scripts expect. */
void user_defaults(struct user_options *options);

/* NULL with one sentence in error. The options and their strings must stay. */
struct net_backend *user_create(struct net_loop *loop, const struct user_options *options, char *error,
                                size_t error_bytes);

#endif
