/*
 * Sound output on the host. See sound.h.
 */
#include "sound.h"

#include "base/log.h"
#include "libraries.h"

#include <SDL.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNELS      2
#define FRAME_BYTES   (CHANNELS * 2)
#define HEADER_BYTES  44
#define BUFFER_FRAMES 1024
#define LATE_BYTES                                                                                           \
    (SOUND_RATE / 5 * FRAME_BYTES) /* when more than this waits to be played, sound lags
                                                        behind the picture */
#define WAV_BYTES_MAX 0xfffff000u

struct sound {
    SDL_AudioDeviceID device; /* 0: none */
    FILE *file;               /* NULL: none */
    u32 file_bytes;
};

static void put(u8 *at, unsigned bytes, u32 value)
{
    for (unsigned n = 0; n < bytes; n++)
        at[n] = (u8)(value >> n * 8);
}

/* RIFF WAVE, PCM: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0". */
static void write_header(struct sound *sound)
{
    u8 header[HEADER_BYTES] = "RIFF....WAVEfmt ";
    put(header + 4, 4, HEADER_BYTES - 8 + sound->file_bytes);
    put(header + 16, 4, 16);
    put(header + 20, 2, 1);
    put(header + 22, 2, CHANNELS);
    put(header + 24, 4, SOUND_RATE);
    put(header + 28, 4, SOUND_RATE * FRAME_BYTES);
    put(header + 32, 2, FRAME_BYTES);
    put(header + 34, 2, 16);
    memcpy(header + 36, "data", 4);
    put(header + 40, 4, sound->file_bytes);
    rewind(sound->file);
    fwrite(header, 1, sizeof(header), sound->file);
}

/* Complete the header with the number of bytes written. */
static void close_file(struct sound *sound, bool failed)
{
    int why = errno;
    write_header(sound);
    if (fclose(sound->file) && !failed) {
        failed = true;
        why = errno;
    }
    if (failed) log_warn("cannot write sound: %s", strerror(why));
    sound->file = NULL;
}

static bool open_file(struct sound *sound, const char *path, char *error, size_t error_bytes)
{
    sound->file = fopen(path, "we");
    if (sound->file) write_header(sound);
    if (!sound->file) snprintf(error, error_bytes, "cannot write sound to %s: %s", path, strerror(errno));
    return sound->file;
}

static bool open_device(struct sound *sound, char *error, size_t error_bytes)
{
    SDL_AudioSpec want = {
        .freq = SOUND_RATE, .format = AUDIO_S16LSB, .channels = CHANNELS, .samples = BUFFER_FRAMES};
    if (!library_load(&sdl_library, error, error_bytes)) return false;
    if (SDL_InitSubSystem(SDL_INIT_AUDIO) == 0) {
        sound->device = SDL_OpenAudioDevice(NULL, 0, &want, NULL, 0);
        if (!sound->device) SDL_QuitSubSystem(SDL_INIT_AUDIO);
    }
    if (!sound->device) snprintf(error, error_bytes, "cannot play sound: %s", SDL_GetError());
    if (sound->device) SDL_PauseAudioDevice(sound->device, 0);
    return sound->device;
}

/* Does the host seem to have a sound card or a sound server? Trying to open one without this check fills the
 * terminal with messages of the sound libraries. */
static bool host_may_play(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char path[256];
    snprintf(path, sizeof(path), "%s/pulse/native", runtime ? runtime : "");
    return access("/dev/snd/controlC0", F_OK) == 0 || access(path, F_OK) == 0 || getenv("PULSE_SERVER");
}

struct sound *sound_open(const char *specification, char *error, size_t error_bytes)
{
    struct sound *sound = calloc(1, sizeof(*sound));
    bool good = false;
    if (!sound)
        snprintf(error, error_bytes, "out of memory");
    else if (!strncmp(specification, "wav:", 4))
        good = open_file(sound, specification + 4, error, error_bytes);
    else if (!strcmp(specification, "sdl"))
        good = open_device(sound, error, error_bytes);
    else if (!strcmp(specification, "auto"))
        good = true;
    else
        good = !strcmp(specification, "none");
    if (good && specification[0] == 'a' && host_may_play()) open_device(sound, error, error_bytes);
    if (good) return sound;
    free(sound);
    return NULL;
}

void sound_write(struct sound *sound, const s16 *frame, u32 frames)
{
    u32 bytes = frames * FRAME_BYTES;
    if (sound->device && SDL_GetQueuedAudioSize(sound->device) < LATE_BYTES)
        SDL_QueueAudio(sound->device, frame, bytes);
    if (!sound->file || bytes > WAV_BYTES_MAX - sound->file_bytes) return;
    if (fwrite(frame, 1, bytes, sound->file) == bytes) {
        sound->file_bytes += bytes;
        return;
    }
    close_file(sound, true);
}

void sound_close(struct sound *sound)
{
    if (!sound) return;
    if (sound->device) {
        SDL_CloseAudioDevice(sound->device);
        SDL_QuitSubSystem(SDL_INIT_AUDIO);
    }
    if (sound->file) close_file(sound, false);
    free(sound);
}
