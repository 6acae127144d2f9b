#include "options_json.h"

#include "options_values.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* --- lists --- */

/* A list under construction. */
struct list {
    char *text;
    size_t bytes;
    FILE *out;
};

static bool open_list(struct list *list, char *error, size_t error_bytes)
{
    list->out = open_memstream(&list->text, &list->bytes);
    return list->out || SAY("out of memory");
}

/* A comma in a value is written twice. */
static void put_text(struct list *list, const char *text)
{
    for (; *text; text++) {
        if (*text == ',') fputc(',', list->out);
        fputc(*text, list->out);
    }
}

static void put_item(struct list *list, const char *key, struct json_object *value)
{
    struct json_object *text;
    if (json_object_is_type(value, json_type_object) && !json_object_object_get_ex(value, "str", &text)) {
        json_object_object_foreach(value, inner, inner_value)
        {
            char path[128];
            snprintf(path, sizeof(path), "%s.%s", key, inner);
            put_item(list, path, inner_value);
        }
    } else if (json_object_is_type(value, json_type_object)) {
        put_item(list, key, text);
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t n = 0; n < json_object_array_length(value); n++)
            put_item(list, key, json_object_array_get_idx(value, n));
    } else if (value) { /* JSON's null is no value */
        fprintf(list->out, ",%s=", key);
        bool on = json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
        put_text(list, !json_object_is_type(value, json_type_boolean) ? json_object_get_string(value)
                       : on                                           ? "on"
                                                                      : "off");
    }
}

