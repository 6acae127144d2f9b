/*
 * The 82077AA: registers, phases, and commands without data. See i82077.h.
 */
#include "i82077.h"

#include <string.h>

enum { PORT_DOR = 2, PORT_TDR, PORT_MSR, PORT_FIFO };
enum { DOR_DMA_GATE = 0x08, DOR_NOT_RESET = 0x04 };
enum { DSR_RESET = 0x80 };
enum { MSR_RQM = 0x80, MSR_TO_HOST = 0x40, MSR_NO_DMA = 0x20, MSR_BUSY = 0x10 };
enum { CONFIGURE_THRESHOLD = 0x0f, CONFIGURE_NO_POLL = 0x10, CONFIGURE_NO_FIFO = 0x20 };
enum { CONFIGURE_DEFAULT = CONFIGURE_NO_FIFO, FIFO_BYTES = 16 };
enum { SPECIFY_NO_DMA = 0x01 };
enum { OPCODE = 0x1f, RELATIVE_SEEK = 0x80, RELATIVE_INWARD = 0x40 };

#define STEP_NS 3000000u /* the time of a real drive from track to track */
#define FASTER  30       /* the factor by which this drive is faster */

/* --- interrupt --- */

/* INT reaches the bus if the gate is open. */
void i82077_update(struct i82077 *fdc)
{
    bool line = fdc->result_interrupt;
    for (unsigned n = 0; n < I82077_UNITS; n++)
        line |= fdc->ended[n] != 0;
    if (fdc->phase == I82077_EXECUTION && fdc->host_turn && fdc->specify[1] & SPECIFY_NO_DMA) line = true;
    fdc->line = line;
    irq_set(&fdc->irq, line && fdc->dor & DOR_DMA_GATE);
}

/* --- phases --- */

static void await_command(struct i82077 *fdc)
{
    fdc->phase = I82077_COMMAND;
    fdc->count = 0;
    fdc->expected = 1;
    fdc->result_interrupt = fdc->host_turn = false;
    i82077_update(fdc);
}

void i82077_give_result(struct i82077 *fdc, unsigned count, bool interrupt)
{
    fdc->phase = I82077_RESULT;
    fdc->count = 0;
    fdc->expected = count;
    fdc->result_interrupt = interrupt;
    fdc->host_turn = false;
    i82077_update(fdc);
}

struct floppy_drive *i82077_selected(struct i82077 *fdc)
{
    u8 unit = i82077_unit(fdc);
    return unit < I82077_DRIVES && fdc->drive[unit].type ? &fdc->drive[unit] : NULL;
}

/* --- the host's turn --- */

/* DREQ is up while there are bytes to move. */
static void serve_dma(void *device)
{
    struct i82077 *fdc = device;
    while (fdc->host_turn && fdc->dor & DOR_DMA_GATE) {
        bool terminal;
        u32 moved =
            i8237_transfer(fdc->dma, I82077_DMA, fdc->sector + fdc->at, fdc->end - fdc->at, &terminal);
        fdc->at += moved;
        fdc->transfer.terminal |= terminal;
        if (fdc->at < fdc->end && !terminal) return;
        fdc->host_turn = false;
        i8237_request(fdc->dma, I82077_DMA, false);
        fdc->transfer.next(fdc);
    }
}

/* Bytes that the host moves for one INT. The FIFO requests a read when all but `threshold` of its bytes are full, and a
 * write when only `threshold` bytes are left in it. At first it is empty. */
static u32 burst_bytes(const struct i82077 *fdc)
{
    if (fdc->configuration & CONFIGURE_NO_FIFO) return 1;
    if (fdc->transfer.writing && !fdc->at) return FIFO_BYTES;
    u32 threshold = (fdc->configuration & CONFIGURE_THRESHOLD) + 1u;
    return threshold < FIFO_BYTES ? FIFO_BYTES - threshold : 1;
}

