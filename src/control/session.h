/*
 * A session: see control.h. Everything here runs on the character thread, unless it says otherwise.
 */
#ifndef RINGER_CONTROL_SESSION_H
#define RINGER_CONTROL_SESSION_H

#include "base/mailbox.h"
#include "chardev/chardev.h"
#include "command.h"

#define SESSION_ITEMS      512u
#define SESSION_LINE_BYTES 1024u
/* If a client does not read, it loses events above this many bytes. */
#define SESSION_OUT_BYTES (256u << 10)

struct session;

/* QMP or HMP. */
struct session_protocol {
    void (*opened)(struct session *session);
    /* The user has switched to this session (Ctrl-A c). */
    void (*focused)(struct session *session);
    /* Take bytes; returns how many. Stops where a command begins to run. */
    u32 (*take)(struct session *session, const char *bytes, u32 count);
    /* vCPU thread, or this one for a command that is aside. */
    void (*run)(struct session *session);
    /* It is done. */
    void (*answer)(struct session *session);
    void (*event)(struct session *session, const char *line);
};

extern const struct session_protocol session_qmp, session_hmp;

struct session {
    struct char_front front; /* first */
    struct control *control;
    const struct session_protocol *protocol;
    bool pretty;
    bool open;
    u32 visit; /* counts clients, so that an answer for one that has left is dropped */
    /* input not taken yet */
    u16 items[SESSION_ITEMS];
    u32 from, to;
    /* output not written yet */
    char *out;
    u32 out_from, out_to, out_capacity;
    /* the command under way */
    bool busy, waits;
    u32 asked_by; /* visit */
    struct letter ask, done;
    bool postponed; /* vCPU thread: until another session's command is done */
    const struct control_command *command;
    struct control_call call;
    struct json_object *id; /* NULL: it has none */
    /* QMP */
    struct json_tokener *tokener;
    u64 tokened; /* bytes of an object that is not complete yet */
    bool negotiated, skip_line;
    /* HMP */
    char line[SESSION_LINE_BYTES];
    u32 length;
    bool greeted, echo;
    char escape; /* state of an escape sequence of an arrow key */
    char *said;  /* the command's output */
};

bool session_open(struct session *session, struct control *control, const struct session_protocol *protocol,
                  struct chardev *chardev, char *error, size_t error_bytes);
void session_close(struct session *session);
void session_say(struct session *session, const char *text);
void session_event(struct session *session, const char *line);
/* Run session->command with session->call. */
void session_run(struct session *session);
/* Writes as much as possible, and goes on with input if nothing is left. */
void session_go_on(struct session *session);

#endif
