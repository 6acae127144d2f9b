/*
 * Scaling: whole factors are sharp, means are right, and damage redraws exactly the pixels that it must.
 */
#include "ui/scaler.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

#define GUARD 0xdeadbeef

static u32 *scaled(u32 from_width, u32 from_height, u32 to_width, u32 to_height, const u32 *from)
{
    struct scaler s;
    u32 *to = malloc((size_t)to_width * to_height * 4);
    CHECK(scaler_init(&s, from_width, from_height, to_width, to_height));
    struct display_rect all = {0, 0, from_width, from_height},
                        changed = scaler_run(&s, from, &all, to, to_width);
    CHECK(changed.x == 0 && changed.y == 0 && changed.width == to_width && changed.height == to_height);
    scaler_destroy(&s);
    return to;
}

static void test_values(void)
{
    static const u32 two[] = {0x000000, 0xffffff};
    u32 *to = scaled(2, 1, 6, 2, two);
    for (unsigned n = 0; n < 12; n++)
        CHECK_EQ(to[n], two[n % 6 / 3]);
    free(to);
    to = scaled(2, 1, 3, 1, two);
    CHECK_EQ(to[0], 0);
    CHECK_EQ(to[1], 0x7f7f7f);
    CHECK_EQ(to[2], 0xffffff);
    free(to);
    static const u32 four[] = {0xff0000, 0x00ff00, 0x0000ff, 0xffffff};
    to = scaled(2, 2, 1, 1, four);
    CHECK_EQ(to[0], 0x7f7f7f);
    free(to);
    to = scaled(4, 1, 4, 1, four);
    CHECK(!memcmp(to, four, sizeof(four)));
    free(to);
    /* Shares of a pixel too small for a 256th, and means of more pixels than that. */
    static const u32 sizes[][2] = {{1920, 1919}, {1919, 1920}, {1920, 3}, {3, 1920}, {1000, 1}};
    static u32 line[1920];
    memset(line, 0x55, sizeof(line));
    for (unsigned n = 0; n < ARRAY_SIZE(sizes); n++) {
        to = scaled(sizes[n][0], 1, sizes[n][1], 1, line);
        for (u32 x = 0; x < sizes[n][1]; x++)
            CHECK_EQ(to[x], 0x555555);
        free(to);
    }
    /* A picture of one colour keeps it in every size: the weights add up to 1. */
    static u32 plain[97 * 61];
    for (unsigned n = 0; n < ARRAY_SIZE(plain); n++)
        plain[n] = 0x80ff01;
    for (u32 size = 1; size < 300; size += 7) {
        to = scaled(97, 61, size, 300 - size, plain);
        bool good = true;
        for (u32 n = 0; n < size * (300 - size); n++)
            good &= to[n] == 0x80ff01;
        CHECK(good);
        free(to);
    }
}

static u32 seed = 1;
static u32 random_below(u32 limit)
{
    seed = seed * 1664525 + 1013904223;
    return (u32)((u64)(seed >> 8) * limit >> 24);
}

/* For any change with its damage, the result is the same as drawing everything again. */
static void test_damage(void)
{
    static u32 from[80 * 50];
    for (unsigned round = 0; round < 300; round++) {
        u32 width = 1 + random_below(80), height = 1 + random_below(50), to_width = 1 + random_below(170),
            to_height = 1 + random_below(130), pitch = to_width + 3;
        struct scaler s;
        u32 *to = malloc((size_t)pitch * to_height * 4);
        for (u32 n = 0; n < pitch * to_height; n++)
            to[n] = GUARD;
        for (u32 n = 0; n < width * height; n++)
            from[n] = random_below(1 << 24);
        CHECK(scaler_init(&s, width, height, to_width, to_height));
        struct display_rect all = {0, 0, width, height};
        scaler_run(&s, from, &all, to, pitch);
        struct display_rect part = {random_below(width), random_below(height), 1, 1};
        part.width = 1 + random_below(width - part.x);
        part.height = 1 + random_below(height - part.y);
        for (u32 y = part.y; y < part.y + part.height; y++)
            for (u32 x = part.x; x < part.x + part.width; x++)
                from[y * width + x] = random_below(1 << 24);
        struct display_rect changed = scaler_run(&s, from, &part, to, pitch);
        CHECK(changed.x + changed.width <= to_width && changed.y + changed.height <= to_height);
        u32 *anew = scaled(width, height, to_width, to_height, from);
        bool same = true, guarded = true;
        for (u32 y = 0; y < to_height; y++) {
            same &= !memcmp(to + y * pitch, anew + y * to_width, to_width * 4);
            for (u32 x = to_width; x < pitch; x++)
                guarded &= to[y * pitch + x] == GUARD;
        }
        CHECK(same && guarded);
        free(anew);
        free(to);
        scaler_destroy(&s);
    }
}

static void check_fit(struct display_rect rect, u32 x, u32 y, u32 width, u32 height)
{
    CHECK(rect.x == x && rect.y == y && rect.width == width && rect.height == height);
}

static void test_fit(void)
{
    check_fit(scaler_fit(640, 480, 640, 480, true), 0, 0, 640, 480);
    check_fit(scaler_fit(640, 480, 1920, 1080, false), 240, 0, 1440, 1080);
    check_fit(scaler_fit(640, 480, 1920, 1080, true), 320, 60, 1280, 960);
    check_fit(scaler_fit(720, 400, 100, 1000, true), 0, 472, 100, 55);
    check_fit(scaler_fit(1920, 1080, 1, 1, false), 0, 0, 1, 1);
    check_fit(scaler_fit(4000, 1, 10, 10, false), 0, 4, 10, 1);
}

int main(void)
{
    test_values();
    test_damage();
    test_fit();
    return check_report();
}
