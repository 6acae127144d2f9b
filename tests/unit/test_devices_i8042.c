/*
 * The keyboard controller with its keyboard and mouse: commands, translation, scan code sets, the IntelliMouse knock,
 * and the one-byte buffer, which some programs read twice.
 */
#include "devices/chipset/reset_control.h"
#include "devices/input/i8042.h"

#include "check.h"

#define BYTE_NS 660000

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct i8042 kbc;
static bool irq1, irq12, a20;
static unsigned irq1_edges, resets;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}

static void set_irq(void *receiver, unsigned pin, bool level)
{
    if (pin == 12) {
        irq12 = level;
        return;
    }
    irq1_edges += level && !irq1;
    irq1 = level;
}

static void set_a20(void *machine, bool enabled)
{
    a20 = enabled;
}
static void reset(void *machine)
{
    resets++;
}

static u8 status(void)
{
    return i8042_command_ops.read(&kbc, 0, 1);
}
static void command(u8 value)
{
    i8042_command_ops.write(&kbc, 0, 1, value);
}
static u8 data(void)
{
    return i8042_data_ops.read(&kbc, 0, 1);
}
static void put(u8 value)
{
    i8042_data_ops.write(&kbc, 0, 1, value);
}

static void pass(u64 ns)
{
    u64 until = fake.now + ns;
    while (clock_next_deadline(&fake.clock) <= until) {
        fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
    }
    fake.now = until;
}

/* The next byte of a device, or -1 when none comes. Mouse bytes have bit 8 set. */
static int next(void)
{
    for (unsigned i = 0; i < 4 && !(status() & 1); i++) {
        pass(BYTE_NS);
    }
    if (!(status() & 1)) return -1;
    int mouse = status() & 0x20 ? 0x100 : 0;
    return mouse | data();
}

/* Expect these bytes and then silence. */
static void expect(const int *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(next(), bytes[i]);
    }
    CHECK_EQ(next(), -1);
}

#define EXPECT(...)                                                                                          \
    do {                                                                                                     \
        const int expected[] = {__VA_ARGS__};                                                                \
        expect(expected, ARRAY_SIZE(expected));                                                              \
    } while (0)

static void start(void)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}};
    a20 = false;
    irq1 = irq12 = false;
    const struct i8042_wiring wiring = {.irq1 = {.set = set_irq, .pin = 1},
                                        .irq12 = {.set = set_irq, .pin = 12},
                                        .a20 = set_a20,
                                        .reset = reset};
    i8042_init(&kbc, &fake.clock, &wiring);
    CHECK(a20);
    resets = irq1_edges = 0;
}

static void set_mode(u8 mode)
{
    command(0x60);
    put(mode);
}

static void mouse_put(u8 value)
{
    command(0xd4);
    put(value);
}

static void test_controller(void)
{
    start();
    CHECK_EQ(status(), 0x14);
    command(0xaa);
    CHECK_EQ(status(), 0x1d);
    EXPECT(0x55);
    command(0xab);
    EXPECT(0);
    command(0xa9);
    EXPECT(0);
    command(0x20);
    EXPECT(0x75); /* the self test disabled both ports */
    command(0xae), command(0xa8), command(0x20);
    EXPECT(0x45);
    command(0xa7), command(0xad), command(0x20);
    EXPECT(0x75);
    set_mode(0x03);
    CHECK_EQ(status(), 0x10);
    command(0x20);
    EXPECT(0x03);
    command(0x65), put(0x99), command(0x25); /* internal memory */
    EXPECT(0x99);
    command(0xa4);
    EXPECT(0xf1);
    command(0xd3), put(0x5a); /* loop a byte as the mouse's */
    CHECK(irq12 && !irq1);
    CHECK_EQ(status() & 0x21, 0x21);
    EXPECT(0x15a);
    CHECK(!irq12);
    command(0xd2), put(0x5b);
    CHECK(irq1 && !irq12);
    EXPECT(0x5b);
    command(0xe0);
    EXPECT(3);
    command(0xc0);
    EXPECT(0xa0);
}

