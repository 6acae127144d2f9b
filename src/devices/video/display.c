/*
 * The display seam: gives scenes to viewers, and has the frame that they draw. See display.h.
 */
#include "display.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static u32 words(const struct display *display)
{
    return (display->units + 63) / 64;
}

void display_init(struct display *display, const struct display_ops *ops, void *device, u32 units)
{
    *display = (struct display){.ops = ops, .device = device, .units = units};
}

void display_destroy(struct display *display)
{
    free(display->collected);
    *display = (struct display){.ops = NULL};
}

/* --- the vCPU thread --- */

static void set_armed(struct display *display)
{
    display->armed = false;
    for (const struct display_viewer *viewer = display->viewers; viewer; viewer = viewer->next)
        display->armed |= viewer->armed;
}

void display_tell(struct display *display)
{
    display->armed = false;
    for (struct display_viewer *viewer = display->viewers; viewer; viewer = viewer->next) {
        if (!viewer->armed) continue;
        viewer->armed = false;
        if (viewer->changed) viewer->changed(viewer);
    }
}

/* Record for every viewer which units were written. This viewer gets all units written since its last scene. */
void display_take(struct display_viewer *viewer)
{
    struct display *display = viewer->display;
    u32 count = words(display);
    memset(display->collected, 0, count * sizeof(u64));
    display->ops->collect(display->device, display->collected);
    for (struct display_viewer *other = display->viewers; other; other = other->next)
        for (u32 n = 0; n < count; n++)
            other->pending[n] |= display->collected[n];
    for (u32 n = 0; n < count; n++) {
        viewer->dirty[n] |= viewer->pending[n];
        viewer->pending[n] = 0;
    }
    display->ops->snapshot(display->device, viewer->picture);
    viewer->has_scene = true;
    viewer->armed = true;
    display->armed = true;
}

static void answer(struct letter *letter)
{
    struct display_viewer *viewer = container_of(letter, struct display_viewer, letter);
    display_take(viewer);
    __atomic_store_n(&viewer->asked, 0, __ATOMIC_SEQ_CST);
    if (viewer->ready) viewer->ready(viewer);
}

static void first_change(struct letter *letter)
{
    struct display_viewer *viewer = container_of(letter, struct display_viewer, letter);
    viewer->letter.run = answer;
    __atomic_store_n(&viewer->asked, 0, __ATOMIC_SEQ_CST);
    if (viewer->changed) viewer->changed(viewer);
}

int display_attach(struct display *display, struct display_viewer *viewer)
{
    if (!display->ops) return -ENODEV;
    u32 count = words(display);
    if (!display->collected && !(display->collected = calloc(count, sizeof(u64)))) return -ENOMEM;
    viewer->display = display;
    viewer->frame = (struct display_frame){.pixel = NULL};
    viewer->picture = display->ops->picture_create(display->device);
    viewer->pending = malloc(count * sizeof(u64));
    viewer->dirty = calloc(count, sizeof(u64));
    viewer->armed = viewer->has_scene = false;
    viewer->asked = 0;
    viewer->letter.run = answer;
    if (!viewer->picture || !viewer->pending || !viewer->dirty) {
        if (viewer->picture) display->ops->picture_destroy(viewer->picture);
        free(viewer->pending);
        free(viewer->dirty);
        viewer->display = NULL;
        return -ENOMEM;
    }
    memset(viewer->pending, 0xff, count * sizeof(u64));
    viewer->next = display->viewers;
    display->viewers = viewer;
    if (viewer->changed && display->mailbox) {
        viewer->asked = 1;
        viewer->letter.run = first_change;
        mailbox_send(display->mailbox, &viewer->letter);
    }
    return 0;
}

void display_detach(struct display_viewer *viewer)
{
    struct display *display = viewer->display;
    if (!display) return;
    struct display_viewer **at = &display->viewers;
    while (*at != viewer)
        at = &(*at)->next;
    *at = viewer->next;
    if (display->mailbox) mailbox_withdraw(display->mailbox, &viewer->letter);
    display->ops->picture_destroy(viewer->picture);
    free(viewer->pending);
    free(viewer->dirty);
    free(viewer->frame.pixel);
    viewer->frame = (struct display_frame){.pixel = NULL};
    viewer->display = NULL;
    set_armed(display);
}

/* --- the viewer's thread --- */

void display_ask(struct display_viewer *viewer)
{
    if (__atomic_exchange_n(&viewer->asked, 1, __ATOMIC_SEQ_CST)) return;
    mailbox_send(viewer->display->mailbox, &viewer->letter);
}

u64 display_draw(struct display_viewer *viewer, u64 now_ns)
{
    struct display_frame *frame = &viewer->frame;
    frame->resized = false;
    frame->damage_count = 0;
    if (!viewer->has_scene) return UINT64_MAX;
    u64 again = viewer->display->ops->draw(viewer->picture, viewer->dirty, frame, now_ns);
    memset(viewer->dirty, 0, words(viewer->display) * sizeof(u64));
    return again;
}

/* --- frames --- */

bool display_frame_resize(struct display_frame *frame, u32 width, u32 height)
{
    u64 pixels = (u64)width * height;
    if (pixels > frame->capacity) {
        u32 *pixel = malloc(pixels * sizeof(u32));
        if (!pixel) return false;
        free(frame->pixel);
        frame->pixel = pixel;
        frame->capacity = pixels;
    }
    memset(frame->pixel, 0, pixels * sizeof(u32));
    frame->width = width;
    frame->height = height;
    frame->resized = true;
    frame->damage_count = 1;
    frame->damage[0] = (struct display_rect){0, 0, width, height};
    return true;
}

static void extend(struct display_rect *rect, u32 x, u32 y, u32 width, u32 height)
{
    u32 right = rect->x + rect->width > x + width ? rect->x + rect->width : x + width;
    u32 bottom = rect->y + rect->height > y + height ? rect->y + rect->height : y + height;
    if (x < rect->x) rect->x = x;
    if (y < rect->y) rect->y = y;
    rect->width = right - rect->x;
    rect->height = bottom - rect->y;
}

void display_frame_damage(struct display_frame *frame, u32 x, u32 y, u32 width, u32 height)
{
    struct display_rect *last = frame->damage_count ? &frame->damage[frame->damage_count - 1] : NULL;
    bool touches = last && y <= last->y + last->height && x <= last->x + last->width && last->x <= x + width;
    if (touches || frame->damage_count == DISPLAY_DAMAGE_MAX)
        extend(last, x, y, width, height);
    else
        frame->damage[frame->damage_count++] = (struct display_rect){x, y, width, height};
}
