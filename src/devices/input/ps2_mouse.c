/*
 * The PS/2 mouse. See ps2_mouse.h.
 *
 * A packet:   yo xo ys xs 1 M R L | x 7-0 | y 7-0 | wheel (identity 3)
 *                                                 | 0 0 5th 4th wheel 3-0 (identity 4)
 */
#include "ps2_mouse.h"

enum {
    COMMAND_SCALE_1 = 0xe6,
    COMMAND_SCALE_2 = 0xe7,
    COMMAND_RESOLUTION = 0xe8,
    COMMAND_STATUS = 0xe9,
    COMMAND_STREAM = 0xea,
    COMMAND_READ = 0xeb,
    COMMAND_END_WRAP = 0xec,
    COMMAND_WRAP = 0xee,
    COMMAND_REMOTE = 0xf0,
    COMMAND_IDENTIFY = 0xf2,
    COMMAND_RATE = 0xf3,
    COMMAND_ENABLE = 0xf4,
    COMMAND_DISABLE = 0xf5,
    COMMAND_DEFAULTS = 0xf6,
    COMMAND_RESEND = 0xfe,
    COMMAND_RESET = 0xff,
};

enum { PACKET_ALWAYS = 0x08, PACKET_X_NEGATIVE = 0x10, PACKET_Y_NEGATIVE = 0x20 };
enum { IDENTITY_PLAIN = 0, IDENTITY_WHEEL = 3, IDENTITY_EXPLORER = 4 };

#define COUNTS_MAX         255
#define FIRST_BYTE_BUTTONS (PS2_BUTTON_LEFT | PS2_BUTTON_RIGHT | PS2_BUTTON_MIDDLE)

/* Buttons that a packet reports. */
static u8 packet_buttons(const struct ps2_mouse *mouse)
{
    return mouse->identity == IDENTITY_EXPLORER ? PS2_BUTTONS : FIRST_BYTE_BUTTONS;
}

static void forget_movement(struct ps2_mouse *mouse)
{
    mouse->dx = mouse->dy = mouse->wheel = 0;
    mouse->changed = false;
    ps2_clear(&mouse->events);
}

static void defaults(struct ps2_mouse *mouse)
{
    mouse->rate = 100;
    mouse->resolution = 2; /* 4 counts a millimetre */
    mouse->reporting = mouse->remote = mouse->wrapping = mouse->double_scale = false;
    forget_movement(mouse);
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
    u8 buttons = mouse->buttons;
    *mouse = (struct ps2_mouse){.buttons = buttons};
    defaults(mouse);
}

