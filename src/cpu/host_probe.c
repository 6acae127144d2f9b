/*
 * Each question is one instruction, which raises an exception or does not. Its signal is caught here, whatever the
 * process makes of it otherwise.
 */
#include "host_probe.h"

#include "interp_private.h"

#include <signal.h>
#include <ucontext.h>

/* A signal handler gets no argument from the program. */
static struct {
    u64 resume; /* behind the instruction */
    volatile bool raised;
} probe;

static void skip(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)probe.resume;
    probe.raised = true;
}

/* Does the attempt raise this signal? A blocked one would end the process. */
static bool raises(int signal, void (*attempt)(u64 *resume))
{
    const struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    sigset_t this, blocked;
    sigemptyset(&this);
    sigaddset(&this, signal);
    if (sigaction(signal, &action, &before)) return false;
    sigprocmask(SIG_UNBLOCK, &this, &blocked);
    probe.raised = false;
    attempt(&probe.resume);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    sigaction(signal, &before, NULL);
    return probe.raised;
}

bool host_cvtpi2ps_waits(void)
{
    return raises(SIGFPE, fpu_try_cvtpi2ps);
}

bool host_sha_is_aligned(void)
{
    return raises(SIGSEGV, fpu_try_sha);
}

bool host_unused_is_aligned(void)
{
    return raises(SIGSEGV, fpu_try_unused);
}
