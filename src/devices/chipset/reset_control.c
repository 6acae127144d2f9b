/*
 * Port 92h and the reset control register CF9h. See reset_control.h.
 */
#include "reset_control.h"

enum { PORT92_FAST_RESET = 0x01, PORT92_A20 = 0x02 };
enum { RC_HARD = 0x02, RC_RESET = 0x04 };

static u32 port92_read(void *device, u32 offset, unsigned size)
{
    return ((struct reset_control *)device)->port92;
}

static void port92_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct reset_control *control = device;
    bool risen = value & ~control->port92 & PORT92_FAST_RESET;
    control->port92 = value & (PORT92_A20 | PORT92_FAST_RESET);
    control->a20(control->machine, value & PORT92_A20);
    if (risen) control->reset(control->machine, false);
}

const struct io_ops port92_ops = {port92_read, port92_write};

static u32 cf9_read(void *device, u32 offset, unsigned size)
{
    return ((struct reset_control *)device)->rc;
}

/* "A transition of bit 2 from 0 to 1 initiates the reset"; bit 1 says which. */
static void cf9_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct reset_control *control = device;
    bool risen = value & ~control->rc & RC_RESET;
    control->rc = value & (RC_RESET | RC_HARD);
    if (risen) control->reset(control->machine, value & RC_HARD);
}

const struct io_ops cf9_ops = {cf9_read, cf9_write};

void reset_control_keyboard_a20(void *device, bool open)
{
    struct reset_control *control = device;
    control->a20(control->machine, open);
}

void reset_control_keyboard_reset(void *device)
{
    struct reset_control *control = device;
    control->reset(control->machine, false);
}

void reset_control_reset(struct reset_control *control)
{
    control->port92 = 0;
    control->rc = 0;
    control->a20(control->machine, true);
}

void reset_control_init(struct reset_control *control, void (*a20)(void *machine, bool open),
                        void (*reset)(void *machine, bool hard), void *machine)
{
    *control = (struct reset_control){.a20 = a20, .reset = reset, .machine = machine};
    reset_control_reset(control);
}
