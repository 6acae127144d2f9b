/*
 * The window: the machine's screen, keyboard and mouse on the user's desktop, by SDL.
 *
 * SDL wants its video calls and its events in the thread that initialised it, and some desktops want that to
 * be the process's first: so the window has the main thread, and the machine another one. The window sleeps
 * until the desktop, the guest's picture (devices/display.h) or the console's state wakes it; it draws in its
 * own thread, and only what changed, at the screen's rate at most.
 *
 * Keys, with Ctrl and Alt held: F full screen, G grab or let go of the mouse, U the window's size to the
 * picture's, P pause, R reset. Closing the window presses the power button; closing it again soon ends the
 * run.
 */
#ifndef RINGER_UI_SDL_WINDOW_H
#define RINGER_UI_SDL_WINDOW_H

#include "console.h"

struct sdl_window_options {
    bool full_screen;
    bool whole; /* enlarge by whole factors only */
};

struct sdl_window;

/* All from the main thread. Opening and closing while the vCPU thread does not run. NULL with one sentence in
 * error. */
struct sdl_window *sdl_window_open(struct console *console, const struct sdl_window_options *options,
                                   char *error, size_t error_bytes);
/* Until the machine has stopped. */
void sdl_window_run(struct sdl_window *window);
void sdl_window_close(struct sdl_window *window);

#endif
