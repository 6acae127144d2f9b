/*
 * The SDL window: the machine's screen, keyboard and mouse on the user's desktop.
 *
 * SDL requires its video calls and its events in the thread that initialised it, and some desktops require that to be
 * the first thread of the process. So the window has the main thread, and the machine another one. The window sleeps
 * until the desktop, the guest's picture (devices/video/display.h) or the console's state wakes it. It draws in its own
 * thread, only what changed, and at most at the screen's rate.
 *
 * Keys, with Ctrl and Alt held: F full screen, G grab or release the mouse, U set the window's size to the
 * picture's, P pause, R reset. Closing the window asks whether to shut down or to switch off (question.h).
 */
#ifndef RINGER_UI_SDL_WINDOW_H
#define RINGER_UI_SDL_WINDOW_H

#include "console.h"

struct sdl_window_options {
    bool full_screen;
    bool whole;  /* enlarge by whole factors only */
    bool closes; /* closing the window asks; otherwise it does nothing */
};

struct sdl_window;

/* All functions belong to the main thread. Open and close while the vCPU thread does not run. NULL with one
 * sentence in error. */
struct sdl_window *sdl_window_open(struct console *console, const struct sdl_window_options *options,
                                   char *error, size_t error_bytes);
/* Returns when the machine has stopped. */
void sdl_window_run(struct sdl_window *window);
void sdl_window_close(struct sdl_window *window);

#endif
