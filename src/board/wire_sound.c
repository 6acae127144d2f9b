/*
 * Sound. See wire_sound.h.
 */
#include "wire_sound.h"

#include "board.h"
#include "devices/chipset/i8254.h"

#include <string.h>

#define NS_PER_SECOND 1000000000ull
#define MIX_EVERY_NS  10000000u
#define FRAMES_MAX    (SOUND_RATE / 10) /* the most that is mixed at once, after a pause */
#define SPEAKER_LEVEL 6000
#define SOUND_DEVFN   PCI_DEVFN(5, 0)

/* --- the speaker: a square wave of the period that channel 2 of the 8254 counts --- */

static void add_speaker(struct wire_sound *wire, s16 *frame, u32 frames)
{
    u32 count = i8254_speaker(wire->pit);
    /* A tone above half the sampling rate is silence. The slowest count is audible. */
    if (!count || I8254_HZ / count > SOUND_RATE / 2) return;
    u64 period = (u64)count * SOUND_RATE;
    u64 phase = wire->phase % period;
    for (u32 n = 0; n < frames; n++) {
        s16 level = phase < period / 2 ? SPEAKER_LEVEL : -SPEAKER_LEVEL;
        for (unsigned side = 0; side < 2; side++) {
            int sum = frame[2 * n + side] + level;
            frame[2 * n + side] = (s16)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
        }
        phase = (phase + I8254_HZ) % period;
    }
    wire->phase = (u32)phase;
}

/* --- the controller: each frame of the mix has the controller's frame for that time --- */

static void add_controller(struct wire_sound *wire, s16 *frame, u32 frames)
{
    s16 pulled[2 * (FRAMES_MAX + 1)];
    u32 rate = ac97_rate(&wire->ac97), taken = 0;
    u64 due = wire->odd_frame + (u64)frames * rate;
    u32 count = (u32)(due / SOUND_RATE);
    ac97_pull(&wire->ac97, pulled, count);
    u64 odd = wire->odd_frame;
    for (u32 n = 0; n < frames; n++) {
        for (odd += rate; odd >= SOUND_RATE && taken < count; odd -= SOUND_RATE, taken++)
            memcpy(wire->last, pulled + 2 * taken, sizeof(wire->last));
        memcpy(frame + 2 * n, wire->last, sizeof(wire->last));
    }
    wire->odd_frame = (u32)(due % SOUND_RATE);
}

/* --- time --- */

static bool sounds(struct wire_sound *wire)
{
    return ac97_running(&wire->ac97) || i8254_speaker(wire->pit);
}

static void mix(struct wire_sound *wire, u32 frames)
{
    s16 frame[2 * FRAMES_MAX];
    memset(frame, 0, sizeof(frame));
    if (ac97_running(&wire->ac97)) add_controller(wire, frame, frames);
    add_speaker(wire, frame, frames);
    sound_write(wire->sound, frame, frames);
}

static void tick(void *device)
{
    struct wire_sound *wire = device;
    u64 elapsed = clock_now(wire->timer.clock) - wire->since_ns;
    u64 due = elapsed / NS_PER_SECOND * SOUND_RATE + elapsed % NS_PER_SECOND * SOUND_RATE / NS_PER_SECOND;
    u64 frames = due - wire->frames;
    wire->frames = due;
    mix(wire, frames > FRAMES_MAX ? FRAMES_MAX : (u32)frames);
    if (sounds(wire)) timer_arm(&wire->timer, clock_now(wire->timer.clock) + MIX_EVERY_NS);
}

static void changed(void *owner)
{
    struct wire_sound *wire = owner;
    if (wire->timer.armed || !sounds(wire)) return;
    wire->since_ns = clock_now(wire->timer.clock);
    wire->frames = 0;
    timer_arm(&wire->timer, wire->since_ns + MIX_EVERY_NS);
}

/* --- set-up --- */

bool wire_sound_init(struct wire_sound *wire, struct board *board, struct i8254 *pit, char *error,
                     size_t error_bytes)
{
    const char *audio = board->options->audio;
    if (!strcmp(audio, "none")) return true;
    wire->sound = sound_open(board->follower ? "none" : audio, error, error_bytes);
    if (!wire->sound) return false;
    wire->pit = pit;
    timer_init(&wire->timer, board->clock, tick, wire);
    ac97_init(&wire->ac97, &board->pci, SOUND_DEVFN, &board->dma, changed, wire);
    i8254_watch_speaker(pit, changed, wire);
    return true;
}

void wire_sound_destroy(struct wire_sound *wire)
{
    sound_close(wire->sound);
}

void wire_sound_reset(struct wire_sound *wire)
{
    if (!wire->sound) return;
    timer_cancel(&wire->timer);
    ac97_reset(&wire->ac97);
}
