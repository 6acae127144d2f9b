/*
 * The console: the seam between a machine and its *frontends* (the SDL window, the VNC server), which take the user's
 * keys, mouse movements and commands. There may be several, each in its own thread. The picture goes through
 * devices/video/display.h, everything else through the console.
 *
 *   frontend's thread                      vCPU thread
 *   console_send(event)  --- letter --->   take(event): keys to the 8042, commands, ...
 *                        <-- changed() --  console_set(): the state has changed
 *
 * Invariants
 * 1. Events arrive in the order in which they were sent. A frontend never waits: while the guest takes no events,
 *    movement is summed, and keys that find no room are lost, as in a keyboard.
 * 2. Only the vCPU thread writes the state, field by field (atomically). Frontends may read it at any time.
 * 3. Attach and detach before the vCPU thread runs, or after it has ended.
 */
#ifndef RINGER_UI_CONSOLE_H
#define RINGER_UI_CONSOLE_H

#include "base/mailbox.h"
#include "clipboard.h"
#include "devices/video/display.h"
#include "keys.h"

#include <pthread.h>

enum console_command {
    CONSOLE_POWER_BUTTON,
    CONSOLE_SHUT_DOWN, /* the power button of a machine that goes on if the user has paused it */
    CONSOLE_RESET,
    CONSOLE_PAUSE, /* or go on */
    CONSOLE_QUIT,
};

struct console_event {
    enum console_event_kind {
        CONSOLE_KEY,
        CONSOLE_POINT, /* the pointer is at x, y */
        CONSOLE_MOVE,  /* the mouse moved by right, lower */
        CONSOLE_COMMAND,
        CONSOLE_COPY,   /* the clipboard has a text of the host's */
        CONSOLE_RESIZE, /* the user has given the window this size: x, y */
    } kind;
    const struct key *key;
    bool down;
    u8 buttons;       /* POINT, MOVE: PS2_BUTTON_... now held */
    s16 right, lower; /* MOVE: counts */
    s16 wheel;        /* POINT, MOVE: clicks towards the user */
    u16 x, y;         /* POINT: 0 to FFFFh, over the whole screen; RESIZE: pixels */
    enum console_command command;
};

struct console_frontend {
    void (*changed)(struct console_frontend *frontend); /* vCPU thread; returns at once */
    /* vCPU thread: the password that clients need from now on; "": no client is let in. False: the frontend takes no
     * password. NULL: it never does. */
    bool (*set_password)(struct console_frontend *frontend, const char *password);
    struct console_frontend *next;
};

#define CONSOLE_QUEUE_EVENTS 256

struct console {
    /* installed by vm */
    const char *name; /* of the machine, for titles */
    struct display *display;
    const u8 *font; /* 256 glyphs of 8 x 16 dots, for what the window itself says; NULL: there is none */
    struct mailbox *mailbox;
    void (*take)(void *machine, const struct console_event *event);
    void *machine;
    /* state: invariant 2 */
    u32 absolute; /* the guest takes POINT, and draws the pointer at that position */
    u32 paused;
    u32 stopped; /* for good: no more events are taken */
    u32 leds;    /* PS2_LED_... */
    u32 shares;  /* the guest has a port for an agent with which it shares the clipboard */
    u32 copied;  /* counts the guest's texts; the last one is in `clipboard` */
    struct clipboard clipboard;
    /* private */
    struct console_frontend *frontends;
    pthread_mutex_t lock;
    struct console_event queue[CONSOLE_QUEUE_EVENTS];
    unsigned head, count;
    bool letter_sent; /* and its function has not run yet */
    struct letter letter;
};

void console_init(struct console *console);
void console_destroy(struct console *console);
void console_attach(struct console *console, struct console_frontend *frontend);
void console_detach(struct console *console, struct console_frontend *frontend);

/* Any thread. */
void console_send(struct console *console, const struct console_event *event);
void console_send_key(struct console *console, const struct key *key, bool down);
/* The user has copied a text. Only if the console `shares`. */
void console_copy(struct console *console, const char *text, size_t bytes);
void console_send_command(struct console *console, enum console_command command);

/* vCPU thread: false: no frontend takes a password. */
bool console_set_password(struct console *console, const char *password);

/* Convert a coordinate on a screen of that width or height to the range of POINT. */
u16 console_scale(s64 at, u32 length);

/* vCPU thread: set a field of the state, and tell the frontends if its value changed. */
void console_set(struct console *console, u32 *field, u32 value);
static inline u32 console_get(const u32 *field)
{
    return __atomic_load_n(field, __ATOMIC_SEQ_CST);
}

#endif
