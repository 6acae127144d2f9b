/*
 * The SDL window: showing the picture. See sdl_window.h.
 *
 * Pixels are drawn into SDL's window surface, which keeps the window's contents, so parts of it can be
 * updated. This works without a GPU and over a network; a desktop with a GPU shows the surface through it.
 */
#include "sdl_private.h"

#include "base/host_time.h"
#include "libraries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WIDTH   720
#define DEFAULT_HEIGHT  400
#define NS_PER_SECOND   1000000000ull
#define NS_PER_MS       1000000ull
#define DEFAULT_RATE    60
#define BYTES_PER_PIXEL 4
#define WISH_AFTER_NS   (200 * NS_PER_MS) /* since the user last dragged the window's edge */
#define MODE_STEP       8                 /* widths of the guest's modes are multiples of this */

/* --- news from the vCPU thread --- */

static void tell(struct sdl_window *w, u32 news)
{
    SDL_Event event = {.type = w->first_event + news};
    SDL_PushEvent(&event);
}

static void picture_changed(struct display_viewer *viewer)
{
    tell(container_of(viewer, struct sdl_window, viewer), NEWS_CHANGED);
}

static void picture_ready(struct display_viewer *viewer)
{
    tell(container_of(viewer, struct sdl_window, viewer), NEWS_READY);
}

static void state_changed(struct console_frontend *frontend)
{
    tell(container_of(frontend, struct sdl_window, frontend), NEWS_STATE);
}

/* --- title --- */

void sdl_title(struct sdl_window *w)
{
    char title[256], mode[32] = "";
    const char *name = w->console->name, *hint = "";
    const char *state = console_get(&w->console->paused) ? "paused, Ctrl+Alt+P goes on" : "running";
    if (w->told_until_ns) state = "told to shut down";
    if (w->asking) state = question_title(&w->question);
    if (w->guest_width) snprintf(mode, sizeof(mode), ", %ux%u", w->guest_width, w->guest_height);
    if (w->grabbed)
        hint = " - Ctrl+Alt+G releases the mouse";
    else if (!w->absolute && w->guest_width)
        hint = " - click to grab the mouse";
    snprintf(title, sizeof(title), "%s%sRinger [%s%s]%s", name ? name : "", name ? " - " : "", state, mode,
             hint);
    SDL_SetWindowTitle(w->window, title);
}

/* --- the picture --- */

static bool is_plain(const SDL_Surface *surface)
{
    const SDL_PixelFormat *format = surface->format;
    return format->BytesPerPixel == BYTES_PER_PIXEL && format->Rmask == 0xff0000 && format->Gmask == 0xff00 &&
           format->Bmask == 0xff && surface->pitch % BYTES_PER_PIXEL == 0;
}

/* The pixels of the surface, and how many there are in a row. NULL: out of memory. */
static u32 *canvas(struct sdl_window *w, SDL_Surface *surface, u32 *pitch)
{
    u64 pixels = (u64)surface->w * (u64)surface->h;
    *pitch = is_plain(surface) ? (u32)surface->pitch / BYTES_PER_PIXEL : (u32)surface->w;
    if (is_plain(surface)) return surface->pixels;
    if (pixels > w->capacity) {
        free(w->pixel);
        w->pixel = calloc(pixels, BYTES_PER_PIXEL);
        w->capacity = w->pixel ? pixels : 0;
    }
    return w->pixel;
}

static void convert(const struct sdl_window *w, SDL_Surface *surface, const SDL_Rect *rect)
{
    if (is_plain(surface)) return;
    SDL_ConvertPixels(
        rect->w, rect->h, SDL_PIXELFORMAT_RGB888, w->pixel + (size_t)rect->y * (size_t)surface->w + rect->x,
        surface->w * BYTES_PER_PIXEL, surface->format->format,
        (u8 *)surface->pixels + rect->y * surface->pitch + rect->x * surface->format->BytesPerPixel,
        surface->pitch);
}

