#ifndef RINGER_CONTROL_CONTROL_PRIVATE_H
#define RINGER_CONTROL_CONTROL_PRIVATE_H

#include "control.h"
#include "options/options_control.h"
#include "session.h"
#include "vm/vm.h"

/* Clients of the control socket at a time. */
#define CONTROL_CLIENTS CHARDEVS_OWN

struct control {
    struct vm *vm;
    struct chardevs *chardevs;
    const char *version;
    struct machine_listener listener;
    control_gdbserver *gdbserver;
    void *gdbserver_owner;
    struct session *session[MONITORS_MAX + CONTROL_CLIENTS];
    unsigned sessions;
    /* Does the machine take letters? Changed on the character thread. */
    enum { CONTROL_NOT_YET, CONTROL_RUNS, CONTROL_OVER } phase;
    /* vCPU thread */
    bool at_work; /* a command runs */
    bool quit_asked, reset_asked;
    u8 buttons;             /* of the mouse, as input-send-event and mouse_button hold them */
    u16 x, y;               /* the pointer */
    struct hot_blocks *hot; /* NULL: no session has asked */
};

/* False with one sentence in error. */
bool control_add_session(struct control *control, struct chardev *chardev,
                         const struct session_protocol *protocol, char *error, size_t error_bytes);
/* Makes the control socket, if the host has a folder for it. False: out of memory. */
bool control_listen(struct control *control);
/* Sends an event to all QMP sessions. Any thread may call it. `data` may be NULL; it is taken over. */
void control_event(struct control *control, const char *name, struct json_object *data);
/* vCPU thread, while a command is at work: run a line of HMP; what it prints, to be freed. */
char *control_hmp(struct control *control, const char *line);
/* Sets the password of VNC clients; NULL: the empty one. */
void control_vnc_password(struct control_call *call, const char *password);

#endif
