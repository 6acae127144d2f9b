/*
 * --keys: somebody at the keyboard who can read. A script of steps, one a line, that waits for text on the
 * screen, presses keys, moves the mouse, writes the screen to files; `ringer help keys` lists them. Time is
 * the guest's: a deterministic run has the same keys at the same instructions.
 */
#ifndef RINGER_VM_KEY_SCRIPT_H
#define RINGER_VM_KEY_SCRIPT_H

#include "base/types.h"

#include <stdio.h>

struct vm;
struct key_script;

/* `file`: a path or "-" (all of standard input), or NULL. `typed`: else a text, as for "type". NULL with one
 * sentence in error. */
struct key_script *key_script_load(const char *file, const char *typed, char *error, size_t error_bytes);
/* The language. */
void key_script_help(FILE *out);
void key_script_free(struct key_script *script);
/* vCPU thread. */
void key_script_start(struct key_script *script, struct vm *vm);

#endif
