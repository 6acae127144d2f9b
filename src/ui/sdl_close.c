/*
 * Closing the SDL window. See sdl_private.h and question.h.
 *
 * While the question is open, keys and the mouse belong to it. The guest runs on; if it ends, so does the question.
 */
#include "sdl_private.h"

#include "base/host_time.h"

#define TOLD_NS 30000000000ull /* how long a guest that was told to shut down is expected to take */

static void settle(struct sdl_window *w, enum question_answer answer)
{
    if (answer == QUESTION_NONE) {
        sdl_redraw(w); /* the focus may have moved */
        return;
    }
    w->asking = false;
    if (answer == QUESTION_SHUT_DOWN) {
        w->told_until_ns = host_now_ns() + TOLD_NS;
        console_send_command(w->console, CONSOLE_SHUT_DOWN);
    }
    if (answer == QUESTION_SWITCH_OFF) console_send_command(w->console, CONSOLE_QUIT);
    sdl_pointing(w);
    sdl_title(w);
    sdl_redraw(w);
}

void sdl_close(struct sdl_window *w)
{
    if (!w->options.closes || w->asking) return;
    sdl_release_keys(w);
    sdl_release_buttons(w);
    if (w->grabbed) sdl_grab(w, false);
    question_init(&w->question, w->console->name, w->told_until_ns, w->console->font);
    w->asking = true;
    sdl_pointing(w);
    sdl_title(w);
    sdl_redraw(w);
}

void sdl_close_key(struct sdl_window *w, const SDL_KeyboardEvent *event)
{
    if (event->type == SDL_KEYDOWN && !event->repeat)
        settle(w, question_key(&w->question, event->keysym.scancode, event->keysym.mod & KMOD_SHIFT));
}

void sdl_close_point(struct sdl_window *w, s32 x, s32 y, bool pressed)
{
    enum question_answer focus = w->question.focus;
    enum question_answer answer = question_point(&w->question, x, y, pressed);
    if (answer != QUESTION_NONE || w->question.focus != focus) settle(w, answer);
}
