/*
 * The mailbox: work that other threads hand to the vCPU thread.
 *
 * Device code runs on the vCPU thread alone. A thread that does host I/O for a device, draws, or listens to a socket
 * hands over its result as a letter: a struct letter within the object that it concerns. The vCPU thread calls the
 * letter's run() between two guest instructions, in the order of sending.
 *
 * Invariants
 * 1. A letter is not sent again before its run() is called. From then on it may be, even within run().
 * 2. When mailbox_run() returns, run() of every letter that was sent before the call has been called. This holds within
 *    run() too.
 * 3. An object that leaves first makes sure that nobody sends its letters any more, and then withdraws them.
 */
#ifndef RINGER_BASE_MAILBOX_H
#define RINGER_BASE_MAILBOX_H

#include "types.h"

struct letter {
    void (*run)(struct letter *letter);
    struct letter *next;
};

struct mailbox {
    struct letter *newest; /* atomic: a stack; the vCPU thread takes it as a whole */
    struct letter *taken;  /* the vCPU thread's: off the stack and not run yet, oldest first */
    /* The sending thread calls one of these after it has put a letter into an empty mailbox. Both are atomic.
     * wake: makes the vCPU thread call mailbox_run() now. NULL: the vCPU thread polls the mailbox.
     * notice: makes the vCPU thread call mailbox_run() when it next leaves guest code, or now if it waits. NULL: use
     * wake. */
    void (*wake)(void *owner);
    void (*notice)(void *owner);
    u32 (*run)(void *owner); /* atomic: mailbox_owner_run(). NULL: the vCPU thread waits */
    void *owner;
};

struct mailbox_calls {
    void (*wake)(void *owner);
    void (*notice)(void *owner);
    u32 (*run)(void *owner);
};

/* From now on senders make these calls; others may be sending already. */
void mailbox_open(struct mailbox *box, const struct mailbox_calls *calls, void *owner);

/* Any thread. */
void mailbox_send(struct mailbox *box, struct letter *letter);

/* Send without interrupting guest code. An interruption is expensive, and guest code is usually left every few
 * microseconds anyway. Because a guest program may compute for longer, the sender must soon call mailbox_hurry(), which
 * interrupts guest code if letters are still in the mailbox. Returns whether this letter is the oldest. */
bool mailbox_send_soon(struct mailbox *box, struct letter *letter);
void mailbox_hurry(struct mailbox *box);

/* Zero while the vCPU thread waits; while it runs guest code, a number that changes with each wait. A sender may put
 * off a letter that does not matter to a guest that is busy. */
u32 mailbox_owner_run(const struct mailbox *box);

/* On the vCPU thread, also within a letter's run(): run all letters in the mailbox. Returns whether there were any. */
bool mailbox_run(struct mailbox *box);
/* On the vCPU thread: the letter, if it is in the mailbox, will not be run. */
void mailbox_withdraw(struct mailbox *box, struct letter *letter);

#endif
