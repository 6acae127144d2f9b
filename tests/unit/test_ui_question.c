/*
 * The question of a window that is closed: keys and clicks give the right answers, and it draws nothing beside its box.
 */
#include "ui/question.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum {
    S = 0x16,
    O = 0x12,
    ENTER = 0x28,
    ESCAPE = 0x29,
    TAB = 0x2b,
    RIGHT = 0x4f,
    LEFT = 0x50,
    LETTER_A = 0x04
};

static u8 font[256 * 16];

static void test_keys(void)
{
    struct question q;
    question_init(&q, "mine", false, font);
    CHECK_EQ(question_key(&q, LETTER_A, false), QUESTION_NONE);
    CHECK_EQ(question_key(&q, S, false), QUESTION_SHUT_DOWN);
    CHECK_EQ(question_key(&q, O, false), QUESTION_SWITCH_OFF);
    CHECK_EQ(question_key(&q, ESCAPE, false), QUESTION_CANCEL);
    CHECK_EQ(question_key(&q, ENTER, false), QUESTION_SHUT_DOWN);
    CHECK_EQ(question_key(&q, RIGHT, false), QUESTION_NONE);
    CHECK_EQ(question_key(&q, ENTER, false), QUESTION_SWITCH_OFF);
    question_key(&q, TAB, false);
    CHECK_EQ(question_key(&q, ENTER, false), QUESTION_CANCEL);
    question_key(&q, TAB, false);
    CHECK_EQ(q.focus, QUESTION_SHUT_DOWN);
    question_key(&q, TAB, true);
    CHECK_EQ(q.focus, QUESTION_CANCEL);
    question_key(&q, LEFT, false);
    CHECK_EQ(q.focus, QUESTION_SWITCH_OFF);
    /* Asked a second time, Enter does no harm. */
    question_init(&q, NULL, true, NULL);
    CHECK_EQ(question_key(&q, ENTER, false), QUESTION_CANCEL);
}

static void test_clicks(void)
{
    struct question q;
    question_init(&q, "mine", false, font);
    question_lay_out(&q, 720, 400);
    for (enum question_answer n = 0; n < QUESTION_BUTTONS; n++) {
        struct display_rect r = q.button[n];
        CHECK_EQ(question_point(&q, (s32)r.x, (s32)r.y, false), QUESTION_NONE);
        CHECK_EQ(q.focus, n);
        CHECK_EQ(question_point(&q, (s32)(r.x + r.width - 1), (s32)(r.y + r.height - 1), true), n);
        CHECK_EQ(question_point(&q, (s32)(r.x + r.width), (s32)r.y, true), QUESTION_NONE);
        CHECK_EQ(question_point(&q, (s32)r.x, (s32)(r.y + r.height), true), QUESTION_NONE);
    }
    CHECK_EQ(question_point(&q, -1, -1, true), QUESTION_NONE);
    /* No room, or no font: keys only. */
    question_lay_out(&q, 200, 400);
    CHECK_EQ(q.box.width, 0);
    CHECK_EQ(question_point(&q, 0, 0, true), QUESTION_NONE);
    question_init(&q, "mine", false, NULL);
    question_lay_out(&q, 720, 400);
    CHECK_EQ(q.box.width, 0);
    CHECK_EQ(question_key(&q, S, false), QUESTION_SHUT_DOWN);
}

static void test_drawing(void)
{
    static const u32 sizes[][2] = {{448, 136}, {720, 400}, {1920, 1080}, {3840, 2160}};
    memset(font, 0xff, sizeof(font));
    for (unsigned n = 0; n < sizeof(sizes) / sizeof(*sizes); n++) {
        u32 width = sizes[n][0], height = sizes[n][1], beside = 0;
        struct question q;
        u32 *to = calloc((size_t)width * height, 4);
        /* A name may be longer than the box. */
        question_init(&q, "a machine with a name that is much longer than the box in which it stands", n & 1,
                      font);
        question_lay_out(&q, width, height);
        CHECK(q.box.width && q.box.x + q.box.width <= width && q.box.y + q.box.height <= height);
        question_draw(&q, to, width);
        for (u32 y = 0; y < height; y++)
            for (u32 x = 0; x < width; x++) {
                bool in = x - q.box.x < q.box.width && y - q.box.y < q.box.height;
                beside += in ? !to[(size_t)y * width + x] : !!to[(size_t)y * width + x];
            }
        CHECK_EQ(beside, 0);
        free(to);
    }
}

int main(void)
{
    test_keys();
    test_clicks();
    test_drawing();
    return check_report();
}
