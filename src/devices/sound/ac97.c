/*
 * The AC'97 controller. See ac97.h. Register names are those of the datasheet.
 */
#include "ac97.h"

#include <string.h>

#define CHANNEL_PORTS 16
#define DESCRIPTORS   32
#define PULL_SAMPLES  512

/* SR */
enum {
    SR_HALTED = 0x01,
    SR_LAST = 0x02, /* CIV is LVI, and its buffer is done */
    SR_LAST_DONE = 0x04,
    SR_DONE = 0x08,
    SR_CLEARED_BY_1 = 0x1c,
    SR_FIFO = 0x10,
};
/* CR */
enum {
    CR_RUN = 0x01,
    CR_RESET = 0x02,
    CR_LAST_INTERRUPT = 0x04,
    CR_DONE_INTERRUPT = 0x10,
    CR_INTERRUPTS = 0x1c,
    CR_WRITABLE = 0x1d
};
/* Offsets in a channel */
enum {
    AT_LIST = 0x0,
    AT_CURRENT = 0x4,
    AT_LAST = 0x5,
    AT_STATUS = 0x6,
    AT_LEFT = 0x8,
    AT_PREFETCHED = 0xa,
    AT_CONTROL = 0xb
};
/* Offsets of the globals, and bits */
enum { GLOBAL_CONTROL = 0x2c, GLOBAL_STATUS = 0x30, SEMAPHORE = 0x34 };
enum { CONTROL_COLD = 0x02, CONTROL_WARM = 0x04, CONTROL_WRITABLE = 0x3f };
enum { STATUS_IN = 0x20, STATUS_OUT = 0x40, STATUS_MICROPHONE = 0x80, STATUS_CODEC_READY = 0x100 };

#define BUFFER_INTERRUPT 0x80000000u

/* --- interrupts --- */

static bool wants_interrupt(const struct ac97_channel *ch)
{
    return ((ch->status & SR_LAST_DONE) && (ch->control & CR_LAST_INTERRUPT)) ||
           ((ch->status & SR_DONE) && (ch->control & CR_DONE_INTERRUPT));
}

static void update(struct ac97 *ac97)
{
    bool any = false;
    for (unsigned n = 0; n < AC97_CHANNELS; n++)
        any |= wants_interrupt(&ac97->channel[n]);
    pci_set_interrupt(&ac97->pci, any);
}

/* --- bus masters --- */

static void fetch(struct ac97 *ac97, struct ac97_channel *ch)
{
    u8 entry[8];
    ac97->memory.read(ac97->memory.memory, ch->list + ch->current * 8u, entry, sizeof(entry));
    u32 control = pci_get32(entry + 4);
    ch->at = pci_get32(entry) & ~1u;
    ch->left = (u16)control;
    ch->final = control & BUFFER_INTERRUPT;
    ch->prefetched = (ch->current + 1) % DESCRIPTORS;
}

static bool running(const struct ac97_channel *ch)
{
    return (ch->control & CR_RUN) && !(ch->status & SR_HALTED);
}

/* The current buffer is done. */
static void advance(struct ac97 *ac97, struct ac97_channel *ch)
{
    if (ch->final) ch->status |= SR_DONE;
    if (ch->current == ch->last) {
        ch->status |= SR_LAST_DONE | SR_LAST | SR_HALTED;
        return;
    }
    ch->current = ch->prefetched;
    fetch(ac97, ch);
}

/* Advance by `samples` of 16 bits: copy them to `play` or (NULL) record silence. The rest of `play` is
 * silence. */
static void transfer(struct ac97 *ac97, struct ac97_channel *ch, s16 *play, u32 samples)
{
    static const u8 silence[2 * PULL_SAMPLES];
    u32 done = 0;
    /* All buffers of a list may be empty. */
    for (unsigned buffers = 0; done < samples && running(ch) && buffers <= DESCRIPTORS;) {
        u32 count = samples - done < ch->left ? samples - done : ch->left;
        if (count > PULL_SAMPLES) count = PULL_SAMPLES;
        if (play)
            ac97->memory.read(ac97->memory.memory, ch->at, play + done, count * 2u);
        else
            ac97->memory.write(ac97->memory.memory, ch->at, silence, count * 2u);
        ch->at += count * 2;
        ch->left = (u16)(ch->left - count);
        done += count;
        if (ch->left) continue;
        buffers++;
        advance(ac97, ch);
    }
    if (play) memset(play + done, 0, (samples - done) * 2u);
}

