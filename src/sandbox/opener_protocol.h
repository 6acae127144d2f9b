/*
 * Messages between opener.c, the side that asks, and opener_server.c: one request, one reply.
 */
#ifndef RINGER_SANDBOX_OPENER_PROTOCOL_H
#define RINGER_SANDBOX_OPENER_PROTOCOL_H

#include "base/types.h"
#include "opener_rules.h"

#include <limits.h>

enum opener_operation { OPENER_OPEN, OPENER_UNLINK, OPENER_RENAME };

struct opener_request {
    u32 operation;
    s32 flags;
    u32 mode;
    char path[PATH_MAX];
    char to[PATH_MAX];
};

struct opener_reply {
    s32 error;   /* 0, or errno */
    u32 refused; /* by the rules */
};

/* The child's whole life. */
_Noreturn void opener_serve(int socket, const struct opener_files *files, const char *removable);

#endif
