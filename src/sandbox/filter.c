#include "filter.h"

#include "base/types.h"
#include "rules.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filters.inc"

struct program {
    const struct sock_filter *op;
    unsigned short count;
};
#define PROGRAM(p)                                                                                           \
    {                                                                                                        \
        p, ARRAY_SIZE(p)                                                                                     \
    }

static const struct program programs_common[] = {PROGRAM(program_common), PROGRAM(program_common_exec)};
static const struct program programs_of_roles[] = {
    [ROLE_VCPU] = PROGRAM(program_vcpu),
    [ROLE_WAKER] = PROGRAM(program_waker),
    [ROLE_DISK] = PROGRAM(program_disk),
    [ROLE_NETWORK] = PROGRAM(program_network),
    [ROLE_CHARACTERS] = PROGRAM(program_characters),
    [ROLE_FOLDER] = PROGRAM(program_folder),
    [ROLE_VNC] = PROGRAM(program_vnc),
    [ROLE_WINDOW] = PROGRAM(program_window),
};
static_assert(ARRAY_SIZE(programs_of_roles) == ROLE_COUNT, "each role has a filter");

bool filter_possible(void)
{
    u32 action = SECCOMP_RET_TRAP;
    return !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}

/* SECCOMP_FILTER_FLAG_SPEC_ALLOW: without it, older kernels slow the guest down with the mitigation of Speculative
 * Store Bypass. A guest that runs in a process of its own has nothing to read in it but its own memory and Ringer's. */
static int enter(const struct program *program, unsigned flags)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -errno;
    struct sock_filter *op = malloc(program->count * sizeof(*op));
    if (!op) return -ENOMEM;
    memcpy(op, program->op, program->count * sizeof(*op));
    for (unsigned n = 0; n < program->count; n++)
        if (BPF_CLASS(op[n].code) == BPF_JMP && op[n].k == RULE_OWN_PID) op[n].k = (u32)getpid();
    struct sock_fprog given = {program->count, op};
    long failed =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &given);
    int error = errno;
    free(op);
    /* A positive result is the number of a thread that cannot take the filter. */
    return failed < 0 ? -error : failed ? -EBUSY : 0;
}

int filter_enter_common(bool programs)
{
    return enter(&programs_common[programs], SECCOMP_FILTER_FLAG_TSYNC);
}

int filter_enter(enum thread_role role)
{
    return enter(&programs_of_roles[role], 0);
}
