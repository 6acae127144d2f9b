/*
 * The table of commands, and the functions that read it. See command.h.
 */
#include "base/json.h"
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shared parts of arguments. */
#define TEXT(n)                                                                                              \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_TEXT, .positional = true                                                 \
    }
#define TEXT_OPTIONAL(n)                                                                                     \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_TEXT, .positional = true, .optional = true                               \
    }
#define HIDDEN_TEXT(n)                                                                                       \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_TEXT, .optional = true                                                   \
    }
#define NUMBER(n)                                                                                            \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_NUMBER, .positional = true                                               \
    }
#define NUMBER_OPTIONAL(n)                                                                                   \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_NUMBER, .positional = true, .optional = true                             \
    }
#define HIDDEN_NUMBER(n)                                                                                     \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_NUMBER, .optional = true                                                 \
    }
#define SWITCH_FLAG(n, f)                                                                                    \
    {                                                                                                        \
        .name = n, .type = ARGUMENT_SWITCH, .optional = true, .flag = f                                      \
    }
#define END                                                                                                  \
    {                                                                                                        \
        0                                                                                                    \
    }

static const struct control_argument capabilities[] = {
    {.name = "enable", .type = ARGUMENT_LIST, .optional = true}, END};
static const struct control_argument hmp[] = {TEXT("command-line"), HIDDEN_NUMBER("cpu-index"), END};
static const struct control_argument send_key[] = {
    {.name = "keys", .type = ARGUMENT_LIST}, HIDDEN_NUMBER("hold-time"), END};
static const struct control_argument sendkey[] = {TEXT("keys"), NUMBER_OPTIONAL("hold-time"), END};
static const struct control_argument input[] = {
    HIDDEN_TEXT("device"), HIDDEN_NUMBER("head"), {.name = "events", .type = ARGUMENT_LIST}, END};
static const struct control_argument mouse_move[] = {NUMBER("dx"), NUMBER("dy"), NUMBER_OPTIONAL("dz"), END};
static const struct control_argument mouse_button[] = {NUMBER("state"), END};
static const struct control_argument screendump[] = {TEXT("filename"), HIDDEN_TEXT("device"),
                                                     HIDDEN_NUMBER("head"), TEXT_OPTIONAL("format"), END};
static const struct control_argument eject[] = {SWITCH_FLAG("force", 'f'), TEXT_OPTIONAL("device"),
                                                HIDDEN_TEXT("id"), END};
static const struct control_argument change[] = {TEXT_OPTIONAL("device"),
                                                 HIDDEN_TEXT("id"),
                                                 TEXT("filename"),
                                                 TEXT_OPTIONAL("format"),
                                                 SWITCH_FLAG("force", 'f'),
                                                 HIDDEN_TEXT("read-only-mode"),
                                                 END};
static const struct control_argument open_tray[] = {HIDDEN_TEXT("device"), HIDDEN_TEXT("id"),
                                                    SWITCH_FLAG("force", 'f'), END};
static const struct control_argument close_tray[] = {HIDDEN_TEXT("device"), HIDDEN_TEXT("id"), END};
static const struct control_argument insert_medium[] = {TEXT("id"), TEXT("node-name"), END};
static const struct control_argument named_nodes[] = {
    {.name = "flat", .type = ARGUMENT_SWITCH, .optional = true}, END};
static const struct control_argument blockstats[] = {
    {.name = "query-nodes", .type = ARGUMENT_SWITCH, .optional = true}, END};
static const struct control_argument object[] = {TEXT("path"), END};
static const struct control_argument object_get[] = {TEXT("path"), TEXT("property"), END};
static const struct control_argument object_set[] = {
    TEXT("path"), TEXT("property"), {.name = "value", .type = ARGUMENT_ANY}, END};
static const struct control_argument object_types[] = {
    HIDDEN_TEXT("implements"), {.name = "abstract", .type = ARGUMENT_SWITCH, .optional = true}, END};
static const struct control_argument of_type[] = {TEXT("typename"), END};
static const struct control_argument set_link[] = {
    TEXT("name"), {.name = "up", .type = ARGUMENT_SWITCH, .positional = true}, END};
