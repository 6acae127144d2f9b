/*
 * Commands about objects, by QEMU's paths:
 *
 *   /                        machine, objects
 *   /machine                 peripheral, peripheral-anon, unattached
 *   /machine/peripheral      each -device with an id, by its id; its properties are those of -device
 *   /machine/peripheral-anon device[N]: the others
 *   /machine/unattached      device[0]: the CPU
 *   /objects                 each -object rng-...
 *
 * The path of a device may be its id alone.
 */
#include "base/json.h"
#include "board/device_table.h"
#include "board/wire_virtio_balloon.h"
#include "control_private.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- paths --- */

enum object_kind {
    OBJECT_ROOT,
    OBJECT_MACHINE,
    OBJECT_PERIPHERAL,
    OBJECT_ANONYMOUS,
    OBJECT_UNATTACHED,
    OBJECT_OBJECTS,
    OBJECT_CPU,
    OBJECT_RNG,
    OBJECT_DEVICE,
};

struct object {
    enum object_kind kind;
    const char *type;
    const struct device_option *device; /* OBJECT_DEVICE */
};

/* The objects that every machine has, as paths without the first '/'. */
static const struct {
    const char *path, *type;
    enum object_kind kind;
} fixed[] = {{"", "container", OBJECT_ROOT},
             {"machine", "pc-i440fx-7.2-machine", OBJECT_MACHINE},
             {"machine/peripheral", "container", OBJECT_PERIPHERAL},
             {"machine/peripheral-anon", "container", OBJECT_ANONYMOUS},
             {"machine/unattached", "container", OBJECT_UNATTACHED},
             {"machine/unattached/device[0]", "x86-cpu", OBJECT_CPU},
             {"objects", "container", OBJECT_OBJECTS}};

/* Ids that begin with '#' are not the user's. */
static bool is_named(const struct device_option *device)
{
    return device->id && device->id[0] != '#';
}

/* The next device from *at on that is named, or that is not; NULL: there is no more. */
static const struct device_option *next_device(const struct vm *vm, unsigned *at, bool named)
{
    const struct device_options *devices = &vm->options->board.devices;
    while (*at < devices->count) {
        const struct device_option *device = &devices->device[(*at)++];
        if (device->type && is_named(device) == named) return device;
    }
    return NULL;
}

/* What is behind `start` in a path, or NULL. */
static const char *behind(const char *path, const char *start)
{
    size_t length = strlen(start);
    return strncmp(path, start, length) ? NULL : path + length;
}

static bool find_device(const struct vm *vm, const char *path, struct object *object)
{
    const char *name = behind(path, "machine/peripheral/"),
               *number = behind(path, "machine/peripheral-anon/device[");
    unsigned at = 0;
    object->device = NULL;
    if (!name && !strchr(path, '/')) name = path;
    if (number) {
        char *end;
        unsigned long n = strtoul(number, &end, 10);
        if (end == number || strcmp(end, "]")) return false;
        do
            object->device = next_device(vm, &at, false);
        while (object->device && n--);
    }
    while (name && (object->device = next_device(vm, &at, true)) && strcmp(object->device->id, name)) {
    }
    if (!object->device) return false;
    object->kind = OBJECT_DEVICE;
    object->type = object->device->type->name;
    return true;
}

static bool find_rng(const struct vm *vm, const char *path, struct object *object)
{
    const char *name = behind(path, "objects/");
    const struct rng_option *rng = name ? device_options_rng(&vm->options->board.devices, name) : NULL;
    if (!rng) return false;
    *object = (struct object){.kind = OBJECT_RNG, .type = rng->file ? "rng-random" : "rng-builtin"};
    return true;
}

