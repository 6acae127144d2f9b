/*
 * The 8254. See i8254.h. Section names in the comments are those of the 8254 datasheet.
 */
#include "i8254.h"

#include <limits.h>

#define NS_PER_SECOND 1000000000ll
#define OWED_SECONDS  10
#define REFRESH_TICKS 18 /* the PC refreshes a DRAM row every 15 us; port 61h bit 4 toggles with each */
#define NEVER         LLONG_MAX

enum { ACCESS_LATCH = 0, ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_BOTH = 3 };
enum { READBACK_NO_STATUS = 0x10, READBACK_NO_COUNT = 0x20 };
enum {
    PORT61_GATE2 = 0x01,
    PORT61_SPEAKER = 0x02,
    PORT61_WRITABLE = 0x0f,
    PORT61_REFRESH = 0x10,
    PORT61_OUT2 = 0x20
};

/* Whole ticks since power-on. Whole seconds are computed apart from the rest, so that nothing overflows or drifts. */
static s64 ticks_at(u64 ns)
{
    return (s64)(ns / NS_PER_SECOND * I8254_HZ + ns % NS_PER_SECOND * I8254_HZ / NS_PER_SECOND);
}

/* The first nanosecond at which that many ticks have passed. */
static u64 ns_of(s64 tick)
{
    u64 seconds = tick / I8254_HZ, rest = tick % I8254_HZ;
    return seconds * NS_PER_SECOND + (rest * NS_PER_SECOND + I8254_HZ - 1) / I8254_HZ;
}

static u16 to_bcd(u32 n)
{
    return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 % 10 << 12;
}
static u32 from_bcd(u16 n)
{
    return (n & 15) + (n >> 4 & 15) * 10 + (n >> 8 & 15) * 100 + (n >> 12) * 1000;
}

static s64 range(const struct i8254_channel *ch)
{
    return ch->bcd ? 10000 : 65536;
}

/* The count register as a number: zero is the largest count. */
static u32 count_written(const struct i8254_channel *ch)
{
    u32 count = ch->bcd ? from_bcd(ch->written) : ch->written;
    return count ? count : range(ch);
}

static bool periodic(const struct i8254_channel *ch)
{
    return ch->mode == 2 || ch->mode == 3;
}
static bool triggered(const struct i8254_channel *ch)
{
    return ch->mode == 1 || ch->mode == 5;
}

/* Clocks since the load. */
static s64 position(const struct i8254_channel *ch)
{
    return ch->stopped ? ch->elapsed : ch->seen - ch->start;
}

/* Mode 3: how long OUT stays high in a period ("for odd counts, high for (N + 1) / 2"). */
static u32 high_clocks(u32 count)
{
    return (count + 1) / 2;
}

static u32 counter(const struct i8254_channel *ch)
{
    s64 n = ch->count, at = position(ch);
    switch (ch->mode) {
    case 2: return n - at % n;
    case 3: {
        /* Counts by two, twice a period; an odd count is loaded less one. */
        s64 phase = at % n;
        if (phase >= high_clocks(n)) phase -= high_clocks(n);
        return (n & ~1ll) - 2 * phase;
    }
    default: return ((n - at) % range(ch) + range(ch)) % range(ch);
    }
}

/* The value that a read of the counter gives. */
static u16 shown(const struct i8254_channel *ch)
{
    if (!ch->running) return ch->standing;
    u32 value = counter(ch) % range(ch);
    return ch->bcd ? to_bcd(value) : value;
}

static bool out(const struct i8254_channel *ch)
{
    if (!ch->running) return ch->mode != 0;
    s64 n = ch->count, at = position(ch);
    switch (ch->mode) {
    case 0:
    case 1: return at >= n;
    case 2: return ch->stopped || at % n != n - 1;
    case 3: return ch->stopped || at % n < high_clocks(n);
    default: return at != n;
    }
}

/* The first rising edge of OUT after tick `after`, as the counter is loaded now. */
static s64 next_edge(const struct i8254_channel *ch, s64 after)
{
    if (!ch->running || ch->stopped) return NEVER;
    if (periodic(ch)) return ch->start + ((after - ch->start) / ch->count + 1) * ch->count;
    s64 edge = ch->start + ch->count + (ch->mode >= 4); /* the strobe of modes 4 and 5 is low for one clock */
    return edge > after ? edge : NEVER;
}

static void count_edges(struct i8254_channel *ch, s64 until)
{
    s64 first = next_edge(ch, ch->seen);
    if (first <= until) ch->edges += periodic(ch) ? 1 + (until - first) / ch->count : 1;
    ch->seen = until;
}

