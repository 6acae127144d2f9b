/*
 * The display seam, between a device that makes a picture (the VGA) and its *viewers*: the SDL window, the VNC server,
 * a screenshot. There may be several viewers, each with its own thread and pace.
 *
 * The picture is the content of video memory, interpreted by the device's registers. The vCPU thread only copies
 * the registers and lists the parts of video memory that were written. The viewer draws the pixels in its own
 * thread. The guest may write during the drawing: then another frame follows.
 *
 *   viewer's thread                      vCPU thread
 *                       <-- changed() -- the guest writes: called once, until the next display_ask()
 *   display_ask()       --- letter --->  registers and list are copied
 *                       <-- ready() ---
 *   display_draw(); shows frame.pixel within frame.damage
 *   sleeps until changed(), or until what display_draw() returned
 *
 * Invariants
 * 1. Nothing happens while the picture stays the same: no letter, no wake-up, no time-out. The viewer
 *    alone draws a blinking cursor, with another display_draw().
 * 2. changed() and ready() are called on the vCPU thread between two guest instructions. They notify the viewer's
 *    thread by a means that orders memory (an eventfd, an event queue) and return at once. A viewer limits its frame
 *    rate by asking later.
 * 3. From display_ask() to ready() the viewer must not draw. If the machine has stopped, ready() may never come.
 * 4. Attaching, detaching and display_take() belong to the vCPU thread, or to any other thread while that one does not
 *    run.
 */
#ifndef RINGER_DEVICES_VIDEO_DISPLAY_H
#define RINGER_DEVICES_VIDEO_DISPLAY_H

#include "base/mailbox.h"

struct display_rect {
    u32 x, y, width, height;
};

#define DISPLAY_DAMAGE_MAX 16

/* The frame that a viewer shows. Only display_draw() changes it. */
struct display_frame {
    u32 *pixel;        /* 00RRGGBBh, row after row without gaps; NULL before the first display_draw() */
    u32 width, height; /* never 0 afterwards */
    bool resized; /* by the last display_draw(): pixel, width or height are new, and all of it is damage */
    u32 damage_count; /* what the last display_draw() changed: may be nothing */
    struct display_rect damage[DISPLAY_DAMAGE_MAX];
    u64 capacity; /* pixels allocated */
};

/* The device's side. `picture` is the device's state for one viewer: its last copy of the registers, and facts
 * about the frame that it drew. */
struct display_ops {
    void *(*picture_create)(void *device); /* NULL: out of memory */
    void (*picture_destroy)(void *picture);
    /* vCPU thread. Set a bit in `dirty` for each unit of video memory that was written since the last call, and
     * notice the next write to those units. */
    void (*collect)(void *device, u64 *dirty);
    /* vCPU thread: copy the registers. */
    void (*snapshot)(void *device, void *picture);
    /* Viewer's thread: bring the frame up to date. Units without a bit have not changed since the last drawing.
     * Returns the time at which the same scene would look different; UINT64_MAX: never. */
    u64 (*draw)(void *picture, const u64 *dirty, struct display_frame *frame, u64 now_ns);
};

struct display {
    const struct display_ops *ops; /* NULL: there is no display, and no viewer may attach */
    void *device;
    u32 units;               /* the number of units of video memory */
    struct mailbox *mailbox; /* of the vCPU thread; installed by the board */
    struct display_viewer *viewers;
    u64 *collected; /* scratch: a bit a unit */
    bool armed;     /* some viewer waits for changed() */
};

struct display_viewer {
    /* Set by the viewer. Either may be NULL. */
    void (*changed)(struct display_viewer *viewer);
    void (*ready)(struct display_viewer *viewer);
    struct display_frame frame;
    /* Private to display.c from here on. */
    struct display *display;
    struct display_viewer *next;
    void *picture;
    u64 *pending;   /* vCPU thread: units written since this viewer's last scene */
    u64 *dirty;     /* between ready() and display_ask() the viewer's thread, otherwise the vCPU thread */
    bool armed;     /* vCPU thread: changed() is to be called */
    bool has_scene; /* there is something to draw */
    u32 asked;      /* atomic: a letter is under way */
    struct letter letter;
};

/* --- viewers --- */

/* Returns 0, -ENOMEM, or -ENODEV if there is no display. With a mailbox the first changed() comes as soon as the vCPU
 * thread runs its letters. */
int display_attach(struct display *display, struct display_viewer *viewer);
/* Frees the frame too. On the vCPU thread or after its end; the viewer asks no more. */
void display_detach(struct display_viewer *viewer);

/* Any thread: ask for the scene as it is now. Asking again before ready() does nothing. */
void display_ask(struct display_viewer *viewer);
/* vCPU thread: the same at once and without ready(). */
void display_take(struct display_viewer *viewer);
/* The viewer's thread: bring viewer->frame up to date with the last scene. `now_ns` is the time by any clock that never
 * stops; it decides the phase of blinking. Returns the time by that clock at which to call this again even if nothing
 * has changed, or UINT64_MAX. */
u64 display_draw(struct display_viewer *viewer, u64 now_ns);

/* --- devices --- */

void display_init(struct display *display, const struct display_ops *ops, void *device, u32 units);
/* All viewers are detached by now. */
void display_destroy(struct display *display);

void display_tell(struct display *display);
/* Call after registers or video memory were written, so that the picture may look different. Cheap if no viewer
 * waits. */
static inline void display_changed(struct display *display)
{
    if (display->armed) display_tell(display);
}

/* Resize the frame. False: out of memory, and the frame is unchanged. */
bool display_frame_resize(struct display_frame *frame, u32 width, u32 height);
/* Row y changed from x on. Rows must come in order, top to bottom. */
void display_frame_damage(struct display_frame *frame, u32 x, u32 y, u32 width, u32 height);

#endif
