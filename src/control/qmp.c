/*
 * QMP, QEMU's protocol for programs (QEMU's docs/interop/qmp-spec.txt):
 *
 *   S: {"QMP": {"version": {"qemu": {...}, "package": "..."}, "capabilities": []}}
 *   C: {"execute": "qmp_capabilities", "id": 1}        S: {"return": {}, "id": 1}
 *   C: {"execute": "eject", "arguments": {"id": "cd"}} S: {"error": {"class": "GenericError", "desc": "..."}}
 *   S: {"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {...}}
 */
#include "control_private.h"

#include <stdio.h>
#include <string.h>

/* A longer object is not a command. */
#define OBJECT_BYTES_MAX (1u << 20)

static void send_object(struct session *s, struct json_object *object)
{
    int how = s->pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_SPACED;
    session_say(s, json_object_to_json_string_ext(object, how | JSON_C_TO_STRING_NOSLASHESCAPE));
    session_say(s, "\r\n");
    json_object_put(object);
}

static struct json_object *error_object(const char *class, const char *text)
{
    struct json_object *object = json_object_new_object(), *error = json_object_new_object();
    json_object_object_add(error, "class", json_object_new_string(class ? class : "GenericError"));
    json_object_object_add(error, "desc", json_object_new_string(text));
    json_object_object_add(object, "error", error);
    return object;
}

static void opened(struct session *s)
{
    struct json_object *object = json_object_new_object(), *qmp = json_object_new_object();
    struct control_call call = {.control = s->control, .vm = s->control->vm};
    json_tokener_reset(s->tokener);
    s->tokened = 0;
    s->negotiated = s->skip_line = false;
    run_query_version(&call);
    json_object_object_add(qmp, "version", call.result);
    json_object_object_add(qmp, "capabilities", json_object_new_array());
    json_object_object_add(object, "QMP", qmp);
    send_object(s, object);
}

/* --- commands --- */

static void begin(struct session *s, const char *name)
{
    bool negotiates = !strcmp(name, "qmp_capabilities");
    s->command = command_by_name(name);
    if (negotiates == s->negotiated) {
        call_fail(&s->call, negotiates ? "Capabilities negotiation is already complete, command ignored"
                                       : "Expecting capabilities negotiation with 'qmp_capabilities'");
        s->call.error_class = "CommandNotFound";
    } else if (!s->command) {
        call_fail(&s->call, "The command %.100s has not been found", name);
        s->call.error_class = "CommandNotFound";
    } else {
        command_check(&s->call, s->command);
        if (negotiates && !s->call.failed) s->negotiated = true;
    }
}

static void take_object(struct session *s, struct json_object *object)
{
    struct json_object *name = NULL, *arguments = NULL, *id;
    s->call = (struct control_call){0};
    s->command = NULL;
    if (json_object_object_get_ex(object, "id", &id)) s->id = json_object_get(id);
    json_object_object_foreach(object, key, value)
    {
        if (!strcmp(key, "execute"))
            name = value;
        else if (!strcmp(key, "arguments"))
            arguments = value;
        else if (strcmp(key, "id") && !s->call.failed)
            call_fail(&s->call, "QMP input member '%.100s' is unexpected", key);
    }
    if (arguments && !json_object_is_type(arguments, json_type_object) && !s->call.failed)
        call_fail(&s->call, "QMP input member 'arguments' must be an object");
    s->call.arguments = arguments && !s->call.failed ? json_object_get(arguments) : json_object_new_object();
    if (!s->call.failed && !name) call_fail(&s->call, "QMP input lacks member 'execute'");
    if (!s->call.failed && !json_object_is_type(name, json_type_string))
        call_fail(&s->call, "QMP input member 'execute' must be a string");
    if (!s->call.failed) begin(s, json_object_get_string(name));
    json_object_put(object);
}

static void answer(struct session *s)
{
    struct json_object *object;
    if (s->call.failed) {
        object = error_object(s->call.error_class, s->call.error);
    } else {
        object = json_object_new_object();
        json_object_object_add(object, "return",
                               s->call.result ? json_object_get(s->call.result) : json_object_new_object());
    }
    if (s->id) json_object_object_add(object, "id", json_object_get(s->id));
    send_object(s, object);
}

/* A command that cannot be run is answered at once. */
static void refuse(struct session *s)
{
    answer(s);
    json_object_put(s->call.arguments);
    json_object_put(s->id);
    s->call = (struct control_call){0};
    s->id = NULL;
}

static void run(struct session *s)
{
    command_run(&s->call, s->command);
}

/* --- bytes --- */

static void garbage(struct session *s, const char *why)
{
    json_tokener_reset(s->tokener);
    s->tokened = 0;
    s->skip_line = true;
    send_object(s, error_object(NULL, why));
}

/* After an error it is unknown where the next object begins, so parsing goes on at the next line. */
static u32 skip_line(struct session *s, const char *bytes, u32 count)
{
    const char *end = memchr(bytes, '\n', count);
    s->skip_line = !end;
    return end ? (u32)(end - bytes) + 1 : count;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static u32 take(struct session *s, const char *bytes, u32 count)
{
    if (s->skip_line) return skip_line(s, bytes, count);
    u32 blank = 0;
    while (!s->tokened && blank < count && is_blank(bytes[blank]))
        blank++;
    if (blank == count) return count;
    struct json_object *object = json_tokener_parse_ex(s->tokener, bytes + blank, (int)(count - blank));
    u32 taken = blank + (u32)json_tokener_get_parse_end(s->tokener);
    enum json_tokener_error error = json_tokener_get_error(s->tokener);
    s->tokened += taken - blank;
    if (error == json_tokener_continue && s->tokened <= OBJECT_BYTES_MAX) return count;
    if (error != json_tokener_success) {
        json_object_put(object);
        garbage(s, error == json_tokener_continue ? "JSON object is too long" : "JSON parse error");
        return error == json_tokener_continue ? count : taken;
    }
    if (!json_object_is_type(object, json_type_object)) {
        json_object_put(object);
        garbage(s, "QMP input must be a JSON object");
        s->skip_line = bytes[taken - 1] != '\n'; /* the tokener takes blanks after a value */
        return taken;
    }
    s->tokened = 0;
    json_tokener_reset(s->tokener);
    take_object(s, object);
    if (s->call.failed)
        refuse(s);
    else
        session_run(s);
    return taken;
}

static void event(struct session *s, const char *line)
{
    if (!s->negotiated) return;
    if (s->pretty) {
        send_object(s, json_tokener_parse(line));
        return;
    }
    session_say(s, line);
    session_say(s, "\r\n");
}

const struct session_protocol session_qmp = {
    .opened = opened, .take = take, .run = run, .answer = answer, .event = event};
