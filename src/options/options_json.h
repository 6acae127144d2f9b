/*
 * Options and QMP's arguments as JSON objects. Both become the list "FIRST,KEY=VALUE,..." of the command line, so that
 * all spellings have the same keys and checks:
 *
 *   {"type": "user", "id": "n", "hostfwd": [{"str": "tcp::8022-:22"}]}  ->  user,id=n,hostfwd=tcp::8022-:22
 *   {"addr": {"type": "unix", "path": "/p"}}                            ->  addr.type=unix,addr.path=/p
 */
#ifndef RINGER_OPTIONS_OPTIONS_JSON_H
#define RINGER_OPTIONS_OPTIONS_JSON_H

#include "options_drive.h"

struct json_object;

/* The members as a list that begins with the value of `first`; to be freed. NULL with one sentence in error. */
char *options_json_list(struct json_object *object, const char *first, char *error, size_t error_bytes);

/* The argument of an option that takes either: a list is copied, an object is made into one. To be freed. NULL with one
 * sentence in error. */
char *options_list_of(const char *argument, const char *first, char *error, size_t error_bytes);

/* A node: {"driver": "qcow2", "node-name": N, "file": {"driver": "file", "filename": F}, ...}; "file" may be the name
 * of another node, and "file.filename=F" is a spelling of it. It is a drive with if=none. False with one sentence in
 * error. */
bool drive_options_add_node(struct drive_options *options, const char *argument, char *error,
                            size_t error_bytes);
/* The same for a machine that runs. NULL with one sentence in error. */
struct drive_option *drive_options_plug_node(struct drive_options *options, struct json_object *object,
                                             char *error, size_t error_bytes);
/* The names of the nodes that a node lies in and is based on; NULL: none. */
void options_nodes_below(struct json_object *node, const char *names[2]);

#endif
