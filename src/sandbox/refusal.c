#include "refusal.h"

#include "base/types.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

struct refused {
    int call;
    unsigned roles;
    int error;
};

#include "refusals.inc"

static const char *const role_names[] = {
    [ROLE_VCPU] = "vCPU",       [ROLE_WAKER] = "timer",          [ROLE_DISK] = "disk",
    [ROLE_NETWORK] = "network", [ROLE_CHARACTERS] = "character", [ROLE_FOLDER] = "shared folder",
    [ROLE_VNC] = "VNC",         [ROLE_WINDOW] = "window",
};
static_assert(ARRAY_SIZE(role_names) == ROLE_COUNT, "each role has a name");

/* Global, because a signal handler needs them. */
static _Thread_local enum thread_role role = ROLE_WINDOW;
static u8 warned[ARRAY_SIZE(call_names)]; /* atomic; a bit a role */
static_assert(ROLE_COUNT <= 8, "a bit a role");

/* printf() may not be called here. */
static void say(const char *before, int call, const char *after)
{
    char line[256], digits[16], *digit = digits + sizeof(digits) - 1, *at = line;
    bool known = (unsigned)call < ARRAY_SIZE(call_names) && call_names[call];
    *digit = 0;
    for (unsigned rest = (unsigned)call, first = 1; first || rest; first = 0, rest /= 10)
        *--digit = (char)('0' + rest % 10);
    at = stpcpy(at, "ringer: ");
    at = stpcpy(at, before);
    at = stpcpy(at, known ? call_names[call] : "of number");
    at = stpcpy(at, " ");
    at = stpcpy(at, known ? "" : digit);
    at = stpcpy(at, known ? "to the " : " to the ");
    at = stpcpy(at, role_names[role]);
    at = stpcpy(at, " thread");
    at = stpcpy(at, after);
    if (write(STDERR_FILENO, line, (size_t)(at - line)) < 0) { /* there is nowhere else to report it */
    }
}

static int error_of(int call)
{
    for (unsigned n = 0; n < ARRAY_SIZE(refused); n++)
        if (refused[n].call == call && refused[n].roles >> role & 1) return refused[n].error;
    return 0;
}

static bool is_deadly(int call)
{
    for (unsigned n = 0; n < ARRAY_SIZE(deadly); n++)
        if (deadly[n] == call) return true;
    return false;
}

static void refuse(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    int call = info->si_syscall, error = error_of(call), before = errno;
    if (!error && is_deadly(call)) {
        say("the sandbox refuses the system call ", call,
            ", which Ringer never makes: this is an attack or a bug\n");
        abort();
    }
    bool known = (unsigned)call < ARRAY_SIZE(warned);
    u8 bit = (u8)(1u << role);
    if (!error && !(known && __atomic_fetch_or(&warned[call], bit, __ATOMIC_RELAXED) & bit))
        say("warning: the sandbox refuses the system call ", call, " (--sandbox=off allows it)\n");
    regs[REG_RAX] = -(error ? error : EPERM);
    errno = before;
}

int refusal_prepare(void)
{
    struct sigaction action = {.sa_sigaction = refuse, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

/* The kernel kills a process in which SIGSYS is blocked. */
void refusal_set_role(enum thread_role of)
{
    sigset_t set;
    role = of;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