/* INT rises: it has been down since the last burst. */
static void begin_burst(struct i82077 *fdc)
{
    u32 end = fdc->at + burst_bytes(fdc);
    fdc->burst = end < fdc->end ? end : fdc->end;
    fdc->host_turn = true;
    i82077_update(fdc);
}

void i82077_host_turn(struct i82077 *fdc, u32 bytes)
{
    fdc->at = 0;
    fdc->end = bytes;
    if (fdc->specify[1] & SPECIFY_NO_DMA) {
        begin_burst(fdc);
        return;
    }
    fdc->host_turn = true;
    i8237_request(fdc->dma, I82077_DMA, true);
}

static void moved_byte(struct i82077 *fdc)
{
    if (++fdc->at < fdc->burst) return;
    fdc->host_turn = false;
    i82077_update(fdc);
    if (fdc->at < fdc->end)
        begin_burst(fdc);
    else
        fdc->transfer.next(fdc);
}

/* --- seeks --- */

static void seek_done(struct i82077 *fdc, unsigned unit)
{
    fdc->seeking[unit] = false;
    fdc->cylinder[unit] = fdc->target[unit];
    fdc->ended[unit] = (u8)(ST0_SEEK_END | unit);
    if (unit < I82077_DRIVES && fdc->drive[unit].type)
        floppy_seek(&fdc->drive[unit], fdc->target[unit]);
    else if (!fdc->target[unit])
        fdc->ended[unit] |= ST0_ABNORMAL | ST0_EQUIPMENT; /* track 0 was not found */
    i82077_update(fdc);
}

/* One function for each unit: a timer passes only its device. */
static void seek_done_0(void *device)
{
    seek_done(device, 0);
}
static void seek_done_1(void *device)
{
    seek_done(device, 1);
}
static void seek_done_2(void *device)
{
    seek_done(device, 2);
}
static void seek_done_3(void *device)
{
    seek_done(device, 3);
}

static void begin_seek(struct i82077 *fdc, u8 target)
{
    u8 unit = i82077_unit(fdc);
    struct timer *timer = &fdc->seek_timer[unit];
    u8 now = fdc->cylinder[unit], steps = now < target ? target - now : now - target;
    fdc->seeking[unit] = true;
    fdc->target[unit] = target;
    fdc->ended[unit] = 0;
    timer_arm(timer, clock_now(timer->clock) + (1 + steps) * (STEP_NS / FASTER));
    await_command(fdc);
}

/* --- commands --- */

static void invalid(struct i82077 *fdc)
{
    fdc->byte[0] = ST0_INVALID;
    i82077_give_result(fdc, 1, false);
}

static void specify(struct i82077 *fdc)
{
    fdc->specify[0] = fdc->byte[1];
    fdc->specify[1] = fdc->byte[2];
    await_command(fdc);
}

static void sense_drive_status(struct i82077 *fdc)
{
    enum { ST3_PROTECTED = 0x40, ST3_ONES = 0x28, ST3_TRACK_0 = 0x10 };
    const struct floppy_drive *drive = i82077_selected(fdc);
    u8 status = ST3_ONES | (fdc->byte[1] & 7);
    if (drive && !drive->cylinder) status |= ST3_TRACK_0;
    if (drive && drive->format && drive->disk->read_only) status |= ST3_PROTECTED;
    fdc->byte[0] = status;
    i82077_give_result(fdc, 1, false);
}

static void recalibrate(struct i82077 *fdc)
{
    begin_seek(fdc, 0);
}

static void seek(struct i82077 *fdc)
{
    u8 now = fdc->cylinder[i82077_unit(fdc)], by = fdc->byte[2];
    if (!(fdc->byte[0] & RELATIVE_SEEK))
        begin_seek(fdc, by);
    else if (fdc->byte[0] & RELATIVE_INWARD)
        begin_seek(fdc, (u8)(now + by));
    else
        begin_seek(fdc, now > by ? now - by : 0);
}

