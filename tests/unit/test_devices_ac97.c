/*
 * The AC'97 controller as a driver sees it: lists of buffers, positions, interrupts, rates; and lists outside of
 * memory.
 */
#include "devices/sound/ac97.h"

#include "check.h"

#include <string.h>

#define LIST   0x1000u
#define BUFFER 0x10000u
#define OUT    0x10u
#define MEMORY 0x100000u
#define FRAMES 480

static struct pci_bus bus;
static struct ac97 ac97;
static u8 memory[MEMORY];
static bool interrupt;
static unsigned starts;

static void read_memory(void *m, u64 gpa, void *buffer, u64 bytes)
{
    memset(buffer, 0xff, bytes);
    if (gpa < MEMORY) memcpy(buffer, memory + gpa, bytes < MEMORY - gpa ? bytes : MEMORY - gpa);
}
static void write_memory(void *m, u64 gpa, const void *buffer, u64 bytes)
{
    if (gpa < MEMORY) memcpy(memory + gpa, buffer, bytes < MEMORY - gpa ? bytes : MEMORY - gpa);
}
static void set_irq(void *receiver, unsigned pin, bool level)
{
    interrupt = level;
}
static void started(void *owner)
{
    starts++;
}

static u32 get(unsigned bar, u32 offset, unsigned size)
{
    const struct pci_bar *b = &ac97.pci.bar[bar];
    return b->ops->read(b->handler, offset, size);
}
static void put(unsigned bar, u32 offset, unsigned size, u32 value)
{
    const struct pci_bar *b = &ac97.pci.bar[bar];
    b->ops->write(b->handler, offset, size, value);
}

static void start(void)
{
    static const struct dma dma = {.read = read_memory, .write = write_memory};
    memset(memory, 0, sizeof(memory));
    pci_bus_init(&bus);
    for (unsigned n = 0; n < 4; n++)
        bus.pirq[n] = (struct irq_line){.set = set_irq};
    ac97_init(&ac97, &bus, PCI_DEVFN(5, 0), &dma, started, NULL);
    starts = 0;
    interrupt = false;
    put(1, 0x2c, 4, 2); /* out of reset */
    CHECK_EQ(get(1, 0x30, 4), 0x100);
    put(0, 0x02, 2, 0);
    put(0, 0x18, 2, 0x0808);
}

static void descriptor(unsigned n, u32 address, u32 control)
{
    memcpy(memory + LIST + n * 8, &address, 4);
    memcpy(memory + LIST + n * 8 + 4, &control, 4);
}

static s16 frame[2 * 4096];

static void test_playing(void)
{
    start();
    for (u32 n = 0; n < 4 * FRAMES; n++)
        memory[BUFFER + 2 * n] = (u8)n, memory[BUFFER + 2 * n + 1] = 0;
    descriptor(0, BUFFER, 2 * FRAMES | 0x80000000);
    descriptor(1, BUFFER + 4 * FRAMES, 2 * FRAMES | 0x80000000);
    put(1, OUT + 0, 4, LIST);
    put(1, OUT + 5, 1, 1);
    CHECK(!ac97_running(&ac97));
    put(1, OUT + 0xb, 1, 0x15);
    CHECK(ac97_running(&ac97) && starts == 1);
    CHECK_EQ(get(1, OUT + 8, 2), 2 * FRAMES);
    ac97_pull(&ac97, frame, FRAMES / 2);
    CHECK(frame[0] == 0 && frame[1] == 1 && frame[FRAMES - 1] == (u8)(FRAMES - 1));
    CHECK_EQ(get(1, OUT + 8, 2), FRAMES);
    CHECK(!interrupt);
    ac97_pull(&ac97, frame, FRAMES / 2);
    CHECK(interrupt);
    CHECK_EQ(get(1, OUT + 4, 1), 1);
    CHECK_EQ(get(1, 0x30, 4), 0x140);
    CHECK_EQ(get(1, OUT + 6, 2), 0x08);
    put(1, OUT + 6, 2, 0x1c);
    CHECK(!interrupt);
    ac97_pull(&ac97, frame, FRAMES + 10); /* the end of the list, and silence */
    CHECK_EQ(get(1, OUT + 6, 2), 0x0f);
    CHECK(interrupt && !ac97_running(&ac97) && frame[2 * FRAMES] == 0);
    put(1, OUT + 6, 2, 0x1c);
    put(1, OUT + 5, 1, 3); /* the driver has more */
    CHECK(ac97_running(&ac97) && starts == 2);
    put(1, OUT + 0xb, 1, 0);
    CHECK(!ac97_running(&ac97));
    put(1, OUT + 0xb, 1, 2);
    CHECK_EQ(get(1, OUT + 0, 4), 0);
    CHECK_EQ(get(1, OUT + 6, 2), 1);
}