static void reply(struct ps2_mouse *mouse, u8 byte)
{
    ps2_put(&mouse->replies, byte);
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* "Scaling 2:1", for packets of stream mode only. */
static int scale(int counts)
{
    static const u8 small[] = {0, 1, 1, 3, 6, 9};
    int n = counts < 0 ? -counts : counts;
    n = n < (int)ARRAY_SIZE(small) ? small[n] : 2 * n;
    return clamp(counts < 0 ? -n : n, -COUNTS_MAX, COUNTS_MAX);
}

/* Queue a packet of movement and buttons. Movement beyond nine bits stays for the next packet. */
static void put_packet(struct ps2_mouse *mouse, struct ps2_queue *queue, bool scaled)
{
    /* -256 would fit, but drivers take a byte of 0 for no movement regardless of the sign. */
    int dx = clamp(mouse->dx, -COUNTS_MAX, COUNTS_MAX), dy = clamp(mouse->dy, -COUNTS_MAX, COUNTS_MAX),
        wheel = clamp(mouse->wheel, -8, 7);
    mouse->dx -= dx;
    mouse->dy -= dy;
    mouse->wheel = mouse->identity >= IDENTITY_WHEEL ? mouse->wheel - wheel : 0;
    mouse->changed = mouse->dx || mouse->dy || mouse->wheel;
    if (scaled) {
        dx = scale(dx);
        dy = scale(dy);
    }
    ps2_put(queue, PACKET_ALWAYS | (mouse->buttons & FIRST_BYTE_BUTTONS) | (dx < 0 ? PACKET_X_NEGATIVE : 0) |
                       (dy < 0 ? PACKET_Y_NEGATIVE : 0));
    ps2_put(queue, dx);
    ps2_put(queue, dy);
    if (mouse->identity == IDENTITY_WHEEL) ps2_put(queue, wheel);
    if (mouse->identity == IDENTITY_EXPLORER)
        ps2_put(queue, (wheel & 0x0f) | (mouse->buttons & (PS2_BUTTON_BACK | PS2_BUTTON_FORWARD)) << 1);
}

static void acknowledge(struct ps2_mouse *mouse)
{
    reply(mouse, PS2_ACK);
}

static void scale_1(struct ps2_mouse *mouse)
{
    mouse->double_scale = false;
    acknowledge(mouse);
}

static void scale_2(struct ps2_mouse *mouse)
{
    mouse->double_scale = true;
    acknowledge(mouse);
}

static void status(struct ps2_mouse *mouse)
{
    acknowledge(mouse);
    reply(mouse, mouse->remote << 6 | mouse->reporting << 5 | mouse->double_scale << 4 |
                     (mouse->buttons & PS2_BUTTON_LEFT ? 4 : 0) |
                     (mouse->buttons & PS2_BUTTON_MIDDLE ? 2 : 0) |
                     (mouse->buttons & PS2_BUTTON_RIGHT ? 1 : 0));
    reply(mouse, mouse->resolution);
    reply(mouse, mouse->rate);
}

static void stream(struct ps2_mouse *mouse)
{
    mouse->remote = false;
    forget_movement(mouse);
    acknowledge(mouse);
}

static void remote(struct ps2_mouse *mouse)
{
    mouse->remote = true;
    forget_movement(mouse);
    acknowledge(mouse);
}

static void read_data(struct ps2_mouse *mouse)
{
    acknowledge(mouse);
    put_packet(mouse, &mouse->replies, false);
}

static void wrap(struct ps2_mouse *mouse)
{
    mouse->wrapping = true;
    acknowledge(mouse);
}

static void identify(struct ps2_mouse *mouse)
{
    acknowledge(mouse);
    reply(mouse, mouse->identity);
}

static void enable(struct ps2_mouse *mouse)
{
    forget_movement(mouse);
    mouse->reporting = true;
    acknowledge(mouse);
}

static void disable(struct ps2_mouse *mouse)
{
    mouse->reporting = false;
    forget_movement(mouse);
    acknowledge(mouse);
}

static void set_defaults(struct ps2_mouse *mouse)
{
    defaults(mouse);
    acknowledge(mouse);
}

static void resend(struct ps2_mouse *mouse)
{
    reply(mouse, mouse->last);
}

static void reset(struct ps2_mouse *mouse)
{
    ps2_mouse_reset(mouse);
    reply(mouse, PS2_ACK);
    reply(mouse, PS2_SELF_TEST_PASSED);
    reply(mouse, IDENTITY_PLAIN);
}

static const struct command_row {
    u8 command;
    bool parameter;
    void (*run)(struct ps2_mouse *mouse);
} command_rows[] = {
    {COMMAND_SCALE_1, false, scale_1},       {COMMAND_SCALE_2, false, scale_2},
    {COMMAND_RESOLUTION, true, acknowledge}, {COMMAND_STATUS, false, status},
    {COMMAND_STREAM, false, stream},         {COMMAND_READ, false, read_data},
    {COMMAND_END_WRAP, false, acknowledge},  {COMMAND_WRAP, false, wrap},
    {COMMAND_REMOTE, false, remote},         {COMMAND_IDENTIFY, false, identify},
    {COMMAND_RATE, true, acknowledge},       {COMMAND_ENABLE, false, enable},
    {COMMAND_DISABLE, false, disable},       {COMMAND_DEFAULTS, false, set_defaults},
    {COMMAND_RESEND, false, resend},         {COMMAND_RESET, false, reset},
};

static void set_rate(struct ps2_mouse *mouse, u8 rate)
{
    if (mouse->knock[0] == 200 && rate == 80) {
        if (mouse->knock[1] == 100) mouse->identity = IDENTITY_WHEEL;
        if (mouse->knock[1] == 200) mouse->identity = IDENTITY_EXPLORER;
    }
    mouse->knock[0] = mouse->knock[1];
    mouse->knock[1] = rate;
    mouse->rate = rate;
}

void ps2_mouse_write(struct ps2_mouse *mouse, u8 byte)
{
    /* The answer must not come in the middle of a packet: the packet is dropped. */
    ps2_clear(&mouse->replies);
    ps2_clear(&mouse->events);
    if (mouse->wrapping && byte != COMMAND_RESET) {
        if (byte == COMMAND_END_WRAP) {
            mouse->wrapping = false;
            byte = PS2_ACK;
        }
        reply(mouse, byte);
        return;
    }
    u8 waiting = mouse->command;
    mouse->command = 0;
    if (waiting) {
        if (waiting == COMMAND_RATE) set_rate(mouse, byte);
        if (waiting == COMMAND_RESOLUTION) mouse->resolution = byte & 3;
        acknowledge(mouse);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(command_rows); i++) {
        if (command_rows[i].command != byte) continue;
        command_rows[i].run(mouse);
        if (command_rows[i].parameter) mouse->command = byte;
        return;
    }
    reply(mouse, PS2_RESEND);
}

static bool streaming(const struct ps2_mouse *mouse)
{
    return mouse->reporting && !mouse->remote && !mouse->wrapping;
}

bool ps2_mouse_has_byte(const struct ps2_mouse *mouse)
{
    return mouse->replies.count || mouse->events.count || (streaming(mouse) && mouse->changed);
}

u8 ps2_mouse_take(struct ps2_mouse *mouse)
{
    if (!mouse->replies.count && !mouse->events.count) put_packet(mouse, &mouse->events, mouse->double_scale);
    mouse->last = ps2_take(mouse->replies.count ? &mouse->replies : &mouse->events);
    return mouse->last;
}

void ps2_mouse_event(struct ps2_mouse *mouse, int right, int down, int wheel, u8 buttons)
{
    /* Enough for any screen, and far from overflow. */
    const int limit = 1 << 14;
    mouse->dx = clamp(mouse->dx + clamp(right, -limit, limit), -limit, limit);
    mouse->dy = clamp(mouse->dy - clamp(down, -limit, limit), -limit, limit);
    mouse->wheel = clamp(mouse->wheel + clamp(wheel, -limit, limit), -limit, limit);
    mouse->changed = true;
    /* A change of buttons gets a packet at once, so that a click between two fetches is not lost. */
    bool clicked = (buttons ^ mouse->buttons) & packet_buttons(mouse);
    mouse->buttons = buttons & PS2_BUTTONS;
    if (clicked && streaming(mouse) && ps2_room(&mouse->events) >= 4)
        put_packet(mouse, &mouse->events, mouse->double_scale);
}
