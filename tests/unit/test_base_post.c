/*
 * The post: letters arrive once each, in the order in which one thread sent them, and the box wakes when it
 * was empty.
 */
#include "base/post.h"
#include "check.h"

#include <pthread.h>

#define SENDERS 4
#define LETTERS 20000

struct letter {
    struct post post;
    unsigned sender, number;
};

static struct letter letters[SENDERS][LETTERS];
static struct post_box box;
static unsigned wakes, arrived, next_number[SENDERS];

static void wake(void *owner)
{
    __atomic_add_fetch(&wakes, 1, __ATOMIC_SEQ_CST);
}

static unsigned notices;

static void notice(void *owner)
{
    notices++;
}

static void ignore(struct post *post) {}

static void run(struct post *post)
{
    struct letter *letter = container_of(post, struct letter, post);
    CHECK_EQ(letter->number, next_number[letter->sender]);
    next_number[letter->sender]++;
    arrived++;
}

static void *send_all(void *argument)
{
    struct letter *mine = argument;
    for (unsigned n = 0; n < LETTERS; n++)
        post_send(&box, &mine[n].post);
    return NULL;
}

static void test_soon(void)
{
    struct post_box box = {.wake = wake};
    struct letter letter[2] = {{{run, NULL}, 0, 0}, {{run, NULL}, 0, 1}};
    struct post another = {.run = ignore};
    unsigned before = wakes;
    next_number[0] = 0;
    CHECK(post_send_soon(&box, &letter[0].post)); /* nobody can be given notice: woken */
    CHECK_EQ(wakes, before + 1);
    CHECK(post_box_run(&box));
    box.notice = notice;
    CHECK(post_send_soon(&box, &letter[1].post));
    CHECK(!post_send_soon(&box, &another));
    CHECK_EQ(notices, 1);
    CHECK_EQ(wakes, before + 1);
    post_hurry(&box);
    CHECK_EQ(wakes, before + 2);
    CHECK(post_box_run(&box));
    post_hurry(&box);
    CHECK_EQ(wakes, before + 2);
}

int main(void)
{
    pthread_t thread[SENDERS];
    box.wake = wake;
    CHECK(!post_box_run(&box));
    for (unsigned s = 0; s < SENDERS; s++) {
        for (unsigned n = 0; n < LETTERS; n++)
            letters[s][n] = (struct letter){{run, NULL}, s, n};
        CHECK(!pthread_create(&thread[s], NULL, send_all, letters[s]));
    }
    while (arrived < SENDERS * LETTERS)
        post_box_run(&box);
    for (unsigned s = 0; s < SENDERS; s++)
        pthread_join(thread[s], NULL);
    CHECK(wakes > 0);
    CHECK(!post_box_run(&box));
    test_soon();
    return check_report();
}
