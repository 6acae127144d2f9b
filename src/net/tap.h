/*
 * A cable into the host's own network: Linux' tap device (Documentation/networking/tuntap.rst), which takes and gives
 * large segments and frames without checksums (IFF_VNET_HDR) in the layout of struct net_offload.
 */
#ifndef RINGER_NET_TAP_H
#define RINGER_NET_TAP_H

#include "backend.h"

/* ifname: of a tap device, which is made if it is not there (that needs CAP_NET_ADMIN); or fd: an open one, else -1.
 * NULL with one sentence in error. */
struct net_backend *tap_create(struct net_loop *loop, const char *ifname, int fd, char *error,
                               size_t error_bytes);

#endif