static const struct control_argument ringbuf[] = {TEXT("device"), NUMBER("size"), HIDDEN_TEXT("format"), END};
static const struct control_argument memsave[] = {NUMBER("val"), NUMBER("size"), TEXT("filename"),
                                                  HIDDEN_NUMBER("cpu-index"), END};
static const struct control_argument gdbserver[] = {TEXT_OPTIONAL("device"), END};
static const struct control_argument inspect[] = {NUMBER("address"), END};
static const struct control_argument hot[] = {
    {.name = "most", .type = ARGUMENT_NUMBER, .optional = true, .positional = true},
    {.name = "period-us", .type = ARGUMENT_NUMBER, .optional = true},
    END};
static const struct control_argument balloon[] = {NUMBER("value"), END};
static const struct control_argument set_password[] = {TEXT("protocol"), TEXT("password"),
                                                       TEXT_OPTIONAL("connected"), END};
static const struct control_argument vnc_password[] = {TEXT("password"), END};
static const struct control_argument watchdog[] = {TEXT("action"), END};
static const struct control_argument device_add[] = {TEXT("driver"), HIDDEN_TEXT("id"), HIDDEN_TEXT("bus"),
                                                     END};
static const struct control_argument by_id[] = {TEXT("id"), END};
static const struct control_argument blockdev_add[] = {TEXT("driver"), TEXT("node-name"), END};
static const struct control_argument blockdev_del[] = {TEXT("node-name"), END};
static const struct control_argument drive_add[] = {TEXT("slot"), TEXT("options"), END};
static const struct control_argument netdev_add[] = {TEXT("type"), HIDDEN_TEXT("id"), END};
static const struct control_argument help[] = {
    {.name = "command", .type = ARGUMENT_TEXT, .optional = true, .positional = true, .rest = true}, END};

