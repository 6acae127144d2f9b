/*
 * The mailbox: letters arrive once each, in the order in which one thread sent them, and the box wakes when
 * it was empty. Hazard: an object that leaves while a letter of its own is under way.
 */
#include "base/mailbox.h"
#include "check.h"

#include <pthread.h>

#define SENDERS 4
#define LETTERS 20000

struct numbered {
    struct letter letter;
    unsigned sender, number;
};

static struct numbered letters[SENDERS][LETTERS];
static struct mailbox box;
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

static void ignore(struct letter *letter) {}

static void run(struct letter *letter)
{
    struct numbered *mine = container_of(letter, struct numbered, letter);
    CHECK_EQ(mine->number, next_number[mine->sender]);
    next_number[mine->sender]++;
    arrived++;
}

static void *send_all(void *argument)
{
    struct numbered *mine = argument;
    for (unsigned n = 0; n < LETTERS; n++)
        mailbox_send(&box, &mine[n].letter);
    return NULL;
}

static void test_soon(void)
{
    struct mailbox box = {.wake = wake};
    struct numbered letter[2] = {{{run, NULL}, 0, 0}, {{run, NULL}, 0, 1}};
    struct letter another = {.run = ignore};
    unsigned before = wakes;
    next_number[0] = 0;
    CHECK(mailbox_send_soon(&box, &letter[0].letter)); /* there is no notice(): the thread is woken */
    CHECK_EQ(wakes, before + 1);
    CHECK(mailbox_run(&box));
    box.notice = notice;
    CHECK(mailbox_send_soon(&box, &letter[1].letter));
    CHECK(!mailbox_send_soon(&box, &another));
    CHECK_EQ(notices, 1);
    CHECK_EQ(wakes, before + 1);
    mailbox_hurry(&box);
    CHECK_EQ(wakes, before + 2);
    CHECK(mailbox_run(&box));
    mailbox_hurry(&box);
    CHECK_EQ(wakes, before + 2);
}

/* An object leaves in a letter's run(): the letters behind that one must not come later, when the object is gone. */
static struct mailbox nested_box;
static struct numbered nested[4];

static void run_in_order(struct letter *letter)
{
    struct numbered *mine = container_of(letter, struct numbered, letter);
    CHECK_EQ(mine->number, next_number[0]);
    next_number[0]++;
}

static void leave(struct letter *letter)
{
    run_in_order(letter);
    mailbox_send(&nested_box, &nested[3].letter);
    CHECK(mailbox_run(&nested_box));
    CHECK_EQ(next_number[0], 4);
    for (unsigned n = 1; n < 4; n++)
        nested[n].letter = (struct letter){NULL, NULL};
    CHECK(!mailbox_run(&nested_box));
}

static void test_nested(void)
{
    next_number[0] = 0;
    for (unsigned n = 0; n < 4; n++)
        nested[n] = (struct numbered){{n ? run_in_order : leave, NULL}, 0, n};
    for (unsigned n = 0; n < 3; n++)
        mailbox_send(&nested_box, &nested[n].letter);
    CHECK(mailbox_run(&nested_box));
    CHECK_EQ(next_number[0], 4);
    CHECK(!mailbox_run(&nested_box));
}

int main(void)
{
    pthread_t thread[SENDERS];
    box.wake = wake;
    CHECK(!mailbox_run(&box));
    for (unsigned s = 0; s < SENDERS; s++) {
        for (unsigned n = 0; n < LETTERS; n++)
            letters[s][n] = (struct numbered){{run, NULL}, s, n};
        CHECK(!pthread_create(&thread[s], NULL, send_all, letters[s]));
    }
    while (arrived < SENDERS * LETTERS)
        mailbox_run(&box);
    for (unsigned s = 0; s < SENDERS; s++)
        pthread_join(thread[s], NULL);
    CHECK(wakes > 0);
    CHECK(!mailbox_run(&box));
    test_soon();
    test_nested();
    return check_report();
}
