#include "session.h"

#include "control_private.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- output --- */

static void write_out(struct session *s)
{
    if (s->out_from == s->out_to) return;
    s->out_from += chardev_write(&s->front, (u8 *)s->out + s->out_from, s->out_to - s->out_from);
    if (s->out_from == s->out_to) s->out_from = s->out_to = 0;
}

void session_say(struct session *s, const char *text)
{
    u32 bytes = (u32)strlen(text);
    if (s->out_from && s->out_to + bytes > s->out_capacity) {
        memmove(s->out, s->out + s->out_from, s->out_to - s->out_from);
        s->out_to -= s->out_from;
        s->out_from = 0;
    }
    if (s->out_to + bytes > s->out_capacity) {
        u32 capacity = 2 * (s->out_to + bytes);
        char *more = realloc(s->out, capacity);
        if (!more) return;
        s->out = more;
        s->out_capacity = capacity;
    }
    memcpy(s->out + s->out_to, text, bytes);
    s->out_to += bytes;
    write_out(s);
}

void session_event(struct session *s, const char *line)
{
    if (s->open && s->protocol->event && s->out_to - s->out_from < SESSION_OUT_BYTES)
        s->protocol->event(s, line);
}

/* --- commands --- */

static void answered(struct session *s)
{
    s->busy = false;
    if (s->asked_by == s->visit) s->protocol->answer(s);
    json_object_put(s->call.arguments);
    json_object_put(s->call.result);
    json_object_put(s->id);
    free(s->said);
    s->call = (struct control_call){0};
    s->id = NULL;
    s->said = NULL;
}

/* The vCPU thread has run the command. */
static void done(struct letter *letter)
{
    struct session *s = container_of(letter, struct session, done);
    answered(s);
    session_go_on(s);
}

/* --- on the vCPU thread --- */

static void run_command(struct session *s)
{
    struct control *control = s->control;
    fpu_park(&control->vm->vcpu);
    s->protocol->run(s);
    void (*afterwards)(struct control_call * call) = s->call.afterwards;
    struct control_call call = {.control = control, .vm = control->vm};
    mailbox_send(&control->chardevs->loop_mailbox, &s->done); /* from here on `s` is the character thread's */
    if (afterwards) afterwards(&call);
}

static struct session *take_postponed(struct control *control)
{
    for (unsigned n = 0; n < control->sessions; n++) {
        struct session *s = control->session[n];
        if (!s->postponed) continue;
        s->postponed = false;
        return s;
    }
    return NULL;
}

/* A command that waits for disks runs letters meanwhile. One that comes by such a letter has to wait: it could take
 * away what the first one holds. */
static void ask(struct letter *letter)
{
    struct session *s = container_of(letter, struct session, ask);
    struct control *control = s->control;
    s->postponed = control->at_work;
    if (s->postponed) return;
    control->at_work = true;
    for (; s; s = take_postponed(control))
        run_command(s);
    control->at_work = false;
}

/* --- on the character thread --- */

void session_run(struct session *s)
{
    s->busy = true;
    s->asked_by = s->visit;
    s->call.control = s->control;
    s->call.vm = s->control->vm;
    if (s->command && s->command->aside) {
        s->protocol->run(s);
        answered(s);
    } else if (s->control->phase == CONTROL_RUNS) {
        mailbox_send(&s->control->vm->mailbox, &s->ask);
    } else if (s->control->phase == CONTROL_NOT_YET) {
        s->waits = true; /* for control_start() */
    } else {
        call_fail(&s->call, "the machine does not run");
        answered(s);
    }
}

/* --- input --- */

static void take_event(struct session *s, u16 event)
{
    if (event == CHAR_FOCUS && s->protocol->focused) s->protocol->focused(s);
    if (event != CHAR_OPENED && event != CHAR_CLOSED) return;
    s->visit++;
    s->open = event == CHAR_OPENED;
    s->out_from = s->out_to = 0;
    if (s->open) s->protocol->opened(s);
}

/* The bytes up to the next event, as one piece. */
static void take_bytes(struct session *s)
{
    char bytes[SESSION_ITEMS];
    u32 count = 0;
    while (s->from + count < s->to && s->items[s->from + count] < CHAR_BREAK) {
        bytes[count] = (char)s->items[s->from + count];
        count++;
    }
    if (count)
        s->from += s->protocol->take(s, bytes, count);
    else
        take_event(s, s->items[s->from++]);
}

void session_go_on(struct session *s)
{
    write_out(s);
    while (!s->busy && s->out_from == s->out_to) {
        if (s->from == s->to) {
            s->from = 0;
            s->to = chardev_take(&s->front, s->items, SESSION_ITEMS);
            if (!s->to) return;
        }
        take_bytes(s);
    }
}

static void input(struct char_front *front)
{
    session_go_on((struct session *)front);
}

bool session_open(struct session *s, struct control *control, const struct session_protocol *protocol,
                  struct chardev *chardev, char *error, size_t error_bytes)
{
    *s = (struct session){.front = {.input = input, .room = input, .answers = true},
                          .control = control,
                          .protocol = protocol,
                          .ask.run = ask,
                          .done.run = done};
    s->tokener = json_tokener_new();
    return chardev_attach(&s->front, chardev, error, error_bytes);
}

void session_close(struct session *s)
{
    chardev_detach(&s->front);
    json_tokener_free(s->tokener);
    json_object_put(s->call.arguments);
    json_object_put(s->call.result);
    json_object_put(s->id);
    free(s->said);
    free(s->out);
}
