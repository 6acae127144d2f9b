/*
 * The console's wires. See wire_console.h.
 */
#include "wire_console.h"

#include "vm/key_script.h"
#include "vm/vm.h"

#include <stdio.h>

#define FEED_AGAIN_NS 5000000u    /* a full keyboard: look again */
#define FEED_DROP_NS  1000000000u /* nobody has taken a key for so long */

/* Of a mouse that is told where the pointer is in counts: as many as if the screen had so many pixels. */
#define NOMINAL_WIDTH  1024
#define NOMINAL_HEIGHT 768

static struct chipset *chipset(const struct wire_console *wire)
{
    return &wire->vm->chipset;
}

/* --- keys --- */

static void feed_keys(void *device)
{
    struct wire_console *wire = device;
    struct key_feed *feed = &wire->feed;
    u64 now = clock_now(feed->timer.clock);
    while (feed->count) {
        u8 bytes[KEY_BYTES_MAX];
        unsigned count = key_bytes(feed->queue[feed->head].key, feed->queue[feed->head].down, bytes);
        bool taken = !count || i8042_key(&chipset(wire)->keyboard, bytes, count);
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
        i8042_mouse(&chipset(wire)->keyboard, right, down, wheel, buttons);
}

/* Whole counts of a way of `by` 65536ths of the screen; the rest is for the next time. */
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
    if (!vmware_port_point(&wire->vmware, event->x, event->y, event->wheel, event->buttons))
        i8042_mouse(&chipset(wire)->keyboard, right, down, event->wheel, event->buttons);
}

/* --- VMware's port --- */

static const u8 registers[] = {
    [VMWARE_EAX] = REG_EAX, [VMWARE_EBX] = REG_EBX, [VMWARE_ECX] = REG_ECX, [VMWARE_EDX] = REG_EDX};

static u32 get_register(void *machine, enum vmware_register reg)
{
    return (u32)((struct vm *)machine)->vcpu.gpr[registers[reg]];
}

static void set_register(void *machine, enum vmware_register reg, u32 value)
{
    ((struct vm *)machine)->vcpu.gpr[registers[reg]] = value;
}

static void set_absolute(void *machine, bool on)
{
    struct console *console = &((struct vm *)machine)->chipset.console.console;
    console_set(console, &console->absolute, on);
}

static void nudge(void *machine)
{
    i8042_mouse(&((struct vm *)machine)->chipset.keyboard, 0, 0, 0, 0);
}

/* --- switches --- */

static void toggle_pause(struct vm *vm)
{
    if (vm->role == MACHINE_FOLLOWER) return;
    if (vm->paused & PAUSE_USER)
        machine_resume(vm, PAUSE_USER);
    else
        machine_pause(vm, PAUSE_USER);
}

static void command(struct wire_console *wire, enum console_command command)
{
    struct vm *vm = wire->vm;
    switch (command) {
    case CONSOLE_POWER_BUTTON: chipset_power_button(&vm->chipset); break;
    case CONSOLE_RESET: machine_request_reset(vm, true); break;
    case CONSOLE_PAUSE: toggle_pause(vm); break;
    case CONSOLE_QUIT: vm_stop(vm, STOP_HOST, STATUS_OK, NULL); break;
    }
}

void wire_console_event(struct wire_console *wire, const struct console_event *event)
{
    switch (event->kind) {
    case CONSOLE_KEY: wire_console_key(wire, event->key, event->down); break;
    case CONSOLE_POINT: point(wire, event); break;
    case CONSOLE_MOVE: move(wire, event->right, event->lower, event->wheel, event->buttons); break;
    case CONSOLE_COMMAND: command(wire, event->command); break;
    }
}

static void take(void *machine, const struct console_event *event)
{
    struct wire_console *wire = &((struct vm *)machine)->chipset.console;
    wire_console_event(wire, event);
    bool ours =
        event->kind == CONSOLE_COMMAND && (event->command == CONSOLE_PAUSE || event->command == CONSOLE_QUIT);
    if (wire->mirror && !ours) wire_console_event(wire->mirror, event);
}

static void set_leds(void *machine, u8 leds)
{
    struct console *console = &((struct vm *)machine)->chipset.console.console;
    console_set(console, &console->leds, leds);
}

/* --- set-up --- */

bool wire_console_init(struct wire_console *wire, struct vm *vm, char *error, size_t error_bytes)
{
    const struct options *options = vm->options;
    wire->vm = vm;
    console_init(&wire->console);
    wire->console.name = options->name;
    wire->console.display = video_display(&vm->chipset.video);
    wire->console.post = &vm->post;
    wire->console.take = take;
    wire->console.machine = vm;
    i8042_watch_lamps(&vm->chipset.keyboard, set_leds, vm);
    timer_init(&wire->feed.timer, &vm->time.clock, feed_keys, wire);
    vmware_port_init(&wire->vmware, &(struct vmware_port_wiring){.get = get_register,
                                                                 .set = set_register,
                                                                 .absolute = set_absolute,
                                                                 .nudge = nudge,
                                                                 .machine = vm});
    ports_claim(&vm->ports, VMWARE_PORT, VMWARE_PORT_COUNT, 4, &vmware_port_ops, &wire->vmware);
    if (!options->keys && !options->typed) return true;
    wire->script = key_script_load(options->keys, options->typed, error, error_bytes);
    return wire->script;
}

void wire_console_destroy(struct wire_console *wire)
{
    if (!wire->vm) return;
    key_script_free(wire->script);
    console_destroy(&wire->console);
}

void wire_console_reset(struct wire_console *wire)
{
    vmware_port_reset(&wire->vmware);
}

void wire_console_start(struct wire_console *wire)
{
    if (wire->script) key_script_start(wire->script, wire->vm);
}

void wire_console_stopped(struct wire_console *wire)
{
    console_set(&wire->console, &wire->console.stopped, true);
}
