#include "char_link.h"

#include "board.h"

#include <stdio.h>
#include <string.h>

#define FLUSH_AFTER_NS 2000000u
#define POLL_EVERY_NS  1000000u

/* --- input --- */

static u32 queue_room(const struct char_link *link)
{
    return CHAR_LINK_BYTES - (link->tail - link->head);
}

static void queue_item(struct char_link *link, u16 item)
{
    if (queue_room(link)) link->queue[link->tail++ % CHAR_LINK_BYTES] = item;
}

/* The bytes at the head of the queue, up to the next event. */
static u32 next_bytes(const struct char_link *link, u8 *bytes, u32 count)
{
    u32 n = 0;
    for (; n < count && link->head + n != link->tail; n++) {
        u16 item = link->queue[(link->head + n) % CHAR_LINK_BYTES];
        if (item >= CHAR_BREAK) break;
        bytes[n] = (u8)item;
    }
    return n;
}

static void take_event(struct char_link *link, u16 event)
{
    if (event == CHAR_BREAK && link->ops->receive_break) link->ops->receive_break(link->device);
    if ((event == CHAR_OPENED || event == CHAR_CLOSED) && link->ops->opened)
        link->ops->opened(link->device, event == CHAR_OPENED);
}

static void feed(struct char_link *link)
{
    u8 bytes[256];
    while (link->head != link->tail) {
        u32 count = next_bytes(link, bytes, sizeof(bytes));
        if (!count) {
            take_event(link, link->queue[link->head++ % CHAR_LINK_BYTES]);
            continue;
        }
        u32 taken = link->ops->receive ? link->ops->receive(link->device, bytes, count) : count;
        link->head += taken;
        if (taken < count) break;
    }
}

static void take_input(struct char_link *link)
{
    u16 items[256];
    for (;;) {
        feed(link);
        u32 room = queue_room(link);
        u32 count = chardev_take(&link->front, items, room < ARRAY_SIZE(items) ? room : ARRAY_SIZE(items));
        if (!count) break;
        for (u32 n = 0; n < count; n++) {
            link->board->had_input |= items[n] < CHAR_BREAK;
            queue_item(link, items[n]);
            if (link->mirror) queue_item(link->mirror, items[n]);
        }
    }
}

void char_link_room(struct char_link *link)
{
    if (link->head != link->tail) take_input(link);
}

/* --- output --- */

static void disarm_flush(struct char_link *link)
{
    if (!link->flush_armed) return;
    link->flush_armed = false;
    timer_cancel(&link->flush);
}

static void written(struct char_link *link, u32 count)
{
    link->out_count -= count;
    if (link->out_count) memmove(link->out, link->out + count, link->out_count);
}

void char_link_flush(struct char_link *link)
{
    disarm_flush(link);
    if (!link->out_count) return;
    u32 taken = link->out_count;
    if (link->board->deterministic)
        chardev_write_all(&link->front, link->out, link->out_count);
    else
        taken = chardev_write(&link->front, link->out, link->out_count);
    written(link, taken);
}

static void flush_fired(void *device)
{
    struct char_link *link = device;
    link->flush_armed = false;
    char_link_flush(link);
}

u32 char_link_out_room(const struct char_link *link)
{
    return sizeof(link->out) - link->out_count;
}

static u32 gather(struct char_link *link, const u8 *bytes, u32 count)
{
    u32 done = 0;
    while (done < count) {
        u32 piece = count - done;
        if (!char_link_out_room(link)) char_link_flush(link);
        if (piece > char_link_out_room(link)) piece = char_link_out_room(link);
        if (!piece) break;
        memcpy(link->out + link->out_count, bytes + done, piece);
        link->out_count += piece;
        done += piece;
    }
    return done;
}

