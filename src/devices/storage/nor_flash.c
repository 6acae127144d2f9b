/*
 * Parallel NOR flash with Intel's command set. See nor_flash.h.
 */
#include "nor_flash.h"

#include <string.h>

enum {
    STATUS_READY = 0x80,
    STATUS_ERASE_FAILED = 0x20,
    STATUS_PROGRAM_FAILED = 0x10,
    STATUS_PROTECTED = 0x08,
    STATUS_LOCKED = 0x02,
    STATUS_SEQUENCE = STATUS_ERASE_FAILED | STATUS_PROGRAM_FAILED,
};

enum {
    COMMAND_PROGRAM_INTEL = 0x10,
    COMMAND_ERASE = 0x20,
    COMMAND_PROGRAM = 0x40,
    COMMAND_CLEAR_STATUS = 0x50,
    COMMAND_LOCK = 0x60,
    COMMAND_READ_STATUS = 0x70,
    COMMAND_IDENTIFIERS = 0x90,
    COMMAND_QUERY = 0x98,
    COMMAND_SUSPEND = 0xb0,
    COMMAND_CONFIRM = 0xd0,
    COMMAND_BUFFER = 0xe8,
    COMMAND_READ_ARRAY = 0xff,
    LOCK_SET = 0x01,
};

#define SECTOR 512u

/* --- what reads see --- */

static void show(struct nor_flash *flash, enum nor_flash_shown shown)
{
    bool was = flash->shown == NOR_FLASH_ARRAY, is = shown == NOR_FLASH_ARRAY;
    flash->shown = shown;
    if (was != is) flash->wiring.show_array(flash->wiring.machine, is);
}

static bool is_locked(const struct nor_flash *flash, u32 offset)
{
    u32 block = offset / NOR_FLASH_BLOCK;
    return flash->locked[block / 8] >> block % 8 & 1;
}

/* "Read Identifier Codes Command": manufacturer, device, and the lock of each block at its offset 2. QEMU's PC has
 * zeros for the first two. */
static u8 identifier(const struct nor_flash *flash, u32 offset)
{
    return offset % NOR_FLASH_BLOCK == 2 ? is_locked(flash, offset) : 0;
}

/* The smallest power of two that is not below this. */
static u8 log2_of(u32 value)
{
    u8 shift = 0;
    while (1u << shift < value)
        shift++;
    return shift;
}

/* JESD68 and "Read Query Mode Command". Voltages are tenths in BCD, times are exponents of two. */
static u8 query(const struct nor_flash *flash, u32 offset)
{
    enum { EXTENDED = 0x31 };
    u32 blocks = flash->bytes / NOR_FLASH_BLOCK - 1;
    static const u8 table[] = {
        [0x10] = 'Q',
        'R',
        'Y',
        1, /* command set: Intel/Sharp extended */
        0,
        EXTENDED, /* where its table is */
        0,
        [0x1b] = 0x27, /* supply: 2.7 to 3.6 V, no Vpp */
        0x36,
        [0x1f] = 7, /* us to program a byte, then a buffer */
        7,
        10,         /* ms to erase a block */
        [0x23] = 4, /* the longest, as multiples of these */
        4,
        4,
        [0x2a] = 5, /* bytes of the buffer */
        [0x2c] = 1, /* regions of blocks of one size */
        [EXTENDED] = 'P',
        'R',
        'I',
        '1',
        '1',
        0x0a, /* erase can be suspended, blocks can be locked */
        [EXTENDED + 9] = 1,
        1, /* a lock bit in the block status */
    };
    switch (offset) {
    case 0x27: return log2_of(flash->bytes);
    case 0x2d: return (u8)blocks;
    case 0x2e: return (u8)(blocks >> 8);
    case 0x2f: return NOR_FLASH_BLOCK / 256 & 0xff;
    case 0x30: return NOR_FLASH_BLOCK / 256 >> 8;
    default: return offset < sizeof(table) ? table[offset] : 0;
    }
}

static u8 read_byte(const struct nor_flash *flash, u32 offset)
{
    if (offset >= flash->bytes) return 0xff;
    switch (flash->shown) {
    case NOR_FLASH_ARRAY: return flash->array[offset];
    case NOR_FLASH_STATUS: return flash->status;
    case NOR_FLASH_IDENTIFIERS: return identifier(flash, offset);
    case NOR_FLASH_QUERY: return query(flash, offset);
    }
    return 0xff;
}

/* --- operations --- */

/* Refuse to change the block if it is locked, or the chip is. */
static bool is_refused(struct nor_flash *flash, u32 offset, u8 failed)
{
    if (flash->read_only)
        flash->status |= failed | STATUS_PROTECTED;
    else if (is_locked(flash, offset))
        flash->status |= failed | STATUS_LOCKED;
    else
        return false;
    return true;
}

/* Replace bytes within a block, after they are stored. */
static void change(struct nor_flash *flash, u32 offset, const u8 *bytes, u32 count, u8 failed)
{
    u8 block[NOR_FLASH_BLOCK];
    u32 first = offset & ~(SECTOR - 1), end = (u32)align_up(offset + count, SECTOR);
    memcpy(block, flash->array + first, end - first);
    memcpy(block + (offset - first), bytes, count);
    if (flash->wiring.store(flash->wiring.machine, first, block, end - first))
        memcpy(flash->array + offset, bytes, count);
    else
        flash->status |= failed;
}

static void erase(struct nor_flash *flash, u32 offset)
{
    u8 ones[NOR_FLASH_BLOCK];
    memset(ones, 0xff, sizeof(ones));
    if (!is_refused(flash, offset, STATUS_ERASE_FAILED))
        change(flash, offset & ~(NOR_FLASH_BLOCK - 1), ones, sizeof(ones), STATUS_ERASE_FAILED);
}

