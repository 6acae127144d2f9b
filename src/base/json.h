/*
 * Short ways to read and to make members of a JSON object (json-c). Only for modules that are linked with json-c.
 */
#ifndef RINGER_BASE_JSON_H
#define RINGER_BASE_JSON_H

#include "types.h"

#include <json-c/json.h>
#include <stdio.h>

/* The member, or "" without one. A null, which json-c keeps as NULL, is none: some of these objects come from a
 * guest. */
static inline const char *json_text_of(const struct json_object *object, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(object, key, &value) && value ? json_object_get_string(value) : "";
}

/* The member, or 0 without one. */
static inline u64 json_number_of(const struct json_object *object, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}
static inline double json_double_of(const struct json_object *object, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(object, key, &value) ? json_object_get_double(value) : 0;
}

static inline void json_add_text(struct json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}
static inline void json_add_number(struct json_object *object, const char *key, u64 value)
{
    json_object_object_add(object, key, json_object_new_uint64(value));
}
static inline void json_add_flag(struct json_object *object, const char *key, bool value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}
/* As a string "0x..." */
static inline void json_add_hex(struct json_object *object, const char *key, u64 value)
{
    char text[32];
    snprintf(text, sizeof(text), "0x%llx", (ull)value);
    json_add_text(object, key, text);
}

#endif
