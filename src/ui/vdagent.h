/*
 * The host's side of spice-vdagent, a program in the guest that shares the clipboard of the guest's desktop and sets
 * its screen's size. It is reached through a virtio port named com.redhat.spice.0 and speaks SPICE's agent protocol
 * (SPICE's protocol headers, vd_agent): a stream of chunks that carry messages, all numbers little-endian.
 *
 *   chunk    port 4 | bytes 4 | ...                              at most 2048 bytes in it
 *   message  1 4 | type 4 | opaque 8 | bytes 4 | ...             may begin and end in the middle of a chunk
 *
 * A copy takes two steps: the side that copied says GRAB, the other one asks with REQUEST when it wants the text, and
 * gets CLIPBOARD. The guest's text is asked for at once, so that it outlives the guest.
 *
 * Everything runs on the vCPU thread. The guest is not trusted: a message that is too long is skipped, what it has not
 * taken is bounded, and data that nothing asked for is dropped.
 */
#ifndef RINGER_UI_VDAGENT_H
#define RINGER_UI_VDAGENT_H

#include "clipboard.h"

#define VDAGENT_CHUNK_BYTES  8
#define VDAGENT_HEADER_BYTES 20

struct vdagent_ops {
    u32 (*send)(void *owner, const u8 *bytes, u32 count); /* to the guest; returns how many it took */
    void (*copied)(void *owner);                          /* the guest's text is in the clipboard */
};

struct vdagent {
    const struct vdagent_ops *ops;
    void *owner;
    struct clipboard *clipboard; /* NULL: it is not shared */
    /* from the guest */
    u8 chunk[VDAGENT_CHUNK_BYTES];
    u32 chunk_got, chunk_left; /* of the chunk's header; bytes in the chunk that are still to come */
    u8 header[VDAGENT_HEADER_BYTES];
    u64 got;   /* bytes of the message, its header included */
    bool skip; /* the message is too long: it is not in `body` */
    u8 *body;
    u32 body_room;
    /* to the guest */
    u8 *out;
    u32 out_bytes, out_sent, out_room;
    /* what the agent can do; 0: it has not said so, that is, it is not there */
    u32 abilities;
    bool requested;    /* the guest's text was asked for */
    u16 width, height; /* the size that the screen is to have; 0: the guest's choice */
};

void vdagent_init(struct vdagent *agent, const struct vdagent_ops *ops, void *owner,
                  struct clipboard *clipboard);
/* The agent, or the whole guest, has gone. */
void vdagent_reset(struct vdagent *agent);
void vdagent_destroy(struct vdagent *agent);

/* Bytes from the guest. */
void vdagent_receive(struct vdagent *agent, const u8 *bytes, u64 count);
/* send() would take more now. */
void vdagent_go_on(struct vdagent *agent);

/* The host has copied a text into the clipboard. */
void vdagent_offer(struct vdagent *agent);
/* Wish for a screen of this size. */
void vdagent_resize(struct vdagent *agent, u16 width, u16 height);

#endif
