/*
 * An IDE channel: two drives on a cable, their task file, the PIO data port and the DMA handshake.
 * The names of registers and bits are those of ATA/ATAPI-6 (T13/1410D).
 *
 * Ports: ide_command_ops, 8 ports (1F0h, 170h), 4 bytes wide, with ide_string_ops for the data port;
 * ide_control_ops, 1 port (3F6h, 376h). Device of both: the struct ide_channel.
 *
 * Invariants
 * 1. A channel executes one command at a time. `active` is its drive. Its data is in `buffer`, and buffer[at, end) is
 *    the DRQ block at the data port.
 * 2. At most one disk request is under way (`io_running`). Until it is done the drive is BSY, ignores commands and
 *    defers resets. So nothing else touches `request`, `part` or the buffer that the request uses.
 * 3. DMA moves bytes straight between disk and guest memory. If a PRD does not point to RAM, `buffer` is used instead.
 */
#ifndef RINGER_DEVICES_STORAGE_IDE_H
#define RINGER_DEVICES_STORAGE_IDE_H

#include "base/device.h"
#include "base/disk.h"

#define IDE_BUFFER_BYTES 0x20000u
/* Parts of a DMA request. A request of IDE_PARTS_WANTED parts may need more parts to end at the end of a sector. */
#define IDE_PARTS_WANTED 256
#define IDE_PARTS_MAX    (IDE_PARTS_WANTED + DISK_SECTOR_BYTES / 2 + 1)

#define IDE_IN_BUFFER UINT64_MAX

#define CD_SECTOR_BYTES 2048

enum ide_kind { IDE_ABSENT, IDE_DISK, IDE_CDROM };

enum ide_status {
    IDE_ERR = 0x01,
    IDE_DRQ = 0x08,
    IDE_DSC = 0x10,
    IDE_DF = 0x20,
    IDE_DRDY = 0x40,
    IDE_BSY = 0x80
};
enum ide_error { IDE_ABRT = 0x04, IDE_IDNF = 0x10, IDE_UNC = 0x40 };
/* Device register */
enum { IDE_LBA = 0x40, IDE_DEV = 0x10 };

/* Registers that 48-bit commands write twice: their current or their previous contents. */
struct ide_registers {
    u8 feature, count, lba_low, lba_mid, lba_high;
};

struct atapi_sense {
    u8 key, asc, ascq;
    bool valid;      /* the next field is valid */
    u32 information; /* the sector that failed */
};

/* The part of the state that only CD drives have. */
struct cd_drive {
    bool tray_open, locked;
    bool changed;   /* unit attention: the medium may be another one */
    bool was_reset; /* unit attention: power-on or reset */
    u8 event;       /* GET EVENT STATUS NOTIFICATION: media event not yet reported */
    struct atapi_sense sense;
    u8 recovery, retries; /* error recovery, which MODE SELECT may change */
};

struct ide_channel;

struct ide_drive {
    struct ide_channel *channel;
    enum ide_kind kind;
    struct disk *disk;
    char serial[20];              /* padded with blanks */
    u64 sectors;                  /* hard disks: of 512 bytes */
    u32 cylinders;                /* of the default translation */
    u32 heads_now, per_track_now; /* as set by INITIALIZE DEVICE PARAMETERS */
    u8 multiple;                  /* sectors a DRQ block, 0: not set */
    u8 transfer_mode;             /* SET FEATURES 03h */
    u8 power;                     /* CHECK POWER MODE */
    bool no_write_cache, no_read_ahead, smart_off;
    struct cd_drive cd;
    /* Registers */
    struct ide_registers now, previous;
    u8 status, error;
    bool interrupt;
};

/* The command that moves sectors of a hard disk. */
struct ata_transfer {
    u64 sector;    /* the next one of the disk */
    u32 left;      /* sectors of the command that the disk has not done yet */
    u32 per_block; /* sectors a DRQ block */
    u32 buffered;  /* PIO: sectors in buffer */
    u32 taken;     /* PIO: of these, how many the guest has read or written */
    bool ext, flush_after, block_by_block;
    bool verify;           /* READ VERIFY: no data for the guest */
    u32 trim_at, trim_end; /* DATA SET MANAGEMENT: the entry in buffer */
};

/* The PACKET command. */
struct packet_transfer {
    u8 command[12];
    bool dma;
    bool to_guest;
    u32 limit;                                  /* bytes a DRQ block at most */
    u32 at, end;                                /* buffer[at, end) has yet to be moved */
    void (*moved)(struct ide_channel *channel); /* called when all of it was moved */
    u64 sector;                                 /* the next one of the disc */
    u32 left;                                   /* sectors that have not been read yet */
    u32 sector_bytes;
    bool one_by_one; /* PIO: a read of several sectors has failed */
    u8 parts;        /* READ CD: the wanted parts of a sector */
};

/* A DMA transfer of the active drive, and the bus master's position in its table. */
struct ide_dma {
    bool wanted; /* DMARQ */
    bool to_guest, buffered;
    u64 offset; /* in the disk; unused when the data are in buffer */
    u64 left;   /* bytes */
    u32 most;   /* the most bytes of a request; lowered to find a bad sector */
    u32 at;     /* in buffer */
    void (*finished)(struct ide_channel *channel, int error);
    struct prd_position {
        u32 next_entry, address, entry_left;
        bool last_entry;
    } table, before; /* now, and when the request under way was made */
};