const struct control_command control_commands[] = {
    {"qmp_capabilities", NULL, "leave the negotiation", capabilities, .run = run_capabilities, .aside = true},
    {"query-version", "info version", "the version", NULL, .run = run_query_version, .print = print_version,
     .aside = true},
    {"query-commands", NULL, "the names of all commands", NULL, .run = run_query_commands, .aside = true},
    {"query-qmp-schema", NULL, "all commands and events with their types", NULL, .run = run_query_schema,
     .aside = true},
    {"query-name", "info name", "the name of the machine", NULL, .run = run_query_name, .print = print_name,
     .aside = true},
    {"query-uuid", "info uuid", "the machine's UUID", NULL, .run = run_query_uuid, .print = print_uuid,
     .aside = true},
    {"query-kvm", "info kvm", "whether KVM is used (never)", NULL, .run = run_query_kvm, .print = print_kvm,
     .aside = true},
    {"query-target", NULL, "the guest's architecture", NULL, .run = run_query_target, .aside = true},
    {"query-machines", NULL, "the types of machines", NULL, .run = run_query_machines, .aside = true},
    {"query-status", "info status", "whether the machine runs", NULL, .run = run_query_status,
     .print = print_status},
    {"watchdog-set-action", "watchdog_action", "what a watchdog timer that runs out does: reset, pause, ...",
     watchdog, .run = run_watchdog_action, .changes = true},
    {"balloon", "balloon", "ask the guest for memory: balloon MEGABYTES that it is to have", balloon,
     .run = run_balloon, .changes = true},
    {"query-balloon", "info balloon", "how much memory the guest has", NULL, .run = run_query_balloon,
     .print = print_balloon},
    {"x-ringer-guest-memory", "info guest_memory",
     "how the guest uses its memory, as its balloon driver says", NULL, .run = run_guest_memory,
     .print = print_pairs},
    {"query-cpus-fast", "info cpus", "the CPU", NULL, .run = run_query_cpus, .print = print_cpus},
    {"query-memory-size-summary", "info memory_size_summary", "how much memory there is", NULL,
     .run = run_query_memory, .print = print_pairs},
    {"query-block", "info block", "the drives and the media in them", NULL, .run = run_query_block,
     .print = print_block},
    {"query-blockstats", "info blockstats", "what the drives have read and written", blockstats,
     .run = run_query_blockstats, .print = print_blockstats},
    {"query-chardev", "info chardev", "the character devices", NULL, .run = run_query_chardev,
     .print = print_chardev, .aside = true},
    {NULL, "info network", "the network cards and what their cables lead to", NULL, .run = run_network},
    {NULL, "info registers", "the CPU's registers", NULL, .run = run_registers},
    {"stop", "stop", "stop the machine", NULL, .run = run_stop},
    {"cont", "cont", "let the machine go on", NULL, .run = run_cont},
    {NULL, "c", "the same", NULL, .run = run_cont},
    {"quit", "quit", "end Ringer", NULL, .run = run_quit},
    {NULL, "q", "the same", NULL, .run = run_quit},
    {"system_reset", "system_reset", "press the reset button", NULL, .run = run_reset, .changes = true},
    {"system_powerdown", "system_powerdown", "press the power button", NULL, .run = run_powerdown,
     .changes = true},
    {"system_wakeup", "system_wakeup", "wake the guest that has suspended itself", NULL, .run = run_wakeup,
     .changes = true},
    {"inject-nmi", "nmi", "raise a non-maskable interrupt", NULL, .run = run_nmi, .changes = true},
    {"device_add", "device_add", "plug a device in: device_add TYPE,PROPERTY=VALUE,...", device_add,
     .run = run_device_add, .changes = true, .open = true},
    {"device_del", "device_del", "ask the guest to let go of a device, and unplug it", by_id,
     .run = run_device_del, .changes = true},
    {"blockdev-add", NULL, "open an image for a device that comes", blockdev_add, .run = run_blockdev_add,
     .changes = true, .open = true},
    {"blockdev-del", NULL, "close an image that no device has", blockdev_del, .run = run_blockdev_del,
     .changes = true},
    {NULL, "drive_add", "open an image: drive_add 0 if=none,id=ID,file=FILE,...", drive_add,
     .run = run_drive_add, .changes = true},
    {NULL, "drive_del", "close an image that no device has", blockdev_del, .run = run_blockdev_del,
     .changes = true},
    {"netdev_add", "netdev_add", "make a network: netdev_add KIND,id=ID,...", netdev_add,
     .run = run_netdev_add, .changes = true, .open = true},
    {"netdev_del", "netdev_del", "end a network that no card has", by_id, .run = run_netdev_del,
     .changes = true},
    {"query-pci", "info pci", "the devices on the PCI bus", NULL, .run = run_query_pci, .print = print_pci},
    {"qom-list", "qom-list",
     "the properties of an object, and the objects below it: qom-list /machine/peripheral", object,
     .run = run_object_list, .print = print_object_list},
    {"qom-get", "qom-get", "a property of an object: qom-get PATH PROPERTY", object_get,
     .run = run_object_get, .print = print_object_value},
    {"qom-set", NULL, "set a property of an object", object_set, .run = run_object_set, .changes = true},
    {"qom-list-types", NULL, "the types of objects", object_types, .run = run_object_types, .aside = true},
    {"qom-list-properties", NULL, "the properties of a type of devices", of_type,
     .run = run_device_properties, .aside = true},
    {"device-list-properties", NULL, "the same", of_type, .run = run_device_properties, .aside = true},
    {"query-iothreads", NULL, "threads that the command line gives to devices (none)", NULL,
     .run = run_query_iothreads, .aside = true},
    {"human-monitor-command", NULL, "run an HMP command and return what it prints", hmp, .run = run_hmp},
    {"send-key", NULL, "press keys together, and release them", send_key, .run = run_send_key,
     .changes = true},
    {NULL, "sendkey", "press keys together: sendkey ctrl-alt-f2", sendkey, .run = run_sendkey,
     .changes = true},
    {"input-send-event", NULL, "keys, buttons and movements", input, .run = run_input, .changes = true},
    {NULL, "mouse_move", "move the mouse: mouse_move DX DY [DZ]", mouse_move, .run = run_mouse_move,
     .changes = true},
    {NULL, "mouse_button", "press buttons: 1 left, 2 right, 4 middle; 0 releases", mouse_button,
     .run = run_mouse_button, .changes = true},
    {"screendump", "screendump", "write the picture to a file: ppm (the default) or png", screendump,
     .run = run_screendump},
    {"eject", "eject", "take the medium out of a drive: eject [-f] DEVICE", eject, .run = run_eject,
     .changes = true},
    {"blockdev-change-medium", "change", "put another medium into a drive: change DEVICE FILE", change,
     .run = run_change, .changes = true},
    {"blockdev-open-tray", NULL, "open a drive's tray, or ask a guest that has locked it", open_tray,
     .run = run_open_tray, .changes = true},
    {"blockdev-close-tray", NULL, "close a drive's tray", close_tray, .run = run_close_tray, .changes = true},
    {"blockdev-remove-medium", NULL, "take the medium out of an open drive", by_id, .run = run_remove_medium,
     .changes = true},
    {"blockdev-insert-medium", NULL, "put the image of a blockdev-add into an open drive", insert_medium,
     .run = run_insert_medium, .changes = true},
    {"query-named-block-nodes", NULL, "the images that blockdev-add and -blockdev have opened", named_nodes,
     .run = run_query_nodes},
    {"set_password", "set_password", "set the password of VNC clients: set_password vnc PASSWORD",
     set_password, .run = run_set_password},
    {"change-vnc-password", NULL, "the same", vnc_password, .run = run_vnc_password},
    {"set_link", "set_link", "plug a network cable in or pull it: set_link NAME on|off", set_link,
     .run = run_set_link, .changes = true},
    {"ringbuf-read", "ringbuf_read", "take bytes out of a ringbuf chardev", ringbuf, .run = run_ringbuf_read},
    {"pmemsave", "pmemsave", "write guest-physical memory to a file: pmemsave ADDRESS SIZE FILE", memsave,
     .run = run_memory_save},
    {NULL, "gdbserver", "let a debugger connect: gdbserver [tcp::1234]; none ends that", gdbserver,
     .run = run_gdbserver},
    {"x-ringer-stats", "info stats", "every counter of --stats", NULL, .run = run_stats,
     .print = print_pairs},
    {"x-ringer-guest-agent", NULL, "where the port of QEMU's guest agent leads: the path of a socket", NULL,
     .run = run_guest_agent},
    {"x-ringer-hot", "info hot", "which translated blocks run, by samples since the last time", hot,
     .run = run_hot, .print = print_pairs},
    {"x-ringer-inspect", "info mapping",
     "how an address is mapped: the guest's tables, and the shadow's entries", inspect, .run = run_inspect,
     .print = print_pairs},
    {NULL, "help", "this list, or one command of it", help, .run = run_help},
    {NULL, "?", "the same", help, .run = run_help},
    {0},
};

