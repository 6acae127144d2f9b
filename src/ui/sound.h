/*
 * Sound output on the host: SDL's audio device, a WAV file, or nothing. It takes 48000 frames a second, left and right,
 * 16 bits. It never blocks: frames are dropped if too many wait to be played.
 */
#ifndef RINGER_UI_SOUND_H
#define RINGER_UI_SOUND_H

#include "base/types.h"

#define SOUND_RATE 48000

struct sound;

/* "none", "sdl", "auto" (sdl, or none if the host cannot play) or "wav:FILE". NULL with one sentence in error. */
struct sound *sound_open(const char *specification, char *error, size_t error_bytes);
void sound_write(struct sound *sound, const s16 *frame, u32 frames);
void sound_close(struct sound *sound);

#endif
