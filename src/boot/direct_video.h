/*
 * The screen of a directly started kernel, as the video BIOS would leave it: a font, and the mode that the Linux
 * parameter `vga=` asks for.
 */
#ifndef RINGER_BOOT_DIRECT_VIDEO_H
#define RINGER_BOOT_DIRECT_VIDEO_H

#include "loader.h"

struct video;

/* Call after the base address registers were set. Returns the frame buffer, if there is one. */
struct boot_screen direct_video(struct video *video, const char *command_line);

#endif