/* The question lies over the guest's picture. */
static void draw_question(struct sdl_window *w, SDL_Surface *surface)
{
    const struct display_rect *box = &w->question.box;
    SDL_Rect rect = {(int)box->x, (int)box->y, (int)box->width, (int)box->height};
    u32 pitch, *to = canvas(w, surface, &pitch);
    if (!to || rect.x + rect.w > surface->w || rect.y + rect.h > surface->h) return;
    question_draw(&w->question, to, pitch);
    convert(w, surface, &rect);
    SDL_UpdateWindowSurfaceRects(w->window, &rect, 1);
}

/* Show parts of the frame; the rectangles are in the guest's pixels. */
static void show(struct sdl_window *w, const struct display_rect *damage, unsigned count)
{
    SDL_Surface *surface = SDL_GetWindowSurface(w->window);
    SDL_Rect rects[DISPLAY_DAMAGE_MAX];
    u32 pitch;
    u32 *to = surface && w->scaler.row ? canvas(w, surface, &pitch) : NULL;
    /* The window has just been resized, and SDL's event has not come yet. */
    if (!to || w->area.x + w->area.width > (u32)surface->w || w->area.y + w->area.height > (u32)surface->h)
        return;
    to += (size_t)w->area.y * pitch + w->area.x;
    for (unsigned n = 0; n < count; n++) {
        struct display_rect changed = scaler_run(&w->scaler, w->viewer.frame.pixel, &damage[n], to, pitch);
        rects[n] = (SDL_Rect){(int)(w->area.x + changed.x), (int)(w->area.y + changed.y), (int)changed.width,
                              (int)changed.height};
        convert(w, surface, &rects[n]);
    }
    if (w->asking && w->question.box.width) draw_question(w, surface);
    if (count) SDL_UpdateWindowSurfaceRects(w->window, rects, (int)count);
}

/* The picture or the window has another size, or the question comes or goes: draw everything. */
void sdl_redraw(struct sdl_window *w)
{
    int width, height;
    SDL_GetWindowSize(w->window, &width, &height);
    SDL_Surface *surface = SDL_GetWindowSurface(w->window);
    if (width < 1 || height < 1 || !surface) return;
    SDL_FillRect(surface, NULL, 0);
    if (w->asking) question_lay_out(&w->question, (u32)width, (u32)height);
    if (w->viewer.frame.pixel) {
        w->area = scaler_fit(w->guest_width, w->guest_height, (u32)width, (u32)height, w->options.whole);
        scaler_destroy(&w->scaler);
        if (scaler_init(&w->scaler, w->guest_width, w->guest_height, w->area.width, w->area.height))
            show(w, &(struct display_rect){0, 0, w->guest_width, w->guest_height}, 1);
    } else if (w->asking && w->question.box.width) {
        draw_question(w, surface);
    }
    SDL_UpdateWindowSurface(w->window);
}

void sdl_fit(struct sdl_window *w)
{
    SDL_Rect room;
    u32 width = w->guest_width, height = w->guest_height;
    int top = 0, left = 0, bottom = 0, right = 0;
    if (!width || (SDL_GetWindowFlags(w->window) & (SDL_WINDOW_FULLSCREEN | SDL_WINDOW_MAXIMIZED))) return;
    SDL_GetWindowBordersSize(w->window, &top, &left, &bottom, &right);
    bool known = SDL_GetDisplayUsableBounds(SDL_GetWindowDisplayIndex(w->window), &room) == 0;
    room.w -= left + right;
    room.h -= top + bottom;
    if (known && room.w > 0 && room.h > 0 && (width > (u32)room.w || height > (u32)room.h)) {
        struct display_rect fit = scaler_fit(width, height, (u32)room.w, (u32)room.h, false);
        width = fit.width;
        height = fit.height;
    }
    w->given_width = (int)width;
    w->given_height = (int)height;
    SDL_SetWindowSize(w->window, w->given_width, w->given_height);
}

/* A window that still has the size that Ringer gave it follows the picture's size; a window that the user
 * resized keeps its size. (A full-screen window is neither. It follows when it leaves full screen.) */
static void follow(struct sdl_window *w)
{
    int width, height;
    SDL_GetWindowSize(w->window, &width, &height);
    if (width == w->given_width && height == w->given_height) sdl_fit(w);
}

/* The user has changed the window's size, so the guest is asked for a screen of that size. A guest without an agent for
 * that never hears of it, and its picture is scaled. */
