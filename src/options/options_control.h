/*
 * Monitors: how people and programs hold a running machine.
 */
#ifndef RINGER_OPTIONS_OPTIONS_CONTROL_H
#define RINGER_OPTIONS_OPTIONS_CONTROL_H

#include "base/types.h"

#include <stddef.h>

#define MONITORS_MAX 8

struct monitor_option {
    const char *chardev; /* its id */
    char *copy;          /* the same, if these options own it; else NULL */
    bool qmp;            /* for programs: JSON; else for people: lines */
    bool pretty;         /* qmp: one line a member */
};

struct control_options {
    struct monitor_option monitor[MONITORS_MAX];
    unsigned monitors;
    bool no_monitor; /* -monitor none: nor one behind Ctrl-A c */
    bool given;      /* some -monitor or -mon was given */
    bool agents;     /* --agents */
    bool stopped;    /* -S: wait for "cont" before the first guest instruction */
    u8 escape;       /* -echr */
    const char *gdb; /* the id of the chardev of -gdb; NULL: none */
};

/* The id of the chardev that -gdb or "gdbserver" makes. */
#define GDB_CHARDEV "gdb"
/* The short form of a chardev for what they say: servers, and on this host only, unless it says otherwise. */
void gdb_option_text(const char *to, char *text, size_t bytes);

/* The name of the virtio port of QEMU's guest agent. */
#define AGENT_PORT "org.qemu.guest_agent.0"

void control_options_release(struct control_options *control);

#endif