static void sense_interrupt(struct i82077 *fdc)
{
    for (unsigned n = 0; n < I82077_UNITS; n++) {
        if (!fdc->ended[n]) continue;
        fdc->byte[0] = fdc->ended[n];
        fdc->byte[1] = fdc->cylinder[n];
        fdc->ended[n] = 0;
        i82077_give_result(fdc, 2, false);
        return;
    }
    invalid(fdc);
}

static void dump_registers(struct i82077 *fdc)
{
    u8 *b = fdc->byte;
    memcpy(b, fdc->cylinder, I82077_UNITS);
    b[4] = fdc->specify[0];
    b[5] = fdc->specify[1];
    b[6] = fdc->transfer.end_of_track;
    b[7] = (u8)(fdc->locked << 7 | (fdc->perpendicular & 0x3f));
    b[8] = fdc->configuration;
    b[9] = fdc->precompensation_track;
    i82077_give_result(fdc, 10, false);
}

static void version(struct i82077 *fdc)
{
    fdc->byte[0] = 0x90;
    i82077_give_result(fdc, 1, false);
}

/* Without OW the drives' bits keep their values. */
static void perpendicular(struct i82077 *fdc)
{
    enum { OVERWRITE = 0x80, DRIVES = 0x3c };
    u8 value = fdc->byte[1];
    if (!(value & OVERWRITE)) value = (u8)((value & ~DRIVES) | (fdc->perpendicular & DRIVES));
    fdc->perpendicular = value & 0x3f;
    await_command(fdc);
}

static void configure(struct i82077 *fdc)
{
    fdc->configuration = fdc->byte[2] & 0x7f;
    fdc->precompensation_track = fdc->byte[3];
    await_command(fdc);
}

static void lock(struct i82077 *fdc)
{
    fdc->locked = fdc->byte[0] & 0x80;
    fdc->byte[0] = (u8)(fdc->locked << 4);
    i82077_give_result(fdc, 1, false);
}

/* By the low five bits. `flags`: those of the upper bits that may be set. The 82077AA has no PART ID (18h). */
static const struct command_row {
    void (*run)(struct i82077 *fdc);
    u8 bytes; /* the opcode included */
    u8 flags;
} rows[32] = {
    [0x02] = {i82077_read_track, 9, 0x40},
    [0x03] = {specify, 3, 0},
    [0x04] = {sense_drive_status, 2, 0},
    [0x05] = {i82077_write, 9, 0xc0},
    [0x06] = {i82077_read, 9, 0xe0},
    [0x07] = {recalibrate, 2, 0},
    [0x08] = {sense_interrupt, 1, 0},
    [0x09] = {i82077_write, 9, 0xc0},
    [0x0a] = {i82077_read_id, 2, 0x40},
    [0x0c] = {i82077_read_deleted, 9, 0xe0},
    [0x0d] = {i82077_format, 6, 0x40},
    [0x0e] = {dump_registers, 1, 0},
    [0x0f] = {seek, 3, 0xc0},
    [0x10] = {version, 1, 0},
    [0x11] = {i82077_scan, 9, 0xe0},
    [0x12] = {perpendicular, 2, 0},
    [0x13] = {configure, 4, 0},
    [0x14] = {lock, 1, 0x80},
    [0x16] = {i82077_verify, 9, 0xe0},
    [0x19] = {i82077_scan, 9, 0xe0},
    [0x1d] = {i82077_scan, 9, 0xe0},
};

static const struct command_row *row_of(u8 opcode)
{
    static const struct command_row none = {invalid, 1, 0xe0};
    const struct command_row *row = &rows[opcode & OPCODE];
    return row->run && !(opcode & ~OPCODE & ~row->flags) ? row : &none;
}

/* --- resets --- */

static void polled(struct i82077 *fdc)
{
    if (fdc->configuration & CONFIGURE_NO_POLL) return;
    for (unsigned n = 0; n < I82077_UNITS; n++)
        fdc->ended[n] = (u8)(ST0_CHANGED | n);
}