static void window_resized(struct sdl_window *w)
{
    int width, height;
    follow(w);
    SDL_GetWindowSize(w->window, &width, &height);
    bool fits = (u32)width - w->guest_width < MODE_STEP && (u32)height == w->guest_height;
    bool given = width == w->given_width && height == w->given_height;
    w->wish_ns = !fits && (!given || w->wished) ? host_now_ns() + WISH_AFTER_NS : UINT64_MAX;
    sdl_redraw(w);
}

static void wish(struct sdl_window *w)
{
    int width, height;
    w->wish_ns = UINT64_MAX;
    w->wished = true;
    SDL_GetWindowSize(w->window, &width, &height);
    console_send(w->console, &(struct console_event){.kind = CONSOLE_RESIZE,
                                                     .x = (u16)(width < UINT16_MAX ? width : UINT16_MAX),
                                                     .y = (u16)(height < UINT16_MAX ? height : UINT16_MAX)});
}

static void guest_resized(struct sdl_window *w)
{
    w->guest_width = w->viewer.frame.width;
    w->guest_height = w->viewer.frame.height;
    follow(w);
    sdl_redraw(w);
    sdl_title(w);
}

static void draw(struct sdl_window *w)
{
    const struct display_frame *frame = &w->viewer.frame;
    w->blink_ns = display_draw(&w->viewer, host_now_ns());
    if (frame->resized)
        guest_resized(w);
    else
        show(w, frame->damage, frame->damage_count);
}

