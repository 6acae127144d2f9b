/*
 * The screen of a kernel that is started directly: what the video BIOS would have left. A font, and the mode
 * that Linux' parameter `vga=` asks for.
 */
#ifndef RINGER_BOOT_DIRECT_VIDEO_H
#define RINGER_BOOT_DIRECT_VIDEO_H

#include "loader.h"

struct video;

/* After base address registers were set. Returns the frame buffer, if there is one. */
struct boot_screen direct_video(struct video *video, const char *command_line);

#endif