/* False: there is no such object, and the call has failed. */
static bool find_object(struct control_call *call, struct object *object)
{
    const char *whole = call_text(call, "path"), *path = whole + (*whole == '/');
    for (unsigned n = 0; n < ARRAY_SIZE(fixed); n++)
        if (!strcmp(fixed[n].path, path)) {
            *object = (struct object){.kind = fixed[n].kind, .type = fixed[n].type};
            return true;
        }
    if (find_device(call->vm, path, object) || find_rng(call->vm, path, object)) return true;
    call_not_found(call, whole);
    return false;
}

/* --- properties --- */

/* Do clients see the property? Its owner's id and bus are no properties there. */
static bool is_shown(const struct property *property)
{
    return strcmp(property->name, "id") && strcmp(property->name, "bus");
}

static const char *type_of(const struct property *property)
{
    switch (property->kind) {
    case PROPERTY_NUMBER: return "uint64";
    case PROPERTY_BOOT:
    case PROPERTY_SLOT: return "int32";
    case PROPERTY_SWITCH: return "bool";
    case PROPERTY_AUTO: return "OnOffAuto";
    default: return "str";
    }
}

static struct json_object *add(struct json_object *list, const char *name, const char *type)
{
    struct json_object *entry = json_object_new_object();
    json_add_text(entry, "name", name);
    json_add_text(entry, "type", type);
    json_object_array_add(list, entry);
    return entry;
}

static void add_child(struct json_object *list, const char *name, const char *type)
{
    char child[128];
    snprintf(child, sizeof(child), "child<%s>", type);
    add(list, name, child);
}

static void add_properties(struct json_object *list, const struct device_type *type, bool described)
{
    const struct property *const tables[] = {type->properties, type->bus->properties};
    for (unsigned n = 0; n < ARRAY_SIZE(tables); n++)
        for (const struct property *p = tables[n]; p && p->name; p++) {
            if (!is_shown(p)) continue;
            struct json_object *entry = add(list, p->name, type_of(p));
            if (described) json_add_text(entry, "description", p->help);
        }
}

static bool is_balloon(const struct control_call *call, const struct object *object)
{
    return object->kind == OBJECT_DEVICE && board_balloon(&call->vm->board) &&
           !strcmp(object->type, "virtio-balloon-pci");
}

static void add_devices(struct json_object *list, const struct vm *vm, bool named)
{
    const struct device_option *device;
    char number[24];
    for (unsigned at = 0, n = 0; (device = next_device(vm, &at, named)); n++) {
        snprintf(number, sizeof(number), "device[%u]", n);
        add_child(list, named ? device->id : number, device->type->name);
    }
}

static void add_rngs(struct json_object *list, const struct device_options *devices)
{
    for (unsigned n = 0; n < devices->rngs; n++)
        add_child(list, devices->rng[n].id, devices->rng[n].file ? "rng-random" : "rng-builtin");
}

/* The objects directly below one of those that every machine has. */
static void add_fixed(struct json_object *list, const char *parent)
{
    for (unsigned n = 1; n < ARRAY_SIZE(fixed); n++) {
        const char *rest = *parent ? behind(fixed[n].path, parent) : fixed[n].path;
        if (rest && *parent) rest = *rest == '/' ? rest + 1 : NULL;
        if (rest && *rest && !strchr(rest, '/')) add_child(list, rest, fixed[n].type);
    }
}

void run_object_list(struct control_call *call)
{
    struct object object;
    if (!find_object(call, &object)) return;
    const struct vm *vm = call->vm;
    struct json_object *list = call->result = json_object_new_array();
    add(list, "type", "string");
    if (object.kind != OBJECT_DEVICE && object.kind != OBJECT_RNG) add_fixed(list, fixed[object.kind].path);
    if (object.kind == OBJECT_PERIPHERAL || object.kind == OBJECT_ANONYMOUS)
        add_devices(list, vm, object.kind == OBJECT_PERIPHERAL);
    if (object.kind == OBJECT_OBJECTS) add_rngs(list, &vm->options->board.devices);
    if (object.kind != OBJECT_DEVICE) return;
    add(list, "hotpluggable", "bool");
    add(list, "realized", "bool");
    add_properties(list, object.device->type, false);
    if (!is_balloon(call, &object)) return;
    add(list, "guest-stats", "guest statistics");
    add(list, "guest-stats-polling-interval", "int");
}

