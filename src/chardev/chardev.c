/*
 * Chardevs: rings, escape keys, and the thread that moves bytes between rings and descriptors. See chardev.h.
 */
#include "chardev.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A wait looks at `giving_up` this often. */
#define LOOK_AGAIN_NS 100000000u
/* Bytes in one system call: at most PIPE_BUF, so that a pipe that polls writable takes all of it. */
#define PIECE_BYTES 4096u
/* Pieces in one turn, after which other chardevs have theirs. */
#define TURN_PIECES 16u

/* --- telling front ends --- */

static u32 out_room(const struct chardev *c)
{
    return CHAR_OUT_BYTES - (c->tail - c->head);
}

/* Unlocks, and makes the calls that are owed. */
static void unlock_and_tell(struct chardev *c)
{
    u32 input = 0, room = 0;
    unsigned fronts = c->fronts; /* the vCPU thread may attach another one meanwhile */
    for (unsigned n = 0; n < fronts; n++) {
        struct char_front *front = c->front[n];
        if (front->fresh) input |= 1u << n;
        if (front->refused && out_room(c) >= CHAR_OUT_BYTES / 2) room |= 1u << n;
        front->fresh = false;
        if (room >> n & 1) front->refused = false;
    }
    pthread_mutex_unlock(&c->lock);
    for (unsigned n = 0; n < fronts; n++) {
        struct char_front *front = c->front[n];
        if ((input >> n & 1) && front->input) front->input(front);
        if ((room >> n & 1) && front->room) front->room(front);
    }
}

static void wake(struct chardevs *set)
{
    __atomic_store_n(&set->kicked, 1, __ATOMIC_SEQ_CST);
    net_loop_wake(&set->loop);
}

/* --- input --- */

static u32 in_room(const struct char_front *front)
{
    u32 used = front->tail - front->head;
    return used + CHAR_EVENTS_ROOM < CHAR_IN_ITEMS ? CHAR_IN_ITEMS - CHAR_EVENTS_ROOM - used : 0;
}

static void push(struct char_front *front, u16 item)
{
    if (front->tail - front->head == CHAR_IN_ITEMS) return;
    front->in[front->tail++ % CHAR_IN_ITEMS] = item;
    front->left += item == CHAR_CLOSED;
    front->fresh = true;
}

static struct char_front *focus(const struct chardev *c)
{
    return c->fronts ? c->front[c->focus] : NULL;
}

u32 chardev_input_room(const struct chardev *c)
{
    struct char_front *front = focus(c);
    return c->drops_input || !front || !front->input ? 256 : in_room(front);
}

void chardev_event(struct chardev *c, u16 event)
{
    for (unsigned n = 0; n < c->fronts; n++)
        if (event != CHAR_BREAK || n == c->focus) push(c->front[n], event);
}

void chardev_set_open(struct chardev *c, bool open)
{
    if (c->open == open) return;
    c->open = open;
    if (!open) { /* the next client does not get what this one did not read */
        c->head = c->tail;
        pthread_cond_broadcast(&c->written);
    }
    chardev_event(c, open ? CHAR_OPENED : CHAR_CLOSED);
}

static void move_focus(struct chardev *c)
{
    unsigned next = c->focus;
    do
        next = (next + 1) % c->fronts;
    while (next != c->focus && !c->front[next]->input);
    if (next == c->focus) return;
    c->focus = next;
    push(c->front[next], CHAR_FOCUS);
}

static void put_text(struct chardev *c, const char *text)
{
    for (; *text && out_room(c); text++)
        c->out[c->tail++ % CHAR_OUT_BYTES] = (u8)*text;
}

/* Asks for the end of the machine. */
static void quit(struct chardevs *set)
{
    if (__atomic_exchange_n(&set->stopping, 1, __ATOMIC_SEQ_CST)) return;
    set->stop_status = STATUS_OK;
    if (set->vcpu_mailbox) mailbox_send(set->vcpu_mailbox, &set->stop_letter);
}

static void take_key(struct chardev *c, u8 byte)
{
    char help[512];
    u8 out;
    switch (escape_key(&c->keys, byte, &out)) {
    case KEY_NOTHING: break;
    case KEY_SEND:
        if (focus(c) && focus(c)->input && in_room(focus(c))) push(focus(c), out);
        break;
    case KEY_BREAK: chardev_event(c, CHAR_BREAK); break;
    case KEY_FOCUS: move_focus(c); break;
    case KEY_TIMESTAMPS: c->timestamps = !c->timestamps; break;
    case KEY_QUIT: quit(c->set); break;
    case KEY_HELP:
        escape_help(&c->keys, help, sizeof(help));
        put_text(c, help);
        break;
    }
}

