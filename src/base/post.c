#include "post.h"

/* Returns whether the box was empty. */
static bool put(struct post_box *box, struct post *post)
{
    struct post *newest = __atomic_load_n(&box->newest, __ATOMIC_RELAXED);
    do
        post->next = newest;
    while (
        !__atomic_compare_exchange_n(&box->newest, &newest, post, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return !newest;
}

void post_send(struct post_box *box, struct post *post)
{
    if (put(box, post) && box->wake) box->wake(box->owner);
}

bool post_send_soon(struct post_box *box, struct post *post)
{
    void (*call)(void *owner) = box->notice ? box->notice : box->wake;
    bool oldest = put(box, post);
    if (oldest && call) call(box->owner);
    return oldest;
}

void post_hurry(struct post_box *box)
{
    if (__atomic_load_n(&box->newest, __ATOMIC_SEQ_CST) && box->wake) box->wake(box->owner);
}

bool post_box_run(struct post_box *box)
{
    struct post *post = __atomic_exchange_n(&box->newest, NULL, __ATOMIC_SEQ_CST), *oldest = NULL;
    bool any = post != NULL;
    while (post) { /* the newest is first: turn them round */
        struct post *next = post->next;
        post->next = oldest;
        oldest = post;
        post = next;
    }
    while (oldest) {
        struct post *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
    return any;
}