static void test_output_port(void)
{
    start();
    command(0xd0);
    EXPECT(0xcf);
    command(0xd1), put(0xdd);
    CHECK(!a20);
    command(0xd0);
    EXPECT(0xcd);
    command(0xdf);
    CHECK(a20);
    command(0xdd);
    CHECK(!a20);
    CHECK_EQ(resets, 0);
    command(0xff); /* pulses nothing */
    CHECK_EQ(resets, 0);
    command(0xfe);
    CHECK_EQ(resets, 1);
    command(0xd1), put(0xfe);
    CHECK_EQ(resets, 2);
    CHECK(a20);
    i8042_reset(&kbc);
    CHECK(a20);
}

static void test_keyboard_commands(void)
{
    start();
    put(0xff);
    EXPECT(0xfa, 0xaa);
    put(0xee);
    EXPECT(0xee);
    put(0xf2);
    EXPECT(0xfa, 0xab, 0x41); /* 83h, translated */
    put(0xed);
    EXPECT(0xfa);
    put(0x05);
    EXPECT(0xfa);
    CHECK_EQ(kbc.keyboard.leds, PS2_LED_SCROLL | PS2_LED_CAPS);
    put(0xf3);
    EXPECT(0xfa);
    put(0x00);
    EXPECT(0xfa);
    CHECK_EQ(kbc.keyboard.typematic, 0);
    put(0xfe);
    EXPECT(0xfa); /* the last byte again */
    put(0x01);
    EXPECT(0xfe); /* no command */
    put(0xed);
    EXPECT(0xfa);
    put(0xf4); /* a command instead of the parameter */
    EXPECT(0xfa);
    CHECK_EQ(kbc.keyboard.command, 0);
    put(0xf0);
    EXPECT(0xfa);
    put(0x00);
    EXPECT(0xfa, 0x41); /* set 2, translated */
    put(0xf5);
    EXPECT(0xfa);
    CHECK(!i8042_key(&kbc, (const u8[]){0x1e}, 1));
    put(0xf4);
    EXPECT(0xfa);
    CHECK(i8042_key(&kbc, (const u8[]){0x1e}, 1));
    EXPECT(0x1e);
}

