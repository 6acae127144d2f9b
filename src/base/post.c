#include "post.h"

void post_send(struct post_box *box, struct post *post)
{
    struct post *newest = __atomic_load_n(&box->newest, __ATOMIC_RELAXED);
    do
        post->next = newest;
    while (
        !__atomic_compare_exchange_n(&box->newest, &newest, post, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (!newest && box->wake) box->wake(box->owner);
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
