/*
 * Commands. Each has one row in a table. The parsers of QMP and HMP, query-commands, query-qmp-schema and HMP's help
 * read it; the test boot/control compares its own list with it.
 */
#ifndef RINGER_CONTROL_COMMAND_H
#define RINGER_CONTROL_COMMAND_H

#include "base/types.h"

#include <json-c/json.h>

struct control;
struct vm;

enum argument_type {
    ARGUMENT_TEXT,
    ARGUMENT_NUMBER,
    ARGUMENT_SWITCH,
    ARGUMENT_LIST,
    ARGUMENT_OBJECT,
    ARGUMENT_ANY,
};

struct control_argument {
    const char *name; /* NULL: the end of the list */
    enum argument_type type;
    bool optional;
    /* In HMP, an argument is the next word of the line, the rest of the line (`rest`), or a switch such as "-f"
     * (`flag`). */
    bool positional, rest;
    char flag;
};

/* One command under way. */
struct control_call {
    struct control *control;
    struct vm *vm;
    struct json_object *arguments; /* as the row has them; never NULL */
    struct json_object *result;    /* NULL: an empty object */
    bool by_line;                  /* HMP: numbers of megabytes and the like */
    bool failed;
    const char *error_class; /* NULL: GenericError */
    char error[256];
    void (*afterwards)(struct control_call *call); /* called when the answer is in the session's output */
};

struct control_command {
    const char *name; /* in QMP; NULL: only HMP has it */
    const char *hmp;  /* "info status"; NULL: only QMP has it */
    const char *help;
    const struct control_argument *arguments; /* NULL: none */
    void (*run)(struct control_call *call);   /* vCPU thread, with the FPU parked */
    /* HMP: prints the result. NULL: the result is a text, or there is none. */
    void (*print)(const struct json_object *result, struct json_object *text);
    bool changes; /* what it does to the machine is no part of a deterministic run */
    bool open;    /* run() checks arguments beyond those of the row */
    bool aside;   /* run() touches nothing of the machine: it runs on the character thread */
};

/* Ends with a row without both names. */
extern const struct control_command control_commands[];
const struct control_command *command_by_name(const char *name);

/* The events of QMP, NULL at the end. */
extern const char *const control_events[];

/* Do the arguments fit the row? False: `failed` is set. */
bool command_check(struct control_call *call, const struct control_command *command);

void command_run(struct control_call *call, const struct control_command *command);

void call_fail(struct control_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* There is no such device or object. */
void call_not_found(struct control_call *call, const char *name);
const char *call_text(const struct control_call *call, const char *name); /* NULL: not given */
s64 call_number(const struct control_call *call, const char *name, s64 otherwise);
bool call_switch(const struct control_call *call, const char *name);

/* What query-qmp-schema returns. */
struct json_object *schema_json(void);

/* Appends to the text that print() makes. */
void text_add(struct json_object *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- run() of the rows --- */

void run_capabilities(struct control_call *call);
void run_query_version(struct control_call *call);
void run_query_commands(struct control_call *call);
void run_query_schema(struct control_call *call);
void run_query_name(struct control_call *call);
void run_query_uuid(struct control_call *call);
void run_query_kvm(struct control_call *call);
void run_query_machines(struct control_call *call);
void run_query_target(struct control_call *call);
void run_query_status(struct control_call *call);
void run_query_cpus(struct control_call *call);
void run_query_memory(struct control_call *call);
void run_stop(struct control_call *call);
void run_cont(struct control_call *call);
void run_quit(struct control_call *call);
void run_reset(struct control_call *call);
void run_powerdown(struct control_call *call);
void run_wakeup(struct control_call *call);
void run_nmi(struct control_call *call);
void run_hmp(struct control_call *call);
void run_registers(struct control_call *call);
void run_memory_save(struct control_call *call);
void run_send_key(struct control_call *call);
void run_sendkey(struct control_call *call);
void run_input(struct control_call *call);
void run_mouse_move(struct control_call *call);
void run_mouse_button(struct control_call *call);
void run_screendump(struct control_call *call);
void run_query_block(struct control_call *call);
void run_query_blockstats(struct control_call *call);
void run_eject(struct control_call *call);
void run_change(struct control_call *call);
void run_open_tray(struct control_call *call);
void run_close_tray(struct control_call *call);
void run_remove_medium(struct control_call *call);
void run_insert_medium(struct control_call *call);
void run_query_nodes(struct control_call *call);
void run_query_chardev(struct control_call *call);
void run_guest_agent(struct control_call *call);
void run_ringbuf_read(struct control_call *call);
void run_set_password(struct control_call *call);
void run_vnc_password(struct control_call *call);
void run_set_link(struct control_call *call);
void run_network(struct control_call *call);
void run_gdbserver(struct control_call *call);
void run_stats(struct control_call *call);
void run_inspect(struct control_call *call);
void run_hot(struct control_call *call);
void run_help(struct control_call *call);
void run_balloon(struct control_call *call);
void run_query_balloon(struct control_call *call);
void run_guest_memory(struct control_call *call);
void run_watchdog_action(struct control_call *call);
void run_device_add(struct control_call *call);
void run_device_del(struct control_call *call);
void run_drive_add(struct control_call *call);
void run_blockdev_add(struct control_call *call);
void run_blockdev_del(struct control_call *call);
void run_netdev_add(struct control_call *call);
void run_netdev_del(struct control_call *call);
void run_query_pci(struct control_call *call);
void run_object_list(struct control_call *call);
void run_object_get(struct control_call *call);
void run_object_set(struct control_call *call);
void run_object_types(struct control_call *call);
void run_device_properties(struct control_call *call);
void run_query_iothreads(struct control_call *call);

void print_status(const struct json_object *result, struct json_object *text);
void print_version(const struct json_object *result, struct json_object *text);
void print_block(const struct json_object *result, struct json_object *text);
void print_blockstats(const struct json_object *result, struct json_object *text);
void print_chardev(const struct json_object *result, struct json_object *text);
void print_name(const struct json_object *result, struct json_object *text);
void print_uuid(const struct json_object *result, struct json_object *text);
void print_kvm(const struct json_object *result, struct json_object *text);
void print_cpus(const struct json_object *result, struct json_object *text);
void print_balloon(const struct json_object *result, struct json_object *text);
void print_pci(const struct json_object *result, struct json_object *text);
void print_object_list(const struct json_object *result, struct json_object *text);
void print_object_value(const struct json_object *result, struct json_object *text);
void print_pairs(const struct json_object *result, struct json_object *text);

#endif