/* The counter takes the count register. */
static void load(struct i8254_channel *ch)
{
    /* Mode 3 takes a new count at the end of a half period, so it may begin with its low half. */
    bool low_half =
        ch->mode == 3 && ch->running && !ch->stopped && (ch->load_at - ch->start) % ch->count != 0;
    ch->count = count_written(ch);
    ch->start = low_half ? ch->load_at - high_clocks(ch->count) : ch->load_at;
    ch->running = true;
    ch->stopped = !triggered(ch) && !ch->gate;
    ch->elapsed = 0;
    ch->load_due = false;
    ch->null_count = false;
}

static void advance(struct i8254_channel *ch, s64 now)
{
    if (ch->load_due && ch->load_at <= now) {
        count_edges(ch, ch->load_at);
        load(ch);
    }
    count_edges(ch, now);
}

static void load_at(struct i8254_channel *ch, s64 tick)
{
    ch->load_due = true;
    ch->load_at = tick;
}

static void stop(struct i8254_channel *ch)
{
    ch->elapsed = position(ch);
    ch->stopped = true;
}

/* A whole count was written. Set the tick at which the counter takes it. */
static void count_complete(struct i8254_channel *ch)
{
    ch->null_count = true;
    if (triggered(ch)) return;
    if (!periodic(ch) || !ch->running) {
        load_at(ch, ch->seen + 1);
    } else if (!ch->stopped) {
        /* "Mode 2: the new count will be loaded at the end of the current counting cycle"; mode 3: of the
         * half. */
        s64 n = ch->count, at = position(ch), cycle = at - at % n;
        bool in_high_half = ch->mode == 3 && at % n < high_clocks(n);
        load_at(ch, ch->start + cycle + (in_high_half ? high_clocks(n) : n));
    }
}

static void write_count(struct i8254_channel *ch, u8 value)
{
    bool high = ch->access == ACCESS_HIGH || (ch->access == ACCESS_BOTH && ch->write_high);
    if (ch->access != ACCESS_BOTH) ch->written = 0;
    ch->written = high ? (ch->written & 0xff) | value << 8 : (ch->written & 0xff00) | value;
    if (ch->access == ACCESS_BOTH) {
        ch->write_high = !ch->write_high;
        if (ch->write_high) {
            /* "Mode 0: writing the first byte disables counting; OUT is set low immediately." */
            if (ch->mode == 0) {
                ch->standing = shown(ch);
                ch->running = ch->load_due = false;
            }
            return;
        }
    }
    count_complete(ch);
}

static void latch_count(struct i8254_channel *ch)
{
    if (ch->latched_left) return; /* the first latch holds until it is read */
    ch->latched = shown(ch);
    ch->latched_left = ch->access == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct i8254_channel *ch)
{
    if (ch->status_latched) return;
    ch->status = out(ch) << 7 | ch->null_count << 6 | ch->access << 4 | ch->mode << 1 | ch->bcd;
    ch->status_latched = true;
}

static u8 read_count(struct i8254_channel *ch)
{
    if (ch->status_latched) {
        ch->status_latched = false;
        return ch->status;
    }
    u16 value = ch->latched_left ? ch->latched : shown(ch);
    bool high = ch->access == ACCESS_HIGH;
    if (ch->latched_left) {
        if (ch->access == ACCESS_BOTH) high = ch->latched_left == 1;
        ch->latched_left--;
    } else if (ch->access == ACCESS_BOTH) {
        high = ch->read_high;
        ch->read_high = !ch->read_high;
    }
    return high ? value >> 8 : value;
}

static void set_mode(struct i8254_channel *ch, u8 control)
{
    u16 standing = shown(ch);
    u8 mode = control >> 1 & 7;
    *ch = (struct i8254_channel){
        .mode = mode > 5 ? mode - 4 : mode, /* "X10" and "X11": bit 2 does not matter in modes 2 and 3 */
        .access = control >> 4 & 3,
        .bcd = control & 1,
        .gate = ch->gate,
        .null_count = true,
        .standing = standing,
        .seen = ch->seen,
    };
}

static void set_gate(struct i8254_channel *ch, bool gate)
{
    if (gate == ch->gate) return;
    ch->gate = gate;
    if (triggered(ch)) {
        if (gate) load_at(ch, ch->seen + 1);
    } else if (!gate) {
        if (ch->running) stop(ch);
        if (periodic(ch) && ch->running) ch->load_due = false; /* the trigger will load it */
    } else if (periodic(ch)) {
        if (ch->running) load_at(ch, ch->seen + 1);
    } else if (ch->running && ch->stopped) {
        ch->start = ch->seen - ch->elapsed;
        ch->stopped = false;
    }
}

