/*
 * The MC146818A. See mc146818.h. Section names in the comments are those of its datasheet.
 */
#include "mc146818.h"

#include <assert.h>

enum rtc_register {
    RTC_SECONDS,
    RTC_SECONDS_ALARM,
    RTC_MINUTES,
    RTC_MINUTES_ALARM,
    RTC_HOURS,
    RTC_HOURS_ALARM,
    RTC_WEEKDAY,
    RTC_DAY,
    RTC_MONTH,
    RTC_YEAR,
    RTC_A,
    RTC_B,
    RTC_C,
    RTC_D,
    RTC_CENTURY = 0x32, /* ordinary memory, where PCs keep the century in BCD */
};

enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_RUNS = 0x20, A_RATE = 0x0f };
enum {
    B_SET = 0x80,
    B_PERIODIC = 0x40,
    B_ALARM = 0x20,
    B_UPDATE = 0x10,
    B_SQUARE_WAVE = 0x08,
    B_BINARY = 0x04,
    B_24_HOURS = 0x02
};
enum { C_INTERRUPT = 0x80, C_PERIODIC = 0x40, C_ALARM = 0x20, C_UPDATE = 0x10 };
enum { D_VALID = 0x80 };
enum { HOURS_PM = 0x80, ALARM_ANY = 0xc0 };

_Static_assert((int)C_PERIODIC == B_PERIODIC && (int)C_ALARM == B_ALARM && (int)C_UPDATE == B_UPDATE,
               "a flag and its enable are the same bit");

#define NS_PER_SECOND   1000000000ll
#define UIP_NS          (244000 + 1984000)
#define SECONDS_PER_DAY 86400

/* Periods of the 32768 Hz crystal are 1953125 / 64 ns. */
#define CRYSTAL_NS_TIMES_64 1953125ll

static s64 floor_div(s64 a, s64 b)
{
    return a / b - (a % b < 0);
}

