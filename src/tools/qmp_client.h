/*
 * A client of a running machine's control socket, by QMP.
 */
#ifndef RINGER_TOOLS_QMP_CLIENT_H
#define RINGER_TOOLS_QMP_CLIENT_H

#include "base/types.h"

#include <stdio.h>

struct json_object;

/* json-c's flags for what people read. */
#define QMP_CLIENT_PRETTY (JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

struct qmp_client {
    FILE *in;
    int fd;
    char *line;
    size_t capacity;
};

/* Connects to a machine by its name, "pid-N", or the path of a socket, and negotiates. False: a sentence was printed.
 * Close it in either case. */
bool qmp_client_open(struct qmp_client *talk, const char *name);
void qmp_client_close(struct qmp_client *talk);

/* The answer to a command; events are skipped. NULL: the machine has gone. `arguments` is taken over; it may be
 * NULL. */
struct json_object *qmp_client_ask(struct qmp_client *talk, const char *command,
                                   struct json_object *arguments);

/* What the command returns, to be put. NULL: a sentence was printed. */
struct json_object *qmp_client_run(struct qmp_client *talk, const char *command,
                                   struct json_object *arguments);

/* All of the text, to a socket. False: the other end has gone. */
bool qmp_client_send(int fd, const char *text);

#endif
