/*
 * The PC's interrupt controller: two 8259A, the slave's INT on the master's IR2 (Intel 8259A datasheet, order
 * 231468). They are those of the PIIX3, with its edge/level control registers (82371SB datasheet, ELCR1 and
 * ELCR2).
 *
 * Ports: i8259_ops at 20h-21h (device: &pair->master) and at A0h-A1h (device: &pair->slave); i8259_elcr_ops
 * at 4D0h-4D1h (device: the pair). All are byte-wide: the bus splits wider accesses.
 *
 * Invariants
 * 1. An input's request (IRR) ends when its line falls ("the IR inputs must remain high until after the falling edge
 *    of the first INTA", datasheet "Edge and level triggered modes"). A device that lowers its line and raises it
 *    again makes a new edge. A short high pulse makes none.
 * 2. intr is up while a request is neither masked nor held back by an interrupt in service. If it has fallen again
 *    before the acknowledge, the acknowledge gets the spurious vector, IRQ7 or IRQ15, with no bit in service.
 */
#ifndef RINGER_DEVICES_CHIPSET_I8259_H
#define RINGER_DEVICES_CHIPSET_I8259_H

#include "base/device.h"

struct i8259_pair;

struct i8259 {
    struct i8259_pair *pair;
    u8 lines;       /* levels of the inputs */
    u8 irr;         /* requests */
    u8 isr;         /* in service */
    u8 imr;         /* masked */
    u8 elcr;        /* 1: level-triggered */
    u8 elcr_mask;   /* which inputs may be level-triggered */
    u8 vector_base; /* ICW2, bits 7-3 */
    u8 icw3;
    u8 lowest; /* input of lowest priority: 7 unless rotated */
    u8 step;   /* the next ICW expected (2, 3, 4), or 0 */
    bool single, needs_icw4;
    bool auto_eoi, rotate_on_auto_eoi;
    bool special_mask, special_fully_nested;
    bool read_isr, poll;
};

struct i8259_pair {
    struct i8259 master, slave;
    struct irq_line intr;
};

void i8259_init(struct i8259_pair *pair, struct irq_line intr);
/* As at power-on; the input lines stay as the devices hold them. */
void i8259_reset(struct i8259_pair *pair);

/* The wire of IRQ 0-15. IRQ 2 is taken by the cascade. */
struct irq_line i8259_pin(struct i8259_pair *pair, unsigned irq);

/* The two INTA cycles: the request of highest priority goes into service. Returns the vector. */
int i8259_acknowledge(struct i8259_pair *pair);

extern const struct io_ops i8259_ops;
extern const struct io_ops i8259_elcr_ops;

#endif
