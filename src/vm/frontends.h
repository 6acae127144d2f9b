/*
 * The frontends of a run (the SDL window, the VNC server, neither) and its threads: with a window, the first thread of
 * the process runs the window and a second one runs the machine.
 */
#ifndef RINGER_VM_FRONTENDS_H
#define RINGER_VM_FRONTENDS_H

#include "ui/sdl_window.h"
#include "ui/vnc.h"

#include <semaphore.h>

struct vm;

struct frontends {
    struct vm *vm;
    struct sdl_window *window; /* NULL: none */
    struct vnc *vnc;           /* NULL: none */
    sem_t started;             /* the machine takes letters */
    sem_t closed;              /* the window sends no more letters */
};

/* Open the frontends of the machine's options, before it runs. Returns 0, or an exit status with one sentence in
 * error. */
int frontends_open(struct frontends *frontends, struct vm *vm, char *error, size_t error_bytes);
/* Call machine(argument) in the machine's thread, run the window meanwhile, and close everything at the end.
 * machine() calls frontends_start() when it can receive letters, and frontends_stop() while it still can. */
void frontends_run(struct frontends *frontends, void (*machine)(void *argument), void *argument);
void frontends_start(struct frontends *frontends);
void frontends_stop(struct frontends *frontends);

#endif
