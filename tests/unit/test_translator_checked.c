/*
 * What is remembered of instructions that use a host window (translator/checked.h). Hazard: instructions of one loop
 * whose hashes are equal, and which forget each other: each round kills their blocks and translates them again.
 */
#include "translator/checked.h"

#include "check.h"

#include <stdlib.h>

#define SAME  1u
#define HIGH  2u
#define LOOP  4 /* instructions */
#define OTHER 64

/* Fills gpa[] with `count` addresses of one set. */
static void colliding(u64 *gpa, unsigned count)
{
    u64 next = 0x1000;
    for (unsigned n = 0; n < count; next++)
        if (checked_set(next) == checked_set(0x1000)) gpa[n++] = next;
}

static void test_classes(struct checked *checked)
{
    u64 gpa[LOOP];
    unsigned translations = 0;
    colliding(gpa, LOOP);
    /* Each instruction meets both classes by turns, and is translated for those that are known. */
    for (unsigned round = 0; round < 100; round++)
        for (unsigned n = 0; n < LOOP; n++) {
            u8 class = round % 2 ? HIGH : SAME;
            if (checked_classes(checked, gpa[n], false) & class) continue;
            CHECK(checked_learn(checked, gpa[n], false, class, true));
            translations++;
        }
    CHECK_EQ(translations, 2 * LOOP);
    for (unsigned n = 0; n < LOOP; n++) {
        CHECK_EQ(checked_classes(checked, gpa[n], false), SAME | HIGH);
        CHECK_EQ(checked_classes(checked, gpa[n], true), 0);
        CHECK(!checked_is(checked, gpa[n]));
    }
}

static void test_faults(struct checked *checked)
{
    u64 gpa[LOOP];
    colliding(gpa, LOOP);
    for (unsigned round = 1; round <= CHECKED_PATIENCE; round++)
        for (unsigned n = 0; n < LOOP; n++)
            CHECK_EQ(checked_note(checked, gpa[n]), round == CHECKED_PATIENCE);
    for (unsigned n = 0; n < LOOP; n++)
        CHECK(checked_is(checked, gpa[n]));
    checked->off = true;
    CHECK(!checked_note(checked, gpa[0]) && !checked_is(checked, gpa[0]));
    checked->off = false;
}

/* Too many for the set: the oldest are forgotten, and nothing else is lost. */
static void test_eviction(struct checked *checked)
{
    u64 gpa[OTHER];
    colliding(gpa, OTHER);
    for (unsigned n = 0; n < OTHER; n++)
        checked_learn(checked, gpa[n], true, HIGH, true);
    for (unsigned n = 0; n < OTHER; n++) {
        bool kept = n + CHECKED_WAYS >= OTHER;
        CHECK_EQ(checked_classes(checked, gpa[n], true), kept ? HIGH : 0);
        CHECK_EQ(checked_classes(checked, gpa[n], false), 0);
        CHECK(!checked_is(checked, gpa[n]));
    }
}

int main(void)
{
    void (*tests[])(struct checked *) = {test_classes, test_faults, test_eviction};
    for (unsigned n = 0; n < sizeof tests / sizeof *tests; n++) {
        struct checked *checked = calloc(1, sizeof *checked);
        if (!checked) abort();
        tests[n](checked);
        free(checked);
    }
    return check_report();
}
