/*
 * --screen-dump: the text screen as a file; --screenshot: the picture as a PNG file. Each is written to a file beside
 * its path, which is then renamed, so a reader never sees half a screen. A path that is not a regular file
 * (/dev/stdout) is written to directly.
 */
#ifndef RINGER_OBSERVE_SCREEN_H
#define RINGER_OBSERVE_SCREEN_H

#include "base/types.h"

struct display;
struct vga;

/* Can `path` be written? If not: one sentence in error. Leaves nothing behind. */
bool screen_dump_check(const char *path, char *error, size_t error_bytes);
/* Both return 0 or -errno; without a video card (NULL) -ENODEV. Only the vCPU thread calls them. */
int screen_dump(const struct vga *vga, const char *path);
int screen_shot(struct display *display, const char *path);
/* The same as a portable pixmap (PPM, "P6"). */
int screen_shot_ppm(struct display *display, const char *path);

#endif