void chardev_input(struct chardev *c, const u8 *bytes, u32 count)
{
    for (u32 n = 0; n < count; n++)
        take_key(c, bytes[n]);
}

/* has_input: the descriptor has just been found readable. Only a socket has no other reader that could have been
 * faster. */
static void read_some(struct chardev *c, bool has_input)
{
    u8 buffer[PIECE_BYTES];
    struct pollfd pollfd = {.fd = c->in_fd, .events = POLLIN};
    bool certain = has_input && c->options->kind == CHAR_SOCKET;
    u32 room = chardev_input_room(c);
    if (c->in_fd < 0 || !room || (!certain && poll(&pollfd, 1, 0) <= 0)) return;
    ssize_t got = read(c->in_fd, buffer, room < sizeof(buffer) ? room : sizeof(buffer));
    if (got > 0) {
        if (c->options->telnet) {
            u32 data = 0;
            for (ssize_t n = 0; n < got; n++) {
                int byte = telnet_take(&c->telnet, buffer[n]);
                if (byte >= 0) buffer[data++] = (u8)byte;
                if (byte == TELNET_BREAK) chardev_event(c, CHAR_BREAK);
            }
            got = data;
        }
        chardev_input(c, buffer, (u32)got);
        return;
    }
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    /* End of file; or EIO: the terminal has hung up, or belongs to another job. */
    if (c->ops->lost)
        c->ops->lost(c, got < 0 ? -errno : 0);
    else
        c->in_fd = -1;
}

/* --- output --- */

void chardev_fail(struct chardev *c, int failed)
{
    struct chardevs *set = c->set;
    c->out_fd = -1;
    c->head = c->tail;
    pthread_cond_broadcast(&c->written);
    if (__atomic_exchange_n(&set->stopping, 1, __ATOMIC_SEQ_CST)) return;
    /* The pipe has no reader any more. That ends the machine as Ctrl-A x does. */
    set->stop_status = failed == -EPIPE ? STATUS_OK : STATUS_HOST;
    if (set->stop_status)
        snprintf(set->stop_sentence, sizeof(set->stop_sentence), "cannot write the guest's output: %s",
                 strerror(-failed));
    if (set->vcpu_mailbox) mailbox_send(set->vcpu_mailbox, &set->stop_letter);
}

/* The lock is not held during the system call, which a slow disk may delay: only one thread at a time writes. */
static long write_piece(struct chardev *c)
{
    u8 piece[PIECE_BYTES];
    u32 at = c->head % CHAR_OUT_BYTES, count = c->tail - c->head;
    int fd = c->out_fd;
    if (count > CHAR_OUT_BYTES - at) count = CHAR_OUT_BYTES - at;
    if (count > PIECE_BYTES) count = PIECE_BYTES;
    memcpy(piece, &c->out[at], count);
    if (c->ops->write) return c->ops->write(c, piece, count);
    pthread_mutex_unlock(&c->lock);
    ssize_t done = write(fd, piece, count);
    long result = done < 0 ? -errno : done;
    pthread_mutex_lock(&c->lock);
    return result;
}

static void write_some(struct chardev *c, int wait_ms)
{
    for (unsigned n = 0; n < TURN_PIECES && c->out_fd >= 0 && c->head != c->tail; n++) {
        struct pollfd pollfd = {.fd = c->out_fd, .events = POLLOUT};
        bool waits = c->options->kind != CHAR_SOCKET || wait_ms; /* send() to a socket does not */
        if (waits && poll(&pollfd, 1, wait_ms) <= 0) return;
        u32 before = c->head;
        long done = write_piece(c);
        if (done == -EINTR || done == -EAGAIN) return;
        if (done < 0) {
            if (c->ops->lost)
                c->ops->lost(c, (int)done);
            else
                chardev_fail(c, (int)done);
            return;
        }
        if (c->head != before) return; /* the reader left, and the output with it */
        c->head += (u32)done;
        pthread_cond_broadcast(&c->written);
    }
}

static void log_output(struct chardev *c, const u8 *bytes, u32 count)
{
    if (c->log_fd < 0 || !count) return;
    ssize_t done = write(c->log_fd, bytes, count);
    if (done == (ssize_t)count) return;
    close(c->log_fd); /* a copy: its loss ends nothing */
    c->log_fd = -1;
}

