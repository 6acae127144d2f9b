#include "char_link.h"

#include "base/log.h"
#include "board.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_AFTER_NS 2000000u
#define POLL_EVERY_NS  1000000u

static u32 queue_room(const struct char_link *link)
{
    return CHAR_LINK_BYTES - (link->tail - link->head);
}

static void queue_byte(struct char_link *link, u8 byte)
{
    if (queue_room(link)) link->queue[link->tail++ % CHAR_LINK_BYTES] = byte;
}

static void feed(struct char_link *link)
{
    while (link->head != link->tail) {
        u32 at = link->head % CHAR_LINK_BYTES, count = link->tail - link->head;
        if (count > CHAR_LINK_BYTES - at) count = CHAR_LINK_BYTES - at;
        u32 taken = link->receive(link->device, &link->queue[at], count);
        link->head += taken;
        if (taken < count) break;
    }
}

/* --- input --- */

static void send_break(struct char_link *link)
{
    feed(link); /* the input before the break */
    if (link->receive_break) link->receive_break(link->device);
}

static void take_key(struct char_link *link, u8 byte)
{
    u8 out;
    switch (escape_key(&link->keys, byte, &out)) {
    case KEY_NOTHING: break;
    case KEY_SEND:
        queue_byte(link, out);
        if (link->mirror) queue_byte(link->mirror, out);
        break;
    case KEY_BREAK:
        send_break(link);
        if (link->mirror) send_break(link->mirror);
        break;
    case KEY_QUIT: board_stop(link->board, STOP_HOST, STATUS_OK, NULL); break;
    case KEY_HELP: char_link_send(link, (const u8 *)escape_help, strlen(escape_help)); break;
    }
}

static bool may_read(const struct char_link *link)
{
    return link->drops_overflow || queue_room(link) > 0;
}

static void take_input(struct char_link *link)
{
    u8 buffer[256];
    u32 room = link->drops_overflow ? sizeof(buffer) : queue_room(link);
    unsigned count = chardev_read(&link->chardev, buffer, room < sizeof(buffer) ? room : sizeof(buffer));
    for (unsigned i = 0; i < count; i++)
        take_key(link, buffer[i]);
    feed(link);
}

static void want_input(struct char_link *link)
{
    struct board *board = link->board;
    if (!board->deterministic && link->chardev.in_fd >= 0 && may_read(link))
        board->host->want_input(board->machine);
}

void char_link_input_ready(struct char_link *link)
{
    take_input(link);
    want_input(link);
}

void char_link_room(struct char_link *link)
{
    if (link->head == link->tail) return;
    feed(link);
    want_input(link);
}

static void poll_fired(void *device)
{
    struct char_link *link = device;
    if (!link->board->follower && may_read(link)) take_input(link);
    feed(link);
    if (link->mirror) link->mirror->chardev.in_fd = link->chardev.in_fd;
    /* At the end of input the timer ends too. Otherwise an idle guest would never sleep. */
    if (link->chardev.in_fd >= 0 || link->head != link->tail)
        timer_arm(&link->poll, clock_now(link->poll.clock) + POLL_EVERY_NS);
}

/* --- output --- */

static void check(struct char_link *link, int failed)
{
    if (failed == -EPIPE)
        board_stop(link->board, STOP_HOST, STATUS_OK,
                   NULL); /* the pipe has lost its reader: end as if the user had quit */
    else if (failed)
        board_stop(link->board, STOP_HOST, STATUS_HOST,
                   "cannot write what the guest sends to its console: %s", strerror(-failed));
}

void char_link_flush(struct char_link *link)
{
    if (link->flush_armed) {
        link->flush_armed = false;
        timer_cancel(&link->flush);
    }
    if (link->chardev.count) check(link, chardev_flush(&link->chardev));
}

static void flush_fired(void *device)
{
    struct char_link *link = device;
    link->flush_armed = false;
    char_link_flush(link);
}

void char_link_send(struct char_link *link, const u8 *bytes, u64 count)
{
    bool line = false;
    if (link->chardev.out_fd < 0) return;
    for (u64 n = 0; n < count; n++) {
        line |= bytes[n] == '\n';
        check(link, chardev_put(&link->chardev, bytes[n]));
    }
    if (line) {
        char_link_flush(link);
        return;
    }
    /* A timer for output would change deterministic runs: there, idling and polling flush. */
    if (link->flush_armed || !link->chardev.count || link->board->deterministic) return;
    link->flush_armed = true;
    timer_arm(&link->flush, clock_now(link->flush.clock) + FLUSH_AFTER_NS);
}

/* --- set-up --- */

bool char_link_init(struct char_link *link, struct board *board,
                    u32 (*receive)(void *device, const u8 *bytes, u32 count), void *device,
                    const char *specification, char *error, size_t error_bytes)
{
    bool follower = board->follower;
    *link = (struct char_link){.board = board, .receive = receive, .device = device};
    if (!chardev_open(&link->chardev, follower ? "null" : specification, error, error_bytes)) return false;
    if (link->chardev.in_fd >= 0) {
        link->drops_overflow = isatty(link->chardev.in_fd);
        link->keys.enabled = link->drops_overflow || board->options->nographic;
    }
    struct clock *clock = board->clock;
    timer_init(&link->flush, clock, flush_fired, link);
    timer_init(&link->poll, clock, poll_fired, link);
    /* A follower polls when its leader does. The descriptor only turns polling on: nothing is read from it. */
    if (follower && !strcmp(specification, "stdio")) link->chardev.in_fd = STDIN_FILENO;
    return true;
}

void char_link_start(struct char_link *link)
{
    if (link->board->deterministic && link->chardev.in_fd >= 0 && !link->poll.armed)
        timer_arm(&link->poll, clock_now(link->poll.clock) + POLL_EVERY_NS);
}

void char_link_destroy(struct char_link *link)
{
    if (link->board) chardev_close(&link->chardev);
}

void char_link_mirror(struct char_link *leader, struct char_link *follower)
{
    leader->mirror = follower;
}