static void test_translation(void)
{
    start();
    /* Every key's make and break codes arrive as they were sent. */
    for (unsigned code = 1; code < 0x59; code++) {
        if (code == 0x55) continue;
        i8042_key(&kbc, (const u8[]){code}, 1);
        CHECK_EQ(next(), code);
        i8042_key(&kbc, (const u8[]){0xe0, code | 0x80}, 2);
        CHECK_EQ(next(), 0xe0);
        CHECK_EQ(next(), code | 0x80);
    }
    static const u8 pause[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
    i8042_key(&kbc, pause, sizeof(pause));
    EXPECT(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    set_mode(0x05); /* untranslated: set 2 */
    i8042_key(&kbc, pause, sizeof(pause));
    EXPECT(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
    i8042_key(&kbc, (const u8[]){0x1e}, 1);
    i8042_key(&kbc, (const u8[]){0x9e}, 1);
    i8042_key(&kbc, (const u8[]){0xe0, 0xc8}, 2);
    i8042_key(&kbc, (const u8[]){0x41}, 1); /* F7 */
    EXPECT(0x1c, 0xf0, 0x1c, 0xe0, 0xf0, 0x75, 0x83);
    put(0xf0);
    EXPECT(0xfa);
    put(3);
    EXPECT(0xfa);
    i8042_key(&kbc, (const u8[]){0xe0, 0xc8}, 2);
    i8042_key(&kbc, (const u8[]){0x3b}, 1);
    i8042_key(&kbc, pause, sizeof(pause));
    EXPECT(0xf0, 0x63, 0x07, 0x62, 0xf0, 0x62);
    put(0xf0);
    EXPECT(0xfa);
    put(1);
    EXPECT(0xfa);
    i8042_key(&kbc, (const u8[]){0xe0, 0xc8}, 2);
    EXPECT(0xe0, 0xc8);
}

static void test_buffer(void)
{
    start();
    i8042_key(&kbc, (const u8[]){0x1e}, 1);
    i8042_key(&kbc, (const u8[]){0x30}, 1);
    CHECK_EQ(status() & 1, 0);
    pass(BYTE_NS - 1);
    CHECK(!irq1);
    pass(1);
    CHECK(irq1);
    pass(100 * BYTE_NS); /* the second waits */
    CHECK_EQ(irq1_edges, 1);
    CHECK_EQ(data(), 0x1e);
    CHECK(!irq1);
    CHECK_EQ(data(), 0x1e); /* read twice for one interrupt */
    pass(BYTE_NS);
    CHECK(irq1);
    CHECK_EQ(irq1_edges, 2);
    /* Disabled: held back, also from the wire. */
    i8042_key(&kbc, (const u8[]){0x2e}, 1);
    command(0xad);
    CHECK_EQ(data(), 0x30);
    CHECK_EQ(next(), -1);
    command(0xae);
    EXPECT(0x2e);
    set_mode(0x44);
    i8042_key(&kbc, (const u8[]){0x2e}, 1);
    pass(BYTE_NS);
    CHECK(!irq1); /* interrupt off */
    set_mode(0x45);
    CHECK(irq1);
    EXPECT(0x2e);
    /* A full buffer loses whole events. */
    unsigned taken = 0;
    while (i8042_key(&kbc, (const u8[]){0xe0, 0xc8}, 2)) {
        taken++;
    }
    CHECK(taken >= 16);
    for (unsigned i = 0; i < taken; i++) {
        CHECK_EQ(next(), 0xe0);
        CHECK_EQ(next(), 0xc8);
    }
    CHECK_EQ(next(), -1);
}

/* Three sampling rates in a row, which unlock a wheel and more buttons. */
static void set_rates(u8 first, u8 second, u8 third)
{
    const u8 rates[] = {first, second, third};
    for (unsigned n = 0; n < ARRAY_SIZE(rates); n++) {
        mouse_put(0xf3);
        EXPECT(0x1fa);
        mouse_put(rates[n]);
        EXPECT(0x1fa);
    }
}

static void test_mouse(void)
{
    start();
    set_mode(0x47);
    mouse_put(0xff);
    EXPECT(0x1fa, 0x1aa, 0x100);
    mouse_put(0xf2);
    EXPECT(0x1fa, 0x100);
    i8042_mouse(&kbc, 5, 5, 0, 0);
    CHECK_EQ(next(), -1); /* not reporting yet */
    mouse_put(0xf4);
    EXPECT(0x1fa);
    i8042_mouse(&kbc, 5, 3, 0, PS2_BUTTON_LEFT);
    pass(BYTE_NS);
    CHECK(irq12 && !irq1);
    EXPECT(0x129, 0x105, 0x1fd);                    /* down is negative */
    i8042_mouse(&kbc, -300, 0, 0, PS2_BUTTON_LEFT); /* more than nine bits: two packets */
    EXPECT(0x119, 0x101, 0x100, 0x119, 0x1d3, 0x100);
    i8042_mouse(&kbc, 0, 0, 0, 0);
    i8042_mouse(&kbc, 0, 0, 0, PS2_BUTTON_RIGHT); /* clicks are not summed */
    EXPECT(0x108, 0x100, 0x100, 0x10a, 0x100, 0x100);
    mouse_put(0xe9);
    EXPECT(0x1fa, 0x121, 0x102, 0x164);
    set_rates(200, 100, 80);
    mouse_put(0xf2);
    EXPECT(0x1fa, 0x103);
    i8042_mouse(&kbc, 1, 0, -1, 0);
    EXPECT(0x108, 0x101, 0x100, 0x1ff);
    /* remote mode: only when asked */
    mouse_put(0xf0);
    EXPECT(0x1fa);
    i8042_mouse(&kbc, 2, 0, 0, 0);
    CHECK_EQ(next(), -1);
    mouse_put(0xeb);
    EXPECT(0x1fa, 0x108, 0x102, 0x100, 0x100);
    /* wrap mode: an echo */
    mouse_put(0xee);
    EXPECT(0x1fa);
    mouse_put(0xf2);
    EXPECT(0x1f2);
    mouse_put(0xec);
    EXPECT(0x1fa);
    mouse_put(0xe8);
    EXPECT(0x1fa);
    mouse_put(3);
    EXPECT(0x1fa);
    CHECK_EQ(kbc.mouse.resolution, 3);
    mouse_put(0xf6);
    EXPECT(0x1fa);
    CHECK_EQ(kbc.mouse.rate, 100);
    mouse_put(0x00);
    EXPECT(0x1fe);
}

static void test_explorer(void)
{
    start();
    set_mode(0x47);
    set_rates(200, 200, 80);
    mouse_put(0xf2);
    EXPECT(0x1fa, 0x104);
    mouse_put(0xf4);
    EXPECT(0x1fa);
    i8042_mouse(&kbc, 1, 0, 0, PS2_BUTTON_BACK);
    EXPECT(0x108, 0x101, 0x100, 0x110);
    i8042_mouse(&kbc, 0, 0, 2, PS2_BUTTON_FORWARD | PS2_BUTTON_LEFT);
    EXPECT(0x109, 0x100, 0x100, 0x122);
    i8042_mouse(&kbc, 0, 0, -1, 0);
    EXPECT(0x108, 0x100, 0x100, 0x10f);
    /* An ordinary mouse does not report the two. */
    mouse_put(0xff);
    EXPECT(0x1fa, 0x1aa, 0x100);
    mouse_put(0xf4);
    EXPECT(0x1fa);
    i8042_mouse(&kbc, 0, 0, 0, PS2_BUTTON_BACK);
    EXPECT(0x108, 0x100, 0x100);
    CHECK_EQ(next(), -1);
}

static unsigned hard_resets, soft_resets;
static void machine_reset(void *machine, bool hard)
{
    *(hard ? &hard_resets : &soft_resets) += 1;
}

static void test_reset_control(void)
{
    struct reset_control control;
    a20 = false;
    reset_control_init(&control, set_a20, machine_reset, NULL);
    CHECK(a20);
    CHECK_EQ(port92_ops.read(&control, 0, 1), 0);
    port92_ops.write(&control, 0, 1, 2);
    reset_control_keyboard_a20(&control, false);
    CHECK(!a20); /* the last one counts */
    port92_ops.write(&control, 0, 1, 2);
    CHECK(a20);
    reset_control_keyboard_a20(&control, true);
    port92_ops.write(&control, 0, 1, 0);
    CHECK(!a20);
    reset_control_keyboard_a20(&control, true);
    CHECK(a20);
    port92_ops.write(&control, 0, 1, 3);
    CHECK_EQ(soft_resets, 1);
    port92_ops.write(&control, 0, 1, 3);
    CHECK_EQ(soft_resets, 1); /* on the edge only */
    reset_control_keyboard_reset(&control);
    CHECK_EQ(soft_resets, 2);
    cf9_ops.write(&control, 0, 1, 0x02);
    CHECK_EQ(hard_resets, 0);
    CHECK_EQ(cf9_ops.read(&control, 0, 1), 2);
    cf9_ops.write(&control, 0, 1, 0x06);
    CHECK_EQ(hard_resets, 1);
    cf9_ops.write(&control, 0, 1, 0x00), cf9_ops.write(&control, 0, 1, 0x04);
    CHECK_EQ(soft_resets, 3);
}

int main(void)
{
    test_controller();
    test_output_port();
    test_keyboard_commands();
    test_translation();
    test_buffer();
    test_mouse();
    test_explorer();
    test_reset_control();
    return check_report();
}
