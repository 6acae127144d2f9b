/*
 * The parameter `vga=` of a Linux command line, for directly started kernels. It is a mode number of the real-mode part
 * (Linux, Documentation/admin-guide/svga.rst). Numbers from 300h on are VBE modes.
 */
#ifndef RINGER_BOOT_VIDEO_MODE_H
#define RINGER_BOOT_VIDEO_MODE_H

#include "base/types.h"

struct video_mode {
    u16 number; /* of VBE */
    u16 width, height, bits;
};

/* The linear mode that the command line (or NULL) asks for. NULL: it asks for none, or for an unknown one. */
const struct video_mode *video_mode_asked(const char *command_line);

#endif
