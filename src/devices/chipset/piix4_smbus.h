/*
 * The PIIX4's SMBus host (Intel 82371AB datasheet, order 290562, 7.2 and 11.3) without devices on the bus: each
 * transaction ends at once, without an answer. Firmware assigns ports to the host, and Linux's i2c-piix4 expects it.
 *
 *   +0 HSTSTS   4 FAILED | 3 BUS_ERR | 2 DEV_ERR | 1 INTER | 0 HOST_BUSY    4-1 cleared by writing 1
 *   +1 SLVSTS   of the slave, which no master addresses
 *   +2 HSTCNT   6 START (reads 0) | 4-2 PROT | 1 KILL | 0 INTEREN
 *   +3 HSTCMD   +4 HSTADD   +5 HSTDAT0   +6 HSTDAT1
 *   +7 BLKDAT   32 bytes one after the other; reading HSTCNT goes back to the first
 *   +8 SLVCNT   +9 SHDWCMD   +A SLVEVT   +C SLVDAT
 *
 * The ports are byte-wide. The interrupt is not wired, because every transaction ends at once.
 */
#ifndef RINGER_DEVICES_CHIPSET_PIIX4_SMBUS_H
#define RINGER_DEVICES_CHIPSET_PIIX4_SMBUS_H

#include "base/device.h"

#define PIIX4_SMBUS_PORTS 16

struct piix4_smbus {
    u8 status;
    u8 kept[PIIX4_SMBUS_PORTS]; /* registers that read as written */
    u8 block[32];
    u8 at; /* in block */
};

void piix4_smbus_reset(struct piix4_smbus *bus);

extern const struct io_ops piix4_smbus_ops;

#endif