const char *const control_events[] = {
    "RESET",  "SHUTDOWN",       "POWERDOWN",      "STOP",     "RESUME",         "SUSPEND",
    "WAKEUP", "BLOCK_IO_ERROR", "BALLOON_CHANGE", "WATCHDOG", "DEVICE_DELETED", "DEVICE_TRAY_MOVED",
    NULL};

const struct control_command *command_by_name(const char *name)
{
    for (const struct control_command *c = control_commands; c->run; c++)
        if (c->name && !strcmp(c->name, name)) return c;
    return NULL;
}

/* --- arguments --- */

static const struct {
    json_type type;
    const char *name; /* as QEMU says it */
    const char *schema;
} types[] = {[ARGUMENT_TEXT] = {json_type_string, "string", "str"},
             [ARGUMENT_NUMBER] = {json_type_int, "integer", "int"},
             [ARGUMENT_SWITCH] = {json_type_boolean, "boolean", "bool"},
             [ARGUMENT_LIST] = {json_type_array, "array", "[any]"},
             [ARGUMENT_OBJECT] = {json_type_object, "object", "any"},
             [ARGUMENT_ANY] = {json_type_null, "any", "any"}};

static const struct control_argument *find_argument(const struct control_command *command, const char *name)
{
    for (const struct control_argument *a = command->arguments; a && a->name; a++)
        if (!strcmp(a->name, name)) return a;
    return NULL;
}

