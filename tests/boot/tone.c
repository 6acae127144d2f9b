/*
 * A guest program: plays a tone of 1000 Hz for two seconds through OSS, 48000 frames a second, on the left channel
 * only, and prints how long that took.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/soundcard.h>
#include <time.h>
#include <unistd.h>

#define RATE 48000

int main(void)
{
    int mixer = open("/dev/mixer", O_RDWR), dsp = open("/dev/dsp", O_WRONLY);
    int loud = 100 | 100 << 8, format = AFMT_S16_LE, channels = 2, rate = RATE;
    if (mixer < 0 || dsp < 0) {
        perror("no sound card");
        return 1;
    }
    ioctl(mixer, SOUND_MIXER_WRITE_VOLUME, &loud);
    ioctl(mixer, SOUND_MIXER_WRITE_PCM, &loud);
    if (ioctl(dsp, SNDCTL_DSP_SETFMT, &format) < 0 || ioctl(dsp, SNDCTL_DSP_CHANNELS, &channels) < 0 ||
        ioctl(dsp, SNDCTL_DSP_SPEED, &rate) < 0 || rate != RATE) {
        perror("the card refuses");
        return 1;
    }
    static short frames[RATE / 10][2];
    for (int n = 0; n < RATE / 10; n++)
        frames[n][0] = n % 48 < 24 ? 10000 : -10000;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int n = 0; n < 20; n++)
        if (write(dsp, frames, sizeof(frames)) != sizeof(frames)) {
            perror("write");
            return 1;
        }
    ioctl(dsp, SNDCTL_DSP_SYNC, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long ms = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    printf("played %s\n", ms > 1900 && ms < 3000 ? "in time" : "too fast or too slow");
    if (ms <= 1900 || ms >= 3000) printf("in %ld ms\n", ms);
    return 0;
}