static void reset_channel(struct ac97_channel *ch)
{
    *ch = (struct ac97_channel){.status = SR_HALTED};
}

static void start(struct ac97 *ac97, struct ac97_channel *ch)
{
    bool paused = ch->left && !(ch->status & SR_LAST);
    if (!paused) {
        ch->current = ch->prefetched;
        fetch(ac97, ch);
    }
    ch->status &= ~(SR_HALTED | SR_LAST);
    if (ac97->started) ac97->started(ac97->owner);
}

/* "RR: contents of all bus master related registers are reset, except the interrupt enable bits." "RPBM, 0: pause; all
 * state information is retained": so the channel can go on in the middle of a buffer. */
static void write_control(struct ac97 *ac97, struct ac97_channel *ch, u8 value)
{
    bool ran = ch->control & CR_RUN;
    if (value & CR_RESET) {
        u8 enables = ch->control & CR_INTERRUPTS;
        reset_channel(ch);
        ch->control = enables;
        return;
    }
    ch->control = value & CR_WRITABLE;
    if (!ran && (value & CR_RUN)) start(ac97, ch);
    if (!(value & CR_RUN)) ch->status |= SR_HALTED;
}

/* A channel that has reached its last buffer goes on when LVI is written. */
static void write_last(struct ac97 *ac97, struct ac97_channel *ch, u8 value)
{
    ch->last = value % DESCRIPTORS;
    if ((ch->control & CR_RUN) && (ch->status & SR_HALTED) && ch->current != ch->last) start(ac97, ch);
}

static void channel_write(struct ac97 *ac97, struct ac97_channel *ch, u32 offset, u8 value)
{
    switch (offset) {
    case AT_LIST:
    case AT_LIST + 1:
    case AT_LIST + 2:
    case AT_LIST + 3:
        ch->list = (ch->list & ~(0xffu << offset * 8)) | (u32)value << offset * 8;
        ch->list &= ~7u;
        break;
    case AT_LAST: write_last(ac97, ch, value); break;
    case AT_STATUS: ch->status &= ~(value & SR_CLEARED_BY_1); break;
    case AT_CONTROL: write_control(ac97, ch, value); break;
    default: break;
    }
}

static u8 channel_read(const struct ac97_channel *ch, u32 offset)
{
    switch (offset) {
    case AT_CURRENT: return ch->current;
    case AT_LAST: return ch->last;
    case AT_STATUS: return (u8)ch->status;
    case AT_LEFT: return (u8)ch->left;
    case AT_LEFT + 1: return (u8)(ch->left >> 8);
    case AT_PREFETCHED: return ch->prefetched;
    case AT_CONTROL: return ch->control;
    default: return offset < AT_CURRENT ? (u8)(ch->list >> offset * 8) : 0;
    }
}

/* --- the bus masters' ports, byte by byte --- */

static u32 global_status(const struct ac97 *ac97)
{
    static const u32 bits[AC97_CHANNELS] = {STATUS_IN, STATUS_OUT, STATUS_MICROPHONE};
    u32 status = ac97->global_control & CONTROL_COLD ? STATUS_CODEC_READY : 0;
    for (unsigned n = 0; n < AC97_CHANNELS; n++)
        if (wants_interrupt(&ac97->channel[n])) status |= bits[n];
    return status;
}

static u8 read_byte(struct ac97 *ac97, u32 offset)
{
    if (offset < AC97_CHANNELS * CHANNEL_PORTS && offset % CHANNEL_PORTS <= AT_CONTROL)
        return channel_read(&ac97->channel[offset / CHANNEL_PORTS], offset % CHANNEL_PORTS);
    if (offset >= GLOBAL_CONTROL && offset < GLOBAL_STATUS)
        return (u8)(ac97->global_control >> (offset - GLOBAL_CONTROL) * 8);
    if (offset >= GLOBAL_STATUS && offset < SEMAPHORE)
        return (u8)(global_status(ac97) >> (offset - GLOBAL_STATUS) * 8);
    if (offset == SEMAPHORE) {
        u8 taken = ac97->semaphore;
        ac97->semaphore = 1; /* reading takes it */
        return taken;
    }
    return 0;
}

