/*
 * The libraries of the window, of sound and of VNC, which are loaded where one of these is wanted: base/library.h.
 */
#ifndef RINGER_UI_LIBRARIES_H
#define RINGER_UI_LIBRARIES_H

#include "base/library.h"

extern struct library sdl_library, vnc_library;

#endif
