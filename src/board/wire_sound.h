/*
 * Sound: the PC speaker and an AC'97 controller, mixed every 10 ms of the guest's time while one of them
 * sounds, and handed to the host's loudspeaker. A machine nobody listens to (--audio none) has no controller.
 */
#ifndef RINGER_BOARD_WIRE_SOUND_H
#define RINGER_BOARD_WIRE_SOUND_H

#include "devices/sound/ac97.h"
#include "ui/sound.h"

struct board;
struct i8254;

struct wire_sound {
    struct sound *sound; /* NULL: none */
    struct i8254 *pit;
    struct ac97 ac97;
    struct timer timer;
    u64 since_ns;  /* mixing goes on since then, */
    u64 frames;    /* by so many frames */
    u32 phase;     /* of the speaker's square wave, in 8254 clocks * SOUND_RATE */
    u32 odd_frame; /* of the controller's, in frames * SOUND_RATE */
    s16 last[2];
};

/* False with one sentence in error. */
bool wire_sound_init(struct wire_sound *wire, struct board *board, struct i8254 *pit, char *error,
                     size_t error_bytes);
void wire_sound_destroy(struct wire_sound *wire);
void wire_sound_reset(struct wire_sound *wire);

#endif
