/*
 * The frontends a run has: a window, a VNC server, none. And which thread is whose: the window takes the
 * process's first one, the machine then gets another.
 */
#ifndef RINGER_VM_FRONTENDS_H
#define RINGER_VM_FRONTENDS_H

#include "ui/sdl_window.h"
#include "ui/vnc.h"

struct vm;

struct frontends {
    struct vm *vm;
    struct sdl_window *window; /* NULL: none */
    struct vnc *vnc;           /* NULL: none */
};

/* As the machine's options say, before it runs. Returns 0, or an exit status with one sentence in error. */
int frontends_open(struct frontends *frontends, struct vm *vm, char *error, size_t error_bytes);
/* Run the machine in its thread, to its end, and close the frontends. */
void frontends_run(struct frontends *frontends, void (*machine)(void *argument), void *argument);

#endif
