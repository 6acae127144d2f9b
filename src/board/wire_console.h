/*
 * The console's wires: what frontends and scripts do to the machine reaches keyboard, mouse, VMware's pointer
 * and the switches on the front; what the guest wants of the pointer and its lamps reach the frontends.
 *
 * Everything here runs on the vCPU thread; other threads come in by console_send().
 */
#ifndef RINGER_BOARD_WIRE_CONSOLE_H
#define RINGER_BOARD_WIRE_CONSOLE_H

#include "base/device.h"
#include "devices/input/vmware_port.h"
#include "ui/console.h"

struct vm;
struct key_script;

#define KEY_FEED_KEYS 256

/* Keys on their way into the keyboard, which has little room. One that finds none for long is dropped: the
 * guest does not listen. */
struct key_feed {
    struct {
        const struct key *key;
        bool down;
    } queue[KEY_FEED_KEYS];
    unsigned head, count;
    u64 since_ns; /* the first of them waits */
    struct timer timer;
};

struct wire_console {
    struct vm *vm;
    struct console console;
    struct vmware_port vmware;
    struct key_feed feed;
    struct key_script *script;   /* NULL: none */
    struct wire_console *mirror; /* lockstep's follower: it gets the same events */
    u16 x, y;                    /* where the pointer was last, */
    s32 odd_x, odd_y;            /* and what of its way the PS/2 mouse has not told */
};

/* False with one sentence in error. */
bool wire_console_init(struct wire_console *wire, struct vm *vm, char *error, size_t error_bytes);
void wire_console_destroy(struct wire_console *wire);
void wire_console_reset(struct wire_console *wire);
/* The machine's clock runs from now on: so does the script. */
void wire_console_start(struct wire_console *wire);
/* The machine has stopped for good. */
void wire_console_stopped(struct wire_console *wire);

void wire_console_key(struct wire_console *wire, const struct key *key, bool down);
void wire_console_event(struct wire_console *wire, const struct console_event *event);

#endif
