/*
 * Options: screen, keyboard, mouse and sound.
 */
#include "options_table.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* The keys behind sdl: QEMU's full-screen= and window-close=, and scale=. */
static bool window_detail(struct options *o, const char *value, struct complaint *c)
{
    char *full = option_item(value, "full-screen"), *scale = option_item(value, "scale"),
         *closes = option_item(value, "window-close");
    bool good = true;
    if (full && !option_switch(full, &o->full_screen))
        good = COMPLAIN(c, "full-screen is on or off, not \"%s\"", full);
    if (closes && !option_switch(closes, &o->window_closes))
        good = COMPLAIN(c, "window-close is on or off, not \"%s\"", closes);
    o->whole_scale = scale && !strcmp(scale, "whole");
    if (scale && !o->whole_scale && strcmp(scale, "smooth"))
        good = COMPLAIN(c, "scale is whole or smooth, not \"%s\"", scale);
    free(full);
    free(scale);
    free(closes);
    return good;
}

static bool set_display(struct options *o, const char *value, struct complaint *c)
{
    static const char *const windows[] = {"sdl", "gtk", "window"};
    size_t length = strcspn(value, ",=");
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->help = COMMAND_HELP_DISPLAYS, true;
    if ((length == 4 && !strncmp(value, "none", 4)) || !strncmp(value, "egl-headless", length)) {
        o->display = DISPLAY_NONE;
        return true;
    }
    if (!strncmp(value, "vnc=", 4)) {
        o->vnc = value + 4;
        return true;
    }
    for (unsigned n = 0; n < ARRAY_SIZE(windows); n++)
        if (strlen(windows[n]) == length && !strncmp(value, windows[n], length)) {
            o->display = DISPLAY_WINDOW;
            return window_detail(o, value, c);
        }
    return COMPLAIN(c, "there is no display \"%s\"; there are sdl, vnc=... and none", value);
}

static bool set_vnc(struct options *o, const char *value, struct complaint *c)
{
    o->vnc = strcmp(value, "none") ? value : NULL;
    return true;
}

static bool set_video(struct options *o, const char *value, struct complaint *c)
{
    static const char *const others[] = {"cirrus", "qxl", "virtio", "vmware"};
    bool std = !strcmp(value, "std");
    for (unsigned n = 0; n < ARRAY_SIZE(others); n++)
        if (!strcmp(value, others[n])) {
            log_warn("-vga %s: the video card is std", value);
            std = true;
        }
    if (!std && strcmp(value, "none"))
        return COMPLAIN(c, "there is no video card \"%s\"; there are std and none", value);
    o->board.video = std ? VIDEO_STANDARD : VIDEO_NONE;
    o->video_given = true;
    return true;
}

static bool set_full_screen(struct options *o, const char *value, struct complaint *c)
{
    o->full_screen = true;
    o->display = DISPLAY_WINDOW;
    return true;
}

static bool set_no_quit(struct options *o, const char *value, struct complaint *c)
{
    o->window_closes = false;
    return true;
}

static bool set_audio(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "none") || !strcmp(value, "sdl") || (!strncmp(value, "wav:", 4) && value[4])) {
        o->board.audio = value;
        return true;
    }
    return COMPLAIN(c, "there is no audio output \"%s\"; there are none, sdl and wav:FILE", value);
}

/* QEMU's form: DRIVER,id=ID,path=FILE. Each of QEMU's drivers that play sound means SDL here. */
static bool set_audiodev(struct options *o, const char *value, struct complaint *c)
{
    char *path = option_item(value, "path");
    size_t length = strcspn(value, ",");
    if (!strncmp(value, "driver=", 7)) {
        value += 7;
        length -= 7;
    }
    if (length == 4 && !strncmp(value, "none", 4))
        o->board.audio = "none";
    else if (length != 3 || strncmp(value, "wav", 3))
        o->board.audio = "sdl";
    else if (asprintf((char **)&o->board.audio, "wav:%s", path ? path : "qemu.wav") < 0)
        o->board.audio = "none";
    free(path);
    return true;
}

static const struct option_row rows[] = {
    {"vga", "CARD", "video card: std (default; VGA with linear modes up to 2560x1600) or none",
     .set = set_video},
    {"display", "WHERE",
     "sdl[,full-screen=on][,scale=whole|smooth][,window-close=off], vnc=..., none (default: see ringer(1))",
     .set = set_display},
    {"full-screen", NULL, "a window that fills the screen", .set = set_full_screen},
    {"no-quit", NULL, "the window cannot be closed: window-close=off", .set = set_no_quit},
    {"nographic", NULL, "no window; escape keys work even if standard input is no terminal",
     SWITCH(board.nographic)},
    {"vnc", "HOST:N", "a VNC server at port 5900+N of HOST, or :N of this host only; see ringer(1)",
     .set = set_vnc},
    {"audio", "TO",
     "PC speaker and AC'97 to sdl or wav:FILE; none: no sound card (default: sdl with a window)",
     .set = set_audio},
    {"audiodev", "DRIVER", NULL, .set = set_audiodev},
    {"keys", "FILE", "play a script of keys, see ringer help keys", STRING(keys)},
    {"type", "TEXT", "type this text at power-on", STRING(typed)},
};

const struct option_group options_display = {"Screen, keyboard and sound", rows, ARRAY_SIZE(rows)};
