/*
 * Socket addresses as options name them.
 */
#ifndef RINGER_NET_ADDRESS_H
#define RINGER_NET_ADDRESS_H

#include "base/types.h"

struct net_address {
    u8 at[128] __attribute__((aligned(8))); /* struct sockaddr_storage */
    u32 bytes;
};

/* host: a name or a number, NULL or "" for 127.0.0.1; an IPv6 number may stand in brackets. False with one sentence in
 * error. */
bool net_address_inet(struct net_address *address, const char *host, const char *port, bool datagram,
                      char *error, size_t error_bytes);
/* "HOST:PORT", ":PORT" */
bool net_address_parse(struct net_address *address, const char *text, bool datagram, char *error,
                       size_t error_bytes);
bool net_address_unix(struct net_address *address, const char *path, char *error, size_t error_bytes);

#endif