static void reset_now(struct i82077 *fdc)
{
    fdc->reset_waits = false;
    for (unsigned n = 0; n < I82077_UNITS; n++) {
        timer_cancel(&fdc->seek_timer[n]);
        fdc->seeking[n] = false;
        fdc->ended[n] = 0;
        fdc->cylinder[n] = 0;
    }
    timer_cancel(&fdc->start_timer);
    if (!fdc->locked) {
        fdc->configuration = CONFIGURE_DEFAULT;
        fdc->precompensation_track = 0;
    }
    fdc->perpendicular &= 0x3c;
    fdc->host_turn = false;
    i8237_request(fdc->dma, I82077_DMA, false);
    if (!fdc->reset) polled(fdc);
    await_command(fdc);
}

/* A request that is under way still writes to its buffer. The controller is not ready until it is done. */
static void software_reset(struct i82077 *fdc)
{
    if (!fdc->io_running) {
        reset_now(fdc);
        return;
    }
    fdc->reset_waits = true;
    fdc->host_turn = false;
    i82077_update(fdc);
}

void i82077_reset(struct i82077 *fdc)
{
    fdc->dor = fdc->tdr = 0;
    fdc->rate = FLOPPY_RATE_250K;
    fdc->specify[0] = fdc->specify[1] = 0;
    fdc->perpendicular = 0;
    fdc->locked = false;
    fdc->reset = true;
    software_reset(fdc);
}

/* --- the disk --- */

static void request_done(struct disk_request *request)
{
    struct i82077 *fdc = request->device;
    fdc->io_running = false;
    if (fdc->reset_waits)
        reset_now(fdc);
    else
        fdc->io_done(fdc, request->error);
}

void i82077_submit(struct i82077 *fdc, enum disk_operation operation, u64 offset, u8 *buffer,
                   void (*done)(struct i82077 *fdc, int error))
{
    fdc->part = (struct iovec){buffer, DISK_SECTOR_BYTES};
    fdc->io_running = true;
    fdc->io_done = done;
    fdc->request = (struct disk_request){.operation = operation,
                                         .offset = offset,
                                         .bytes = DISK_SECTOR_BYTES,
                                         .part = &fdc->part,
                                         .part_count = 1,
                                         .done = request_done,
                                         .device = fdc};
    disk_submit(i82077_selected(fdc)->disk, &fdc->request);
}

/* --- registers --- */

static void write_dor(struct i82077 *fdc, u8 value)
{
    bool was_reset = fdc->reset;
    fdc->dor = value;
    fdc->reset = !(value & DOR_NOT_RESET);
    if (fdc->reset != was_reset) software_reset(fdc);
    i82077_update(fdc);
    /* The gate may have opened for a DREQ that waits. */
    if (value & DOR_DMA_GATE && fdc->host_turn && !(fdc->specify[1] & SPECIFY_NO_DMA)) {
        i8237_request(fdc->dma, I82077_DMA, false);
        i8237_request(fdc->dma, I82077_DMA, true);
    }
}

/* The host is to move a byte through the FIFO now, in this direction. */
static bool moves_byte(const struct i82077 *fdc, bool writing)
{
    return fdc->phase == I82077_EXECUTION && fdc->host_turn && fdc->transfer.writing == writing &&
           fdc->specify[1] & SPECIFY_NO_DMA;
}

static void write_fifo(struct i82077 *fdc, u8 value)
{
    if (fdc->reset || fdc->reset_waits) return;
    if (moves_byte(fdc, true)) {
        fdc->sector[fdc->at] = value;
        moved_byte(fdc);
        return;
    }
    if (fdc->phase != I82077_COMMAND) return;
    if (!fdc->count) fdc->expected = row_of(value)->bytes;
    fdc->byte[fdc->count++] = value;
    if (fdc->count < fdc->expected) return;
    fdc->phase = I82077_EXECUTION;
    row_of(fdc->byte[0])->run(fdc);
}

