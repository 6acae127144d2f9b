/*
 * The PIIX4's SMBus host. See piix4_smbus.h.
 */
#include "piix4_smbus.h"

enum { HSTSTS = 0, HSTCNT = 2, BLKDAT = 7 };
enum { FAILED = 1 << 4, BUS_ERR = 1 << 3, DEV_ERR = 1 << 2, INTER = 1 << 1 };
enum { START = 1 << 6, KILL = 1 << 1 };

/* The registers that can be written. The slave's events and data come from the bus. */
static const u8 writable[PIIX4_SMBUS_PORTS] = {
    [HSTCNT] = 0x1f, [3] = 0xff, [4] = 0xff, [5] = 0xff, [6] = 0xff, [8] = 0x0f, [10] = 0xff, [11] = 0xff};

static u32 smbus_read(void *device, u32 offset, unsigned size)
{
    struct piix4_smbus *bus = device;
    if (offset == HSTSTS) return bus->status;
    if (offset == BLKDAT) return bus->block[bus->at++ % sizeof(bus->block)];
    if (offset == HSTCNT) bus->at = 0;
    return bus->kept[offset % PIIX4_SMBUS_PORTS];
}

static void smbus_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct piix4_smbus *bus = device;
    offset %= PIIX4_SMBUS_PORTS;
    bus->kept[offset] = (u8)((bus->kept[offset] & ~writable[offset]) | (value & writable[offset]));
    if (offset == HSTSTS) bus->status &= (u8) ~(value & (FAILED | BUS_ERR | DEV_ERR | INTER));
    if (offset == BLKDAT) bus->block[bus->at++ % sizeof(bus->block)] = (u8)value;
    if (offset == HSTCNT && (value & KILL))
        bus->status |= FAILED;
    else if (offset == HSTCNT && (value & START))
        bus->status |= DEV_ERR;
}

const struct io_ops piix4_smbus_ops = {smbus_read, smbus_write};

void piix4_smbus_reset(struct piix4_smbus *bus)
{
    *bus = (struct piix4_smbus){0};
}
