/*
 * Sound: the PC speaker and an AC'97 controller. While one of them sounds, both are mixed every 10 ms of guest
 * time and written to the host's sound output. With --audio none there is no controller.
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
    u64 since_ns;  /* when mixing began */
    u64 frames;    /* mixed since then */
    u32 phase;     /* of the speaker's square wave, in 8254 clocks * SOUND_RATE */
    u32 odd_frame; /* remainder of the controller's frames, * SOUND_RATE */
    s16 last[2];
};

/* False with one sentence in error. */
bool wire_sound_init(struct wire_sound *wire, struct board *board, struct i8254 *pit, char *error,
                     size_t error_bytes);
void wire_sound_destroy(struct wire_sound *wire);
void wire_sound_reset(struct wire_sound *wire);

#endif
