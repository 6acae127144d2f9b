/*
 * The SDL window's keys and mouse. See sdl_window.h.
 *
 * A guest with absolute pointing (console.absolute) gets the pointer's position. The desktop's own pointer is
 * then hidden over the window, because the guest draws one. For other guests the mouse must be grabbed, and
 * they get its movement.
 */
#include "sdl_private.h"

#include "devices/input/ps2_mouse.h"

/* --- keys --- */

static void toggle_grab(struct sdl_window *w)
{
    sdl_grab(w, !w->grabbed);
}

static void pause_machine(struct sdl_window *w)
{
    console_send_command(w->console, CONSOLE_PAUSE);
}

static void reset_machine(struct sdl_window *w)
{
    console_send_command(w->console, CONSOLE_RESET);
}

static const struct {
    SDL_Scancode key;
    void (*run)(struct sdl_window *w);
} hot_keys[] = {
    {SDL_SCANCODE_F, sdl_full_screen}, {SDL_SCANCODE_G, toggle_grab},   {SDL_SCANCODE_U, sdl_fit},
    {SDL_SCANCODE_P, pause_machine},   {SDL_SCANCODE_R, reset_machine},
};

static bool take_hot_key(struct sdl_window *w, const SDL_KeyboardEvent *event)
{
    bool ctrl = w->held[SDL_SCANCODE_LCTRL] || w->held[SDL_SCANCODE_RCTRL];
    bool alt = w->held[SDL_SCANCODE_LALT] || w->held[SDL_SCANCODE_RALT];
    if (event->type != SDL_KEYDOWN || !ctrl || !alt) return false;
    for (unsigned n = 0; n < ARRAY_SIZE(hot_keys); n++)
        if (hot_keys[n].key == event->keysym.scancode) {
            if (!event->repeat) hot_keys[n].run(w);
            return true;
        }
    return false;
}

void sdl_key(struct sdl_window *w, const SDL_KeyboardEvent *event)
{
    SDL_Scancode code = event->keysym.scancode;
    if (w->asking) {
        sdl_close_key(w, event);
        return;
    }
    const struct key *key = key_by_usage(code);
    if ((unsigned)code >= SDL_NUM_SCANCODES || !key || take_hot_key(w, event)) return;
    bool down = event->type == SDL_KEYDOWN;
    if (!down && !w->held[code]) return; /* it was pressed outside the window, or as a hot key */
    w->held[code] = down;
    console_send_key(w->console, key, down);
}

void sdl_release_keys(struct sdl_window *w)
{
    for (unsigned code = 0; code < SDL_NUM_SCANCODES; code++)
        if (w->held[code]) {
            w->held[code] = false;
            console_send_key(w->console, key_by_usage(code), false);
        }
}

/* --- the mouse --- */

void sdl_pointing(struct sdl_window *w)
{
    w->absolute = console_get(&w->console->absolute);
    SDL_ShowCursor(w->absolute && !w->grabbed && !w->asking ? SDL_DISABLE : SDL_ENABLE);
}

static void send(struct sdl_window *w, s32 x, s32 y, s32 right, s32 down, s32 wheel)
{
    struct console_event event = {.kind = CONSOLE_MOVE,
                                  .right = (s16)right,
                                  .lower = (s16)down,
                                  .wheel = (s16)wheel,
                                  .buttons = w->buttons};
    w->last_x = x;
    w->last_y = y;
    if (!w->grabbed) {
        if (!w->absolute) return;
        event.kind = CONSOLE_POINT;
        event.x = console_scale((s64)x - w->area.x, w->area.width);
        event.y = console_scale((s64)y - w->area.y, w->area.height);
    }
    console_send(w->console, &event);
}

/* The guest gets no more events. */
void sdl_release_buttons(struct sdl_window *w)
{
    if (!w->buttons) return;
    w->buttons = 0;
    send(w, w->last_x, w->last_y, 0, 0, 0);
}

void sdl_grab(struct sdl_window *w, bool grab)
{
    if (grab && SDL_SetRelativeMouseMode(SDL_TRUE) < 0) return;
    if (!grab) SDL_SetRelativeMouseMode(SDL_FALSE);
    if (w->grabbed && !grab) sdl_release_buttons(w);
    w->grabbed = grab;
    SDL_SetWindowKeyboardGrab(w->window, grab ? SDL_TRUE : SDL_FALSE);
    sdl_pointing(w);
    sdl_title(w);
}

void sdl_motion(struct sdl_window *w, const SDL_MouseMotionEvent *event)
{
    if (w->asking)
        sdl_close_point(w, event->x, event->y, false);
    else
        send(w, event->x, event->y, event->xrel, event->yrel, 0);
}

static u8 button_bit(u8 button)
{
    switch (button) {
    case SDL_BUTTON_LEFT: return PS2_BUTTON_LEFT;
    case SDL_BUTTON_MIDDLE: return PS2_BUTTON_MIDDLE;
    case SDL_BUTTON_RIGHT: return PS2_BUTTON_RIGHT;
    case SDL_BUTTON_X1: return PS2_BUTTON_BACK;
    case SDL_BUTTON_X2: return PS2_BUTTON_FORWARD;
    default: return 0;
    }
}

void sdl_button(struct sdl_window *w, const SDL_MouseButtonEvent *event)
{
    bool down = event->type == SDL_MOUSEBUTTONDOWN;
    if (w->asking) {
        if (event->button == SDL_BUTTON_LEFT) sdl_close_point(w, event->x, event->y, down);
        return;
    }
    if (down && !w->grabbed && !w->absolute) {
        sdl_grab(w, true); /* the guest does not get this click */
        return;
    }
    u8 bit = button_bit(event->button);
    w->buttons = (u8)(down ? w->buttons | bit : w->buttons & ~bit);
    send(w, event->x, event->y, 0, 0, 0);
}

void sdl_wheel(struct sdl_window *w, const SDL_MouseWheelEvent *event)
{
    if (w->asking) return;
    s32 away = event->direction == SDL_MOUSEWHEEL_FLIPPED ? -event->y : event->y;
    send(w, event->mouseX, event->mouseY, 0, 0, -away);
}