static unsigned decode(const struct mc146818 *rtc, u8 value)
{
    return rtc->bytes[RTC_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static u8 encode(const struct mc146818 *rtc, unsigned n)
{
    return rtc->bytes[RTC_B] & B_BINARY ? n : n / 10 << 4 | n % 10;
}

static unsigned decode_hours(const struct mc146818 *rtc, u8 value)
{
    if (rtc->bytes[RTC_B] & B_24_HOURS) return decode(rtc, value);
    return decode(rtc, value & ~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

static u8 encode_hours(const struct mc146818 *rtc, unsigned hours)
{
    if (rtc->bytes[RTC_B] & B_24_HOURS) return encode(rtc, hours);
    return encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

/* "The 100-year calendar": every fourth year is a leap year, the year 00 too. */
static unsigned days_in_month(unsigned month, unsigned year)
{
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12) return 31;
    return days[month - 1] + (month == 2 && year % 4 == 0);
}

static void next_day(struct mc146818 *rtc)
{
    u8 *b = rtc->bytes;
    unsigned day = decode(rtc, b[RTC_DAY]) + 1, month = decode(rtc, b[RTC_MONTH]),
             year = decode(rtc, b[RTC_YEAR]);
    if (day > days_in_month(month, year)) {
        day = 1;
        month++;
    }
    if (month > 12) {
        month = 1;
        year = (year + 1) % 100;
    }
    b[RTC_WEEKDAY] = encode(rtc, decode(rtc, b[RTC_WEEKDAY]) % 7 + 1);
    b[RTC_DAY] = encode(rtc, day);
    b[RTC_MONTH] = encode(rtc, month);
    b[RTC_YEAR] = encode(rtc, year);
}

static bool alarm_matches(const struct mc146818 *rtc, enum rtc_register alarm, u8 value)
{
    u8 wanted = rtc->bytes[alarm];
    return (wanted & ALARM_ANY) == ALARM_ANY || wanted == value;
}

/* The update cycle of one second. */
static void next_second(struct mc146818 *rtc)
{
    u8 *b = rtc->bytes;
    unsigned seconds = decode(rtc, b[RTC_SECONDS]) + 1;
    if (seconds >= 60) {
        seconds = 0;
        unsigned minutes = decode(rtc, b[RTC_MINUTES]) + 1;
        if (minutes >= 60) {
            minutes = 0;
            unsigned hours = decode_hours(rtc, b[RTC_HOURS]) + 1;
            if (hours >= 24) {
                hours = 0;
                next_day(rtc);
            }
            b[RTC_HOURS] = encode_hours(rtc, hours);
        }
        b[RTC_MINUTES] = encode(rtc, minutes);
    }
    b[RTC_SECONDS] = encode(rtc, seconds);
    if (alarm_matches(rtc, RTC_SECONDS_ALARM, b[RTC_SECONDS]) &&
        alarm_matches(rtc, RTC_MINUTES_ALARM, b[RTC_MINUTES]) &&
        alarm_matches(rtc, RTC_HOURS_ALARM, b[RTC_HOURS]))
        b[RTC_C] |= C_ALARM;
}

static bool divider_runs(const struct mc146818 *rtc)
{
    return (rtc->bytes[RTC_A] & A_DIVIDER) == A_DIVIDER_RUNS;
}
static bool updates_run(const struct mc146818 *rtc)
{
    return divider_runs(rtc) && !(rtc->bytes[RTC_B] & B_SET);
}

/* Crystal periods between two periodic interrupts, 0 for none. Rates 1 and 2 mean 8 and 9 ("Table 5"). */
static s64 periodic_crystals(const struct mc146818 *rtc)
{
    unsigned rate = rtc->bytes[RTC_A] & A_RATE;
    if (!rate) return 0;
    return 1ll << ((rate < 3 ? rate + 7 : rate) - 1);
}

/* Full periods since second_ns. */
static s64 periods_at(const struct mc146818 *rtc, s64 now)
{
    s64 since = now - rtc->second_ns, seconds = floor_div(since, NS_PER_SECOND);
    s64 crystals = seconds * 32768 + (since - seconds * NS_PER_SECOND) * 64 / CRYSTAL_NS_TIMES_64;
    return floor_div(crystals, periodic_crystals(rtc));
}

static s64 period_start_ns(const struct mc146818 *rtc, s64 period)
{
    s64 crystals = period * periodic_crystals(rtc), seconds = floor_div(crystals, 32768);
    s64 rest = crystals - seconds * 32768;
    return rtc->second_ns + seconds * NS_PER_SECOND + (rest * CRYSTAL_NS_TIMES_64 + 63) / 64;
}

/* Make every update that is due, and count the periods that are over. */
static void sync(struct mc146818 *rtc)
{
    if (!divider_runs(rtc)) return;
    s64 now = (s64)clock_now(rtc->clock);
    s64 full = floor_div(now - rtc->second_ns, NS_PER_SECOND);
    if (updates_run(rtc) && full > rtc->updates) {
        /* One second at a time, because each may be the alarm's. A day of them takes well under a
         * millisecond. */
        for (s64 n = full - rtc->updates; n > 0; n--) {
            next_second(rtc);
        }
        rtc->bytes[RTC_C] |= C_UPDATE;
    }
    rtc->updates = full;
    if (periodic_crystals(rtc)) {
        s64 periods = periods_at(rtc, now);
        if (periods > rtc->periods) rtc->bytes[RTC_C] |= C_PERIODIC;
        rtc->periods = periods;
    }
}

/* Recompute the interrupt output, and arm the timer for its next change. */
static void update(struct mc146818 *rtc)
{
    u8 enabled = rtc->bytes[RTC_B] & (B_PERIODIC | B_ALARM | B_UPDATE);
    bool asserted = rtc->bytes[RTC_C] & enabled;
    rtc->bytes[RTC_C] = (rtc->bytes[RTC_C] & ~C_INTERRUPT) | (asserted ? C_INTERRUPT : 0);
    irq_set(&rtc->irq8, asserted);

    s64 next = INT64_MAX;
    if ((enabled & (B_ALARM | B_UPDATE)) && updates_run(rtc))
        next = rtc->second_ns + (rtc->updates + 1) * NS_PER_SECOND;
    if ((enabled & B_PERIODIC) && divider_runs(rtc) && periodic_crystals(rtc)) {
        s64 periodic = period_start_ns(rtc, rtc->periods + 1);
        if (periodic < next) next = periodic;
    }
    if (next == INT64_MAX) {
        timer_cancel(&rtc->timer);
    } else {
        timer_arm(&rtc->timer, (u64)next);
    }
}

static void timer_fired(void *device)
{
    sync(device);
    update(device);
}

static bool in_update(const struct mc146818 *rtc)
{
    if (!updates_run(rtc)) return false;
    s64 next = rtc->second_ns + (rtc->updates + 1) * NS_PER_SECOND;
    return next - (s64)clock_now(rtc->clock) <= UIP_NS;
}

/* "Divider control bits": half a second after a reset of the chain ends, the first update follows. */
static void write_a(struct mc146818 *rtc, u8 value)
{
    bool ran = divider_runs(rtc);
    rtc->bytes[RTC_A] = value & ~A_UIP;
    s64 now = (s64)clock_now(rtc->clock);
    if (divider_runs(rtc) && !ran) {
        rtc->second_ns = now + NS_PER_SECOND / 2;
        rtc->updates = -1;
    }
    if (divider_runs(rtc) && periodic_crystals(rtc)) rtc->periods = periods_at(rtc, now);
}

static void write_b(struct mc146818 *rtc, u8 value)
{
    /* "SET going high clears the UIE bit" */
    if (value & B_SET) value &= ~B_UPDATE;
    rtc->bytes[RTC_B] = value;
}

static u8 read_c(struct mc146818 *rtc)
{
    u8 value = rtc->bytes[RTC_C];
    rtc->bytes[RTC_C] = 0;
    return value;
}

static void write_register(struct mc146818 *rtc, unsigned index, u8 value)
{
    switch (index) {
    case RTC_A: write_a(rtc, value); break;
    case RTC_B: write_b(rtc, value); break;
    case RTC_C:
    case RTC_D: break; /* read-only */
    default: rtc->bytes[index] = value;
    }
}

static u8 read_register(struct mc146818 *rtc, unsigned index)
{
    switch (index) {
    case RTC_A: return rtc->bytes[RTC_A] | (in_update(rtc) ? A_UIP : 0);
    case RTC_C: return read_c(rtc);
    default: return rtc->bytes[index];
    }
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct mc146818 *rtc = device;
    if (offset == 0) {
        rtc->index = value & 0x7f;
        rtc->nmi_masked = value & 0x80;
        return;
    }
    sync(rtc);
    write_register(rtc, rtc->index, value);
    update(rtc);
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct mc146818 *rtc = device;
    if (offset == 0) return 0xff; /* the index cannot be read */
    sync(rtc);
    u8 value = read_register(rtc, rtc->index);
    update(rtc);
    return value;
}

const struct io_ops mc146818_ops = {ports_read, ports_write};

void mc146818_set(struct mc146818 *rtc, unsigned index, u8 value)
{
    assert(index > RTC_D && index < sizeof(rtc->bytes));
    rtc->bytes[index] = value;
}

/* Days since 1970-01-01 as a date of the Gregorian calendar, counted in years that begin in March, so that
 * the leap day is the last. 719468 days lie between 0000-03-01 and 1970-01-01, 146097 days are 400 years. */
static void set_date(struct mc146818 *rtc, s64 days)
{
    s64 since = days + 719468, era = floor_div(since, 146097);
    unsigned day = (unsigned)(since - era * 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned day_of_year = day - (365 * year + year / 4 - year / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    s64 full_year = era * 400 + year + (month <= 2);

    rtc->bytes[RTC_DAY] = encode(rtc, day_of_year - (153 * month_from_march + 2) / 5 + 1);
    rtc->bytes[RTC_MONTH] = encode(rtc, month);
    rtc->bytes[RTC_YEAR] = encode(rtc, (unsigned)(full_year - floor_div(full_year, 100) * 100));
    rtc->bytes[RTC_CENTURY] = encode(rtc, (unsigned)(floor_div(full_year, 100)));
    rtc->bytes[RTC_WEEKDAY] =
        encode(rtc, (unsigned)(days + 4 - floor_div(days + 4, 7) * 7) + 1); /* 1: Sunday */
}

void mc146818_reset(struct mc146818 *rtc)
{
    sync(rtc);
    rtc->bytes[RTC_B] &= ~(B_PERIODIC | B_ALARM | B_UPDATE | B_SQUARE_WAVE);
    rtc->bytes[RTC_C] = 0;
    rtc->nmi_masked = false;
    update(rtc);
}

void mc146818_init(struct mc146818 *rtc, struct clock *clock, struct irq_line irq8, s64 start_time)
{
    *rtc = (struct mc146818){.clock = clock, .irq8 = irq8};
    timer_init(&rtc->timer, clock, timer_fired, rtc);
    /* What a BIOS leaves: divider running, 1024 Hz selected, 24 hours, BCD, battery good. */
    rtc->bytes[RTC_A] = A_DIVIDER_RUNS | 6;
    rtc->bytes[RTC_B] = B_24_HOURS;
    rtc->bytes[RTC_D] = D_VALID;

    s64 days = floor_div(start_time, SECONDS_PER_DAY);
    unsigned second = (unsigned)(start_time - days * SECONDS_PER_DAY);
    rtc->bytes[RTC_SECONDS] = encode(rtc, second % 60);
    rtc->bytes[RTC_MINUTES] = encode(rtc, second / 60 % 60);
    rtc->bytes[RTC_HOURS] = encode_hours(rtc, second / 3600);
    set_date(rtc, days);
    mc146818_reset(rtc);
}
