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

/* The owner is set before the functions are. */
static void wake(const struct mailbox *box)
{
    void (*call)(void *owner) = __atomic_load_n(&box->wake, __ATOMIC_ACQUIRE);
    if (call) call(box->owner);
}

static void notice(const struct mailbox *box)
{
    void (*call)(void *owner) = __atomic_load_n(&box->notice, __ATOMIC_ACQUIRE);
    if (call)
        call(box->owner);
    else
        wake(box);
}

void mailbox_open(struct mailbox *box, const struct mailbox_calls *calls, void *owner)
{
    box->owner = owner;
    __atomic_store_n(&box->run, calls->run, __ATOMIC_RELEASE);
    __atomic_store_n(&box->notice, calls->notice, __ATOMIC_RELEASE);
    __atomic_store_n(&box->wake, calls->wake, __ATOMIC_RELEASE);
}

void mailbox_send(struct mailbox *box, struct letter *letter)
{
    if (put(box, letter)) wake(box);
}

bool mailbox_send_soon(struct mailbox *box, struct letter *letter)
{
    bool oldest = put(box, letter);
    if (oldest) notice(box);
    return oldest;
}

void mailbox_hurry(struct mailbox *box)
{
    if (__atomic_load_n(&box->newest, __ATOMIC_SEQ_CST)) wake(box);
}

u32 mailbox_owner_run(const struct mailbox *box)
{
    u32 (*run)(void *owner) = __atomic_load_n(&box->run, __ATOMIC_ACQUIRE);
    return run ? run(box->owner) : 0;
}

static void take_all(struct mailbox *box)
{
    struct letter *letter = __atomic_exchange_n(&box->newest, NULL, __ATOMIC_SEQ_CST), *oldest = NULL;
    struct letter **end = &box->taken;
    while (letter) { /* the newest is first: reverse the list */
        struct letter *next = letter->next;
        letter->next = oldest;
        oldest = letter;
        letter = next;
    }
    while (*end)
        end = &(*end)->next;
    *end = oldest;
}

bool mailbox_run(struct mailbox *box)
{
    take_all(box);
    bool any = box->taken != NULL;
    for (struct letter *letter; (letter = box->taken);) {
        box->taken = letter->next;
        letter->run(letter);
    }
    return any;
}

void mailbox_withdraw(struct mailbox *box, struct letter *letter)
{
    take_all(box);
    for (struct letter **at = &box->taken; *at; at = &(*at)->next)
        if (*at == letter) {
            *at = letter->next;
            return;
        }
}
