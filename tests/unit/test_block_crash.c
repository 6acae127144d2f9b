/*
 * Crashes and failures at every operation. An image is in a store that logs all operations. From the log the file is
 * made again as it would be
 *   - after a kill -9 at that operation: with all writes before it, and perhaps a part of the last one;
 *   - after a power failure: with all synced writes, and any subset, sector by sector, of later ones.
 * qemu-img must find no error in it (leaks are allowed), and every sector must have its last flushed contents or later
 * ones. The same must hold if the store fails at that operation, once or from then on, and the machine goes on.
 */
#include "block_rig.h"

#define SECTOR  512u
#define SIZE    (512u << 10)
#define SECTORS (SIZE / SECTOR)
#define STEPS   160u

/* --- a store with a log --- */

enum event_kind { STORE_WRITE, STORE_PUNCH, STORE_SYNC, GUEST_WRITE, GUEST_DISCARD, GUEST_FLUSHED };

struct event {
    enum event_kind kind;
    u64 offset, bytes;
    u8 *data; /* store: what is written */
    u32 tag;  /* guest */
};

struct tape {
    struct store store;
    u8 *bytes;
    u64 size, room;
    struct event *event;
    u64 count, events_room;
    u64 operations, fail_at; /* writes and syncs; which of them is the first to fail */
    u64 fail_count;
    int error;
};

static struct event *note(struct tape *t, enum event_kind kind, u64 offset, u64 bytes)
{
    if (t->count == t->events_room) {
        t->events_room = t->events_room ? t->events_room * 2 : 1024;
        t->event = realloc(t->event, t->events_room * sizeof(*t->event));
    }
    struct event *event = &t->event[t->count++];
    *event = (struct event){kind, offset, bytes, NULL, 0};
    return event;
}

static bool fails(struct tape *t)
{
    u64 n = t->operations++;
    return t->error && n >= t->fail_at && n < t->fail_at + t->fail_count;
}

/* A write that is done in part ends between two sectors. */
static u64 cut(u64 offset, u64 bytes)
{
    u64 done = rig_random() % (bytes + 1), over = (offset + done) % SECTOR;
    return done > over ? done - over : 0;
}

static void have_size(struct tape *t, u64 size)
{
    if (size > t->room) {
        u64 room = size * 2;
        t->bytes = realloc(t->bytes, room);
        memset(t->bytes + t->room, 0, room - t->room);
        t->room = room;
    }
    if (size > t->size) t->size = size;
}

static int tape_read(struct store *store, u64 offset, struct span to)
{
    struct tape *t = container_of(store, struct tape, store);
    u64 there = offset < t->size ? t->size - offset : 0;
    if (there > to.bytes) there = to.bytes;
    if (there) span_write(span_slice(to, 0, there), t->bytes + offset);
    span_clear(span_slice(to, there, to.bytes - there));
    return there < to.bytes ? STORE_SHORT : 0;
}

static void put(struct tape *t, u64 offset, const u8 *data, u64 bytes)
{
    have_size(t, offset + bytes);
    memcpy(t->bytes + offset, data, bytes);
}

static int tape_write(struct store *store, u64 offset, struct span from)
{
    struct tape *t = container_of(store, struct tape, store);
    bool failed = fails(t);
    /* A write that fails may have done a part of its work. */
    u64 bytes = failed ? cut(offset, from.bytes) : from.bytes;
    struct event *event = note(t, STORE_WRITE, offset, bytes);
    event->data = malloc(from.bytes + 1);
    span_read(from, event->data);
    if (bytes) put(t, offset, event->data, bytes);
    return failed ? t->error : 0;
}

static int tape_sync(struct store *store)
{
    struct tape *t = container_of(store, struct tape, store);
    if (fails(t)) return t->error;
    note(t, STORE_SYNC, 0, 0);
    return 0;
}

static int tape_size(struct store *store, u64 *bytes)
{
    *bytes = container_of(store, struct tape, store)->size;
    return 0;
}

static int tape_set_size(struct store *store, u64 bytes)
{
    have_size(container_of(store, struct tape, store), bytes);
    return 0;
}