static void put_time(struct chardev *c)
{
    struct timespec now;
    char text[32];
    clock_gettime(CLOCK_MONOTONIC, &now);
    u64 ms = ((u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec - c->set->began_ns) / 1000000u;
    snprintf(text, sizeof(text), "[%02llu:%02llu:%02llu.%03llu] ", (unsigned long long)ms / 3600000,
             (unsigned long long)ms / 60000 % 60, (unsigned long long)ms / 1000 % 60,
             (unsigned long long)ms % 1000);
    put_text(c, text);
}

/* Puts bytes into the ring. Returns how many were taken. */
static u32 append(struct chardev *c, const u8 *bytes, u32 count)
{
    u32 n = 0;
    bool plain = !c->timestamps && !c->options->telnet;
    for (; n < count && plain && out_room(c); n++)
        c->out[c->tail++ % CHAR_OUT_BYTES] = bytes[n];
    for (; n < count && !plain && out_room(c) >= 64; n++) {
        u8 twice[2];
        if (c->timestamps && c->line_start) put_time(c);
        u32 bytes_out = c->options->telnet ? telnet_escape(&bytes[n], 1, twice) : (twice[0] = bytes[n], 1);
        for (u32 i = 0; i < bytes_out; i++)
            c->out[c->tail++ % CHAR_OUT_BYTES] = twice[i];
        c->line_start = bytes[n] == '\n';
    }
    return n;
}

u32 chardev_write(struct char_front *front, const u8 *bytes, u32 count)
{
    struct chardev *c = front->chardev;
    if (!c || !count) return count;
    pthread_mutex_lock(&c->lock);
    bool idle = c->head == c->tail;
    u32 taken = count;
    if (c->options->kind == CHAR_RINGBUF)
        c->ops->write(c, bytes, count);
    else if (c->out_fd >= 0 && c->open && !(front->answers && front->left))
        taken = append(c, bytes, count);
    log_output(c, bytes, taken);
    front->refused |= taken < count;
    bool work = idle && c->head != c->tail;
    pthread_mutex_unlock(&c->lock);
    if (work) wake(c->set);
    return taken;
}

static bool gives_up(const struct chardevs *set)
{
    return __atomic_load_n(&set->stopping, __ATOMIC_SEQ_CST) ||
           (set->giving_up && __atomic_load_n(set->giving_up, __ATOMIC_SEQ_CST));
}

/* Waits a while until `out` gets shorter. */
static void wait_for_writer(struct chardev *c)
{
    struct timespec until;
    if (!c->set->loop.started) {
        write_some(c, LOOK_AGAIN_NS / 1000000u);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_AGAIN_NS;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&c->written, &c->lock, &until);
}

void chardev_write_all(struct char_front *front, const u8 *bytes, u32 count)
{
    struct chardev *c = front->chardev;
    u32 done = chardev_write(front, bytes, count);
    while (done < count && !gives_up(c->set)) {
        pthread_mutex_lock(&c->lock);
        wait_for_writer(c);
        unlock_and_tell(c);
        done += chardev_write(front, bytes + done, count - done);
    }
}

bool chardev_keeps_all(const struct char_front *front)
{
    enum char_kind kind = front->chardev ? front->chardev->options->kind : CHAR_NULL;
    return kind == CHAR_STDIO || kind == CHAR_FILE || kind == CHAR_PIPE;
}

bool chardev_starts_anew(const struct char_front *front)
{
    const struct char_options *o = front->chardev ? front->chardev->options : NULL;
    return o && ((o->kind == CHAR_FILE && !o->append) || o->kind == CHAR_RINGBUF);
}

/* --- the thread --- */

static void fill(struct net_source *source, struct net_poll *poll)
{
    struct chardev *c = container_of(source, struct chardev, source);
    pthread_mutex_lock(&c->lock);
    struct char_front *front = focus(c);
    c->in_slot = c->out_slot = -1;
    /* An answer to a command goes out at once. */
    if (c->options->kind == CHAR_SOCKET) write_some(c, 0);
    if (c->in_fd >= 0 && chardev_input_room(c) && (!front || !front->polled))
        c->in_slot = net_poll_add(poll, c->in_fd, POLLIN);
    if (c->out_fd >= 0 && c->head != c->tail) c->out_slot = net_poll_add(poll, c->out_fd, POLLOUT);
    if (c->ops->fill) c->ops->fill(c, poll);
    unlock_and_tell(c);
}

static void ready(struct net_source *source, const struct net_poll *poll)
{
    struct chardev *c = container_of(source, struct chardev, source);
    pthread_mutex_lock(&c->lock);
    if (c->out_slot >= 0 && poll->fds[c->out_slot].revents) write_some(c, 0);
    if (c->in_slot >= 0 && poll->fds[c->in_slot].revents) read_some(c, true);
    if (c->ops->ready) c->ops->ready(c, poll);
    unlock_and_tell(c);
}

static bool run_letters(struct net_source *source)
{
    struct chardevs *set = container_of(source, struct chardevs, letters);
    bool kicked = __atomic_exchange_n(&set->kicked, 0, __ATOMIC_SEQ_CST);
    return mailbox_run(&set->loop_mailbox) || kicked;
}

/* --- front ends --- */

bool chardev_attach(struct char_front *front, struct chardev *c, char *error, size_t error_bytes)
{
    bool shared = c->options->mux || c->options->kind == CHAR_STDIO || c->options->kind == CHAR_NULL;
    if (c->fronts && !shared) {
        snprintf(error, error_bytes, "two devices want the chardev \"%s\", which has no mux=on",
                 c->options->id);
        return false;
    }
    if (c->fronts == CHAR_FRONTS) {
        snprintf(error, error_bytes, "the chardev \"%s\" has %u users already", c->options->id, CHAR_FRONTS);
        return false;
    }
    pthread_mutex_lock(&c->lock);
    front->chardev = c;
    c->front[c->fronts++] = front;
    if (front->input && !focus(c)->input) c->focus = c->fronts - 1; /* those that only write come first */
    if (c->open) push(front, CHAR_OPENED);
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* On the character thread, or before it starts: no call to the front end is under way. */
static void detach(void *argument)
{
    struct char_front *front = argument;
    struct chardev *c = front->chardev;
    pthread_mutex_lock(&c->lock);
    for (unsigned n = 0; n < c->fronts; n++)
        if (c->front[n] == front) {
            memmove(&c->front[n], &c->front[n + 1], (c->fronts - n - 1) * sizeof(c->front[0]));
            c->fronts--;
            break;
        }
    c->focus = 0;
    front->chardev = NULL;
    pthread_mutex_unlock(&c->lock);
}

void chardev_detach(struct char_front *front)
{
    if (front->chardev) net_loop_run(&front->chardev->set->loop, detach, front);
}

u32 chardev_take(struct char_front *front, u16 *items, u32 count)
{
    struct chardev *c = front->chardev;
    u32 n = 0;
    if (!c) return 0;
    pthread_mutex_lock(&c->lock);
    bool was_full = !in_room(front);
    while (n < count && front->head != front->tail) {
        u16 item = front->in[front->head % CHAR_IN_ITEMS];
        if (n && front->answers && item == CHAR_CLOSED) break; /* until it is taken, answers are dropped */
        front->head++;
        front->left -= item == CHAR_CLOSED;
        items[n++] = item;
    }
    bool work = was_full && in_room(front);
    pthread_mutex_unlock(&c->lock);
    if (work) wake(c->set);
    return n;
}

void chardev_poll(struct char_front *front)
{
    struct chardev *c = front->chardev;
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    if (!c->set->loop.started) write_some(c, 0);
    read_some(c, false);
    unlock_and_tell(c);
}

bool chardev_may_read(struct char_front *front)
{
    struct chardev *c = front->chardev;
    if (!c) return false;
    pthread_mutex_lock(&c->lock);
    bool may = c->in_fd >= 0 || c->options->kind == CHAR_SOCKET || c->options->kind == CHAR_PTY ||
               front->head != front->tail;
    pthread_mutex_unlock(&c->lock);
    return may;
}

bool chardev_is_open(struct char_front *front)
{
    struct chardev *c = front->chardev;
    if (!c) return false;
    pthread_mutex_lock(&c->lock);
    bool open = c->open;
    pthread_mutex_unlock(&c->lock);
    return open;
}

/* --- the set --- */

static void stop_now(struct letter *letter)
{
    struct chardevs *set = container_of(letter, struct chardevs, stop_letter);
    if (set->stop) set->stop(set->owner, set->stop_status, set->stop_sentence[0] ? set->stop_sentence : NULL);
}

static void forget_machine(void *argument)
{
    struct chardevs *set = argument;
    set->vcpu_mailbox = NULL;
}

void chardevs_forget_machine(struct chardevs *set)
{
    net_loop_run(&set->loop, forget_machine, set);
}

static void wake_for_letters(void *owner)
{
    wake(owner);
}

int chardevs_init(struct chardevs *set)
{
    struct timespec now;
    *set = (struct chardevs){.escape = 1, .stop_letter.run = stop_now};
    clock_gettime(CLOCK_MONOTONIC, &now);
    set->began_ns = (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
    set->loop_mailbox.wake = wake_for_letters;
    set->loop_mailbox.owner = set;
    set->letters.work = run_letters;
    int failed = net_loop_init(&set->loop, ROLE_CHARACTERS);
    if (failed) return failed;
    set->loop.look_out_ns = 0; /* a console must not keep a processor busy */
    net_loop_add(&set->loop, &set->letters);
    return 0;
}

struct chardev *chardevs_find(struct chardevs *set, const char *id)
{
    for (unsigned n = 0; n < set->count; n++)
        if (!strcmp(set->chardev[n]->options->id, id)) return set->chardev[n];
    return NULL;
}

static const struct chardev_ops *const ops_of[] = {
    [CHAR_NULL] = &char_null_ops,     [CHAR_STDIO] = &char_stdio_ops, [CHAR_FILE] = &char_file_ops,
    [CHAR_PIPE] = &char_pipe_ops,     [CHAR_PTY] = &char_pty_ops,     [CHAR_RINGBUF] = &char_ringbuf_ops,
    [CHAR_SOCKET] = &char_socket_ops, [CHAR_VDAGENT] = &char_null_ops};

bool chardevs_add(struct chardevs *set, const struct char_options *options, char *error, size_t error_bytes)
{
    struct chardev *c = set->count < CHARDEVS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        snprintf(error, error_bytes, "there can be no more than %u chardevs", CHARDEVS_MAX);
        return false;
    }
    *c = (struct chardev){.source = {.fill = fill, .ready = ready},
                          .set = set,
                          .options = options,
                          .ops = ops_of[options->kind],
                          .in_fd = -1,
                          .out_fd = -1,
                          .listen_fd = -1,
                          .log_fd = -1,
                          .in_slot = -1,
                          .out_slot = -1,
                          .line_start = true,
                          .keys = {.enabled = options->mux, .escape = set->escape}};
    char_options_describe(options, c->name, sizeof(c->name));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->written, NULL);
    set->chardev[set->count++] = c;
    net_loop_add(&set->loop, &c->source);
    return (!c->ops->open || c->ops->open(c, error, error_bytes)) && char_open_log(c, error, error_bytes);
}

static void release(struct chardev *c)
{
    if (c->ops->close) c->ops->close(c);
    if (c->log_fd >= 0) close(c->log_fd);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->written);
    free(c);
}

