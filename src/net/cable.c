#include "cable.h"

#include "base/host_time.h"
#include "frame.h"

#include <stdlib.h>
#include <string.h>

/* How long a letter about received frames waits for the vCPU thread to leave guest code by itself, and one
 * about sent ones, which no driver waits for unless its ring is full. */
#define HURRY_RECEIVED_NS 15000u
#define HURRY_SENT_NS     200000u
/* How long a letter is put off. The interrupts of network cards are moderated by about as much. It is done only for a
 * guest that has not halted for BUSY_NS, because one that waits for an answer had better handle the letter while it is
 * awake, and that sends frames of less than PUT_OFF_BYTES: larger ones fill TCP's window soon, and their memory is used
 * again while it is in the caches. */
#define PUT_OFF_NS    50000u
#define BUSY_NS       200000u
#define PUT_OFF_BYTES 16384u
/* This number of sent frames is worth a letter of its own. */
#define SENT_BATCH 64

/* A received frame that found no buffer. */
struct waiting_frame {
    struct waiting_frame *next;
    struct net_offload offload;
    u32 bytes;
    u8 frame[];
};

#define APPEND(end, list, item)                                                                              \
    do {                                                                                                     \
        (item)->next = NULL;                                                                                 \
        *(end)->list##_last = (item);                                                                        \
        (end)->list##_last = &(item)->next;                                                                  \
    } while (0)
#define CLEAR(end, list) ((end)->list = NULL, (end)->list##_last = &(end)->list)

