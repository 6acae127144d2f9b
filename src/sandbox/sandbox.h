/*
 * The sandbox: what the process may ask of the host's kernel while a guest runs. A hostile guest, image or client
 * that exploits an error in Ringer can then run no program on the host and read none of the user's files.
 * docs/SECURITY.md has the threat model.
 *
 *   all threads   no new privileges; no program is started; no look into other processes    filter.h
 *   each thread   the system calls and the files of its role                                 filter.h, landlock.h
 *   monitors      files by way of a process of its own                                       opener.h
 *
 * Threads share memory: a thread in which a hostile program runs can take over the others and has the rights of all of
 * them. So an intruder is confined by the sum of all rights. The sum has no execve(2), no files beyond those of the
 * table in landlock.h, and no rights of the opener but by its rules.
 *
 *   sandbox_open()    first of all
 *   sandbox_shut()    the machine has been set up; the first guest instruction comes later
 *   confine_thread()  base/confine.h: each thread, then
 */
#ifndef RINGER_SANDBOX_SANDBOX_H
#define RINGER_SANDBOX_SANDBOX_H

#include "opener_rules.h"

struct sandbox_wishes {
    struct opener_files named;        /* by the command line */
    const char *pid_file;             /* removed at the end; NULL: none */
    const char *const *network_reads; /* directories */
    unsigned network_read_count;
    bool programs; /* the user network starts some */
};

/* Only one thread runs. If the host's kernel lacks a part of the sandbox, one sentence warns of it, and the other
 * parts are used. The sandbox ends when exit() is called. */
void sandbox_open(const struct sandbox_wishes *wishes);
void sandbox_shut(void);

/* From now on no core dump of this process holds guest memory. With the sandbox or without. */
void sandbox_spare_core_dumps(void);

#endif
