/*
 * Control: people and programs give commands to a running machine.
 *
 * A *session* is the front end of a chardev over which commands come, in QMP, QEMU's protocol for programs (one JSON
 * object a line), or in HMP, lines for people. Both run the rows of one table (command.h).
 *
 *   character thread                                   vCPU thread
 *   session: bytes -> a command -- letter --------->   command's run(): result or error
 *   reply, then the next command  <-------- letter --
 *   events to all QMP sessions    <-------- letter --  machine_listener
 *
 * Invariants
 * 1. A session has one command under way. It reads nothing more until the client has read the answer. So a flood, or
 *    a client that never reads, costs a constant amount of memory.
 * 2. A session belongs to the character thread. Only commands touch the machine, on the vCPU thread.
 */
#ifndef RINGER_CONTROL_CONTROL_H
#define RINGER_CONTROL_CONTROL_H

#include "base/types.h"

#include <stddef.h>

struct chardevs;
struct control;
struct vm;

/* Makes sessions on the chardevs that the options name. `version` is Ringer's. NULL with one sentence in error. */
struct control *control_open(struct vm *vm, struct chardevs *chardevs, const char *version, char *error,
                             size_t error_bytes);
/* Called on the vCPU thread: from now on the machine takes letters; from now on it takes none. */
void control_start(struct control *control);
void control_stop(struct control *control);
void control_close(struct control *control);

/* vCPU thread: run a line of HMP; what it prints, to be freed. */
char *control_run_line(struct control *control, const char *line);
/* What "gdbserver" does: listen for a debugger there. False with one sentence in error. */
typedef bool control_gdbserver(void *owner, const char *to, char *error, size_t error_bytes);
void control_set_gdbserver(struct control *control, control_gdbserver *listen, void *owner);

#endif