static void program(struct nor_flash *flash, u32 offset, const u8 *bytes, u32 count)
{
    u8 result[NOR_FLASH_BUFFER];
    if (is_refused(flash, offset, STATUS_PROGRAM_FAILED)) return;
    for (u32 n = 0; n < count; n++)
        result[n] = flash->array[offset + n] & bytes[n];
    change(flash, offset, result, count, STATUS_PROGRAM_FAILED);
}

static void end(struct nor_flash *flash, u8 status)
{
    flash->status |= STATUS_READY | status;
    flash->state = NOR_FLASH_COMMAND;
    show(flash, NOR_FLASH_STATUS);
}

/* "Write to Buffer Command": all addresses must be in the same buffer-sized part of the array as the first one. Bytes
 * that were not given stay as they are. */
static void take_buffer_byte(struct nor_flash *flash, u32 offset, u8 value)
{
    u32 start = offset & ~(NOR_FLASH_BUFFER - 1);
    if (flash->buffer_left == flash->buffer_count) {
        flash->buffer_at = start;
        memset(flash->buffer, 0xff, sizeof(flash->buffer));
    } else if (start != flash->buffer_at) {
        end(flash, STATUS_SEQUENCE);
        return;
    }
    flash->buffer[offset - start] = value;
    if (!--flash->buffer_left) flash->state = NOR_FLASH_BUFFER_CONFIRM;
}

static void lock(struct nor_flash *flash, u32 offset, u8 value)
{
    u32 block = offset / NOR_FLASH_BLOCK;
    u8 bit = (u8)(1 << block % 8);
    if (value == LOCK_SET)
        flash->locked[block / 8] |= bit;
    else if (value == COMMAND_CONFIRM)
        flash->locked[block / 8] &= (u8)~bit;
    end(flash, value == LOCK_SET || value == COMMAND_CONFIRM ? 0 : STATUS_SEQUENCE);
}

static void command(struct nor_flash *flash, u8 value)
{
    switch (value) {
    case COMMAND_CLEAR_STATUS:
        flash->status = 0;
        show(flash, NOR_FLASH_ARRAY);
        return;
    case COMMAND_IDENTIFIERS: show(flash, NOR_FLASH_IDENTIFIERS); return;
    case COMMAND_QUERY: show(flash, NOR_FLASH_QUERY); return;
    case COMMAND_READ_STATUS:
    case COMMAND_SUSPEND: break;
    case COMMAND_PROGRAM:
    case COMMAND_PROGRAM_INTEL: flash->state = NOR_FLASH_PROGRAM; break;
    case COMMAND_ERASE: flash->state = NOR_FLASH_ERASE; break;
    case COMMAND_LOCK: flash->state = NOR_FLASH_LOCK; break;
    case COMMAND_BUFFER:
        flash->state = NOR_FLASH_BUFFER_COUNT;
        flash->status |= STATUS_READY; /* the buffer is free */
        break;
    case COMMAND_CONFIRM: break; /* resume */
    default: show(flash, NOR_FLASH_ARRAY); return;
    }
    show(flash, NOR_FLASH_STATUS);
}

static void write_byte(struct nor_flash *flash, u32 offset, u8 value)
{
    if (offset >= flash->bytes) return;
    switch (flash->state) {
    case NOR_FLASH_COMMAND: command(flash, value); break;
    case NOR_FLASH_PROGRAM:
        program(flash, offset, &value, 1);
        end(flash, 0);
        break;
    case NOR_FLASH_ERASE:
        if (value == COMMAND_CONFIRM) erase(flash, offset);
        end(flash, value == COMMAND_CONFIRM ? 0 : STATUS_SEQUENCE);
        break;
    case NOR_FLASH_LOCK: lock(flash, offset, value); break;
    case NOR_FLASH_BUFFER_COUNT:
        flash->buffer_left = flash->buffer_count = value + 1u;
        flash->state = NOR_FLASH_BUFFER_DATA;
        if (value >= NOR_FLASH_BUFFER) end(flash, STATUS_SEQUENCE);
        break;
    case NOR_FLASH_BUFFER_DATA: take_buffer_byte(flash, offset, value); break;
    case NOR_FLASH_BUFFER_CONFIRM:
        if (value == COMMAND_CONFIRM) program(flash, flash->buffer_at, flash->buffer, NOR_FLASH_BUFFER);
        end(flash, value == COMMAND_CONFIRM ? 0 : STATUS_SEQUENCE);
        break;
    }
}

/* --- the bus: eight bits wide, so a wide access is several of one byte --- */

static u32 flash_read(void *device, u32 offset, unsigned size)
{
    u32 value = 0;
    for (unsigned n = 0; n < size; n++)
        value |= (u32)read_byte(device, offset + n) << 8 * n;
    return value;
}

static void flash_write(void *device, u32 offset, unsigned size, u32 value)
{
    for (unsigned n = 0; n < size; n++)
        write_byte(device, offset + n, (u8)(value >> 8 * n));
}

const struct io_ops nor_flash_ops = {flash_read, flash_write};

void nor_flash_reset(struct nor_flash *flash)
{
    flash->state = NOR_FLASH_COMMAND;
    flash->status = 0;
    show(flash, NOR_FLASH_ARRAY);
}

void nor_flash_init(struct nor_flash *flash, u8 *array, u32 bytes, bool read_only,
                    const struct nor_flash_wiring *wiring)
{
    *flash = (struct nor_flash){.wiring = *wiring, .array = array, .bytes = bytes, .read_only = read_only};
}