/* Deliver at most one edge of OUT0, and arm the timer for the next. */
static void update(struct i8254 *pit)
{
    struct i8254_channel *ch = &pit->channel[0];
    u64 now_ns = clock_now(pit->clock);
    advance(ch, ticks_at(now_ns));

    u64 limit = periodic(ch) && ch->running ? OWED_SECONDS * I8254_HZ / ch->count + 1 : 1;
    pit->owed += ch->edges;
    if (pit->owed > limit) pit->owed = limit;
    ch->edges = 0;
    if (pit->owed && now_ns >= pit->not_before_ns) {
        pit->owed--;
        pit->not_before_ns = now_ns + (periodic(ch) ? ns_of(ch->count) / 2 : 0);
        irq_set(&pit->irq0, false);
        irq_set(&pit->irq0, true);
    }

    s64 tick = ch->load_due ? ch->load_at : next_edge(ch, ch->seen);
    u64 next_ns = tick == NEVER ? UINT64_MAX : ns_of(tick);
    if (pit->owed) {
        timer_arm(&pit->timer, pit->not_before_ns < next_ns ? pit->not_before_ns : next_ns);
    } else if (tick != NEVER) {
        timer_arm(&pit->timer, next_ns);
    } else {
        timer_cancel(&pit->timer);
    }
}

static void timer_fired(void *device)
{
    update(device);
}

/* Channel 0 was written. OUT0 may have changed, and owed edges of the old count are dropped. */
static void channel0_written(struct i8254 *pit)
{
    struct i8254_channel *ch = &pit->channel[0];
    if (!ch->running) {
        pit->owed = ch->edges = 0;
        pit->not_before_ns = 0;
        irq_set(&pit->irq0, out(ch));
    }
    update(pit);
}

static void read_back(struct i8254 *pit, u8 command)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(command & 2 << i)) continue;
        if (!(command & READBACK_NO_COUNT)) latch_count(&pit->channel[i]);
        if (!(command & READBACK_NO_STATUS)) latch_status(&pit->channel[i]);
    }
}

static void advance_all(struct i8254 *pit)
{
    s64 now = ticks_at(clock_now(pit->clock));
    for (unsigned i = 0; i < 3; i++) {
        advance(&pit->channel[i], now);
    }
}

static void write_control(struct i8254 *pit, u8 control)
{
    unsigned select = control >> 6;
    if (select == 3) {
        read_back(pit, control);
        return;
    }
    struct i8254_channel *ch = &pit->channel[select];
    if ((control >> 4 & 3) == ACCESS_LATCH) {
        latch_count(ch);
        return;
    }
    set_mode(ch, control);
    if (select == 0) channel0_written(pit);
}

u32 i8254_speaker(const struct i8254 *pit)
{
    const struct i8254_channel *ch = &pit->channel[2];
    u8 on = PORT61_GATE2 | PORT61_SPEAKER;
    return (pit->port61 & on) == on && ch->mode == 3 && (ch->running || ch->load_due) ? count_written(ch) : 0;
}

void i8254_watch_speaker(struct i8254 *pit, void (*speaker)(void *owner), void *owner)
{
    pit->speaker = speaker;
    pit->speaker_owner = owner;
}

static void speaker_changed(struct i8254 *pit)
{
    if (pit->speaker) pit->speaker(pit->speaker_owner);
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8254 *pit = device;
    advance_all(pit);
    if (offset == 3) {
        write_control(pit, value);
        return;
    }
    write_count(&pit->channel[offset], value);
    if (offset == 0) channel0_written(pit);
    if (offset == 2) speaker_changed(pit);
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct i8254 *pit = device;
    if (offset == 3) return 0xff; /* the control word cannot be read */
    advance_all(pit);
    return read_count(&pit->channel[offset]);
}

const struct io_ops i8254_ops = {ports_read, ports_write};

static u32 port61_read(void *device, u32 offset, unsigned size)
{
    struct i8254 *pit = device;
    advance_all(pit);
    bool refresh = pit->channel[2].seen / REFRESH_TICKS & 1;
    return pit->port61 | (refresh ? PORT61_REFRESH : 0) | (out(&pit->channel[2]) ? PORT61_OUT2 : 0);
}

static void port61_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8254 *pit = device;
    advance_all(pit);
    pit->port61 = value & PORT61_WRITABLE;
    set_gate(&pit->channel[2], value & PORT61_GATE2);
    speaker_changed(pit);
}

const struct io_ops i8254_port61_ops = {port61_read, port61_write};

/* The datasheet leaves power-on undefined: all channels wait for a control word, outputs low. */
void i8254_reset(struct i8254 *pit)
{
    s64 now = ticks_at(clock_now(pit->clock));
    for (unsigned i = 0; i < 3; i++) {
        pit->channel[i] = (struct i8254_channel){.access = ACCESS_BOTH, .gate = i != 2, .seen = now};
    }
    pit->port61 = 0;
    channel0_written(pit);
}

void i8254_init(struct i8254 *pit, struct clock *clock, struct irq_line irq0)
{
    *pit = (struct i8254){.clock = clock, .irq0 = irq0};
    timer_init(&pit->timer, clock, timer_fired, pit);
    i8254_reset(pit);
}
