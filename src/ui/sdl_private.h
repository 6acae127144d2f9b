/*
 * What the files of the SDL window share: sdl_window.c shows the picture, sdl_input.c takes keys and mouse, sdl_close.c
 * closes it, sdl_clipboard.c joins the desktop's clipboard to the guest's.
 */
#ifndef RINGER_UI_SDL_PRIVATE_H
#define RINGER_UI_SDL_PRIVATE_H

#include "question.h"
#include "scaler.h"
#include "sdl_window.h"

#include <SDL.h>

struct sdl_window {
    struct console *console;
    struct sdl_window_options options;
    SDL_Window *window;
    /* events from the vCPU thread: added to the first of the three event types that SDL assigned */
    enum { NEWS_CHANGED, NEWS_READY, NEWS_STATE, NEWS_COUNT } news;
    u32 first_event;
    struct display_viewer viewer;
    struct console_frontend frontend;

    /* pacing */
    bool wants; /* the picture has changed */
    bool asked; /* display_ask() was called, and ready() has not come yet */
    u64 frame_ns, next_ask_ns, blink_ns;

    /* picture and window */
    u32 guest_width, guest_height; /* 0: nothing was drawn yet */
    int given_width, given_height; /* the size that Ringer last gave the window */
    struct display_rect area;      /* the part of the window with the picture */
    struct scaler scaler;
    bool wished; /* the user has chosen a size, which the guest was or will be asked for */
    u64 wish_ns; /* when to ask the guest for a screen of the window's size; UINT64_MAX: not */
    u32 *pixel;  /* for surfaces in a format other than 00RRGGBB */
    u64 capacity;

    /* input */
    bool held[SDL_NUM_SCANCODES]; /* keys that are down for the guest */
    bool grabbed;
    u8 buttons;
    s32 last_x, last_y; /* where the pointer was last */
    bool absolute;      /* console.absolute when it was last read */
    u32 copied;         /* console.copied when it was last read */
    bool focused;
    u64 focus_lost_ns; /* 0: it never had the focus */

    /* closing */
    bool asking; /* the question is open: keys and the mouse answer it */
    struct question question;
    u64 told_until_ns; /* the guest was told to shut down a short time ago, up to then; 0: it was not */
};

void sdl_title(struct sdl_window *w);
void sdl_full_screen(struct sdl_window *w);
void sdl_fit(struct sdl_window *w);
/* Update the whole window. */
void sdl_redraw(struct sdl_window *w);

/* --- sdl_input.c --- */

void sdl_key(struct sdl_window *w, const SDL_KeyboardEvent *event);
void sdl_release_keys(struct sdl_window *w);
void sdl_release_buttons(struct sdl_window *w);
void sdl_motion(struct sdl_window *w, const SDL_MouseMotionEvent *event);
void sdl_button(struct sdl_window *w, const SDL_MouseButtonEvent *event);
void sdl_wheel(struct sdl_window *w, const SDL_MouseWheelEvent *event);
void sdl_grab(struct sdl_window *w, bool grab);
/* console.absolute may have changed. */
void sdl_pointing(struct sdl_window *w);

/* --- sdl_close.c --- */

/* The user closes the window. */
void sdl_close(struct sdl_window *w);
/* Input while w->asking. */
void sdl_close_key(struct sdl_window *w, const SDL_KeyboardEvent *event);
void sdl_close_point(struct sdl_window *w, s32 x, s32 y, bool pressed);

/* --- sdl_clipboard.c --- */

/* The window got or lost the keyboard. */
void sdl_focus(struct sdl_window *w, bool focused);
/* The desktop's clipboard has changed. */
void sdl_copied(struct sdl_window *w);
/* The guest's may have. */
void sdl_guest_copied(struct sdl_window *w);

#endif