static void punch(struct tape *t, u64 offset, u64 bytes)
{
    for (u64 n = offset; n < offset + bytes && n < t->size; n++)
        t->bytes[n] = 0;
}

static int tape_punch(struct store *store, u64 offset, u64 bytes)
{
    struct tape *t = container_of(store, struct tape, store);
    note(t, STORE_PUNCH, offset, bytes);
    punch(t, offset, bytes);
    return 0;
}

static int tape_seek(struct store *store, u64 offset, bool data, u64 *found)
{
    return -EINVAL;
}

static void tape_close(struct store *store) {}

static const struct store_ops tape_ops = {.read = tape_read,
                                          .write = tape_write,
                                          .sync = tape_sync,
                                          .size = tape_size,
                                          .set_size = tape_set_size,
                                          .punch = tape_punch,
                                          .seek = tape_seek,
                                          .close = tape_close};

static void tape_free(struct tape *t)
{
    for (u64 n = 0; n < t->count; n++)
        free(t->event[n].data);
    free(t->event);
    free(t->bytes);
}

static void tape_load(struct tape *t, const u8 *bytes, u64 size)
{
    *t = (struct tape){.store = {&tape_ops}};
    put(t, 0, bytes, size);
}

/* --- what a sector may hold: tags --- */

#define MAY_BE 12

struct sector {
    u32 tag[MAY_BE]; /* the first: as last flushed */
    unsigned count;
    bool anything;
};

static struct sector sectors[SECTORS];
static u32 first_tags[SECTORS];

static void fill_tag(u8 *sector, u32 tag)
{
    for (unsigned n = 0; n < SECTOR; n += 4)
        memcpy(sector + n, &tag, 4);
}

static bool is_tag(const u8 *sector, u32 tag)
{
    for (unsigned n = 0; n < SECTOR; n += 4)
        if (memcmp(sector + n, &tag, 4)) return false;
    return true;
}

static void begin_model(void)
{
    for (unsigned n = 0; n < SECTORS; n++)
        sectors[n] = (struct sector){{first_tags[n]}, 1, false};
}

static void model_event(const struct event *event)
{
    for (u64 n = event->offset / SECTOR; n < (event->offset + event->bytes) / SECTOR; n++) {
        struct sector *s = &sectors[n];
        if (event->kind == GUEST_DISCARD) s->anything = true;
        if (event->kind == GUEST_WRITE && s->count == MAY_BE) s->anything = true;
        if (event->kind == GUEST_WRITE && s->count < MAY_BE) s->tag[s->count++] = event->tag;
    }
    if (event->kind != GUEST_FLUSHED) return;
    for (unsigned n = 0; n < SECTORS; n++) {
        struct sector *s = &sectors[n];
        if (s->count > 1 && s->count < MAY_BE) s->anything = false;
        s->tag[0] = s->tag[s->count - 1];
        s->count = 1;
    }
}

/* A discard after a write makes the sector anything again; so writes must come after it to count. */
static void model_discard_order(struct event *events, u64 count)
{
    begin_model();
    for (u64 n = 0; n < count; n++) {
        const struct event *e = &events[n];
        if (e->kind < GUEST_WRITE) continue;
        if (e->kind == GUEST_DISCARD)
            for (u64 s = e->offset / SECTOR; s < (e->offset + e->bytes) / SECTOR; s++)
                sectors[s].count = 1;
        model_event(e);
    }
}

/* --- judging --- */

static unsigned wrong_sectors(struct disk_image *image)
{
    static u8 bytes[SIZE];
    unsigned wrong = 0;
    if (rig_read(image, 0, bytes, SIZE)) return SECTORS;
    for (unsigned n = 0; n < SECTORS; n++) {
        bool good = sectors[n].anything;
        for (unsigned t = 0; t < sectors[n].count && !good; t++)
            good = is_tag(bytes + n * SECTOR, sectors[n].tag[t]);
        if (!good) wrong++;
    }
    return wrong;
}

