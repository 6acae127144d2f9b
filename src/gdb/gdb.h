/*
 * The gdb stub: a debugger holds the machine by gdb's remote serial protocol (the manual's appendix "Remote Protocol").
 *
 *   character thread                                   vCPU thread
 *   front end of a chardev: bytes  -- letter --------> packet.c: packets; commands.c: one handler a kind
 *   chardev_write()            <---------------------- answers, and a stop reply when the machine stands still
 *
 * Invariants
 * 1. Everything but the notice "there is input" runs on the vCPU thread, between two guest instructions.
 * 2. A packet is handled while the machine stands still. One that comes while it runs pauses it first.
 * 3. No more is taken from the client until it has read its answers: a flood, or a client that never reads, costs
 *    memory of constant size.
 * 4. Points live as long as the connection. When it ends, the machine stays as it is: paused or running.
 */
#ifndef RINGER_GDB_GDB_H
#define RINGER_GDB_GDB_H

#include "base/types.h"

#include <stddef.h>

struct chardevs;
struct gdb;
struct vm;

struct gdb_wiring {
    struct vm *vm;
    struct chardevs *chardevs;
    /* "monitor ...": run a line of HMP; what it prints, to be freed. */
    char *(*run_line)(void *owner, const char *line);
    void *owner;
};

/* A stub, on the chardev that -gdb names, if there is one. NULL with one sentence in error. */
struct gdb *gdb_open(const struct gdb_wiring *wiring, char *error, size_t error_bytes);
/* vCPU thread: from now on the machine accepts letters; it accepts none any more. */
void gdb_start(struct gdb *gdb);
void gdb_stop(struct gdb *gdb);
void gdb_close(struct gdb *gdb);

/* vCPU thread, the monitor's "gdbserver": listen there from now on, or nowhere ("none"). False with one sentence in
 * error. */
bool gdb_listen(struct gdb *gdb, const char *to, char *error, size_t error_bytes);

#endif