void sdl_full_screen(struct sdl_window *w)
{
    bool full = SDL_GetWindowFlags(w->window) & SDL_WINDOW_FULLSCREEN_DESKTOP;
    SDL_SetWindowFullscreen(w->window, full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
    if (full || !w->absolute) sdl_grab(w, !full);
    sdl_redraw(w);
}

/* --- events --- */

static void window_event(struct sdl_window *w, const SDL_WindowEvent *event)
{
    switch (event->event) {
    case SDL_WINDOWEVENT_SIZE_CHANGED: window_resized(w); break;
    case SDL_WINDOWEVENT_EXPOSED:
        if (w->guest_width) SDL_UpdateWindowSurface(w->window);
        break;
    case SDL_WINDOWEVENT_FOCUS_GAINED: sdl_focus(w, true); break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        sdl_focus(w, false);
        sdl_release_keys(w);
        if (w->grabbed) sdl_grab(w, false);
        break;
    case SDL_WINDOWEVENT_CLOSE: sdl_close(w); break;
    default: break;
    }
}

static void handle(struct sdl_window *w, const SDL_Event *event)
{
    if (event->type >= w->first_event && event->type < w->first_event + NEWS_COUNT) {
        u32 news = event->type - w->first_event;
        if (news == NEWS_CHANGED) w->wants = true;
        if (news == NEWS_STATE) {
            sdl_pointing(w);
            sdl_title(w);
            sdl_guest_copied(w);
        }
        if (news == NEWS_READY) {
            w->asked = false;
            draw(w);
        }
        return;
    }
    switch (event->type) {
    case SDL_WINDOWEVENT: window_event(w, &event->window); break;
    case SDL_KEYDOWN:
    case SDL_KEYUP: sdl_key(w, &event->key); break;
    case SDL_MOUSEMOTION: sdl_motion(w, &event->motion); break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: sdl_button(w, &event->button); break;
    case SDL_MOUSEWHEEL: sdl_wheel(w, &event->wheel); break;
    case SDL_CLIPBOARDUPDATE: sdl_copied(w); break;
    default: break;
    }
}

/* Do everything that is due. Returns the milliseconds until more is due, or -1: never. */
static int work(struct sdl_window *w)
{
    u64 now = host_now_ns(), next = UINT64_MAX;
    if (w->told_until_ns && now >= w->told_until_ns) {
        w->told_until_ns = 0;
        sdl_title(w);
    }
    if (w->wants && !w->asked && now >= w->next_ask_ns) {
        w->wants = false;
        w->asked = true;
        w->next_ask_ns = now + w->frame_ns;
        display_ask(&w->viewer);
    }
    if (!w->asked && now >= w->blink_ns) draw(w);
    if (now >= w->wish_ns) wish(w);
    if (w->wish_ns < next) next = w->wish_ns;
    if (w->wants && !w->asked && w->next_ask_ns < next) next = w->next_ask_ns;
    if (!w->asked && w->blink_ns < next) next = w->blink_ns;
    if (w->told_until_ns && w->told_until_ns < next) next = w->told_until_ns;
    if (next == UINT64_MAX) return -1;
    return next <= now ? 0 : (int)((next - now + NS_PER_MS - 1) / NS_PER_MS);
}

void sdl_window_run(struct sdl_window *w)
{
    SDL_Event event;
    while (!console_get(&w->console->stopped)) {
        int timeout_ms = work(w);
        bool any = timeout_ms < 0 ? SDL_WaitEvent(&event) : SDL_WaitEventTimeout(&event, timeout_ms);
        for (; any; any = SDL_PollEvent(&event))
            handle(w, &event);
    }
}

/* --- opening and closing --- */

static u64 frame_ns(SDL_Window *window)
{
    SDL_DisplayMode mode;
    int display = SDL_GetWindowDisplayIndex(window);
    bool known = SDL_GetCurrentDisplayMode(display, &mode) == 0 && mode.refresh_rate > 0;
    return NS_PER_SECOND / (known ? (u64)mode.refresh_rate : DEFAULT_RATE);
}

/* SDL may fall back to a driver without a visible window. That is right if the user asked for that driver. */
static bool is_visible(void)
{
    static const char *const invisible[] = {"offscreen", "dummy", "evdev"};
    const char *driver = SDL_GetCurrentVideoDriver();
    for (unsigned n = 0; n < ARRAY_SIZE(invisible); n++)
        if (!driver || (!strcmp(driver, invisible[n]) && !getenv("SDL_VIDEODRIVER"))) {
            SDL_SetError("there is no desktop (neither DISPLAY nor WAYLAND_DISPLAY names one)");
            return false;
        }
    return true;
}

static bool open_window(struct sdl_window *w)
{
    /* The waker takes signals, not SDL; screen savers stay enabled; the surface needs no GPU. */
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) < 0 || !is_visible()) return false;
    w->first_event = SDL_RegisterEvents(NEWS_COUNT);
    if (w->first_event == (u32)-1) return false;
    SDL_StopTextInput(); /* Ringer wants keys, not the text that they produce on this layout */
    u32 flags = SDL_WINDOW_RESIZABLE | (w->options.full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    w->window = SDL_CreateWindow("Ringer", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, w->given_width,
                                 w->given_height, flags);
    if (!w->window) return false;
    SDL_EventState(SDL_QUIT, SDL_IGNORE); /* SDL sends it after the last window was closed */
    w->frame_ns = frame_ns(w->window);
    return true;
}

struct sdl_window *sdl_window_open(struct console *console, const struct sdl_window_options *options,
                                   char *error, size_t error_bytes)
{
    if (!library_load(&sdl_library, error, error_bytes)) return NULL;
    struct sdl_window *w = calloc(1, sizeof(*w));
    if (!w) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    w->console = console;
    w->options = *options;
    w->blink_ns = w->wish_ns = UINT64_MAX;
    w->given_width = DEFAULT_WIDTH;
    w->given_height = DEFAULT_HEIGHT;
    w->viewer.changed = picture_changed;
    w->viewer.ready = picture_ready;
    w->frontend.changed = state_changed;
    if (!open_window(w)) {
        snprintf(error, error_bytes, "cannot open a window: %s", SDL_GetError());
        sdl_window_close(w);
        return NULL;
    }
    if (!console->display || display_attach(console->display, &w->viewer)) {
        snprintf(error, error_bytes, "cannot open a window: the machine has no display");
        sdl_window_close(w);
        return NULL;
    }
    console_attach(console, &w->frontend);
    sdl_title(w);
    return w;
}

void sdl_window_close(struct sdl_window *w)
{
    if (!w) return;
    console_detach(w->console, &w->frontend);
    display_detach(&w->viewer);
    scaler_destroy(&w->scaler);
    free(w->pixel);
    if (w->window) SDL_DestroyWindow(w->window);
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
    free(w);
}