u32 char_link_send(struct char_link *link, const u8 *bytes, u32 count)
{
    if (!link->front.chardev) return count;
    if (unlikely(clock_now(link->board->clock) <= link->board->quiet_until_ns) &&
        link->board->quiet_until_ns && !chardev_starts_anew(&link->front))
        return count;
    u32 done = gather(link, bytes, count);
    link->refused |= done < count;
    if (memchr(bytes, '\n', done)) {
        char_link_flush(link);
    } else if (link->out_count && !link->flush_armed && !link->board->deterministic) {
        /* A timer for output would change deterministic runs: there, idling and polling flush. */
        link->flush_armed = true;
        timer_arm(&link->flush, clock_now(link->flush.clock) + FLUSH_AFTER_NS);
    }
    return done;
}

void char_link_force(struct char_link *link, const u8 *bytes, u32 count)
{
    u32 done = char_link_send(link, bytes, count);
    if (done == count || !chardev_keeps_all(&link->front)) return;
    chardev_write_all(&link->front, link->out, link->out_count);
    written(link, link->out_count);
    gather(link, bytes + done, count - done);
}

/* --- the character thread --- */

static void letter_came(struct letter *letter)
{
    struct char_link *link = container_of(letter, struct char_link, letter);
    __atomic_store_n(&link->sent, 0, __ATOMIC_SEQ_CST);
    take_input(link);
    if (link->out_count) char_link_flush(link);
    if (!link->refused || char_link_out_room(link) < sizeof(link->out) / 2) return;
    link->refused = false;
    if (link->ops->room) link->ops->room(link->device);
}

static void send_letter(struct char_front *front)
{
    struct char_link *link = container_of(front, struct char_link, front);
    if (link->board->deterministic) return; /* polled */
    if (!__atomic_exchange_n(&link->sent, 1, __ATOMIC_SEQ_CST))
        mailbox_send(link->board->mailbox, &link->letter);
}

static void poll_fired(void *device)
{
    struct char_link *link = device;
    if (link->front.chardev) {
        chardev_poll(&link->front);
        link->polls = chardev_may_read(&link->front);
        take_input(link);
    }
    feed(link);
    if (link->mirror) link->mirror->polls = link->polls;
    /* At the end of input the timer ends too. Otherwise an idle guest would never sleep. */
    if (link->polls || link->head != link->tail)
        timer_arm(&link->poll, clock_now(link->poll.clock) + POLL_EVERY_NS);
}

/* --- set-up --- */

bool char_link_init(struct char_link *link, struct board *board, const struct char_link_ops *ops,
                    void *device, const char *id, char *error, size_t error_bytes)
{
    *link = (struct char_link){.board = board, .ops = ops, .device = device, .letter.run = letter_came};
    timer_init(&link->flush, board->clock, flush_fired, link);
    timer_init(&link->poll, board->clock, poll_fired, link);
    struct chardev *chardev = id && board->chardevs ? chardevs_find(board->chardevs, id) : NULL;
    if (!chardev) return true;
    /* A follower polls when its leader does, and has nothing at the other end. */
    link->polls = ops->receive && char_options_read(chardev->options);
    if (board->follower) return true;
    if (ops->receive) link->front.input = send_letter;
    link->front.room = send_letter;
    link->front.polled = board->deterministic;
    return chardev_attach(&link->front, chardev, error, error_bytes);
}

void char_link_start(struct char_link *link)
{
    if (link->board->deterministic && link->polls && !link->poll.armed)
        timer_arm(&link->poll, clock_now(link->poll.clock) + POLL_EVERY_NS);
}

void char_link_destroy(struct char_link *link)
{
    if (!link->board) return;
    char_link_flush(link);
    chardev_detach(&link->front);
}

void char_link_join(struct char_link *link)
{
    char_link_start(link);
    take_input(link);
}

void char_link_leave(struct char_link *link)
{
    char_link_destroy(link);
    mailbox_withdraw(link->board->mailbox, &link->letter);
    timer_cancel(&link->flush);
    timer_cancel(&link->poll);
}

bool char_link_is_open(struct char_link *link)
{
    return chardev_is_open(&link->front);
}

void char_link_mirror(struct char_link *leader, struct char_link *follower)
{
    leader->mirror = follower;
}
