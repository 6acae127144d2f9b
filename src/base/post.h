/*
 * The post: work that other threads hand to the vCPU thread.
 *
 * Device code runs on the vCPU thread alone. A thread that does host I/O for a device (or draws, or listens
 * to a socket) hands its result over as a letter: a struct post within the object it concerns, whose run() is
 * called on the vCPU thread between two guest instructions, in the order of sending. A letter that is under
 * way must not be sent again; from the moment run() is called it may.
 */
#ifndef RINGER_BASE_POST_H
#define RINGER_BASE_POST_H

#include "types.h"

struct post {
    void (*run)(struct post *post);
    struct post *next;
};

struct post_box {
    struct post *newest; /* atomic: a stack, which the vCPU thread takes whole */
    /* Called by the sending thread after a letter lies in an empty box. NULL: whoever owns the box looks by
     * himself. wake: makes the vCPU thread call post_box_run() now. notice (NULL: as wake): when it leaves
     * guest code the next time, or at once if it waits. */
    void (*wake)(void *owner);
    void (*notice)(void *owner);
    void *owner;
};

/* Any thread. */
void post_send(struct post_box *box, struct post *post);

/* To interrupt guest code costs more than many a letter is worth, and it is left by itself every few
 * microseconds, but for a program that computes. Who sends this way must soon call post_hurry(), which
 * interrupts if letters still lie there. Returns whether this is the oldest that does. */
bool post_send_soon(struct post_box *box, struct post *post);
void post_hurry(struct post_box *box);

/* The vCPU thread: run every letter that is there. Returns whether there was any. */
bool post_box_run(struct post_box *box);

#endif
