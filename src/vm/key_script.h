/*
 * --keys: a script that operates the machine like a user. Each line is a step: it waits for text on the screen, presses
 * keys, moves the mouse or writes the screen to a file. `ringer help keys` lists the steps. A script runs by guest
 * time, so a deterministic run gets the same keys at the same instructions.
 */
#ifndef RINGER_VM_KEY_SCRIPT_H
#define RINGER_VM_KEY_SCRIPT_H

#include "base/types.h"

#include <stdio.h>

struct vm;
struct key_script;

/* `file`: a path, "-" (standard input to its end), or NULL. `typed`: if `file` is NULL, a text as for "type". NULL with
 * one sentence in error. */
struct key_script *key_script_load(const char *file, const char *typed, char *error, size_t error_bytes);
/* Print a description of the language. */
void key_script_help(FILE *out);
void key_script_free(struct key_script *script);
/* Only the vCPU thread calls this. */
void key_script_start(struct key_script *script, struct vm *vm);

#endif