/* --- values --- */

/* QEMU's form: a number that the driver has not told is the largest one. */
static struct json_object *stats_of(const struct virtio_balloon *balloon, s64 told_s)
{
    static const char *const names[VIRTIO_BALLOON_STATS] = {
        "stat-swap-in",      "stat-swap-out",     "stat-major-faults",     "stat-minor-faults",
        "stat-free-memory",  "stat-total-memory", "stat-available-memory", "stat-disk-caches",
        "stat-htlb-pgalloc", "stat-htlb-pgfail"};
    struct json_object *result = json_object_new_object(), *stats = json_object_new_object();
    for (unsigned n = 0; n < VIRTIO_BALLOON_STATS; n++)
        json_add_number(stats, names[n], balloon->stat[n]);
    json_object_object_add(result, "stats", stats);
    json_object_object_add(result, "last-update", json_object_new_int64(told_s));
    return result;
}

/* What the board has chosen, or was told. A device that goes into a controller is where its drive is. */
static u64 chosen_number(const struct vm *vm, const struct device_option *device)
{
    const struct board *board = &vm->board;
    if (device->type->create) return board->device[board_number_of(board, device)].chosen;
    return drives_by_id(board->drives, device_text(device, "drive"))->index % 2;
}

static struct json_object *mac_json(u64 mac)
{
    char text[24];
    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", (u8)(mac >> 40), (u8)(mac >> 32),
             (u8)(mac >> 24), (u8)(mac >> 16), (u8)(mac >> 8), (u8)mac);
    return json_object_new_string(text);
}

/* The word of a choice. */
static struct json_object *choice_json(const char *choices, u64 number)
{
    while (number--)
        choices += strcspn(choices, " ") + 1;
    return json_object_new_string_len(choices, (int)strcspn(choices, " "));
}

/* A text that is not given is empty. So is the name of an empty drive, which is not the user's. */
static struct json_object *text_json(const char *text)
{
    return json_object_new_string(text && *text != '#' ? text : "");
}

/* A property's value, given or not. NULL: there is none with this name, or the call has failed. */
static struct json_object *device_value(struct control_call *call, const struct device_option *device,
                                        const char *name)
{
    const struct property *property = device_type_property(device->type, name);
    if (!property || !is_shown(property)) return NULL;
    const char *text = device_text(device, name);
    u64 number = property->chosen ? chosen_number(call->vm, device) : device_number(device, name);
    switch (property->kind) {
    case PROPERTY_NUMBER: return json_object_new_uint64(number);
    case PROPERTY_BOOT: return json_object_new_int((int)device_boot_index(device, 0) - 1);
    case PROPERTY_SWITCH: return json_object_new_boolean(number);
    case PROPERTY_AUTO: return json_object_new_string(number ? "on" : "off");
    case PROPERTY_CHOICE: return choice_json(property->choices, number);
    case PROPERTY_MAC: return mac_json(number);
    case PROPERTY_SLOT:
        return json_object_new_int(call->vm->board.device[board_number_of(&call->vm->board, device)].devfn);
    case PROPERTY_FILE:
        if (text) break;
        call_fail(call, "Property '%.60s.%.60s' is not set, and has its default", device->type->name, name);
        return NULL;
    case PROPERTY_TEXT:
    case PROPERTY_DRIVE:
    case PROPERTY_CHARDEV:
    case PROPERTY_SOCKET: break;
    }
    return text_json(text);
}

