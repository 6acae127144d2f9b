/*
 * `ringer window`, and `ringer` alone on a desktop: the window of kept machines, which is a program of its own
 * (src/window).
 */
#ifndef RINGER_TOOLS_WINDOW_COMMAND_H
#define RINGER_TOOLS_WINDOW_COMMAND_H

#include "base/types.h"

/* Is the user at a desktop, and not a script that wants help printed? The window must be installed, too. */
bool window_is_wanted(void);
/* Becomes the window. Returns an exit status if it cannot. */
int window_command(int argc, char **argv);

#endif
