/*
 * The console's wires. See wire_console.h.
 */
#include "wire_console.h"

#include "base/log.h"
#include "board.h"
#include "devices/chipset/piix4_pm.h"
#include "devices/input/i8042.h"
#include "devices/video/vga.h"
#include "ui/vdagent.h"

#define FEED_AGAIN_NS 5000000u    /* when the keyboard is full: the time to the next try */
#define FEED_DROP_NS  1000000000u /* the guest has taken no key for this long */

/* A PS/2 mouse reports movements in counts. The screen has this many. */
#define NOMINAL_WIDTH  1024
#define NOMINAL_HEIGHT 768

/* The smallest screen that a window's size asks for. */
#define LEAST_WIDTH  320
#define LEAST_HEIGHT 200

/* --- keys --- */

/* False: there is no room for it now. */
static bool press(struct wire_console *wire, const struct key *key, bool down)
{
    u8 bytes[KEY_BYTES_MAX];
    if (wire->usb_keyboard) return !key->usage || usb_keyboard_key(wire->usb_keyboard, key->usage, down);
    unsigned count = key_bytes(key, down, bytes);
    return !count || i8042_key(wire->keyboard, bytes, count);
}

static void feed_keys(void *device)
{
    struct wire_console *wire = device;
    struct key_feed *feed = &wire->feed;
    u64 now = clock_now(feed->timer.clock);
    while (feed->count) {
        bool taken = press(wire, feed->queue[feed->head].key, feed->queue[feed->head].down);
        if (!taken && now - feed->since_ns < FEED_DROP_NS) {
            timer_arm(&feed->timer, now + FEED_AGAIN_NS);
            return;
        }
        feed->head = (feed->head + 1) % KEY_FEED_KEYS;
        feed->count--;
        if (taken) feed->since_ns = now;
    }
}

void wire_console_key(struct wire_console *wire, const struct key *key, bool down)
{
    struct key_feed *feed = &wire->feed;
    if (feed->count == KEY_FEED_KEYS) return;
    if (!feed->count) feed->since_ns = clock_now(feed->timer.clock);
    unsigned last = (feed->head + feed->count++) % KEY_FEED_KEYS;
    feed->queue[last].key = key;
    feed->queue[last].down = down;
    if (feed->count == 1) feed_keys(wire);
}

/* --- the pointer --- */

static void move(struct wire_console *wire, int right, int down, int wheel, u8 buttons)
{
    if (!vmware_port_move(&wire->vmware, right, down, wheel, buttons))
        i8042_mouse(wire->keyboard, right, down, wheel, buttons);
}

/* The whole counts in a movement by `by` 65536ths of the screen. *odd keeps the rest for the next time. */
static int counts(s32 *odd, int by, int nominal)
{
    *odd += by * nominal;
    int whole = *odd / 65536;
    *odd -= whole * 65536;
    return whole;
}

static void point(struct wire_console *wire, const struct console_event *event)
{
    int right = counts(&wire->odd_x, event->x - wire->x, NOMINAL_WIDTH);
    int down = counts(&wire->odd_y, event->y - wire->y, NOMINAL_HEIGHT);
    wire->x = event->x;
    wire->y = event->y;
    if (wire->usb_tablet)
        usb_tablet_point(wire->usb_tablet, event->x, event->y, event->wheel, event->buttons);
    else if (!vmware_port_point(&wire->vmware, event->x, event->y, event->wheel, event->buttons))
        i8042_mouse(wire->keyboard, right, down, event->wheel, event->buttons);
}

/* --- VMware's port --- */

/* Numbers of general registers in instructions (SDM 2A table 2-2). */
static const u8 registers[] = {[VMWARE_EAX] = 0, [VMWARE_EBX] = 3, [VMWARE_ECX] = 1, [VMWARE_EDX] = 2};

static u32 get_register(void *machine, enum vmware_register reg)
{
    struct board *board = ((struct wire_console *)machine)->board;
    return board->host->get_register(board->machine, registers[reg]);
}

static void set_register(void *machine, enum vmware_register reg, u32 value)
{
    struct board *board = ((struct wire_console *)machine)->board;
    board->host->set_register(board->machine, registers[reg], value);
}

static void tell_absolute(struct wire_console *wire)
{
    console_set(&wire->console, &wire->console.absolute, wire->vmware_absolute || wire->usb_tablet);
}

static void set_absolute(void *machine, bool on)
{
    struct wire_console *wire = machine;
    wire->vmware_absolute = on;
    tell_absolute(wire);
}

static void nudge(void *machine)
{
    i8042_mouse(((struct wire_console *)machine)->keyboard, 0, 0, 0, 0);
}

/* --- USB --- */

static struct wire_console *console_of(struct board *board)
{
    return container_of(board->console, struct wire_console, console);
}

