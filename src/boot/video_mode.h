/*
 * The parameter `vga=` of a Linux command line, for kernels that are started directly: a number of the boot
 * protocol's real-mode part (Documentation/admin-guide/svga.rst), of which those from 300h on are VBE modes.
 */
#ifndef RINGER_BOOT_VIDEO_MODE_H
#define RINGER_BOOT_VIDEO_MODE_H

#include "base/types.h"

struct video_mode {
    u16 number; /* of VBE */
    u16 width, height, bits;
};

/* The linear mode that the command line (or NULL) asks for; NULL: none, or none that there is. */
const struct video_mode *video_mode_asked(const char *command_line);

#endif
