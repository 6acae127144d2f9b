/*
 * The SDL window's clipboard. See sdl_window.h.
 *
 * A guest is no trusted program. It gets what the user copied only when the user turns to its window, and its own text
 * replaces the desktop's only while the window has the keyboard, or so shortly afterwards that the user may have copied
 * in the guest and left it.
 */
#include "base/host_time.h"
#include "sdl_private.h"

#include <stdlib.h>
#include <string.h>

#define AFTER_FOCUS_NS 2000000000ull

void sdl_copied(struct sdl_window *w)
{
    if (!w->focused || !console_get(&w->console->shares) || !SDL_HasClipboardText()) return;
    char *text = SDL_GetClipboardText();
    if (text) console_copy(w->console, text, strlen(text));
    SDL_free(text);
}

void sdl_guest_copied(struct sdl_window *w)
{
    u32 copied = console_get(&w->console->copied);
    if (copied == w->copied) return;
    w->copied = copied;
    if (!w->focused && (!w->focus_lost_ns || host_now_ns() - w->focus_lost_ns > AFTER_FOCUS_NS)) return;
    char *text = clipboard_get(&w->console->clipboard, CLIPBOARD_GUEST);
    if (text) SDL_SetClipboardText(text);
    free(text);
}

void sdl_focus(struct sdl_window *w, bool focused)
{
    w->focused = focused;
    if (focused)
        sdl_copied(w);
    else
        w->focus_lost_ns = host_now_ns();
}