static struct disk_image *open_tape(struct tape *t, bool read_only)
{
    struct disk_image *base = NULL;
    struct qcow2_header header;
    struct qcow2_backing backing;
    if (!qcow2_read_header(&t->store, read_only, &header, rig_error, sizeof(rig_error)) ||
        !qcow2_read_backing(&t->store, &header, &backing, rig_error, sizeof(rig_error)))
        return NULL;
    if (backing.path[0]) base = rig_open(backing.path, "raw", true);
    struct disk_image *image = qcow2_open(&t->store, "tape", read_only, base, rig_error, sizeof(rig_error));
    if (!image) disk_image_close(base);
    return image;
}

static bool judge(struct tape *t, const char *what, u64 where)
{
    bool good =
        rig_save("crashed", t->bytes, t->size) && rig_run("qemu-img check -f qcow2 crashed || [ $? -eq 3 ]");
    struct disk_image *image = open_tape(t, true);
    if (!image) printf("%s\n", rig_error);
    unsigned wrong = image ? wrong_sectors(image) : SECTORS;
    disk_image_close(image);
    if (wrong) printf("%u sectors are wrong\n", wrong);
    if (!good || wrong) printf("after %s at event %llu\n", what, (unsigned long long)where);
    return good && !wrong;
}

static void apply(struct tape *to, const struct event *e, bool whole, unsigned chance)
{
    for (u64 at = 0, now; at < e->bytes; at += now) {
        now = SECTOR - (e->offset + at) % SECTOR;
        if (now > e->bytes - at) now = e->bytes - at;
        if (!whole && rig_random() % 8 >= chance) continue;
        if (e->kind == STORE_WRITE) put(to, e->offset + at, e->data + at, now);
        if (e->kind == STORE_PUNCH) punch(to, e->offset + at, now);
    }
}

/* Makes the file as it is after the first `count` events. power: with only some of the events after the last sync. */
static void replay(struct tape *to, const struct tape *from, const u8 *first, u64 first_size, u64 count,
                   bool power)
{
    u64 synced = count;
    tape_load(to, first, first_size);
    if (power)
        while (synced && from->event[synced - 1].kind != STORE_SYNC)
            synced--;
    unsigned chance = (unsigned)(rig_random() % 9); /* often all or nothing */
    for (u64 n = 0; n < count; n++)
        if (from->event[n].kind == STORE_WRITE || from->event[n].kind == STORE_PUNCH)
            apply(to, &from->event[n], n < synced, chance);
    if (!power && count < from->count && from->event[count].kind == STORE_WRITE) { /* cut short */
        struct event part = from->event[count];
        part.bytes = cut(part.offset, part.bytes);
        apply(to, &part, true, 0);
    }
}

/* --- a guest --- */

static u32 next_tag = 1000;

static void guest_write(struct tape *t, struct disk_image *image, u64 offset, u64 bytes, bool zero)
{
    static u8 data[SIZE];
    struct event *event = note(t, GUEST_WRITE, offset, bytes);
    u32 tag = event->tag = zero ? 0 : next_tag++;
    for (u64 at = 0; at < bytes; at += SECTOR)
        fill_tag(data + at, tag);
    int failed = zero ? image->ops->zero(image, offset, bytes) : rig_write(image, offset, data, bytes);
    if (failed) note(t, GUEST_DISCARD, offset, bytes); /* whether it was done is unknown */
}

static void guest_step(struct tape *t, struct disk_image *image)
{
    u64 offset, bytes, what = rig_random() % 20;
    rig_place(SIZE, &offset, &bytes);
    if (what < 11) {
        guest_write(t, image, offset, bytes, false);
    } else if (what < 13) {
        guest_write(t, image, offset, bytes, true);
    } else if (what < 15) {
        note(t, GUEST_DISCARD, offset, bytes);
        image->ops->discard(image, offset, bytes);
    } else {
        /* A flush that fails makes nothing stable. */
        if (!image->ops->flush(image)) note(t, GUEST_FLUSHED, 0, 0);
    }
}

/* --- tests --- */

struct shape {
    const char *options;
    bool snapshot, backing;
};

static const struct shape shapes[] = {
    {"cluster_size=4k", false, false},
    {"cluster_size=512,refcount_bits=64", false, false}, /* the refcount table grows */
    {"cluster_size=512,refcount_bits=32", true, false},  /* many L2 tables, all shared */
    {"cluster_size=4k", true, false},
    {"cluster_size=16k", false, true},
    {"compat=0.10,cluster_size=2k", true, true},
    {"cluster_size=64k,refcount_bits=1", false, true},
};

