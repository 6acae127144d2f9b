#include "events.h"

const struct event_category_row event_categories[EVENT_CATEGORIES] = {
#define CATEGORY(category, name, help) {name, help},
    RINGER_EVENT_CATEGORIES(CATEGORY)
#undef CATEGORY
};

const struct event_row event_rows[EVENTS] = {
#define EVENT(category, id, name, fields) {EVENT_##category, name, fields},
    RINGER_EVENTS(EVENT)
#undef EVENT
};