void run_object_get(struct control_call *call)
{
    struct object object;
    const char *name = call_text(call, "property");
    if (!find_object(call, &object)) return;
    const struct device_option *device = object.kind == OBJECT_DEVICE ? object.device : NULL;
    if (!strcmp(name, "type"))
        call->result = json_object_new_string(object.type);
    else if (device && !strcmp(name, "hotpluggable"))
        call->result = json_object_new_boolean(device->type->plugs);
    else if (device && !strcmp(name, "realized"))
        call->result = json_object_new_boolean(true);
    else if (is_balloon(call, &object) && !strcmp(name, "guest-stats"))
        call->result = stats_of(board_balloon(&call->vm->board), board_balloon_told_s(&call->vm->board));
    else if (is_balloon(call, &object) && !strcmp(name, "guest-stats-polling-interval"))
        call->result = json_object_new_int64(board_balloon_poll_s(&call->vm->board));
    else if (device)
        call->result = device_value(call, device, name);
    if (!call->result && !call->failed)
        call_fail(call, "Property '%.60s.%.60s' not found", object.type, name);
}

void run_object_set(struct control_call *call)
{
    struct object object;
    struct json_object *value;
    const char *name = call_text(call, "property");
    if (!find_object(call, &object)) return;
    json_object_object_get_ex(call->arguments, "value", &value);
    s64 seconds = json_object_get_int64(value);
    if (!is_balloon(call, &object) || strcmp(name, "guest-stats-polling-interval"))
        call_fail(call, "Property '%.60s.%.60s' cannot be changed while the machine runs", object.type, name);
    else if (!json_object_is_type(value, json_type_int) || seconds < 0 || seconds > BALLOON_POLL_MOST_S)
        call_fail(call, "guest-stats-polling-interval is a number of seconds up to %u", BALLOON_POLL_MOST_S);
    else
        board_balloon_poll(&call->vm->board, (unsigned)seconds);
}

/* --- types --- */

static const char *parent_of(const struct device_type *type)
{
    return type->bus == &bus_pci ? "pci-device" : type->bus == &bus_isa ? "isa-device" : "device";
}

static void add_type(struct json_object *list, const char *name, const char *parent)
{
    struct json_object *entry = json_object_new_object();
    json_add_text(entry, "name", name);
    json_add_text(entry, "parent", parent);
    json_object_array_add(list, entry);
}

void run_object_types(struct control_call *call)
{
    const char *implements = call_text(call, "implements");
    call->result = json_object_new_array();
    for (const struct device_type *const *type = device_table; *type; type++)
        if (!implements || !strcmp(implements, "device") || !strcmp(implements, parent_of(*type)) ||
            !strcmp(implements, (*type)->name))
            add_type(call->result, (*type)->name, parent_of(*type));
    if (!implements || !strcmp(implements, "machine"))
        add_type(call->result, "pc-i440fx-7.2-machine", "machine");
    static const char *const objects[] = {"rng-random", "rng-builtin", "filter-dump"};
    for (unsigned n = 0; n < ARRAY_SIZE(objects); n++)
        if (!implements || !strcmp(implements, "user-creatable"))
            add_type(call->result, objects[n], "object");
}

void run_device_properties(struct control_call *call)
{
    const char *name = call_text(call, "typename");
    const struct device_type *type = device_type_find(device_table, name);
    if (!type) {
        call_not_found(call, name);
        return;
    }
    call->result = json_object_new_array();
    add_properties(call->result, type, true);
}

void run_query_iothreads(struct control_call *call)
{
    call->result = json_object_new_array(); /* disks have threads of their own */
}

/* --- HMP --- */

void print_object_list(const struct json_object *result, struct json_object *text)
{
    for (size_t n = 0; n < json_object_array_length(result); n++) {
        const struct json_object *entry = json_object_array_get_idx(result, n);
        text_add(text, "%s (%s)\n", json_text_of(entry, "name"), json_text_of(entry, "type"));
    }
}

void print_object_value(const struct json_object *result, struct json_object *text)
{
    text_add(text, "%s\n",
             json_object_to_json_string_ext((struct json_object *)result, JSON_C_TO_STRING_PLAIN));
}