/* The member, if it is a text, or NULL. */
static const char *text_in(struct json_object *object, const char *key)
{
    struct json_object *value;
    bool there = json_object_object_get_ex(object, key, &value);
    return there && json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

char *options_json_list(struct json_object *object, const char *first, char *error, size_t error_bytes)
{
    struct list list;
    const char *head = text_in(object, first);
    if (!head) {
        snprintf(error, error_bytes, "Parameter '%s' is missing", first);
        return NULL;
    }
    if (!open_list(&list, error, error_bytes)) return NULL;
    put_text(&list, head);
    json_object_object_foreach(object, key, value)
    {
        if (strcmp(key, first)) put_item(&list, key, value);
    }
    fclose(list.out);
    return list.text;
}

/* NULL with one sentence in error. */
static struct json_object *parse(const char *argument, char *error, size_t error_bytes)
{
    struct json_object *object = json_tokener_parse(argument);
    if (json_object_is_type(object, json_type_object)) return object;
    json_object_put(object);
    snprintf(error, error_bytes, "\"%.150s\" is no JSON object", argument);
    return NULL;
}

char *options_list_of(const char *argument, const char *first, char *error, size_t error_bytes)
{
    char *list = NULL;
    if (*argument != '{') {
        list = strdup(argument);
        if (!list) snprintf(error, error_bytes, "out of memory");
        return list;
    }
    struct json_object *object = parse(argument, error, error_bytes);
    if (object) list = options_json_list(object, first, error, error_bytes);
    json_object_put(object);
    return list;
}

/* --- nodes --- */

/* "file.filename=F,..." as an object of objects. NULL with one sentence in error. */
static struct json_object *nested(const char *argument, char *error, size_t error_bytes)
{
    struct option_list items;
    char *key, *value;
    if (!option_list_open(&items, argument)) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    struct json_object *whole = json_object_new_object();
    while (option_list_next(&items, &key, &value)) {
        struct json_object *in = whole, *inner;
        for (char *dot; (dot = strchr(key, '.')); key = dot + 1) {
            *dot = 0;
            if (!json_object_object_get_ex(in, key, &inner) || !json_object_is_type(inner, json_type_object))
                json_object_object_add(in, key, inner = json_object_new_object());
            in = inner;
        }
        json_object_object_add(in, key, json_object_new_string(value ? value : "on"));
    }
    option_list_close(&items);
    return whole;
}

/* A node's settings, read. */
struct node {
    const char *name, *driver, *file;
    bool no_backing;
    struct drive_option *below[2];
};

static bool is_true(struct json_object *object, const char *key)
{
    struct json_object *value;
    bool on = false;
    if (!json_object_object_get_ex(object, key, &value)) return false;
    if (json_object_is_type(value, json_type_boolean)) return json_object_get_boolean(value);
    return option_switch(json_object_get_string(value), &on) && on;
}

/* The drivers of files of the host. */
static bool is_file_driver(const char *driver)
{
    return !strcmp(driver, "file") || !strcmp(driver, "host_device");
}

static bool find_below(struct drive_options *options, const char *name, struct drive_option **below,
                       char *error, size_t error_bytes)
{
    *below = drive_options_find(options, name);
    if (!*below || !(*below)->node) return SAY("Cannot find device='' nor node-name='%.100s'", name);
    return true;
}

/* The file of a format: an object, or the name of a node that is no format itself. */
static bool read_file(struct drive_options *options, struct node *node, struct json_object *file, char *error,
                      size_t error_bytes)
{
    if (json_object_is_type(file, json_type_string)) {
        if (!find_below(options, json_object_get_string(file), &node->below[0], error, error_bytes))
            return false;
        node->file = node->below[0]->file;
        return true;
    }
    const char *driver = text_in(file, "driver");
    if (!driver || !is_file_driver(driver)) return SAY("the driver below a format must be 'file'");
    node->file = text_in(file, "filename");
    return node->file || SAY("Parameter 'file.filename' is missing");
}

/* What an image is based on is said by the image, except that null, or QEMU's older "", means nothing. */
static bool read_backing(struct drive_options *options, struct node *node, struct json_object *object,
                         char *error, size_t error_bytes)
{
    struct json_object *backing;
    if (!json_object_object_get_ex(object, "backing", &backing)) return true;
    if (strcmp(node->driver, "qcow2")) return SAY("Parameter 'backing' is unexpected");
    if (backing && !json_object_is_type(backing, json_type_string))
        return SAY("'backing' must be the name of a node, or null");
    node->no_backing = !backing || !*json_object_get_string(backing);
    return node->no_backing ||
           find_below(options, json_object_get_string(backing), &node->below[1], error, error_bytes);
}

/* Some settings of QEMU's block layer change nothing here: all I/O is by threads, and images are opened read-only only
 * where that is asked for. */
static bool put_setting(struct list *list, const char *key, struct json_object *value, char *error,
                        size_t error_bytes)
{
    static const char *const known[] = {"driver",  "node-name",      "file", "filename",
                                        "backing", "auto-read-only", "aio",  "locking"};
    for (unsigned n = 0; n < ARRAY_SIZE(known); n++)
        if (!strcmp(key, known[n])) return true;
    if (!strcmp(key, "read-only") || !strcmp(key, "discard") || !strcmp(key, "detect-zeroes"))
        put_item(list, key, value);
    else if (!strcmp(key, "cache") && json_object_is_type(value, json_type_object))
        fprintf(list->out, ",cache=%s", is_true(value, "no-flush") ? "unsafe" : "writeback");
    else
        return SAY("Parameter '%.100s' is unexpected", key);
    return true;
}

static bool read_node(struct drive_options *options, struct node *node, struct json_object *object,
                      char *error, size_t error_bytes)
{
    struct json_object *file = NULL;
    *node = (struct node){.name = text_in(object, "node-name"), .driver = text_in(object, "driver")};
    if (!node->driver) return SAY("Parameter 'driver' is missing");
    if (!node->name || !*node->name) return SAY("Parameter 'node-name' is missing");
    bool format = !strcmp(node->driver, "raw") || !strcmp(node->driver, "qcow2");
    if (!format && !is_file_driver(node->driver))
        return SAY("Invalid parameter '%.100s': there are raw, qcow2 and file", node->driver);
    if (!read_backing(options, node, object, error, error_bytes)) return false;
    json_object_object_get_ex(object, "file", &file);
    if (format) return read_file(options, node, file, error, error_bytes);
    node->file = text_in(object, "filename");
    return node->file || SAY("Parameter 'filename' is missing");
}

/* The node as the list of a -drive; to be freed. NULL with one sentence in error. */
static char *node_list(const struct node *node, struct json_object *object, char *error, size_t error_bytes)
{
    struct list list;
    bool good = true;
    if (!open_list(&list, error, error_bytes)) return NULL;
    fprintf(list.out, "if=none,format=%s,id=", is_file_driver(node->driver) ? "raw" : node->driver);
    put_text(&list, node->name);
    fprintf(list.out, ",file=");
    put_text(&list, node->file);
    json_object_object_foreach(object, key, value)
    {
        if (good) good = put_setting(&list, key, value, error, error_bytes);
    }
    fclose(list.out);
    if (good) return list.text;
    free(list.text);
    return NULL;
}

void options_nodes_below(struct json_object *node, const char *names[2])
{
    names[0] = text_in(node, "file");
    names[1] = text_in(node, "backing");
}

/* The nodes below have no image of their own while this one is there. */
static void stack(struct drive_option *drive, const struct node *node)
{
    drive->node = true;
    drive->no_backing = node->no_backing;
    for (unsigned n = 0; n < ARRAY_SIZE(node->below); n++) {
        drive->below[n] = node->below[n];
        if (node->below[n]) node->below[n]->above++;
    }
}

bool drive_options_add_node(struct drive_options *options, const char *argument, char *error,
                            size_t error_bytes)
{
    struct node node;
    struct json_object *object =
        *argument == '{' ? parse(argument, error, error_bytes) : nested(argument, error, error_bytes);
    char *list = object && read_node(options, &node, object, error, error_bytes)
                     ? node_list(&node, object, error, error_bytes)
                     : NULL;
    bool good = list && drive_options_add(options, list, error, error_bytes);
    if (good) stack(&options->drive[options->count - 1], &node);
    free(list);
    json_object_put(object);
    return good;
}

struct drive_option *drive_options_plug_node(struct drive_options *options, struct json_object *object,
                                             char *error, size_t error_bytes)
{
    struct node node;
    char *list = read_node(options, &node, object, error, error_bytes)
                     ? node_list(&node, object, error, error_bytes)
                     : NULL;
    struct drive_option *drive = list ? drive_options_plug(options, list, error, error_bytes) : NULL;
    if (drive) stack(drive, &node);
    free(list);
    return drive;
}
