/*
 * The video mode that a Linux command line asks for.
 */
#include "boot/video_mode.h"

#include "check.h"

static unsigned width_of(const char *line)
{
    const struct video_mode *mode = video_mode_asked(line);
    return mode ? mode->width : 0;
}

int main(void)
{
    CHECK_EQ(width_of(NULL), 0);
    CHECK_EQ(width_of(""), 0);
    CHECK_EQ(width_of("quiet vga=0x317 ro"), 1024);
    CHECK_EQ(width_of("vga=791"), 1024);
    CHECK_EQ(width_of("vga=0x392 vga=0x301"), 640);
    CHECK_EQ(width_of("vga=normal"), 0);
    CHECK_EQ(width_of("vga=0x302"), 0); /* planes */
    CHECK_EQ(width_of("novga=0x317"), 0);
    CHECK_EQ(width_of("vga="), 0);
    CHECK_EQ(width_of("vga=99999999999999999999"), 0);
    return check_report();
}
