/*
 * -netdev user,guestfwd=tcp:ADDRESS:PORT-tcp:HOST:PORT: what a guest sends to an address of the user network goes to a
 * server of the host's. As in QEMU there is one connection, which is there from the start and which all of the guest's
 * connections share. If the server ends it, the guest's next data open another.
 */
#ifndef RINGER_NET_GUEST_FORWARD_H
#define RINGER_NET_GUEST_FORWARD_H

#include "address.h"
#include "loop.h"

struct Slirp;
struct guest_forward;

/* address: IPv4, in the order of the network. NULL with one sentence in error. */
struct guest_forward *guest_forward_create(struct Slirp *slirp, u32 address, u16 port, const char *target,
                                           char *error, size_t error_bytes);
void guest_forward_destroy(struct guest_forward *forward);

/* For the source's functions of the same names. */
void guest_forward_fill(struct guest_forward *forward, struct net_poll *poll);
void guest_forward_ready(struct guest_forward *forward, const struct net_poll *poll);

#endif