bool command_check(struct control_call *call, const struct control_command *command)
{
    json_object_object_foreach(call->arguments, key, value)
    {
        const struct control_argument *a = find_argument(command, key);
        if (!a && command->open) continue;
        if (!a) {
            call_fail(call, "Parameter '%.100s' is unexpected", key);
            return false;
        }
        if (a->type != ARGUMENT_ANY && json_object_get_type(value) != types[a->type].type) {
            call_fail(call, "Invalid parameter type for '%s', expected: %s", a->name, types[a->type].name);
            return false;
        }
    }
    for (const struct control_argument *a = command->arguments; a && a->name; a++)
        if (!a->optional && !json_object_object_get_ex(call->arguments, a->name, NULL)) {
            call_fail(call, "Parameter '%s' is missing", a->name);
            return false;
        }
    return true;
}

void call_fail(struct control_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    call->failed = true;
    vsnprintf(call->error, sizeof(call->error), format, args);
    va_end(args);
}

void call_not_found(struct control_call *call, const char *name)
{
    call_fail(call, "Device '%.100s' not found", name);
    call->error_class = "DeviceNotFound";
}

const char *call_text(const struct control_call *call, const char *name)
{
    struct json_object *value;
    return json_object_object_get_ex(call->arguments, name, &value) ? json_object_get_string(value) : NULL;
}

s64 call_number(const struct control_call *call, const char *name, s64 otherwise)
{
    struct json_object *value;
    if (!json_object_object_get_ex(call->arguments, name, &value)) return otherwise;
    s64 number = json_object_get_int64(value);
    /* Addresses of 64-bit guests: the numbers above INT64_MAX are the negative ones. */
    return number == INT64_MAX ? (s64)json_object_get_uint64(value) : number;
}

bool call_switch(const struct control_call *call, const char *name)
{
    struct json_object *value;
    return json_object_object_get_ex(call->arguments, name, &value) && json_object_get_boolean(value);
}

void text_add(struct json_object *text, const char *format, ...)
{
    char *piece, *whole;
    va_list args;
    va_start(args, format);
    int bytes = vasprintf(&piece, format, args);
    va_end(args);
    if (bytes < 0) return;
    if (asprintf(&whole, "%s%s", json_object_get_string(text), piece) >= 0) {
        json_object_set_string(text, whole);
        free(whole);
    }
    free(piece);
}

/* --- the schema (QEMU's qapi/introspect.json) --- */

static struct json_object *entity(struct json_object *list, const char *name, const char *meta)
{
    struct json_object *object = json_object_new_object();
    json_add_text(object, "name", name);
    json_add_text(object, "meta-type", meta);
    json_object_array_add(list, object);
    return object;
}

static void add_builtins(struct json_object *list)
{
    static const char *const names[][2] = {
        {"str", "string"}, {"int", "int"}, {"bool", "boolean"}, {"any", "value"}};
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        json_add_text(entity(list, names[n][0], "builtin"), "json-type", names[n][1]);
    json_add_text(entity(list, "[any]", "array"), "element-type", "any");
    json_object_object_add(entity(list, "0", "object"), "members", json_object_new_array());
}

static void add_command(struct json_object *list, const struct control_command *command)
{
    char type[64] = "0";
    if (command->arguments) {
        struct json_object *members = json_object_new_array();
        snprintf(type, sizeof(type), "%s-arg", command->name);
        json_object_object_add(entity(list, type, "object"), "members", members);
        for (const struct control_argument *a = command->arguments; a->name; a++) {
            struct json_object *member = json_object_new_object();
            json_add_text(member, "name", a->name);
            json_add_text(member, "type", types[a->type].schema);
            if (a->optional) json_object_object_add(member, "default", NULL);
            json_object_array_add(members, member);
        }
    }
    struct json_object *object = entity(list, command->name, "command");
    json_add_text(object, "arg-type", type);
    json_add_text(object, "ret-type", "any");
}

struct json_object *schema_json(void)
{
    struct json_object *list = json_object_new_array();
    add_builtins(list);
    for (const struct control_command *c = control_commands; c->run; c++)
        if (c->name) add_command(list, c);
    for (const char *const *event = control_events; *event; event++)
        json_add_text(entity(list, *event, "event"), "arg-type", "0");
    return list;
}
