/*
 * The 82077AA floppy disk controller (Intel datasheet, order 290166), in its AT mode, with two drives.
 *
 * Ports, byte-wide: i82077_ops at 3F0h-3F5h and i82077_change_ops at 3F7h (3F6h is IDE's). The device of
 * both is the struct i82077.
 *
 *   2  DOR   7-4 motors | 3 DMA and interrupt gate | 2 not reset | 1-0 drive
 *   3  TDR   1-0 tape drive
 *   4  MSR   7 RQM | 6 to the host | 5 execution without DMA | 4 busy | 3-0 drive seeks        write: DSR
 *   5  FIFO
 *   7  DIR   7 disk change                                                                    write: CCR
 *
 * Invariants
 * 1. The phases follow each other: COMMAND (the host writes the command's bytes), EXECUTION, RESULT (the
 *    host reads the result's bytes), COMMAND.
 * 2. At most one disk request is under way (io_running). Until it is done nothing touches `sector`, and a
 *    reset waits.
 * 3. In EXECUTION the host moves sector[at, end) next, by DMA or through the FIFO.
 * 4. Without DMA the host moves sector[at, burst) first. INT and RQM rise for each burst. A burst is one
 *    byte while the FIFO is off, as after a reset; else the FIFO's threshold sets its length (4.2.5,
 *    5.2.7).
 */
#ifndef RINGER_DEVICES_STORAGE_I82077_H
#define RINGER_DEVICES_STORAGE_I82077_H

#include "base/device.h"
#include "devices/chipset/i8237.h"
#include "floppy_drive.h"

#define I82077_DRIVES 2 /* fitted at most; there are lines for four */
#define I82077_UNITS  4
#define I82077_DMA    2

enum i82077_phase { I82077_COMMAND, I82077_EXECUTION, I82077_RESULT };

struct i82077;

/* A data command: its parameters, and its step for each sector. */
struct i82077_transfer {
    u8 cylinder, head, sector, size; /* C, H, R, N */
    u8 end_of_track;                 /* format: sectors */
    u8 step;                         /* scan: by how many sectors to advance */
    bool multi_track;
    bool terminal; /* TC has arrived */
    u8 physical_head;
    u16 left; /* verify with a count, and format: sectors */
    u8 st1, st2;
    bool writing; /* the host writes */
    /* Called when the sector is under the head, and when the host has moved all of sector[at, end) or TC has
     * arrived. */
    void (*next)(struct i82077 *fdc);
};

struct i82077 {
    struct floppy_drive drive[I82077_DRIVES];
    struct irq_line irq;
    struct i8237_pair *dma;
    bool line; /* INT before the gate */

    u8 dor, tdr, rate;
    u8 specify[2];
    u8 configuration, precompensation_track, perpendicular;
    bool locked;
    bool reset; /* held in reset by DOR */
    bool reset_waits;

    enum i82077_phase phase;
    u8 byte[16]; /* the command's bytes, then the result's */
    unsigned count, expected;
    bool result_interrupt;  /* until the first byte of the result is read */
    u8 ended[I82077_UNITS]; /* ST0 of seeks and resets that SENSE INTERRUPT has not read; 0: none */
    bool seeking[I82077_UNITS];
    u8 target[I82077_UNITS];
    u8 cylinder[I82077_UNITS]; /* PCN: the position of the heads, as the controller knows it */
    struct timer seek_timer[I82077_UNITS];
    struct timer start_timer; /* the head settles, the sector arrives under it */

    struct i82077_transfer transfer;
    bool host_turn; /* sector[at, end) waits for the host */
    u32 at, end, burst;
    bool io_running;
    struct disk_request request;
    struct iovec part;
    void (*io_done)(struct i82077 *fdc, int error);
    u8 sector[DISK_SECTOR_BYTES];
    u8 on_disk[DISK_SECTOR_BYTES]; /* scan: the disk's bytes, to compare with */
};

void i82077_init(struct i82077 *fdc, struct clock *clock, struct irq_line irq, struct i8237_pair *dma);
/* A drive; the disk must outlive it. */
void i82077_attach(struct i82077 *fdc, unsigned number, struct disk *disk);
void i82077_reset(struct i82077 *fdc);
void i82077_medium_changed(struct i82077 *fdc, unsigned number);

extern const struct io_ops i82077_ops;
extern const struct io_ops i82077_change_ops;

/* --- shared by the controller's files --- */

enum {
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_CHANGED = 0xc0,
    ST0_SEEK_END = 0x20,
    ST0_EQUIPMENT = 0x10
};
enum {
    ST1_END = 0x80,
    ST1_CRC = 0x20,
    ST1_NO_DATA = 0x04,
    ST1_WRITE_PROTECTED = 0x02,
    ST1_NO_ADDRESS_MARK = 0x01
};
enum {
    ST2_CONTROL_MARK = 0x40,
    ST2_CRC = 0x20,
    ST2_WRONG_CYLINDER = 0x10,
    ST2_SCAN_EQUAL = 0x08,
    ST2_SCAN_NO = 0x04
};

/* The drive that the command's second byte selects, NULL: none is fitted. */
struct floppy_drive *i82077_selected(struct i82077 *fdc);
static inline u8 i82077_unit(const struct i82077 *fdc)
{
    return fdc->byte[1] & 3;
}
/* End the command with the result byte[0, count), with an interrupt or without. */
void i82077_give_result(struct i82077 *fdc, unsigned count, bool interrupt);
void i82077_update(struct i82077 *fdc);
/* Have the host move sector[0, bytes). */
void i82077_host_turn(struct i82077 *fdc, u32 bytes);
/* One sector of the disk at `offset`, from or to `buffer`. done() is not called when a reset comes first. */
void i82077_submit(struct i82077 *fdc, enum disk_operation operation, u64 offset, u8 *buffer,
                   void (*done)(struct i82077 *fdc, int error));

/* i82077_transfer.c: commands with data */
void i82077_read(struct i82077 *fdc);
void i82077_read_deleted(struct i82077 *fdc);
void i82077_read_track(struct i82077 *fdc);
void i82077_write(struct i82077 *fdc);
void i82077_verify(struct i82077 *fdc);
void i82077_scan(struct i82077 *fdc);
void i82077_format(struct i82077 *fdc);
void i82077_read_id(struct i82077 *fdc);

#endif
