#include "mailbox.h"

/* Returns whether the mailbox was empty. */
static bool put(struct mailbox *box, struct letter *letter)
{
    struct letter *newest = __atomic_load_n(&box->newest, __ATOMIC_RELAXED);
    do
        letter->next = newest;
    while (!__atomic_compare_exchange_n(&box->newest, &newest, letter, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
    return !newest;
}

void mailbox_send(struct mailbox *box, struct letter *letter)
{
    if (put(box, letter) && box->wake) box->wake(box->owner);
}

bool mailbox_send_soon(struct mailbox *box, struct letter *letter)
{
    void (*call)(void *owner) = box->notice ? box->notice : box->wake;
    bool oldest = put(box, letter);
    if (oldest && call) call(box->owner);
    return oldest;
}

void mailbox_hurry(struct mailbox *box)
{
    if (__atomic_load_n(&box->newest, __ATOMIC_SEQ_CST) && box->wake) box->wake(box->owner);
}

bool mailbox_run(struct mailbox *box)
{
    struct letter *letter = __atomic_exchange_n(&box->newest, NULL, __ATOMIC_SEQ_CST), *oldest = NULL;
    bool any = letter != NULL;
    while (letter) { /* the newest is first: reverse the list */
        struct letter *next = letter->next;
        letter->next = oldest;
        oldest = letter;
        letter = next;
    }
    while (oldest) {
        struct letter *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
    return any;
}