/* A channel that is paused in the middle of a buffer goes on there. Hazard: each pause skips the rest of the buffer. */
static void test_pause(void)
{
    start();
    for (u32 n = 0; n < 200; n++)
        memory[BUFFER + 2 * n] = (u8)n;
    descriptor(0, BUFFER, 200 | 0x80000000);
    descriptor(1, BUFFER, 200);
    put(1, OUT + 0, 4, LIST);
    put(1, OUT + 5, 1, 1);
    put(1, OUT + 0xb, 1, 0x11);
    ac97_pull(&ac97, frame, 20);
    put(1, OUT + 0xb, 1, 0x10);
    CHECK(!ac97_running(&ac97));
    CHECK_EQ(get(1, OUT + 6, 2), 1);
    ac97_pull(&ac97, frame, 20);
    CHECK(!frame[1] && get(1, OUT + 8, 2) == 160);
    put(1, OUT + 0xb, 1, 0x11);
    CHECK(starts == 2 && ac97_running(&ac97));
    ac97_pull(&ac97, frame, 20);
    CHECK_EQ(frame[0], 40);
    CHECK_EQ(get(1, OUT + 4, 1), 0);
    CHECK_EQ(get(1, OUT + 8, 2), 120);
    ac97_pull(&ac97, frame, 60);
    CHECK(interrupt && get(1, OUT + 4, 1) == 1);
    put(1, OUT + 0xb, 1, 0x10);
    put(1, OUT + 0xb, 1, 2);
    CHECK_EQ(get(1, OUT + 0xb, 1), 0x10);
    CHECK(!interrupt);
}

static void test_codec(void)
{
    start();
    CHECK_EQ(get(0, 0x7c, 2) << 16 | get(0, 0x7e, 2), 0x83847600);
    CHECK_EQ(get(0, 0x26, 2) & 0xf, 0xf);
    put(0, 0x2c, 2, 22050); /* without variable rates there is one */
    CHECK_EQ(ac97_rate(&ac97), 48000);
    put(0, 0x2a, 2, 1);
    put(0, 0x2c, 2, 22050);
    CHECK_EQ(ac97_rate(&ac97), 22050);
    put(0, 0x2c, 2, 0);
    CHECK_EQ(ac97_rate(&ac97), 8000);
    put(0, 0x02, 2, 0x3f3f);
    CHECK_EQ(get(0, 0x02, 2), 0x1f1f);
    /* Loudness: 6 dB less are a half, mute is nothing. */
    memory[BUFFER] = memory[BUFFER + 2] = 100;
    descriptor(0, BUFFER, 2 | 0x80000000);
    put(0, 0x02, 2, 0x0400);
    put(1, OUT + 0, 4, LIST);
    put(1, OUT + 0xb, 1, 1);
    ac97_pull(&ac97, frame, 1);
    CHECK(frame[0] == 50 && frame[1] == 100);
    put(0, 0x00, 2, 0);
    CHECK_EQ(get(0, 0x02, 2), 0x8000);
    CHECK_EQ(get(1, 0x34, 1), 0);
    CHECK_EQ(get(1, 0x34, 1), 1);
    get(0, 0, 2);
    CHECK_EQ(get(1, 0x34, 1), 0);
}

static u32 seed = 1;
static u32 rnd(void)
{
    return seed = seed * 1664525 + 1013904223;
}

static void test_hostile(void)
{
    start();
    /* Thirty-two empty buffers, over and over: each pull ends. */
    put(1, OUT + 0, 4, LIST);
    put(1, OUT + 5, 1, 31);
    put(1, OUT + 0xb, 1, 1);
    for (unsigned n = 0; n < 100; n++) {
        ac97_pull(&ac97, frame, 4096);
        put(1, OUT + 5, 1, n);
    }
    /* Everything everywhere. */
    for (unsigned n = 0; n < 300000; n++) {
        u32 r = rnd() >> 8, size = 1u << r % 3;
        if (r & 8)
            put(1, (r >> 4) % (64 - size), size, rnd());
        else
            put(0, (r >> 4) % (256 - size), size, rnd());
        if (r % 64 == 1) ac97_pull(&ac97, frame, rnd() >> 8 & 4095);
        if (r % 64 == 2) get(r >> 7 & 1, (r >> 8) % 60, size);
    }
    ac97_reset(&ac97);
    CHECK(!interrupt && !ac97_running(&ac97));
}

int main(void)
{
    test_playing();
    test_pause();
    test_codec();
    test_hostile();
    return check_report();
}
