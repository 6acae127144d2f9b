#include "video_mode.h"

#include <stdlib.h>
#include <string.h>

/* The numbers of Bochs' VGA BIOS. Those below 11Bh are defined by VESA (VBE Core Functions 3.0, 3). */
static const struct video_mode modes[] = {
    {0x101, 640, 480, 8},    {0x103, 800, 600, 8},    {0x105, 1024, 768, 8},   {0x107, 1280, 1024, 8},
    {0x110, 640, 480, 15},   {0x111, 640, 480, 16},   {0x112, 640, 480, 24},   {0x113, 800, 600, 15},
    {0x114, 800, 600, 16},   {0x115, 800, 600, 24},   {0x116, 1024, 768, 15},  {0x117, 1024, 768, 16},
    {0x118, 1024, 768, 24},  {0x119, 1280, 1024, 15}, {0x11a, 1280, 1024, 16}, {0x11b, 1280, 1024, 24},
    {0x11c, 1600, 1200, 8},  {0x11d, 1600, 1200, 15}, {0x11e, 1600, 1200, 16}, {0x11f, 1600, 1200, 24},
    {0x142, 640, 480, 32},   {0x143, 800, 600, 32},   {0x144, 1024, 768, 32},  {0x145, 1280, 1024, 32},
    {0x147, 1600, 1200, 32}, {0x177, 1280, 768, 32},  {0x178, 1280, 800, 16},  {0x179, 1280, 800, 24},
    {0x17a, 1280, 800, 32},  {0x17d, 1280, 960, 32},  {0x180, 1440, 900, 32},  {0x183, 1400, 1050, 32},
    {0x186, 1680, 1050, 32}, {0x189, 1920, 1200, 32}, {0x18c, 2560, 1600, 32}, {0x18f, 1280, 720, 32},
    {0x192, 1920, 1080, 32},
};

#define LINUX_VBE 0x200 /* Linux adds this to VBE's numbers */

const struct video_mode *video_mode_asked(const char *line)
{
    unsigned long number = 0;
    /* The last one counts, as for all parameters. */
    for (const char *at = line; at && (at = strstr(at, "vga=")) != NULL; at += 4)
        if (at == line || at[-1] == ' ') number = strtoul(at + 4, NULL, 0);
    for (unsigned n = 0; n < ARRAY_SIZE(modes); n++)
        if (number == modes[n].number + (unsigned long)LINUX_VBE) return &modes[n];
    return NULL;
}