/* A stack that the card fills without the lock: push an item; take all, and turn them around. */
#define PUSH(stack, item)                                                                                    \
    do {                                                                                                     \
        (item)->next = __atomic_load_n(stack, __ATOMIC_RELAXED);                                             \
    } while (                                                                                                \
        !__atomic_compare_exchange_n(stack, &(item)->next, item, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
#define TAKE_STACK(stack, oldest)                                                                            \
    for (__typeof__(oldest) taken = __atomic_exchange_n(stack, NULL, __ATOMIC_ACQUIRE), next; taken;         \
         taken = next) {                                                                                     \
        next = taken->next;                                                                                  \
        taken->next = (oldest);                                                                              \
        (oldest) = taken;                                                                                    \
    }

static struct net_end *end_of(struct net_cable *cable)
{
    return container_of(cable, struct net_end, cable);
}

/* --- letters --- */

static void deliver(struct letter *letter)
{
    struct net_end *end = container_of(letter, struct net_end, letter);
    pthread_mutex_lock(&end->lock);
    struct net_frame *done = end->done;
    struct net_buffer *received = end->received;
    bool news = end->carrier_news, up = end->backend_up && end->wanted_up;
    CLEAR(end, done);
    CLEAR(end, received);
    end->done_count = 0;
    end->carrier_news = false;
    end->letter_under_way = false;
    __atomic_store_n(&end->hurry_at_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&end->put_off_until_ns, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&end->lock);
    bool turned = news && up != end->cable.up;
    if (turned) end->cable.up = up;
    if (!end->card_ops) return;
    if (turned) end->card_ops->carrier(end->card, up);
    if (done) end->card_ops->sent(end->card, done);
    if (received) end->card_ops->received(end->card, received);
}

/* With the lock. The letter arrives within `ns`, or earlier. */
static void write_letter(struct net_end *end, u64 ns)
{
    u64 before = __atomic_load_n(&end->hurry_at_ns, __ATOMIC_RELAXED);
    if (!before || ns < end->hurry_ns) {
        u64 at = host_now_ns() + ns;
        if (!before || at < before) __atomic_store_n(&end->hurry_at_ns, at, __ATOMIC_RELAXED);
        end->hurry_ns = ns;
    }
    __atomic_store_n(&end->put_off_until_ns, 0, __ATOMIC_RELAXED);
    if (end->letter_under_way) return;
    end->letter_under_way = true;
    mailbox_send_soon(end->box, &end->letter);
}

/* With the lock. Has the guest been busy for a while, and with small frames? */
static bool may_put_off(struct net_end *end, u64 now)
{
    u32 run = mailbox_owner_run(end->box);
    if (run != end->run) end->run_since_ns = now;
    end->run = run;
    return run && now - end->run_since_ns >= BUSY_NS && end->last_sent_bytes < PUT_OFF_BYTES;
}

/* With the lock: a letter that a busy guest need not see at once. */
static void put_off_letter(struct net_end *end, u64 ns)
{
    u64 now = host_now_ns();
    if (end->letter_under_way || !end->card_ops || !end->card_ops->patient || !may_put_off(end, now))
        write_letter(end, ns);
    else if (!__atomic_load_n(&end->put_off_until_ns, __ATOMIC_RELAXED))
        __atomic_store_n(&end->put_off_until_ns, now + PUT_OFF_NS, __ATOMIC_RELAXED);
}

static void send_put_off(struct net_end *end)
{
    pthread_mutex_lock(&end->lock);
    if (__atomic_load_n(&end->put_off_until_ns, __ATOMIC_RELAXED))
        write_letter(end, end->received ? HURRY_RECEIVED_NS : HURRY_SENT_NS);
    pthread_mutex_unlock(&end->lock);
}

static bool send_put_off_if_due(struct net_end *end)
{
    u64 at = __atomic_load_n(&end->put_off_until_ns, __ATOMIC_RELAXED);
    if (!at || (mailbox_owner_run(end->box) && host_now_ns() < at)) return false;
    send_put_off(end);
    return true;
}

static void hurry(struct net_end *end)
{
    if (__atomic_exchange_n(&end->hurry_at_ns, 0, __ATOMIC_RELAXED)) mailbox_hurry(end->box);
}

static void hurry_if_due(struct net_end *end)
{
    u64 at = __atomic_load_n(&end->hurry_at_ns, __ATOMIC_RELAXED);
    if (at && host_now_ns() >= at) hurry(end);
}

/* --- out --- */

/* With the lock: what the card has sent, oldest first, behind what is there. */
static void take_outgoing(struct net_end *end)
{
    struct net_frame *oldest = NULL;
    TAKE_STACK(&end->outgoing, oldest);
    while (oldest) {
        struct net_frame *next = oldest->next;
        APPEND(end, sending, oldest);
        oldest = next;
    }
}

static void hear(struct net_end *end, const struct iovec *part, unsigned part_count, u32 bytes,
                 const struct net_offload *offload)
{
    for (struct net_tap_ear *ear = end->ears; ear; ear = ear->next)
        ear->hear(ear, part, part_count, bytes, offload);
}

/* With the lock, which is given up meanwhile. */
static enum net_sent send_one(struct net_end *end, const struct net_frame *frame)
{
    enum net_sent sent = NET_SENT;
    if (!end->wanted_up) return sent; /* into nowhere */
    end->busy = true;
    pthread_mutex_unlock(&end->lock);
    sent = end->backend->ops->send(end->backend, frame);
    if (sent == NET_SENT && end->ears)
        hear(end, frame->part, frame->part_count, frame->bytes, &frame->offload);
    pthread_mutex_lock(&end->lock);
    end->busy = false;
    if (end->withdrawing) pthread_cond_broadcast(&end->idle);
    return sent;
}

static bool work(struct net_source *source)
{
    struct net_end *end = container_of(source, struct net_end, source);
    bool any = send_put_off_if_due(end);
    hurry_if_due(end);
    if (!__atomic_load_n(&end->outgoing, __ATOMIC_RELAXED) &&
        (!__atomic_load_n(&end->sending, __ATOMIC_RELAXED) || end->blocked))
        return any;
    pthread_mutex_lock(&end->lock);
    take_outgoing(end);
    while (end->sending && !end->blocked && !end->withdrawing) {
        struct net_frame *frame = end->sending;
        end->sending = frame->next; /* off the list before it is looked at, so that it cannot be withdrawn */
        if (!end->sending) end->sending_last = &end->sending;
        if (send_one(end, frame) == NET_BLOCKED) {
            end->blocked = true;
            frame->next = end->sending;
            end->sending = frame;
            if (!frame->next) end->sending_last = &frame->next;
            break;
        }
        any = true;
        end->last_sent_bytes = frame->bytes;
        APPEND(end, done, frame);
        if (++end->done_count % SENT_BATCH == 0) write_letter(end, HURRY_SENT_NS);
    }
    if (end->done) put_off_letter(end, HURRY_SENT_NS);
    pthread_mutex_unlock(&end->lock);
    return any;
}

static void rest(struct net_source *source)
{
    struct net_end *end = container_of(source, struct net_end, source);
    send_put_off(end);
    hurry(end);
}

static void cable_send(struct net_cable *cable, struct net_frame *frame)
{
    PUSH(&end_of(cable)->outgoing, frame);
}

static void cable_flush(struct net_cable *cable)
{
    net_loop_wake(end_of(cable)->backend->loop);
}

void net_end_unblock(struct net_end *end)
{
    end->blocked = false;
}

/* --- in --- */

/* With the lock: what the card has offered since. */
static void take_offering(struct net_end *end)
{
    struct net_buffer *oldest = NULL;
    TAKE_STACK(&end->offering, oldest);
    while (oldest) {
        struct net_buffer *next = oldest->next;
        APPEND(end, offered, oldest);
        oldest = next;
    }
}

static struct net_buffer *take_offered(struct net_end *end, u32 bytes, u16 *count)
{
    struct net_buffer *first = end->offered, *last = first;
    u64 room = first ? first->capacity - first->reserved : 0;
    *count = 1;
    if (!first) return NULL;
    while (room < bytes) {
        if (!end->card_merges || !last->next) return NULL;
        last = last->next;
        room += last->capacity;
        ++*count;
    }
    end->offered = last->next;
    if (!end->offered) end->offered_last = &end->offered;
    last->next = NULL;
    return first;
}

/* With the lock: the buffers for this number of bytes, as a list; NULL: there are not enough. */
static struct net_buffer *take_buffers(struct net_end *end, u32 bytes, u16 *count)
{
    struct net_buffer *first = take_offered(end, bytes, count);
    if (first || !__atomic_load_n(&end->offering, __ATOMIC_RELAXED)) return first;
    take_offering(end);
    return take_offered(end, bytes, count);
}

static void fill_buffers(struct net_buffer *buffer, u16 count, const u8 *frame, u32 bytes,
                         const struct net_offload *offload)
{
    buffer->offload = *offload;
    buffer->count = count;
    u32 skip = buffer->reserved;
    for (; buffer; buffer = buffer->next) {
        buffer->used = 0;
        for (unsigned n = 0; n < buffer->part_count && bytes; n++) {
            u32 there = (u32)buffer->part[n].iov_len, past = skip < there ? skip : there;
            u32 now = bytes < there - past ? bytes : there - past;
            memcpy((u8 *)buffer->part[n].iov_base + past, frame, now);
            frame += now;
            bytes -= now;
            skip -= past;
            buffer->used += now;
        }
        if (buffer->next) buffer->next->count = 0;
    }
}

enum put { PUT, PUT_STARVED, PUT_DROPPED };

/* With the lock, which is given up meanwhile. */
static enum put put_frame(struct net_end *end, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    u16 count;
    struct net_buffer *first = take_buffers(end, bytes, &count);
    if (!first) {
        /* One that would never fit is lost, and does not hold up the others. */
        if (!end->card_merges && end->offered) return PUT_DROPPED;
        return PUT_STARVED;
    }
    end->busy = true;
    pthread_mutex_unlock(&end->lock);
    fill_buffers(first, count, frame, bytes, offload);
    pthread_mutex_lock(&end->lock);
    end->busy = false;
    if (end->withdrawing) pthread_cond_broadcast(&end->idle);
    if (!end->accepts) return PUT_DROPPED; /* withdrawn meanwhile */
    while (first) {
        struct net_buffer *next = first->next;
        APPEND(end, received, first);
        first = next;
    }
    if (frame_is_acknowledgement(frame, bytes))
        put_off_letter(end, HURRY_RECEIVED_NS);
    else
        write_letter(end, HURRY_RECEIVED_NS);
    return PUT;
}

/* A card that offers buffers wakes a starved network thread. The thread looks at `offering` once more before it
 * sleeps. */
static void set_starved(struct net_end *end, bool starved)
{
    __atomic_store_n(&end->starved, starved, __ATOMIC_SEQ_CST);
}

static bool put_aside(struct net_end *end, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    set_starved(end, true);
    if (end->waiting_bytes + bytes > CABLE_WAITING_MAX_BYTES) return false;
    struct waiting_frame *waiting = malloc(sizeof(*waiting) + bytes);
    if (!waiting) return false;
    waiting->offload = *offload;
    waiting->bytes = bytes;
    memcpy(waiting->frame, frame, bytes);
    APPEND(end, waiting, waiting);
    end->waiting_bytes += bytes;
    return true;
}

static bool receive_one(struct net_end *end, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    bool taken = true;
    pthread_mutex_lock(&end->lock);
    if (end->accepts && end->wanted_up && end->filter.accepts(&end->filter, frame, bytes)) {
        enum put put = end->waiting ? PUT_STARVED : put_frame(end, frame, bytes, offload);
        if (put == PUT_STARVED) taken = put_aside(end, frame, bytes, offload);
    }
    pthread_mutex_unlock(&end->lock);
    return taken;
}

static bool card_takes(const struct net_end *end, const struct net_offload *offload)
{
    u32 needs = offload->flags & NET_NEEDS_CHECKSUM ? NET_TAKES_CHECKSUM : 0;
    u8 kind = offload->segmentation & ~NET_SEGMENT_ECN;
    if (kind) needs |= kind == NET_SEGMENT_TCP4 ? NET_TAKES_TCP4 : NET_TAKES_TCP6;
    if (offload->segmentation & NET_SEGMENT_ECN) needs |= NET_TAKES_ECN;
    return !(needs & ~end->card_takes);
}

struct splitting {
    struct net_end *end;
    bool taken;
};

static void receive_piece(void *to, const u8 *frame, u32 bytes)
{
    static const struct net_offload whole = {.flags = NET_CHECKSUM_GOOD};
    struct splitting *splitting = to;
    splitting->taken &= receive_one(splitting->end, frame, bytes, &whole);
}

bool net_receive(struct net_end *end, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    if (end->ears) hear(end, &(struct iovec){(void *)(uintptr_t)frame, bytes}, 1, bytes, offload);
    if (card_takes(end, offload)) return receive_one(end, frame, bytes, offload);
    u8 copy[NET_FRAME_MAX];
    struct splitting splitting = {end, true};
    if (bytes > sizeof(copy)) return true;
    memcpy(copy, frame, bytes);
    frame_segment(copy, bytes, offload, receive_piece, &splitting);
    return splitting.taken;
}

bool net_has_room(struct net_end *end)
{
    pthread_mutex_lock(&end->lock);
    bool room = !end->accepts || !end->waiting;
    if (!room) set_starved(end, true);
    pthread_mutex_unlock(&end->lock);
    return room;
}

/* Buffers have come: fill them with what waits, and let the back end go on. */
static void after_offer(struct net_end *end)
{
    bool room = false;
    pthread_mutex_lock(&end->lock);
    take_offering(end);
    while (end->waiting) {
        struct waiting_frame *waiting = end->waiting;
        enum put put = put_frame(end, waiting->frame, waiting->bytes, &waiting->offload);
        if (put == PUT_STARVED || end->waiting != waiting) break;
        end->waiting = waiting->next;
        if (!end->waiting) end->waiting_last = &end->waiting;
        end->waiting_bytes -= waiting->bytes;
        free(waiting);
    }
    if (end->starved && !end->waiting && end->offered) {
        set_starved(end, false);
        room = true;
    }
    pthread_mutex_unlock(&end->lock);
    if (room && end->backend->ops->room) end->backend->ops->room(end->backend);
}

static void cable_offer(struct net_cable *cable, struct net_buffer *buffer)
{
    struct net_end *end = end_of(cable);
    PUSH(&end->offering, buffer);
    if (__atomic_load_n(&end->starved, __ATOMIC_SEQ_CST)) net_loop_wake(end->backend->loop);
}

static bool work_all(struct net_source *source)
{
    struct net_end *end = container_of(source, struct net_end, source);
    bool any = work(source);
    if (__atomic_load_n(&end->starved, __ATOMIC_RELAXED) &&
        (__atomic_load_n(&end->offered, __ATOMIC_RELAXED) ||
         __atomic_load_n(&end->offering, __ATOMIC_SEQ_CST)))
        after_offer(end);
    return any;
}

/* --- both --- */

static void drop_waiting(struct net_end *end)
{
    while (end->waiting) {
        struct waiting_frame *next = end->waiting->next;
        free(end->waiting);
        end->waiting = next;
    }
    CLEAR(end, waiting);
    end->waiting_bytes = 0;
    set_starved(end, false);
}

static void cable_withdraw(struct net_cable *cable)
{
    struct net_end *end = end_of(cable);
    pthread_mutex_lock(&end->lock);
    end->accepts = false; /* what is being filled now is not told of */
    end->withdrawing = true;
    while (end->busy)
        pthread_cond_wait(&end->idle, &end->lock);
    end->withdrawing = false;
    take_outgoing(end);
    take_offering(end);
    CLEAR(end, sending);
    CLEAR(end, done);
    CLEAR(end, offered);
    CLEAR(end, received);
    end->done_count = 0;
    __atomic_store_n(&end->put_off_until_ns, 0, __ATOMIC_RELAXED);
    drop_waiting(end);
    pthread_mutex_unlock(&end->lock);
}

static void cable_filter(struct net_cable *cable, const struct net_filter *filter)
{
    struct net_end *end = end_of(cable);
    pthread_mutex_lock(&end->lock);
    end->accepts = filter != NULL;
    if (filter) end->filter = *filter;
    pthread_mutex_unlock(&end->lock);
}

struct negotiation {
    struct net_end *end;
    u32 takes;
    bool merges;
};

static void negotiate(void *argument)
{
    struct negotiation *n = argument;
    pthread_mutex_lock(&n->end->lock);
    n->end->card_takes = n->takes;
    n->end->card_merges = n->merges;
    pthread_mutex_unlock(&n->end->lock);
    if (n->end->backend->ops->negotiated) n->end->backend->ops->negotiated(n->end->backend);
}

static void cable_receive(struct net_cable *cable, u32 takes, bool merges)
{
    struct net_end *end = end_of(cable);
    struct negotiation negotiation = {end, takes, merges};
    net_loop_run(end->backend->loop, negotiate, &negotiation);
}

static void cable_attach(struct net_cable *cable, const struct net_card_ops *ops, void *card)
{
    struct net_end *end = end_of(cable);
    end->card = card;
    end->card_ops = ops;
}

static const struct net_cable_ops cable_ops = {.attach = cable_attach,
                                               .send = cable_send,
                                               .flush = cable_flush,
                                               .offer = cable_offer,
                                               .withdraw = cable_withdraw,
                                               .filter = cable_filter,
                                               .receive = cable_receive};

/* With the lock. */
static void carrier_changed(struct net_end *end)
{
    end->carrier_news = true;
    write_letter(end, 0);
}

void net_end_set_link(struct net_end *end, bool up)
{
    pthread_mutex_lock(&end->lock);
    end->wanted_up = up;
    carrier_changed(end);
    pthread_mutex_unlock(&end->lock);
    mailbox_hurry(end->box);
}

void net_end_carrier(struct net_end *end, bool up)
{
    pthread_mutex_lock(&end->lock);
    end->backend_up = up;
    if (!up) end->blocked = false;
    carrier_changed(end);
    pthread_mutex_unlock(&end->lock);
}

int net_end_init(struct net_end *end, struct net_loop *loop, struct net_backend *backend, struct mailbox *box)
{
    *end = (struct net_end){.backend = backend,
                            .box = box,
                            .wanted_up = true,
                            .backend_up = backend->up,
                            .letter = {.run = deliver},
                            .source = {.work = work_all, .rest = rest}};
    end->cable = (struct net_cable){.ops = &cable_ops, .up = backend->up};
    CLEAR(end, sending);
    CLEAR(end, done);
    CLEAR(end, offered);
    CLEAR(end, received);
    CLEAR(end, waiting);
    pthread_mutex_init(&end->lock, NULL);
    pthread_cond_init(&end->idle, NULL);
    backend->end = end;
    net_loop_add(loop, &end->source);
    return 0;
}

void net_end_destroy(struct net_end *end)
{
    drop_waiting(end);
    pthread_mutex_destroy(&end->lock);
    pthread_cond_destroy(&end->idle);
}
