/*
 * The options of -chardev as plain values, and the short forms that -serial and others take:
 *
 *   socket,id=c,path=/tmp/s,server=on,wait=off        unix:/tmp/s,server=on,wait=off
 *   socket,id=c,host=localhost,port=4444              tcp:localhost:4444
 *   socket,id=c,port=4444,server=on,telnet=on         telnet::4444,server
 *   file,id=c,path=log                                file:log
 */
#ifndef RINGER_CHARDEV_CHAR_OPTIONS_H
#define RINGER_CHARDEV_CHAR_OPTIONS_H

#include "base/types.h"

#include <stdio.h>

enum char_kind {
    CHAR_NULL,
    CHAR_STDIO,
    CHAR_FILE,
    CHAR_PIPE,
    CHAR_PTY,
    CHAR_RINGBUF,
    CHAR_SOCKET,
    CHAR_VDAGENT, /* Ringer itself is at the other end, see ui/vdagent.h: only a virtserialport can have it */
};

struct char_options {
    char *id;
    enum char_kind kind;
    const char *path;        /* file, pipe; socket: of a Unix socket */
    const char *host, *port; /* socket: TCP */
    bool server;
    bool wait; /* server: do not start before a client has connected */
    bool telnet;
    u64 reconnect_s; /* client: try again so long after a failure or a loss; 0: never */
    bool mux;        /* several front ends may share it */
    bool signal;     /* stdio: Ctrl-C ends Ringer */
    bool append;     /* file: append to its contents */
    u64 size;        /* ringbuf */
    const char *log; /* a copy of the output goes to this file; NULL: none */
    bool log_append;
    const char *listener; /* socket: accept from the listening socket of the chardev with this id */
    bool clipboard;       /* vdagent: the guest's and the desktop's are one */
    bool lent;            /* a device opens it itself */
    char *text;           /* the strings above point into it */
};

/* Parses "KIND,id=ID,KEY=VALUE,...". False with one sentence in error; then there is nothing to release. */
bool char_options_parse(struct char_options *options, const char *list, char *error, size_t error_bytes);
/* Parses a short form. The chardev gets this id. */
bool char_options_short(struct char_options *options, const char *id, const char *text, char *error,
                        size_t error_bytes);
void char_options_release(struct char_options *options);

const char *char_kind_name(enum char_kind kind);
/* Can input come from it? */
bool char_options_read(const struct char_options *options);
/* As query-chardev shows it: "unix:/tmp/s,server=on". */
void char_options_describe(const struct char_options *options, char *text, size_t bytes);
/* -chardev help */
void char_options_help(FILE *out);

#endif