struct ide_channel {
    struct ide_drive drive[2];
    struct irq_line irq;
    struct dma memory;
    struct ide_drive *active; /* NULL: no command is being executed */
    u8 device, control;
    bool line;      /* INTRQ is up */
    bool in_reset;  /* SRST is set */
    u8 reset_waits; /* bit n: drive n is to be reset when the request is done */
    bool reset_hard;
    /* The data port */
    bool port_to_guest;
    u32 at, end;
    void (*block_done)(struct ide_channel *channel);
    /* The disk */
    bool io_running;
    struct disk_request request;
    void (*io_done)(struct ide_channel *channel, int error);
    unsigned parts;
    struct iovec part[IDE_PARTS_MAX];
    u64 gpa[IDE_PARTS_MAX]; /* of each part, or IDE_IN_BUFFER */
    struct ata_transfer ata;
    struct packet_transfer packet;
    struct ide_dma dma;
    /* Bus master registers (82371SB datasheet 2.6) */
    bool master_enabled; /* in the PCI command register */
    u8 master_command, master_status;
    u32 master_table;
    _Alignas(PAGE_SIZE) u8 buffer[IDE_BUFFER_BYTES];
};

void ide_init(struct ide_channel *channel, struct irq_line irq, struct dma memory);
/* Call before the first reset. `disk` must outlive the channel. `serial` is cut to 20 characters. */
void ide_attach(struct ide_channel *channel, unsigned number, enum ide_kind kind, struct disk *disk,
                const char *serial);
/* RESET-, the bus master included. */
void ide_reset(struct ide_channel *channel);
/* Open or close the CD drive's tray, whatever the guest prevents. The disc changes while it is open. */
void ide_move_tray(struct ide_drive *drive, bool open);
/* Does the guest prevent the removal of the disc? If so, it gets the event "eject was pressed". */
bool ide_is_locked(struct ide_drive *drive);

extern const struct io_ops ide_command_ops;
extern const struct io_string_ops ide_string_ops;
extern const struct io_ops ide_control_ops;

/* --- shared by the files of a channel: ide.c --- */

/* The active drive's command is over: the drive is ready and interrupts. */
void ide_finish(struct ide_drive *drive);
void ide_fail(struct ide_drive *drive, u8 error);
/* Offer buffer[at, at + bytes) as a DRQ block at the data port. done() is called when the guest has moved all of it. */
void ide_begin_block(struct ide_drive *drive, bool to_guest, u32 at, u32 bytes,
                     void (*done)(struct ide_channel *channel));
/* done() of the last block that the guest reads: the command is over, and no interrupt follows. */
void ide_taken(struct ide_channel *channel);
/* Give the guest buffer[0, DISK_SECTOR_BYTES) as the only data of the command. */
void ide_give_sector(struct ide_drive *drive);
void ide_interrupt(struct ide_drive *drive);
void ide_signature(struct ide_drive *drive);
/* Submit a request. The drive is BSY until done(). Its memory is `parts` of part[], */
void ide_submit_parts(struct ide_drive *drive, enum disk_operation operation, u64 offset, u64 bytes,
                      void (*done)(struct ide_channel *channel, int error));
/* or buffer[at, at + bytes). */
void ide_submit(struct ide_drive *drive, enum disk_operation operation, u64 offset, u64 bytes, u32 at,
                void (*done)(struct ide_channel *channel, int error));

/* --- ide_dma.c --- */

/* Ask for DMA of the disk's bytes, or of buffer[0, bytes). finished() has 0 or -errno. */
void ide_dma_disk(struct ide_drive *drive, bool to_guest, u64 offset, u64 bytes,
                  void (*finished)(struct ide_channel *channel, int error));
void ide_dma_buffer(struct ide_drive *drive, bool to_guest, u32 bytes,
                    void (*finished)(struct ide_channel *channel, int error));
/* The request is done, even if its command was abandoned: report the RAM that it has changed. */
void ide_dma_landed(struct ide_channel *channel);
/* Bus master registers: command, status, table. */
u8 ide_master_read(struct ide_channel *channel, u32 offset);
void ide_master_write(struct ide_channel *channel, u32 offset, u8 value);
void ide_master_enable(struct ide_channel *channel, bool enabled);

/* --- the drives --- */

void ata_reset(struct ide_drive *drive, bool hard);
void ata_command(struct ide_drive *drive, u8 opcode);
/* IDENTIFY DEVICE or IDENTIFY PACKET DEVICE: 512 bytes. */
void ata_identify(const struct ide_drive *drive, u8 *to);
#define IDE_MODEL_DISK  "RINGER HARD DISK"
#define IDE_MODEL_CDROM "RINGER CD-ROM"
#define IDE_FIRMWARE    "1.0"
/* The sectors that a command addresses, by LBA or CHS. False: they are not all on the disk, and the
 * command has failed. */
bool ata_address(struct ide_drive *drive, bool ext, u64 *sector, u32 *count);
void ata_put_address(struct ide_drive *drive, bool ext, u64 sector);
/* The geometry that a disk offers, and the number of sectors that addresses of 28 bits reach. */
enum { ATA_HEADS = 16, ATA_PER_TRACK = 63, ATA_LBA28_SECTORS = 0x0fffffff };
/* SET FEATURES: false if there is no such transfer mode. */
bool ata_set_transfer_mode(struct ide_drive *drive, u8 mode);
enum { ATA_EXT = 1, ATA_WRITE = 2, ATA_MULTIPLE = 4, ATA_FUA = 8 };
void ata_pio(struct ide_drive *drive, unsigned how);
void ata_verify(struct ide_drive *drive, unsigned how);
void ata_dma(struct ide_drive *drive, unsigned how);
void ata_trim(struct ide_drive *drive, unsigned how);
void ata_smart(struct ide_drive *drive, unsigned how);

void atapi_reset(struct ide_drive *drive);
void atapi_command(struct ide_drive *drive, u8 opcode);

#endif