static u8 read_fifo(struct i82077 *fdc)
{
    if (moves_byte(fdc, false)) {
        u8 value = fdc->sector[fdc->at];
        moved_byte(fdc);
        return value;
    }
    if (fdc->phase != I82077_RESULT) return 0xff;
    u8 value = fdc->byte[fdc->count++];
    fdc->result_interrupt = false;
    if (fdc->count == fdc->expected) await_command(fdc);
    i82077_update(fdc);
    return value;
}

static u8 read_msr(const struct i82077 *fdc)
{
    u8 status = 0;
    if (fdc->reset || fdc->reset_waits) return 0;
    for (unsigned n = 0; n < I82077_UNITS; n++)
        if (fdc->seeking[n]) status |= 1 << n;
    if (fdc->phase == I82077_RESULT) return status | MSR_RQM | MSR_TO_HOST | MSR_BUSY;
    if (fdc->phase == I82077_COMMAND) return status | MSR_RQM | (fdc->count ? MSR_BUSY : 0);
    status |= MSR_BUSY;
    if (!(fdc->specify[1] & SPECIFY_NO_DMA)) return status;
    status |= MSR_NO_DMA;
    if (fdc->host_turn) status |= MSR_RQM | (fdc->transfer.writing ? 0 : MSR_TO_HOST);
    return status;
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct i82077 *fdc = device;
    switch (offset) {
    case PORT_DOR: return fdc->dor;
    case PORT_TDR: return fdc->tdr | 0xfc;
    case PORT_MSR: return read_msr(fdc);
    case PORT_FIFO: return read_fifo(fdc);
    default: return 0xff; /* status registers A and B exist in PS/2 mode only */
    }
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i82077 *fdc = device;
    switch (offset) {
    case PORT_DOR: write_dor(fdc, (u8)value); break;
    case PORT_TDR: fdc->tdr = value & 3; break;
    case PORT_MSR:
        fdc->rate = value & 3;
        if (value & DSR_RESET) software_reset(fdc);
        break;
    case PORT_FIFO: write_fifo(fdc, (u8)value); break;
    }
}

const struct io_ops i82077_ops = {ports_read, ports_write};

/* The line of the drive that DOR selects. */
static u32 change_read(void *device, u32 offset, unsigned size)
{
    struct i82077 *fdc = device;
    unsigned unit = fdc->dor & 3;
    bool changed = unit < I82077_DRIVES && fdc->drive[unit].type && fdc->drive[unit].changed;
    return changed ? 0xff : 0x7f;
}

static void change_write(void *device, u32 offset, unsigned size, u32 value)
{
    ((struct i82077 *)device)->rate = value & 3;
}

const struct io_ops i82077_change_ops = {change_read, change_write};

/* --- set-up --- */

void i82077_attach(struct i82077 *fdc, unsigned number, struct disk *disk)
{
    floppy_drive_init(&fdc->drive[number], disk);
}

void i82077_medium_changed(struct i82077 *fdc, unsigned number)
{
    floppy_medium_changed(&fdc->drive[number]);
}

static void start(void *device)
{
    struct i82077 *fdc = device;
    fdc->transfer.next(fdc);
}

void i82077_init(struct i82077 *fdc, struct clock *clock, struct irq_line irq, struct i8237_pair *dma)
{
    static void (*const done[I82077_UNITS])(void *device) = {seek_done_0, seek_done_1, seek_done_2,
                                                             seek_done_3};
    memset(fdc, 0, sizeof(*fdc));
    fdc->irq = irq;
    fdc->dma = dma;
    for (unsigned n = 0; n < I82077_UNITS; n++)
        timer_init(&fdc->seek_timer[n], clock, done[n], fdc);
    timer_init(&fdc->start_timer, clock, start, fdc);
    i8237_connect(dma, I82077_DMA, serve_dma, fdc);
    i82077_reset(fdc);
}
