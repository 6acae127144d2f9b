#include "signal_frame.h"

#include "build.h"
#include "translator.h"

#include <errno.h>
#include <signal.h>
#include <ucontext.h>

static _Thread_local struct vcpu *watched;

struct vcpu *signal_frame_watch(struct vcpu *v)
{
    struct vcpu *before = watched;
    watched = v;
    return before;
}

#define TRAP_GENERAL_PROTECTION 13

static bool is_guests(int signal, const greg_t *regs)
{
    return signal == SIGFPE || (signal == SIGSEGV && regs[REG_TRAPNO] == TRAP_GENERAL_PROTECTION);
}

static bool send_to_interpreter(int signal, greg_t *regs)
{
    struct vcpu *v = watched;
    if (!v || !is_guests(signal, regs)) return false;
    struct engine *t = v->engine;
    u64 pc = (u64)regs[REG_RIP];
    if (!arena_holds(&t->cache.arena, pc)) return false;
    u32 offset = (u32)(pc - (u64)(uintptr_t)t->cache.arena.exec);
    struct block *block = cache_block_at(&t->cache, offset);
    const struct site *site = block ? block_site_at(block, offset) : NULL;
    if (!site) return false;
    v->rip = block->key.eip + site->guest;
    v->remaining = (u32)(block->count - 1 - (site - block->sites));
    if (!site->parked) regs[REG_R12] = (greg_t)flags_pack((u32)regs[REG_EFL]);
    regs[REG_RIP] = (greg_t)(uintptr_t)thunk_step;
    v->counters->host_signals++;
    return true;
}

static void handler(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    if (send_to_interpreter(signal, uc->uc_mcontext.gregs)) return;
    /* Not the guest's doing: a bug of ours. Let it kill us where it happened. */
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    sigaction(signal, &fallback, NULL);
}

/* --- a profiler's clock --- */

static void tick(int signal, siginfo_t *info, void *context)
{
    struct sampler *sampler = info->si_value.sival_ptr;
    const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (sampler) sampler->take(sampler, watched, (u64)regs[REG_RIP], (u64)regs[REG_RSP]);
}

int translator_install_sampler(int signal)
{
    struct sigaction action = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    return sigaction(signal, &action, NULL) < 0 ? -errno : 0;
}

int translator_install_signals(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    static const int signals[] = {SIGFPE, SIGSEGV};
    for (unsigned n = 0; n < ARRAY_SIZE(signals); n++)
        if (sigaction(signals[n], &action, NULL) < 0) return -errno;
    return 0;
}