/* Of several devices the guest's last one counts. */
static void use(struct usb_hid **which, struct usb_hid *hid, bool used)
{
    if (used)
        *which = hid;
    else if (*which == hid)
        *which = NULL;
}

void wire_console_use_keyboard(struct board *board, struct usb_hid *keyboard, bool used)
{
    use(&console_of(board)->usb_keyboard, keyboard, used);
}

void wire_console_use_tablet(struct board *board, struct usb_hid *tablet, bool used)
{
    use(&console_of(board)->usb_tablet, tablet, used);
    tell_absolute(console_of(board));
}

/* --- switches --- */

static void toggle_pause(struct wire_console *wire)
{
    struct board *board = wire->board;
    if (board->follower) return;
    wire_console_pause(wire, !wire->paused);
}

void wire_console_pause(struct wire_console *wire, bool paused)
{
    struct board *board = wire->board;
    wire->paused = paused;
    board->host->pause(board->machine, PAUSE_USER, paused);
}

static void command(struct wire_console *wire, enum console_command command)
{
    switch (command) {
    case CONSOLE_POWER_BUTTON: piix4_pm_power_button(wire->power); break;
    case CONSOLE_SHUT_DOWN:
        if (wire->paused) toggle_pause(wire);
        piix4_pm_power_button(wire->power);
        break;
    case CONSOLE_RESET: board_reset(wire->board, true); break;
    case CONSOLE_PAUSE: toggle_pause(wire); break;
    case CONSOLE_QUIT: board_stop(wire->board, STOP_HOST, STATUS_OK, NULL); break;
    }
}

/* Widths are multiples of 8, as the video card has them (devices/video/vga_vbe.c). */
static void resize(struct wire_console *wire, u16 width, u16 height)
{
    if (width > VGA_VBE_MAX_WIDTH) width = VGA_VBE_MAX_WIDTH;
    if (height > VGA_VBE_MAX_HEIGHT) height = VGA_VBE_MAX_HEIGHT;
    if (width < LEAST_WIDTH) width = LEAST_WIDTH;
    if (height < LEAST_HEIGHT) height = LEAST_HEIGHT;
    if (wire->board->agent) vdagent_resize(wire->board->agent, width & 0xfff8, height);
}

void wire_console_event(struct wire_console *wire, const struct console_event *event)
{
    switch (event->kind) {
    case CONSOLE_KEY: wire_console_key(wire, event->key, event->down); break;
    case CONSOLE_POINT: point(wire, event); break;
    case CONSOLE_MOVE: move(wire, event->right, event->lower, event->wheel, event->buttons); break;
    case CONSOLE_COMMAND: command(wire, event->command); break;
    case CONSOLE_COPY:
        if (wire->board->agent) vdagent_offer(wire->board->agent);
        break;
    case CONSOLE_RESIZE: resize(wire, event->x, event->y); break;
    }
}

static void take(void *machine, const struct console_event *event)
{
    struct wire_console *wire = machine;
    wire_console_event(wire, event);
    bool ours =
        event->kind == CONSOLE_COMMAND && (event->command == CONSOLE_PAUSE || event->command == CONSOLE_QUIT);
    if (wire->mirror && !ours) wire_console_event(wire->mirror, event);
}

static void set_leds(void *machine, u8 leds)
{
    struct console *console = &((struct wire_console *)machine)->console;
    console_set(console, &console->leds, leds);
}

void wire_console_leds(struct board *board, u8 leds)
{
    set_leds(console_of(board), leds);
}

/* --- set-up --- */

void wire_console_init(struct wire_console *wire, struct board *board, struct i8042 *keyboard,
                       struct piix4_pm *power, struct display *display)
{
    wire->board = board;
    wire->keyboard = keyboard;
    wire->power = power;
    console_init(&wire->console);
    board->console = &wire->console;
    wire->console.name = board->options->name;
    wire->console.display = display;
    wire->console.mailbox = board->mailbox;
    wire->console.take = take;
    wire->console.machine = wire;
    i8042_watch_lamps(keyboard, set_leds, wire);
    timer_init(&wire->feed.timer, board->clock, feed_keys, wire);
    vmware_port_init(&wire->vmware, &(struct vmware_port_wiring){.get = get_register,
                                                                 .set = set_register,
                                                                 .absolute = set_absolute,
                                                                 .nudge = nudge,
                                                                 .machine = wire});
    ports_claim(&board->ports, VMWARE_PORT, VMWARE_PORT_COUNT, 4, &vmware_port_ops, &wire->vmware);
}

void wire_console_destroy(struct wire_console *wire)
{
    if (wire->board) console_destroy(&wire->console);
}

void wire_console_reset(struct wire_console *wire)
{
    vmware_port_reset(&wire->vmware);
}

void wire_console_stopped(struct wire_console *wire)
{
    console_set(&wire->console, &wire->console.stopped, true);
}
