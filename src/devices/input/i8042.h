/*
 * The keyboard controller: an 8042 with IBM's PS/2 program (IBM PS/2 Hardware Interface Technical Reference,
 * "Keyboard and Auxiliary Device Controller"), with a keyboard on its first port and a mouse on its second.
 *
 * Ports: i8042_data_ops at 60h, i8042_command_ops at 64h, one byte each; the device of both is the struct
 * i8042.
 *
 * The output buffer holds one byte. The controller's own answers go into it as soon as it is free. A
 * device's byte takes the time of its transfer (11 bits at 16.7 kHz). So a program that reads port 60h
 * twice for one interrupt gets the same byte twice, as PC programs expect. IRQ1 and IRQ12 are up while the
 * buffer holds a byte of their port.
 */
#ifndef RINGER_DEVICES_INPUT_I8042_H
#define RINGER_DEVICES_INPUT_I8042_H

#include "base/device.h"
#include "ps2_keyboard.h"
#include "ps2_mouse.h"

/* What the controller's output port is wired to. */
struct i8042_wiring {
    struct irq_line irq1, irq12;
    void (*a20)(void *machine, bool enabled); /* P21 */
    void (*reset)(void *machine);             /* P20 went low: the CPU's reset line */
    void *machine;
};

struct i8042 {
    struct i8042_wiring wiring;
    struct timer timer; /* the byte on the wire arrives */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    u8 ram[32];     /* ram[0] is the command byte */
    u8 output_port; /* bits 0 and 1; the rest is computed */
    u8 command;     /* the command that waits for a byte at port 60h, or 0 */
    bool last_was_command;
    struct ps2_queue answers; /* the controller's own; pairs: byte, from the mouse's port? */
    u8 output;                /* the buffer */
    bool full, from_mouse;
    bool break_prefix; /* translation: the last byte was F0 */
    u8 leds;           /* those last reported */
    void (*lamps)(void *owner, u8 leds);
    void *lamps_owner;
};

void i8042_init(struct i8042 *kbc, struct clock *clock, const struct i8042_wiring *wiring);
/* As a BIOS leaves it: keyboard on and translated, its interrupt enabled; mouse port off. */
void i8042_reset(struct i8042 *kbc);

/* From now on report the keyboard's lamps: PS2_LED_... that are on. */
void i8042_watch_lamps(struct i8042 *kbc, void (*lamps)(void *owner, u8 leds), void *owner);

/* A whole key event as set 1 codes (E0 prefix, 80h for a break). False: it was lost, because the keyboard is off or its
 * buffer is full. */
bool i8042_key(struct i8042 *kbc, const u8 *set1, unsigned bytes);
/* Counts right and down, wheel clicks towards the user, PS2_BUTTON_... now held. */
void i8042_mouse(struct i8042 *kbc, int right, int down, int wheel, u8 buttons);

extern const struct io_ops i8042_data_ops;
extern const struct io_ops i8042_command_ops;

#endif
