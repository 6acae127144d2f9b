/*
 * The question of a window that the user closes. See question.h.
 */
#include "question.h"

#include <stdio.h>
#include <string.h>

#define GLYPH_WIDTH  8
#define GLYPH_HEIGHT 16
#define TEXT_COLUMNS 52
#define TEXT_ROWS    3
#define MARGIN       16 /* dots around everything, and between the texts and the buttons */
#define BUTTON_WIDTH 120
#define BUTTON_DOTS  28 /* the height of a button */
#define BUTTON_SPACE 16
#define BOX_WIDTH    (TEXT_COLUMNS * GLYPH_WIDTH + 2 * MARGIN)
#define BOX_HEIGHT   (TEXT_ROWS * (GLYPH_HEIGHT + 4) + BUTTON_DOTS + 3 * MARGIN)
/* A window of this many boxes in each direction has a box of twice the size: it is on a screen of many small pixels. */
#define SCALE_SHARE 3

enum colour {
    COLOUR_BOX = 0xf2f2f2,
    COLOUR_TEXT = 0x202020,
    COLOUR_EDGE = 0x707070,
    COLOUR_BUTTON = 0xdcdcdc,
    COLOUR_FOCUS = 0x1f5fae,
    COLOUR_FOCUS_TEXT = 0xffffff,
};

/* USB HID Usage Tables 1.12, chapter 10 */
enum usage {
    USAGE_O = 0x12,
    USAGE_S = 0x16,
    USAGE_ENTER = 0x28,
    USAGE_ESCAPE = 0x29,
    USAGE_TAB = 0x2b,
    USAGE_SPACE = 0x2c,
    USAGE_RIGHT = 0x4f,
    USAGE_LEFT = 0x50,
    USAGE_KEYPAD_ENTER = 0x58,
};

static const char *const labels[QUESTION_BUTTONS] = {"Shut down", "Switch off", "Cancel"};

/* --- layout --- */

void question_init(struct question *q, const char *name, bool again, const u8 *font)
{
    *q = (struct question){.name = name, .again = again, .font = font};
    /* Enter pressed once too often must not switch off a machine that is shutting down. */
    q->focus = again ? QUESTION_CANCEL : QUESTION_SHUT_DOWN;
}

void question_lay_out(struct question *q, u32 width, u32 height)
{
    q->scale = 1;
    while (width >= BOX_WIDTH * (q->scale + 1) * SCALE_SHARE &&
           height >= BOX_HEIGHT * (q->scale + 1) * SCALE_SHARE)
        q->scale++;
    u32 box_width = BOX_WIDTH * q->scale, box_height = BOX_HEIGHT * q->scale;
    q->box = (struct display_rect){0};
    memset(q->button, 0, sizeof(q->button));
    if (!q->font || width < box_width || height < box_height) return;
    q->box = (struct display_rect){(width - box_width) / 2, (height - box_height) / 2, box_width, box_height};
    u32 row = QUESTION_BUTTONS * BUTTON_WIDTH + (QUESTION_BUTTONS - 1) * BUTTON_SPACE;
    for (u32 n = 0; n < QUESTION_BUTTONS; n++) {
        u32 x = (BOX_WIDTH - row) / 2 + n * (BUTTON_WIDTH + BUTTON_SPACE);
        q->button[n] = (struct display_rect){q->box.x + x * q->scale,
                                             q->box.y + (BOX_HEIGHT - MARGIN - BUTTON_DOTS) * q->scale,
                                             BUTTON_WIDTH * q->scale, BUTTON_DOTS * q->scale};
    }
}

/* --- drawing --- */

struct canvas {
    u32 *to, pitch;
};

static void fill(struct canvas c, struct display_rect rect, u32 colour)
{
    for (u32 y = 0; y < rect.height; y++)
        for (u32 x = 0; x < rect.width; x++)
            c.to[(size_t)(rect.y + y) * c.pitch + rect.x + x] = colour;
}

