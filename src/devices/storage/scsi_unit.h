/*
 * A SCSI logical unit: a disk or a CD drive that executes command descriptor blocks (SPC-4, SBC-3, MMC-5). The
 * transport (virtio_scsi.h) brings commands with buffers in host memory, and gets a status and, for CHECK CONDITION,
 * sense data.
 *
 *   scsi_unit.c   what all units have: sense, unit attention, INQUIRY, MODE SENSE, the table's look-up
 *   scsi_disk.c   commands of disks         scsi_cd.c   commands of CD drives
 *
 * Commands that transfer blocks run on the disk seam, straight between its buffers and the medium. All others answer at
 * once.
 */
#ifndef RINGER_DEVICES_STORAGE_SCSI_UNIT_H
#define RINGER_DEVICES_STORAGE_SCSI_UNIT_H

#include "base/disk.h"

#define SCSI_CDB_BYTES   32
#define SCSI_SENSE_BYTES 18
#define SCSI_REPLY_BYTES 512 /* of the longest answer that is no medium's data */

enum scsi_status { SCSI_GOOD = 0, SCSI_CHECK_CONDITION = 2, SCSI_BUSY = 8 };

/* Sense key << 16 | additional sense code << 8 | its qualifier (SPC-4 4.5.6, annex D). */
enum scsi_sense {
    SCSI_NO_SENSE = 0,
    SCSI_NO_MEDIUM = 0x023a00,
    SCSI_READ_ERROR = 0x031100,
    SCSI_WRITE_ERROR = 0x030c00,
    SCSI_INVALID_COMMAND = 0x052000,
    SCSI_OUT_OF_RANGE = 0x052100,
    SCSI_INVALID_FIELD = 0x052400,
    SCSI_NO_UNIT = 0x052500,
    SCSI_INVALID_LIST = 0x052600,
    SCSI_LOCKED = 0x055302,
    SCSI_MEDIUM_CHANGED = 0x062800,
    SCSI_WAS_RESET = 0x062900,
    SCSI_WRITE_PROTECTED = 0x072700,
};

struct scsi_command;

struct scsi_unit_options {
    bool cd, removable;
    const char *vendor, *product, *revision, *serial; /* NULL: the unit's own */
};

struct scsi_unit {
    struct disk *disk;
    bool cd, removable;
    bool locked;    /* the medium cannot be removed */
    bool tray_open; /* CD */
    u32 block_bytes;
    u32 attention;                            /* enum scsi_sense that the next command reports; 0: none */
    u32 last_sense;                           /* for REQUEST SENSE */
    bool new_medium;                          /* GET EVENT STATUS NOTIFICATION has not told it */
    bool eject_wanted;                        /* the same, of a locked medium */
    bool write_through;                       /* caching mode page: WCE is off */
    char vendor[8], product[16], revision[4]; /* padded with blanks */
    char serial[36];                          /* ends with 0 */
};

struct scsi_command {
    struct scsi_unit *unit;
    u8 cdb[SCSI_CDB_BYTES];
    /* Data from the initiator and to it. The transport gives the lists for good: they are cut to what is
     * transferred. */
    struct iovec *out, *in;
    unsigned out_count, in_count;
    u64 out_bytes, in_bytes;
    /* Called once, perhaps before scsi_execute() returns. */
    void (*done)(struct scsi_command *command);
    void *transport;
    /* the result */
    enum scsi_status status;
    u8 sense[SCSI_SENSE_BYTES];
    u32 sense_bytes;
    u64 moved; /* bytes transferred */
    /* What the command transfers if the initiator has as much, or room for it. An error before that: 0. */
    u64 wants_out, wants_in;
    /* the unit's, while it executes */
    struct disk_request disk;
    u64 sync_after; /* FUA, or no write cache: flush when the write is done */
};

void scsi_unit_init(struct scsi_unit *unit, struct disk *disk, const struct scsi_unit_options *options);
/* The reset line, and a logical unit reset. */
void scsi_unit_reset(struct scsi_unit *unit);
/* Open or close the CD drive's tray, whatever the guest prevents. The disc changes while it is open. */
void scsi_move_tray(struct scsi_unit *unit, bool open);
/* May the medium not be exchanged? Then the guest is told that this is wanted. */
bool scsi_is_locked(struct scsi_unit *unit);
void scsi_execute(struct scsi_command *command);
/* A command for a unit that is not there. */
void scsi_execute_nobody(struct scsi_command *command);
/* Copies from the data of the initiator. Returns how much there was. */
u64 scsi_take(struct scsi_command *command, void *to, u64 bytes);

/* --- for the tables of commands --- */

struct scsi_row {
    u8 opcode;
    bool without_medium; /* works without one */
    bool despite_attention;
    void (*run)(struct scsi_command *command);
};

extern const struct scsi_row scsi_disk_rows[], scsi_cd_rows[]; /* a row without run() at the end */

void scsi_good(struct scsi_command *command);
void scsi_fail(struct scsi_command *command, enum scsi_sense sense);
/* Answer with the first `allowed` bytes of a reply. */
void scsi_reply(struct scsi_command *command, const u8 *reply, u32 bytes, u32 allowed);
/* Transfer blocks; checks the range and the buffers. */
void scsi_transfer(struct scsi_command *command, bool write, u64 block, u64 count, bool stable);
/* Any READ. */
void scsi_read_blocks(struct scsi_command *command);
void scsi_flush(struct scsi_command *command);
/* DISK_ZERO or DISK_DISCARD of blocks. */
void scsi_clear(struct scsi_command *command, enum disk_operation operation, u64 block, u64 count);
/* The first block and the number of blocks of a READ or WRITE, by the length of the CDB. */
void scsi_range(const u8 *cdb, u64 *block, u64 *count);
static inline u64 scsi_blocks(const struct scsi_unit *unit)
{
    return unit->disk->bytes / unit->block_bytes;
}
u64 scsi_get_be64(const u8 *at);
void scsi_put_be64(u8 *at, u64 value);

#endif
