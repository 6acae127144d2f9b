/*
 * The console's queue: events of several threads arrive whole and in order; movements are added up while nothing
 * takes them; a flood costs events, never memory or the sender's time.
 */
#include "ui/console.h"

#include "check.h"

#include <string.h>

static struct console console;
static struct mailbox box;
static struct console_event got[4096];
static unsigned count, told;

static void take(void *machine, const struct console_event *event)
{
    if (count < ARRAY_SIZE(got)) got[count] = *event;
    count++;
}

static void start(void)
{
    box = (struct mailbox){.newest = NULL};
    console_init(&console);
    console.mailbox = &box;
    console.take = take;
    count = told = 0;
}

static void test_order_and_sums(void)
{
    const struct key *a = key_by_name("a", 1), *b = key_by_name("b", 1);
    start();
    console_send_key(&console, a, true);
    console_send(&console, &(struct console_event){.kind = CONSOLE_MOVE, .right = 3, .lower = -1});
    console_send(&console,
                 &(struct console_event){.kind = CONSOLE_MOVE, .right = 4, .lower = -1, .wheel = 1});
    console_send(&console, &(struct console_event){.kind = CONSOLE_MOVE, .right = 1, .buttons = 1});
    console_send(&console, &(struct console_event){.kind = CONSOLE_POINT, .x = 1, .y = 2});
    console_send(&console, &(struct console_event){.kind = CONSOLE_POINT, .x = 5, .y = 6});
    console_send_key(&console, b, false);
    CHECK(mailbox_run(&box));
    CHECK_EQ(count, 5);
    CHECK(got[0].key == a && got[0].down);
    CHECK(got[1].right == 7 && got[1].lower == -2 && got[1].wheel == 1);
    CHECK(got[2].right == 1 && got[2].buttons == 1);
    CHECK(got[3].x == 5 && got[3].y == 6);
    CHECK(got[4].key == b && !got[4].down);
    CHECK(!mailbox_run(&box));
    for (unsigned n = 0; n < 100000; n++)
        console_send(&console, &(struct console_event){.kind = CONSOLE_MOVE, .right = 1000, .wheel = -1});
    mailbox_run(&box);
    CHECK_EQ(count, 6);
    CHECK(got[5].right == INT16_MAX && got[5].wheel == INT16_MIN);
    console_destroy(&console);
}

static void test_flood(void)
{
    start();
    for (unsigned n = 0; n < 100000; n++)
        console_send_key(&console, key_by_name("a", 1), n & 1);
    mailbox_run(&box);
    CHECK_EQ(count, CONSOLE_QUEUE_EVENTS);
    console_send_command(&console, CONSOLE_QUIT);
    mailbox_run(&box);
    CHECK_EQ(count, CONSOLE_QUEUE_EVENTS + 1);
    console_destroy(&console);
}

#define SENDS 20000

static void *sender(void *argument)
{
    for (unsigned n = 0; n < SENDS; n++)
        console_send(&console, &(struct console_event){.kind = CONSOLE_KEY, .key = argument, .x = (u16)n});
    return NULL;
}

/* The events of one sender arrive in its order, and no letter is lost when the box becomes empty. */
static void test_threads(void)
{
    static unsigned last[2];
    const struct key *key[2] = {key_by_name("a", 1), key_by_name("b", 1)};
    pthread_t thread[2];
    start();
    for (unsigned n = 0; n < 2; n++)
        pthread_create(&thread[n], NULL, sender, (void *)key[n]);
    bool ordered = true;
    for (unsigned idle = 0; idle < 3;) {
        count = 0;
        if (!mailbox_run(&box)) {
            if (++idle == 1)
                for (unsigned n = 0; n < 2; n++)
                    pthread_join(thread[n], NULL);
            continue;
        }
        for (unsigned n = 0; n < count && n < ARRAY_SIZE(got); n++) {
            unsigned who = got[n].key == key[1];
            ordered &= got[n].x >= last[who];
            last[who] = got[n].x;
        }
    }
    CHECK(ordered);
    console_send_command(&console, CONSOLE_PAUSE);
    CHECK(mailbox_run(&box));
    console_destroy(&console);
}

static void changed(struct console_frontend *frontend)
{
    told++;
}

static void test_state(void)
{
    struct console_frontend one = {.changed = changed}, two = {.changed = changed};
    start();
    console_attach(&console, &one);
    console_attach(&console, &two);
    console_set(&console, &console.paused, 1);
    console_set(&console, &console.paused, 1);
    CHECK_EQ(told, 2);
    CHECK_EQ(console_get(&console.paused), 1);
    console_detach(&console, &one);
    console_set(&console, &console.paused, 0);
    CHECK_EQ(told, 3);
    console_detach(&console, &two);
    console_destroy(&console);
}

int main(void)
{
    test_order_and_sums();
    test_flood();
    test_threads();
    test_state();
    return check_report();
}
