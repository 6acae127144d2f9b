/*
 * Watchdog timer. See i6300esb.h.
 */
#include "i6300esb.h"

#define INTEL        0x8086
#define DEVICE_ID    0x25ab
#define CLASS_OTHER  0x088000u /* base system peripheral, other */
#define BAR_BYTES    PAGE_SIZE /* the chip's has 16: a page is the least that can be mapped */
#define PRELOAD_MASK 0xfffffu
#define PCI_CLOCK_HZ 33000000ull

enum { CONFIG = 0x60, LOCK = 0x68 };
enum { CONFIG_NO_OUTPUT = 1 << 5, CONFIG_FAST = 1 << 2, CONFIG_WRITABLE = 0x27 };
enum { LOCK_LOCKED = 1, LOCK_ENABLE = 2, LOCK_FREE = 4 };
enum { PRELOAD1 = 0, PRELOAD2 = 4, STATUS = 8, RELOAD = 12 };
enum { RELOAD_NOW = 1 << 8, RELOAD_TIMEOUT = 1 << 9 };
enum { UNLOCK1 = 0x80, UNLOCK2 = 0x86, UNLOCKED = 2 };

static void start(struct i6300esb *watchdog, bool stage2)
{
    unsigned shift = watchdog->pci.config[CONFIG] & CONFIG_FAST ? 5 : 15;
    u64 clocks = (u64)watchdog->preload[stage2] << shift;
    watchdog->stage2 = stage2;
    timer_arm(&watchdog->timer, clock_now(watchdog->timer.clock) + clocks * 1000000000u / PCI_CLOCK_HZ);
}

static void expired(void *device)
{
    struct i6300esb *watchdog = device;
    if (!watchdog->stage2) {
        watchdog->stage1_ended = true;
        start(watchdog, true);
        return;
    }
    watchdog->timed_out = true;
    if (watchdog->free_running) start(watchdog, false);
    if (!(watchdog->pci.config[CONFIG] & CONFIG_NO_OUTPUT)) watchdog->alarm(watchdog->owner);
}

/* --- memory --- */

static u32 read(void *device, u32 offset, unsigned size)
{
    const struct i6300esb *watchdog = device;
    if (offset == STATUS) return watchdog->stage1_ended;
    if (offset == RELOAD) return watchdog->timed_out ? RELOAD_TIMEOUT : 0;
    return 0; /* the preloads cannot be read */
}

static void write_unlocked(struct i6300esb *watchdog, u32 offset, u32 value)
{
    if (offset == PRELOAD1 || offset == PRELOAD2)
        watchdog->preload[offset == PRELOAD2] = value & PRELOAD_MASK;
    if (offset != RELOAD) return;
    if (value & RELOAD_TIMEOUT) watchdog->timed_out = false;
    if ((value & RELOAD_NOW) && watchdog->enabled) start(watchdog, false);
}

static void write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i6300esb *watchdog = device;
    if (offset == STATUS) {
        if (value & 1) watchdog->stage1_ended = false;
    } else if (offset == RELOAD && value == UNLOCK1) {
        watchdog->unlocking = 1;
    } else if (offset == RELOAD && value == UNLOCK2 && watchdog->unlocking == 1) {
        watchdog->unlocking = UNLOCKED;
    } else {
        if (watchdog->unlocking == UNLOCKED) write_unlocked(watchdog, offset, value);
        watchdog->unlocking = 0;
    }
}

static const struct io_ops ops = {read, write};

/* --- configuration space --- */

static void written(struct pci_device *pci, unsigned offset)
{
    struct i6300esb *watchdog = container_of(pci, struct i6300esb, pci);
    if (offset != LOCK) return;
    u8 value = pci->config[LOCK];
    bool was = watchdog->enabled;
    watchdog->enabled = value & LOCK_ENABLE;
    watchdog->free_running = value & LOCK_FREE;
    if (value & LOCK_LOCKED) pci->writable[LOCK] = 0;
    if (watchdog->enabled && !was) start(watchdog, false);
    if (!watchdog->enabled) timer_cancel(&watchdog->timer);
}

void i6300esb_reset(void *device)
{
    struct i6300esb *watchdog = device;
    pci_device_reset(&watchdog->pci);
    timer_cancel(&watchdog->timer);
    watchdog->pci.config[CONFIG] = watchdog->pci.config[LOCK] = 0;
    watchdog->pci.writable[LOCK] = LOCK_LOCKED | LOCK_ENABLE | LOCK_FREE;
    watchdog->preload[0] = watchdog->preload[1] = PRELOAD_MASK;
    watchdog->enabled = watchdog->free_running = false;
    watchdog->stage2 = watchdog->stage1_ended = false;
    watchdog->unlocking = 0;
}

void i6300esb_init(struct i6300esb *watchdog, struct pci_bus *bus, u8 devfn, struct clock *clock,
                   void (*alarm)(void *owner), void *owner)
{
    struct pci_device *pci = &watchdog->pci;
    *watchdog = (struct i6300esb){.alarm = alarm, .owner = owner};
    pci_device_init(pci, bus, devfn, INTEL, DEVICE_ID, CLASS_OTHER);
    pci_bar_mmio(pci, 0, BAR_BYTES, &ops, watchdog);
    pci->writable[CONFIG] = CONFIG_WRITABLE;
    pci->written = written;
    timer_init(&watchdog->timer, clock, expired, watchdog);
    i6300esb_reset(watchdog);
}
