/*
 * A parallel NOR flash chip with Intel's command set, eight bits wide (28F640J3A datasheet, section 4 "Command
 * Definitions"; Common Flash Memory Interface, JESD68). QEMU's cfi.pflash01 is the same, with blocks of 4 KB, and OVMF
 * keeps its variables in such a chip.
 *
 *   FFh            read the array              20h D0h        erase the block: all bytes become FFh
 *   90h            read identifiers            40h or 10h     program the byte that is written next: bits can only be
 *                                                             cleared
 *   98h            read the CFI query table    E8h N-1 ... D0h   program N bytes from a buffer
 *   70h            read the status register    60h 01h        lock the block
 *   50h            clear the status register   60h D0h        unlock the block
 *                                              B0h, D0h       suspend, resume: nothing is ever under way
 *
 * Status register: 7 an operation has ended | 5 erase failed | 4 program failed | 3 the chip is write-protected | 1 the
 * block is locked. Bits 5 and 4 together: the sequence of commands was wrong. On Intel's chips bit 7 is set whenever
 * the chip is ready; here 50h clears it until the next operation, as in QEMU, because OVMF tells flash from RAM and ROM
 * by a status of 0.
 *
 * Operations take no time. Bytes are stored before the chip changes: an operation that cannot be stored fails, and the
 * array keeps its bytes. Block locks last until the machine ends.
 *
 * While the chip reads its array the CPU may reach `array` directly and execute from it; writes come here in any case.
 * show_array() tells the board when that begins and ends.
 */
#ifndef RINGER_DEVICES_STORAGE_NOR_FLASH_H
#define RINGER_DEVICES_STORAGE_NOR_FLASH_H

#include "base/device.h"

#define NOR_FLASH_BLOCK  4096u
#define NOR_FLASH_BUFFER 32u
#define NOR_FLASH_MAX    (16u << 20)

struct nor_flash_wiring {
    /* The CPU reads the array from now on, or the chip's registers. */
    void (*show_array)(void *machine, bool array);
    /* Keep these bytes for good; both numbers are multiples of 512. False: the host cannot. */
    bool (*store)(void *machine, u32 offset, const u8 *bytes, u32 count);
    void *machine;
};

enum nor_flash_shown { NOR_FLASH_ARRAY, NOR_FLASH_STATUS, NOR_FLASH_IDENTIFIERS, NOR_FLASH_QUERY };

/* What the next write means. */
enum nor_flash_state {
    NOR_FLASH_COMMAND,
    NOR_FLASH_PROGRAM,      /* the byte */
    NOR_FLASH_ERASE,        /* D0h */
    NOR_FLASH_LOCK,         /* 01h or D0h */
    NOR_FLASH_BUFFER_COUNT, /* the number of bytes, less one */
    NOR_FLASH_BUFFER_DATA,
    NOR_FLASH_BUFFER_CONFIRM, /* D0h */
};

struct nor_flash {
    struct nor_flash_wiring wiring;
    u8 *array;
    u32 bytes; /* a multiple of NOR_FLASH_BLOCK */
    bool read_only;
    u8 locked[NOR_FLASH_MAX / NOR_FLASH_BLOCK / 8]; /* a bit a block */
    enum nor_flash_shown shown;
    enum nor_flash_state state;
    u8 status;
    u32 buffer_at, buffer_count,
        buffer_left; /* where the buffer's bytes go, from the first one's address on */
    u8 buffer[NOR_FLASH_BUFFER];
};

/* `array` stays the caller's. */
void nor_flash_init(struct nor_flash *flash, u8 *array, u32 bytes, bool read_only,
                    const struct nor_flash_wiring *wiring);
void nor_flash_reset(struct nor_flash *flash);

extern const struct io_ops nor_flash_ops;

#endif
