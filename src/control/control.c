#include "base/json.h"
#include "control_private.h"

#include "observe/hot_blocks.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- events --- */

struct event_letter {
    struct letter letter; /* first */
    struct control *control;
    struct json_object *object;
};

static void deliver(struct letter *letter)
{
    struct event_letter *event = (struct event_letter *)letter;
    struct control *control = event->control;
    const char *line = json_object_to_json_string_ext(event->object, JSON_C_TO_STRING_SPACED);
    for (unsigned n = 0; n < control->sessions; n++)
        session_event(control->session[n], line);
    json_object_put(event->object);
    free(event);
}

void control_event(struct control *control, const char *name, struct json_object *data)
{
    struct timespec now;
    struct event_letter *event = malloc(sizeof(*event));
    struct json_object *object = json_object_new_object(), *stamp = json_object_new_object();
    if (!event || !object || !stamp) return;
    clock_gettime(CLOCK_REALTIME, &now);
    json_object_object_add(stamp, "seconds", json_object_new_int64(now.tv_sec));
    json_object_object_add(stamp, "microseconds", json_object_new_int64(now.tv_nsec / 1000));
    json_object_object_add(object, "timestamp", stamp);
    json_object_object_add(object, "event", json_object_new_string(name));
    if (data) json_object_object_add(object, "data", data);
    *event = (struct event_letter){{.run = deliver}, control, object};
    mailbox_send(&control->chardevs->loop_mailbox, &event->letter);
}

static struct json_object *by_guest(bool guest, const char *reason)
{
    struct json_object *data = json_object_new_object();
    json_object_object_add(data, "guest", json_object_new_boolean(guest));
    json_object_object_add(data, "reason", json_object_new_string(reason));
    return data;
}

static struct json_object *disk_failure(void)
{
    struct json_object *data = json_object_new_object();
    json_object_object_add(data, "device", json_object_new_string(""));
    json_object_object_add(data, "operation", json_object_new_string("write"));
    json_object_object_add(data, "action", json_object_new_string("stop"));
    json_object_object_add(data, "reason",
                           json_object_new_string("a host file cannot be read or written at present"));
    return data;
}

/* On the vCPU thread. */
static void tell(void *owner, enum machine_event event, bool guest)
{
    struct control *control = owner;
    fpu_park(&control->vm->vcpu);
    switch (event) {
    case MACHINE_PAUSED: control_event(control, "STOP", NULL); break;
    case MACHINE_RESUMED: control_event(control, "RESUME", NULL); break;
    case MACHINE_SUSPENDED: control_event(control, "SUSPEND", NULL); break;
    case MACHINE_WOKEN: control_event(control, "WAKEUP", NULL); break;
    case MACHINE_DISK_FAILED: control_event(control, "BLOCK_IO_ERROR", disk_failure()); break;
    case MACHINE_RESET:
        control_event(control, "RESET", by_guest(guest, guest ? "guest-reset" : "host-qmp-system-reset"));
        break;
    case MACHINE_SHUTDOWN:
        control_event(control, "SHUTDOWN",
                      by_guest(guest, guest                  ? "guest-shutdown"
                                      : control->quit_asked  ? "host-qmp-quit"
                                      : control->reset_asked ? "host-qmp-system-reset"
                                                             : "host-signal"));
        break;
    }
}

static void tell_of_board(void *owner, enum board_event event, const char *text, u64 value)
{
    static const char *const names[] = {[BOARD_BALLOON_CHANGED] = "BALLOON_CHANGE",
                                        [BOARD_WATCHDOG] = "WATCHDOG",
                                        [BOARD_DEVICE_DELETED] = "DEVICE_DELETED",
                                        [BOARD_TRAY_MOVED] = "DEVICE_TRAY_MOVED"};
    struct control *control = owner;
    struct json_object *data = json_object_new_object();
    char path[128];
    fpu_park(&control->vm->vcpu);
    switch (event) {
    case BOARD_BALLOON_CHANGED: json_object_object_add(data, "actual", json_object_new_uint64(value)); break;
    case BOARD_WATCHDOG: json_object_object_add(data, "action", json_object_new_string(text)); break;
    case BOARD_DEVICE_DELETED:
        snprintf(path, sizeof(path), "/machine/peripheral%s/%s", text ? "" : "-anon", text ? text : "device");
        if (text) json_object_object_add(data, "device", json_object_new_string(text));
        json_object_object_add(data, "path", json_object_new_string(path));
        break;
    case BOARD_TRAY_MOVED:
        json_add_text(data, "device", text);
        json_add_text(data, "id", text);
        json_add_flag(data, "tray-open", value);
        break;
    }
    control_event(control, names[event], data);
}

