/*
 * A dump: what goes over cables, in a file that tcpdump reads (pcap,
 * https://www.tcpdump.org/manpages/pcap-savefile.5.html).
 *
 * Frames are as the guest's driver and the back end exchange them: segments of up to 64 KB in one piece, without those
 * checksums that the card would fill.
 */
#ifndef RINGER_NET_DUMP_H
#define RINGER_NET_DUMP_H

#include "cable.h"

struct net_dump;

/* frame_bytes_max: the most bytes of each frame. NULL with one sentence in error. Before the network thread starts, as
 * net_dump_listen(). */
struct net_dump *net_dump_create(struct net_loop *loop, const char *file, u32 frame_bytes_max, char *error,
                                 size_t error_bytes);
/* Add a cable. */
bool net_dump_listen(struct net_dump *dump, struct net_end *end);
/* After the thread's end. */
void net_dump_destroy(struct net_dump *dump);

#endif
