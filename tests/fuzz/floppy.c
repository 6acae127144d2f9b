/*
 * The floppy controller and the 8237 pair, used by a hostile guest. Input: steps, by the low three bits of
 * their first byte:
 *
 *   0, 1  a byte to the FIFO
 *   2     a register: offset, value; at offset 7 the diskette is changed
 *   3     read a register, or the FIFO
 *   4     a register of the 8237s
 *   5     time passes
 *   6     the disks do a request each
 *   7     a command of nine bytes, with channel 2 set up for it
 */
#include "../unit/memory_disk.h"
#include "devices/storage/i82077.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

struct fuzz_clock {
    struct clock clock;
    u64 now;
};

static struct fuzz_clock fuzz;
static struct i8237_pair dma;
static struct fake_memory memory;
static struct memory_disk disk[2];
static struct i82077 fdc;
static const u8 *at, *end;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fuzz_clock *)clock)->now;
}

static u8 next(void)
{
    return at < end ? *at++ : 0;
}

static void dma_write(unsigned index, u8 value)
{
    if (index < 16)
        i8237_ops.write(&dma.controller[0], index, 1, value);
    else if (index < 32)
        dma_page_ops.write(&dma, index - 16, 1, value);
    else
        i8237_ops.write(&dma.controller[1], index - 32, 1, value);
}

static void command(void)
{
    u8 opcode = next(), sectors = next();
    static const u8 set_up[][2] = {{12, 0}, {4, 0}, {4, 0x40}, {5, 0xff}, {10, 2}};
    dma_write(11, opcode & 1 ? 0x4a : 0x46);
    for (unsigned n = 0; n < 5; n++)
        dma_write(set_up[n][0], set_up[n][1]);
    dma_write(5, sectors);
    i82077_ops.write(&fdc, 5, 1, opcode);
    for (unsigned n = 0; n < 8; n++)
        i82077_ops.write(&fdc, 5, 1, next());
}

static void pass_time(u64 ns)
{
    fuzz.now += ns;
    clock_run(&fuzz.clock);
}

/* No diskette, a small one, a large one. As in the machine, no request is under way then. */
static void change_diskette(u8 which)
{
    static const u16 sectors[] = {0, 720, 1440, 2880};
    if (fdc.io_running) return;
    disk[0].disk.bytes = sectors[which & 3] * DISK_SECTOR_BYTES;
    i82077_medium_changed(&fdc, 0);
}

static void step(void)
{
    u8 first = next(), offset = first >> 3 & 7;
    switch (first & 7) {
    case 0:
    case 1: i82077_ops.write(&fdc, 5, 1, next()); break;
    case 2:
        if (offset == 7)
            change_diskette(next());
        else
            i82077_ops.write(&fdc, offset, 1, next());
        break;
    case 3: i82077_ops.read(&fdc, first & 0x80 ? 5 : offset, 1); break;
    case 4: {
        u8 index = next() & 63;
        dma_write(index, next());
        break;
    }
    case 5: pass_time(first * 1000u); break;
    case 6: memory_disk_run(&disk[0], 1), memory_disk_run(&disk[1], 1); break;
    default: command();
    }
}

/* After a reset, and time for the disks, the controller accepts commands. */
static void check(void)
{
    i82077_reset(&fdc);
    memory_disk_run(&disk[0], 1), memory_disk_run(&disk[1], 1);
    if (fdc.io_running || disk[0].queued || disk[1].queued) abort();
    i82077_ops.write(&fdc, 2, 1, 0x1c);
    pass_time(1000000000);
    if (i82077_ops.read(&fdc, 4, 1) != 0x80) abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static bool ready;
    if (!ready) {
        memory_disk_init(&disk[0], 2880);
        memory_disk_init(&disk[1], 720);
        ready = true;
    }
    at = data;
    end = data + bytes;
    fuzz = (struct fuzz_clock){.clock.now_ns = now_ns};
    disk[0].disk.bytes = 2880 * DISK_SECTOR_BYTES;
    disk[0].bad_sector = bytes & 1 ? 7 : UINT64_MAX;
    i8237_init(&dma, fake_dma(&memory));
    dma_write(32 + 0x16, 0xc0);
    dma_write(32 + 0x14, 0);
    i82077_init(&fdc, &fuzz.clock, (struct irq_line){0}, &dma);
    i82077_attach(&fdc, 0, &disk[0].disk);
    i82077_attach(&fdc, 1, &disk[1].disk);
    i82077_ops.write(&fdc, 2, 1, 0x3c);
    i82077_change_ops.write(&fdc, 0, 1, 0);
    while (at < end)
        step();
    check();
    return 0;
}
