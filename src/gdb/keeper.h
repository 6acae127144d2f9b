/*
 * The keeper: the process of a deterministic run with -gdb. It runs no guest. The machine runs in a child of it, which
 * the sandbox confines. When a debugger goes backwards, the machine sends the keeper a struct replay with the
 * debugger's connection and ends, and the keeper starts the next one: a copy of itself, as it was before any file was
 * opened.
 *
 *   keeper ---- fork ----> machine 1      struct replay, connection (SCM_RIGHTS)
 *          <-----------------------------   and its end
 *          ---- fork ----> machine 2      runs to where the debugger wants to be
 *
 * The keeper is outside of the sandbox. All that it takes from a machine is this one structure; it checks the numbers
 * in it, and reads nothing else of it. It passes signals on, and ends as the last machine did. If it is killed, its
 * machine ends as by SIGTERM.
 */
#ifndef RINGER_GDB_KEEPER_H
#define RINGER_GDB_KEEPER_H

#include "replay.h"

/* Before any file is opened and any thread started; the signals of waker.h are blocked. Returns in each machine: true,
 * with the replay that it is to do, in all but the first. */
bool keeper_start(struct replay *replay);
bool keeper_is_there(void);
/* In a machine. Does not return if it succeeds; otherwise -errno. */
int keeper_ask(const struct replay *replay);

#endif