void command_run(struct control_call *call, const struct control_command *command)
{
    if (command->changes) call->vm->debugger.changed = "what the monitor does is not recorded";
    command->run(call);
}

char *control_run_line(struct control *control, const char *line)
{
    if (control->at_work) return strdup("Error: another command is at work\n");
    control->at_work = true;
    char *said = control_hmp(control, line);
    control->at_work = false;
    return said;
}

/* --- set-up --- */

bool control_add_session(struct control *control, struct chardev *chardev,
                         const struct session_protocol *protocol, char *error, size_t error_bytes)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!chardev || !session || !session_open(session, control, protocol, chardev, error, error_bytes)) {
        free(session);
        return false;
    }
    control->session[control->sessions++] = session;
    return true;
}

struct control *control_open(struct vm *vm, struct chardevs *chardevs, const char *version, char *error,
                             size_t error_bytes)
{
    const struct control_options *options = &vm->options->control;
    struct control *control = calloc(1, sizeof(*control));
    if (!control) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    control->vm = vm;
    control->chardevs = chardevs;
    control->version = version;
    bool good = true;
    for (unsigned n = 0; good && n < options->monitors; n++) {
        const struct monitor_option *option = &options->monitor[n];
        good = control_add_session(control, chardevs_find(chardevs, option->chardev),
                                   option->qmp ? &session_qmp : &session_hmp, error, error_bytes);
        if (good) control->session[control->sessions - 1]->pretty = option->pretty;
    }
    if (!good || !control_listen(control)) {
        control_close(control);
        return NULL;
    }
    control->listener =
        (struct machine_listener){.tell = tell, .tell_of_board = tell_of_board, .owner = control};
    machine_listen(vm, &control->listener);
    return control;
}

/* On the character thread. */
static void take_letters(void *argument)
{
    struct control *control = argument;
    control->phase = CONTROL_RUNS;
    for (unsigned n = 0; n < control->sessions; n++)
        if (control->session[n]->waits) mailbox_send(&control->vm->mailbox, &control->session[n]->ask);
}

static void take_no_letters(void *argument)
{
    struct control *control = argument;
    control->phase = CONTROL_OVER;
    mailbox_run(&control->chardevs->loop_mailbox);
}

void control_start(struct control *control)
{
    if (control->vm->options->control.stopped) wire_console_pause(&control->vm->chipset.console, true);
    net_loop_run(&control->chardevs->loop, take_letters, control);
}

void control_stop(struct control *control)
{
    net_loop_run(&control->chardevs->loop, take_no_letters, control);
    mailbox_run(&control->vm->mailbox); /* the last commands that came in */
    hot_blocks_close(control->hot);
    control->hot = NULL;
    net_loop_run(&control->chardevs->loop, take_no_letters, control);
}

void control_set_gdbserver(struct control *control, control_gdbserver *listen, void *owner)
{
    control->gdbserver = listen;
    control->gdbserver_owner = owner;
}

/* On the character thread, because clients still come, go and ask. */
static void close_sessions(void *argument)
{
    struct control *control = argument;
    mailbox_run(&control->chardevs->loop_mailbox); /* the last events */
    for (unsigned n = 0; n < control->sessions; n++) {
        session_close(control->session[n]);
        free(control->session[n]);
    }
}

void control_close(struct control *control)
{
    if (!control) return;
    machine_leave(control->vm, &control->listener);
    net_loop_run(&control->chardevs->loop, close_sessions, control);
    free(control);
}
