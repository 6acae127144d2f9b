/*
 * Options: screen, keyboard, mouse and sound.
 */
#include "options_table.h"

static const struct option_row rows[] = {
    {"keys", "FILE", "a script that waits for text on the screen, types, points: ringer help keys",
     STRING(keys)},
    {"type", "TEXT", "type this when the machine is switched on", STRING(typed)},
};

const struct option_group options_display = {"Screen, keyboard and sound", rows, ARRAY_SIZE(rows)};
