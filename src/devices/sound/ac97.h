/*
 * The AC'97 sound controller of Intel's 82801AA (ICH; order 290655, chapter 12) with a codec of AC'97 2.1
 * with variable sample rates (VRA). The host's sound output pulls samples from it in guest time, and the bus master
 * advances by them. It records silence.
 *
 * Ports: base address 0, 256 ports, the codec's registers (16 bits each); base address 1, 64 ports, three
 * bus masters of 16 each (PCM in 00h, PCM out 10h, microphone 20h) and the globals:
 *
 *   +0 BDBAR   list of 32 descriptors: address, then 31 interrupt on completion | 30 last | 15-0 samples
 *   +4 CIV  +5 LVI  +6 SR  +8 PICB (samples left)  +Ah PIV  +Bh CR        2Ch GLOB_CNT  30h GLOB_STA  34h CAS
 *
 * The list may contain any address. A list of empty buffers is read once a pull.
 */
#ifndef RINGER_DEVICES_SOUND_AC97_H
#define RINGER_DEVICES_SOUND_AC97_H

#include "devices/pci/pci_bus.h"

enum ac97_channel_name { AC97_IN, AC97_OUT, AC97_MICROPHONE, AC97_CHANNELS };

struct ac97_channel {
    u32 list; /* BDBAR */
    u8 current, last, prefetched, control;
    u16 status, left;
    u32 at;     /* bus address of the next sample of the current buffer */
    bool final; /* the current buffer's interrupt-on-completion bit */
};

struct ac97 {
    struct pci_device pci;
    struct dma memory;
    /* A channel was started: pull from now on. */
    void (*started)(void *owner);
    void *owner;
    u16 codec[64];
    struct ac97_channel channel[AC97_CHANNELS];
    u32 global_control;
    u8 semaphore;
};

void ac97_init(struct ac97 *ac97, struct pci_bus *bus, u8 devfn, const struct dma *memory,
               void (*started)(void *owner), void *owner);
void ac97_reset(struct ac97 *ac97);

bool ac97_running(const struct ac97 *ac97);
/* Frames a second that it plays. */
u32 ac97_rate(const struct ac97 *ac97);
/* Play that many frames (left, right, left, ...), with silence for those that are missing. Recording
 * advances by the same. */
void ac97_pull(struct ac97 *ac97, s16 *frame, u32 frames);

#endif