static u32 master_read(void *device, u32 offset, unsigned size)
{
    u32 value = 0;
    for (unsigned n = 0; n < size; n++)
        value |= (u32)read_byte(device, offset + n) << n * 8;
    return value;
}

static void reset_codec(struct ac97 *ac97);

static void write_global(struct ac97 *ac97, u8 value)
{
    if (!(ac97->global_control & CONTROL_COLD) && (value & CONTROL_COLD)) reset_codec(ac97);
    ac97->global_control = value & CONTROL_WRITABLE & ~CONTROL_WARM; /* a warm reset is over at once */
}

static void master_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct ac97 *ac97 = device;
    for (unsigned n = 0; n < size; n++, offset++) {
        u8 byte = (u8)(value >> n * 8);
        if (offset < AC97_CHANNELS * CHANNEL_PORTS && offset % CHANNEL_PORTS <= AT_CONTROL)
            channel_write(ac97, &ac97->channel[offset / CHANNEL_PORTS], offset % CHANNEL_PORTS, byte);
        if (offset == GLOBAL_CONTROL) write_global(ac97, byte);
        if (offset == SEMAPHORE && (byte & 1)) ac97->semaphore = 0;
    }
    update(ac97);
}

static const struct io_ops master_ops = {master_read, master_write};

/* --- the codec --- */

enum {
    CODEC_RESET = 0x00,
    CODEC_MASTER = 0x02,
    CODEC_PCM = 0x18,
    CODEC_POWER = 0x26,
    CODEC_EXTENDED_ID = 0x28,
    CODEC_EXTENDED = 0x2a,
    CODEC_DAC_RATE = 0x2c,
    CODEC_ADC_RATE = 0x32,
    CODEC_VENDOR_1 = 0x7c,
    CODEC_VENDOR_2 = 0x7e,
};
#define CODEC_MUTE   0x8000
#define EXTENDED_VRA 0x0001
#define POWER_READY  0x000f
#define RATE_DEFAULT 48000
#define RATE_LEAST   8000

static const struct {
    u8 reg;
    u16 value;
} codec_defaults[] = {
    {CODEC_MASTER, CODEC_MUTE},
    {0x04, CODEC_MUTE},
    {0x06, CODEC_MUTE},
    {0x0c, 0x8008},
    {0x0e, 0x8008},
    {0x10, 0x8808},
    {0x12, 0x8808},
    {0x14, 0x8808},
    {0x16, 0x8808},
    {CODEC_PCM, 0x8808},
    {0x1c, CODEC_MUTE},
    {CODEC_POWER, POWER_READY},
    {CODEC_EXTENDED_ID, EXTENDED_VRA},
    {CODEC_DAC_RATE, RATE_DEFAULT},
    {CODEC_ADC_RATE, RATE_DEFAULT},
    {CODEC_VENDOR_1, 0x8384},
    {CODEC_VENDOR_2, 0x7600}, /* SigmaTel STAC9700, which has no vendor-specific registers */
};

static void reset_codec(struct ac97 *ac97)
{
    memset(ac97->codec, 0, sizeof(ac97->codec));
    for (unsigned n = 0; n < ARRAY_SIZE(codec_defaults); n++)
        ac97->codec[codec_defaults[n].reg / 2] = codec_defaults[n].value;
}

static u16 *codec(struct ac97 *ac97, unsigned reg)
{
    return &ac97->codec[reg / 2];
}

static u32 codec_read(void *device, u32 offset, unsigned size)
{
    struct ac97 *ac97 = device;
    u32 value = offset < 128 ? *codec(ac97, offset) : 0xffff;
    ac97->semaphore = 0; /* the access is over */
    return value >> (offset & 1) * 8;
}

static void set_rate(struct ac97 *ac97, unsigned reg, u32 rate)
{
    bool variable = *codec(ac97, CODEC_EXTENDED) & EXTENDED_VRA;
    if (rate < RATE_LEAST) rate = RATE_LEAST;
    if (rate > RATE_DEFAULT || !variable) rate = RATE_DEFAULT;
    *codec(ac97, reg) = (u16)rate;
}

