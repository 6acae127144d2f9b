/*
 * The question of a window that the user closes: shut down, switch off, or neither? Plain pixels over the guest's
 * picture, because the sandbox lets no toolkit open a window of its own or start a program, and because a question must
 * go when the machine ends.
 *
 *   +------------------------------------------------------+
 *   | Stop mine?                                           |
 *   | Shutting down lets the guest close its programs.     |
 *   | Switching off is like pulling the plug.              |
 *   |      [ Shut down ]   [ Switch off ]   [ Cancel ]     |
 *   +------------------------------------------------------+
 *
 * Left, Right and Tab move the focus, Enter and Space press; S, O and Esc are the buttons' own keys. The window's title
 * says the same in words, for screen readers, and for windows that are too small or have no font.
 */
#ifndef RINGER_UI_QUESTION_H
#define RINGER_UI_QUESTION_H

#include "devices/video/display.h"

enum question_answer {
    QUESTION_SHUT_DOWN,
    QUESTION_SWITCH_OFF,
    QUESTION_CANCEL,
    QUESTION_BUTTONS,
    QUESTION_NONE
};

struct question {
    const char *name; /* of the machine; NULL: it has none */
    bool again;       /* the guest was asked to shut down a short time ago */
    enum question_answer focus;
    /* where it lies, in the window's pixels; no width: there is no room for it, or no font */
    struct display_rect box, button[QUESTION_BUTTONS];
    u32 scale;      /* pixels for a dot of the font */
    const u8 *font; /* 256 glyphs of 8 x 16 dots */
};

/* `font` may be NULL. */
void question_init(struct question *question, const char *name, bool again, const u8 *font);
/* Find its size and its place for a window of this size. */
void question_lay_out(struct question *question, u32 width, u32 height);
/* Draw it; rows are `pitch` pixels apart. */
void question_draw(const struct question *question, u32 *to, u32 pitch);
/* For the window's title. */
const char *question_title(const struct question *question);

/* A key was pressed (its USB usage), or the pointer is at a place and may have been pressed there. */
enum question_answer question_key(struct question *question, u32 usage, bool shift);
enum question_answer question_point(struct question *question, s32 x, s32 y, bool pressed);

#endif