void chardevs_remove(struct chardevs *set, struct chardev *c)
{
    unsigned n = 0;
    while (set->chardev[n] != c)
        n++;
    set->count--;
    memmove(&set->chardev[n], &set->chardev[n + 1], (set->count - n) * sizeof(set->chardev[0]));
    net_loop_remove(&set->loop, &c->source);
    release(c);
}

void chardevs_take_terminal(struct chardevs *set)
{
    for (unsigned n = 0; n < set->count; n++) {
        struct chardev *c = set->chardev[n];
        bool reads = false;
        for (unsigned f = 0; f < c->fronts; f++)
            reads |= c->front[f]->input != NULL;
        if (c->options->kind == CHAR_STDIO && reads) terminal_enter_raw(c->in_fd, c->options->signal);
    }
}

int chardevs_start(struct chardevs *set)
{
    if (!set->count || set->loop.started) return 0;
    return net_loop_start(&set->loop);
}

static void drain(struct chardev *c)
{
    /* A client that does not read must not delay the machine's end. */
    unsigned tries = c->options->kind == CHAR_SOCKET || c->options->kind == CHAR_PTY ? 5 : 0;
    pthread_mutex_lock(&c->lock);
    for (unsigned n = 0; c->out_fd >= 0 && c->head != c->tail && (!tries || n < tries); n++) {
        bool over = c->set->giving_up && __atomic_load_n(c->set->giving_up, __ATOMIC_SEQ_CST);
        if (over && n) break; /* once in any case: what can be written at once is */
        wait_for_writer(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void chardevs_drain(struct chardevs *set)
{
    for (unsigned n = 0; n < set->count; n++)
        drain(set->chardev[n]);
}

void chardevs_destroy(struct chardevs *set)
{
    chardevs_drain(set);
    net_loop_stop(&set->loop);
    for (unsigned n = 0; n < set->count; n++)
        release(set->chardev[n]);
    net_loop_destroy(&set->loop);
    char_options_release(&set->late);
    for (unsigned n = 0; n < CHARDEVS_OWN; n++)
        char_options_release(&set->own[n]);
    set->count = 0;
}