static void codec_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct ac97 *ac97 = device;
    ac97->semaphore = 0;
    if (size != 2 || offset >= 128 || (offset & 1)) return;
    switch (offset) {
    case CODEC_RESET: reset_codec(ac97); break;
    case CODEC_POWER: *codec(ac97, offset) = (u16)((value & 0xff00) | POWER_READY); break;
    case CODEC_EXTENDED:
        *codec(ac97, offset) = value & EXTENDED_VRA;
        set_rate(ac97, CODEC_DAC_RATE, *codec(ac97, CODEC_DAC_RATE));
        set_rate(ac97, CODEC_ADC_RATE, *codec(ac97, CODEC_ADC_RATE));
        break;
    case CODEC_DAC_RATE:
    case CODEC_ADC_RATE: set_rate(ac97, offset, value); break;
    case CODEC_EXTENDED_ID:
    case CODEC_VENDOR_1:
    case CODEC_VENDOR_2: break;
    default:
        /* Attenuation has five bits here. A sixth bit in the value means the maximum. */
        if (offset == CODEC_MASTER && (value & 0x2020))
            value |= (value & 0x2000 ? 0x1f00 : 0) | (value & 0x20 ? 0x1f : 0);
        *codec(ac97, offset) = value & (offset <= CODEC_PCM ? 0x9f1f : 0xffff);
    }
}

static const struct io_ops codec_ops = {codec_read, codec_write};

/* --- sound --- */

bool ac97_running(const struct ac97 *ac97)
{
    for (unsigned n = 0; n < AC97_CHANNELS; n++)
        if (running(&ac97->channel[n])) return true;
    return false;
}

u32 ac97_rate(const struct ac97 *ac97)
{
    return ac97->codec[CODEC_DAC_RATE / 2];
}

/* The factor, in 65536ths, of an attenuation in steps of 1.5 dB. Four steps halve the amplitude. */
static u32 factor(unsigned steps)
{
    static const u32 within[] = {65536, 55142, 46397, 39038};
    return within[steps % 4] >> steps / 4;
}

static u32 gain(const struct ac97 *ac97, bool right)
{
    u16 master = ac97->codec[CODEC_MASTER / 2], pcm = ac97->codec[CODEC_PCM / 2];
    if ((master | pcm) & CODEC_MUTE) return 0;
    unsigned shift = right ? 0 : 8, a = master >> shift & 0x1f, p = pcm >> shift & 0x1f;
    /* PCM values below 8 (0 dB) are gains up to 12 dB, which would clip: they count as 8. */
    return factor(a + (p > 8 ? p - 8 : 0));
}

void ac97_pull(struct ac97 *ac97, s16 *frame, u32 frames)
{
    u64 adc = ac97->codec[CODEC_ADC_RATE / 2], dac = ac97_rate(ac97);
    transfer(ac97, &ac97->channel[AC97_OUT], frame, frames * 2);
    transfer(ac97, &ac97->channel[AC97_IN], NULL, (u32)(frames * adc / dac) * 2);
    transfer(ac97, &ac97->channel[AC97_MICROPHONE], NULL, (u32)(frames * adc / dac));
    u32 left = gain(ac97, false), right = gain(ac97, true);
    for (u32 n = 0; n < frames; n++) {
        frame[2 * n] = (s16)((s64)frame[2 * n] * left / 65536);
        frame[2 * n + 1] = (s16)((s64)frame[2 * n + 1] * right / 65536);
    }
    update(ac97);
}

void ac97_reset(struct ac97 *ac97)
{
    pci_device_reset(&ac97->pci);
    for (unsigned n = 0; n < AC97_CHANNELS; n++)
        reset_channel(&ac97->channel[n]);
    ac97->global_control = 0;
    ac97->semaphore = 0;
    reset_codec(ac97);
    update(ac97);
}

void ac97_init(struct ac97 *ac97, struct pci_bus *bus, u8 devfn, const struct dma *memory,
               void (*started)(void *owner), void *owner)
{
    *ac97 = (struct ac97){.memory = *memory, .started = started, .owner = owner};
    pci_device_init(&ac97->pci, bus, devfn, 0x8086, 0x2415, 0x040100);
    pci_put16(&ac97->pci.config[PCI_SUBSYSTEM_VENDOR], 0x8086);
    ac97->pci.config[PCI_INTERRUPT_PIN] = 1;
    pci_bar_ports(&ac97->pci, 0, 256, 2, &codec_ops, ac97);
    pci_bar_ports(&ac97->pci, 1, 64, 4, &master_ops, ac97);
    ac97_reset(ac97);
}
