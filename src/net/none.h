/*
 * A cable that is not plugged in: what a card has when it names no network.
 */
#ifndef RINGER_NET_NONE_H
#define RINGER_NET_NONE_H

#include "backend.h"

/* NULL: out of memory. */
struct net_backend *none_create(struct net_loop *loop);

#endif
