/*
 * The mailbox: work that other threads hand to the vCPU thread.
 *
 * Device code runs on the vCPU thread alone. A thread that does host I/O for a device, draws, or listens to a
 * socket hands its result over as a letter: a struct letter within the object it concerns. The vCPU thread
 * calls the letter's run() between two guest instructions, in the order of sending.
 *
 * Invariant: a letter that was sent must not be sent again before its run() is called. From that moment on it
 * may.
 */
#ifndef RINGER_BASE_MAILBOX_H
#define RINGER_BASE_MAILBOX_H

#include "types.h"

struct letter {
    void (*run)(struct letter *letter);
    struct letter *next;
};

struct mailbox {
    struct letter *newest; /* atomic: a stack, which the vCPU thread takes whole */
    /* The sending thread calls one of these after it has put a letter into an empty box.
     * wake: the vCPU thread must call mailbox_run() now. NULL: it polls the box.
     * notice: the vCPU thread must call mailbox_run() when it next leaves guest code, or at once if it waits.
     * NULL: as wake. */
    void (*wake)(void *owner);
    void (*notice)(void *owner);
    void *owner;
};

/* Any thread. */
void mailbox_send(struct mailbox *box, struct letter *letter);

/* Send without interrupting guest code, which usually is left every few microseconds anyway: an interruption
 * costs more than many a letter is worth. The sender must soon call mailbox_hurry(), which interrupts if
 * letters still lie there (a guest program may compute for long). Returns whether this letter is the oldest
 * in the box. */
bool mailbox_send_soon(struct mailbox *box, struct letter *letter);
void mailbox_hurry(struct mailbox *box);

/* The vCPU thread: run every letter that is there. Returns whether there was any. */
bool mailbox_run(struct mailbox *box);

#endif