static void frame(struct canvas c, struct display_rect rect, u32 inside)
{
    fill(c, rect, COLOUR_EDGE);
    fill(c, (struct display_rect){rect.x + 1, rect.y + 1, rect.width - 2, rect.height - 2}, inside);
}

static void write_text(const struct question *q, struct canvas c, u32 x, u32 y, const char *text, u32 colour)
{
    for (; *text; text++, x += GLYPH_WIDTH * q->scale) {
        const u8 *glyph = q->font + (u8)*text * GLYPH_HEIGHT;
        for (u32 row = 0; row < GLYPH_HEIGHT; row++)
            for (u32 column = 0; column < GLYPH_WIDTH; column++)
                if (glyph[row] & 0x80 >> column)
                    fill(c,
                         (struct display_rect){x + column * q->scale, y + row * q->scale, q->scale, q->scale},
                         colour);
    }
}

static void draw_button(const struct question *q, struct canvas c, enum question_answer n)
{
    const struct display_rect *rect = &q->button[n];
    bool focus = q->focus == n;
    u32 width = (u32)strlen(labels[n]) * GLYPH_WIDTH * q->scale;
    frame(c, *rect, focus ? COLOUR_FOCUS : COLOUR_BUTTON);
    write_text(q, c, rect->x + (rect->width - width) / 2,
               rect->y + (BUTTON_DOTS - GLYPH_HEIGHT) / 2 * q->scale, labels[n],
               focus ? COLOUR_FOCUS_TEXT : COLOUR_TEXT);
}

void question_draw(const struct question *q, u32 *to, u32 pitch)
{
    struct canvas c = {to, pitch};
    char ask[TEXT_COLUMNS + 1];
    if (!q->box.width) return;
    if (q->name)
        snprintf(ask, sizeof(ask), q->again ? "%.30s is still running." : "Stop %.40s?", q->name);
    else
        snprintf(ask, sizeof(ask), q->again ? "The machine is still running." : "Stop the machine?");
    const char *const lines[TEXT_ROWS] = {ask,
                                          q->again ? "Its guest has been told to shut down."
                                                   : "Shutting down lets the guest close its programs.",
                                          "Switching off is like pulling the plug."};
    frame(c, q->box, COLOUR_BOX);
    for (u32 n = 0; n < TEXT_ROWS; n++)
        write_text(q, c, q->box.x + MARGIN * q->scale,
                   q->box.y + (MARGIN + n * (GLYPH_HEIGHT + 4)) * q->scale, lines[n], COLOUR_TEXT);
    for (enum question_answer n = 0; n < QUESTION_BUTTONS; n++)
        draw_button(q, c, n);
}

const char *question_title(const struct question *q)
{
    return q->again ? "still running: S shuts down, O switches off, Esc waits"
                    : "stop it? S shuts down, O switches off, Esc cancels";
}

/* --- answers --- */

enum question_answer question_key(struct question *q, u32 usage, bool shift)
{
    bool back = usage == USAGE_LEFT || (usage == USAGE_TAB && shift);
    switch (usage) {
    case USAGE_S: return QUESTION_SHUT_DOWN;
    case USAGE_O: return QUESTION_SWITCH_OFF;
    case USAGE_ESCAPE: return QUESTION_CANCEL;
    case USAGE_ENTER:
    case USAGE_KEYPAD_ENTER:
    case USAGE_SPACE: return q->focus;
    case USAGE_TAB:
    case USAGE_LEFT:
    case USAGE_RIGHT: q->focus = (q->focus + (back ? QUESTION_BUTTONS - 1 : 1)) % QUESTION_BUTTONS;
    }
    return QUESTION_NONE;
}

enum question_answer question_point(struct question *q, s32 x, s32 y, bool pressed)
{
    for (enum question_answer n = 0; n < QUESTION_BUTTONS; n++) {
        const struct display_rect *rect = &q->button[n];
        if (x < 0 || y < 0 || (u32)x - rect->x >= rect->width || (u32)y - rect->y >= rect->height) continue;
        q->focus = n;
        return pressed ? n : QUESTION_NONE;
    }
    return QUESTION_NONE;
}