/* The image to begin with. */
static u8 *make_first(const struct shape *shape, u64 *size)
{
    static u8 base[SIZE];
    for (unsigned n = 0; n < SECTORS; n++) {
        first_tags[n] = shape->backing || shape->snapshot ? n + 1 : 0;
        fill_tag(base + n * SECTOR, first_tags[n]);
    }
    CHECK(rig_save("base", base, SIZE));
    if (shape->backing)
        CHECK(rig_run("qemu-img create -f qcow2 -b base -F raw -o %s first", shape->options));
    else if (shape->snapshot)
        CHECK(rig_run("qemu-img convert -f raw -O qcow2 -o %s base first", shape->options));
    else
        CHECK(rig_run("qemu-img create -f qcow2 -o %s first %u", shape->options, SIZE));
    if (shape->snapshot) CHECK(rig_run("qemu-img snapshot -c s first"));
    FILE *file = fopen(rig_path("first"), "r");
    u8 *bytes = malloc(16 << 20);
    *size = file ? fread(bytes, 1, 16 << 20, file) : 0;
    if (file) fclose(file);
    return bytes;
}

/* Any moment, or the last one before a sync, when most data are not stable. */
static u64 moment_of(const struct tape *tape, bool before_sync)
{
    u64 at = rig_random() % (tape->count + 1);
    while (before_sync && at < tape->count && tape->event[at].kind != STORE_SYNC)
        at++;
    return at;
}

/* One run, and some of the crashes that it could have had. The first steps make and copy tables. */
static unsigned die(const u8 *first, u64 first_size, unsigned steps, unsigned deaths)
{
    struct tape tape, other;
    tape_load(&tape, first, first_size);
    struct disk_image *image = open_tape(&tape, false);
    CHECK(image != NULL);
    for (unsigned n = 0; image && n < steps; n++)
        guest_step(&tape, image);
    disk_image_close(image);
    unsigned bad = 0;
    for (unsigned n = 0; n < deaths && !bad; n++) {
        u64 at = moment_of(&tape, n % 4);
        bool power = n % 3 != 1;
        replay(&other, &tape, first, first_size, at, power);
        model_discard_order(tape.event, at);
        if (!judge(&other, power ? "a power failure" : "a kill", at)) bad++;
        tape_free(&other);
    }
    tape_free(&tape);
    return bad;
}

static void test_deaths(const struct shape *shape, unsigned lives)
{
    u64 first_size;
    u8 *first = make_first(shape, &first_size);
    unsigned bad = 0;
    for (unsigned n = 0; n < lives && bad < 3; n++)
        bad += die(first, first_size, n % 8 ? 3 + (unsigned)(rig_random() % 20) : STEPS, 4);
    CHECK_EQ(bad, 0);
    free(first);
}

static void test_failures(const struct shape *shape, unsigned failures)
{
    u64 first_size;
    u8 *first = make_first(shape, &first_size);
    unsigned bad = 0;
    for (unsigned n = 0; n < failures && bad < 3; n++) {
        struct tape tape;
        tape_load(&tape, first, first_size);
        struct disk_image *image = open_tape(&tape, false);
        CHECK(image != NULL);
        tape.error = n % 2 ? -EIO : -ENOSPC;
        tape.fail_at = rig_random() % 150;
        tape.fail_count = n % 3 ? 1 + rig_random() % 4 : 1000000;
        for (unsigned s = 0; image && s < STEPS; s++)
            guest_step(&tape, image);
        disk_image_close(image);
        model_discard_order(tape.event, tape.count);
        if (!judge(&tape, "failures", tape.fail_at)) bad++;
        tape_free(&tape);
    }
    CHECK_EQ(bad, 0);
    free(first);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 8;
    if (argc > 2) rig_seed = (u64)atoll(argv[2]);
    if (!rig_begin()) return 0;
    for (unsigned n = 0; n < ARRAY_SIZE(shapes); n++) {
        test_deaths(&shapes[n], rounds);
        test_failures(&shapes[n], rounds * 2);
    }
    return rig_end();
}
