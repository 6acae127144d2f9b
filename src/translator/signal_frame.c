#include "signal_frame.h"

#include "build.h"
#include "cpu/interp.h"
#include "mmu/long_window.h"
#include "mmu/window.h"
#include "translator.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define SIGNAL_STACK_BYTES 65536

/* The vCPU that this thread runs in translator_run(), or NULL. */
static _Thread_local struct vcpu *current;
static _Thread_local timer_t kick_timer;

struct vcpu *signal_frame_set_vcpu(struct vcpu *v)
{
    struct vcpu *before = current;
    current = v;
    return before;
}

#define TRAP_STACK_SEGMENT      12
#define TRAP_GENERAL_PROTECTION 13
#define TRAP_PAGE_FAULT         14

/* Is the host's instruction the test for a class of segments (verify.c)? Nothing else reads r15's low byte. */
static bool is_class_test(const greg_t *regs)
{
    const u8 *at = (const u8 *)(uintptr_t)regs[REG_RIP];
    return (at[0] & 0xfc) == (HOST_REX | 4) && at[1] == 0x84 && (at[2] & 0x38) == 0x38;
}

/* Can a guest instruction raise this host exception in translated code? */
static bool is_guests(const struct vcpu *v, int signal, const siginfo_t *info, const greg_t *regs)
{
    u64 address = (u64)(uintptr_t)info->si_addr;
    if (signal == SIGFPE) return true;
    if (regs[REG_TRAPNO] == TRAP_GENERAL_PROTECTION) return true;
    if (!(v->mode & MODE_WINDOW)) return false;
    if (is_class_test(regs)) return v->mode & MODE_CODE64;
    /* In 64-bit code an address that is not canonical, too. */
    if (regs[REG_TRAPNO] == TRAP_STACK_SEGMENT) return v->mode & MODE_CODE64;
    if (regs[REG_TRAPNO] != TRAP_PAGE_FAULT) return false;
    if (!(v->mode & MODE_LONG)) return shadow_window_holds(v->shadow, address);
    /* A kernel's address, plus the delta, may be one of the host's kernel. */
    return address >= CANONICAL_LOW_END || long_window_holds(v->shadow, address);
}

/* A repeated string instruction has window addresses in RSI and RDI (string.c): turn them into guest addresses. */
static void leave_window(const struct vcpu *v, greg_t *regs)
{
    bool code64 = v->mode & MODE_CODE64;
    const u8 *at = (const u8 *)(uintptr_t)regs[REG_RIP];
    if (at[0] != HOST_REP && at[0] != HOST_REPNE) return;
    at++;
    if (*at == HOST_OPERAND16 || (code64 && (*at & 0xf0) == HOST_REX)) at++;
    if (*at < 0xa4 || *at > 0xaf) return;
    greg_t source = code64 ? regs[REG_R9] : (greg_t)v->scratch.window_negated;
    greg_t destination = code64 ? regs[REG_R10] : source, mask = code64 ? -1 : (greg_t)UINT32_MAX;
    regs[REG_RDI] = (regs[REG_RDI] + destination) & mask;
    if (string_uses_both(*at)) regs[REG_RSI] = (regs[REG_RSI] + source) & mask;
}

static bool send_to_interpreter(int signal, const siginfo_t *info, greg_t *regs)
{
    struct vcpu *v = current;
    struct engine *t = v ? v->engine : NULL;
    u64 pc = (u64)regs[REG_RIP];
    if (!v || !arena_holds(&t->cache.arena, pc) || !is_guests(v, signal, info, regs)) return false;
    u32 offset = (u32)(pc - (u64)(uintptr_t)t->cache.arena.exec);
    struct block *block = cache_block_at(&t->cache, offset);
    struct site site;
    if (!block || !block_site_at(block, offset, &site)) return false;
    if (v->mode & MODE_WINDOW) leave_window(v, regs);
    if (regs[REG_TRAPNO] == TRAP_PAGE_FAULT) {
        if (checked_note(&t->checked, block_key(block).gpa + site.guest)) {
            cache_kill(&t->cache, block);
            v->counters->window_checked++;
        }
    }
    v->rip = block_rip(block) + site.guest;
    v->scratch.remaining = block->count - 1u - site.index;
    /* A test for a class clobbers the flags, so they are parked there, if any instruction will read them. */
    bool parked = site.parked || ((v->mode & MODE_CODE64) && is_class_test(regs));
    if (!parked) regs[REG_R12] = (greg_t)flags_pack((u32)regs[REG_EFL]);
    regs[REG_RIP] = (greg_t)(uintptr_t)thunk_step;
    v->counters->host_signals++;
    return true;
}

/* Tier 2: the page is not mapped in the window. Map it and execute the instruction again. Returns false if it may not
 * be mapped; the interpreter then executes the instruction. */
static bool enter_into_window(int signal, const siginfo_t *info, greg_t *regs)
{
    struct vcpu *v = current;
    if (!v || signal != SIGSEGV || regs[REG_TRAPNO] != TRAP_PAGE_FAULT || !(v->mode & MODE_WINDOW))
        return false;
    struct engine *t = v->engine;
    if (!arena_holds(&t->cache.arena, (u64)regs[REG_RIP])) return false;
    u64 address = (u64)(uintptr_t)info->si_addr;
    bool write = regs[REG_ERR] & PF_WRITE;
    if (v->mode & MODE_LONG ? !long_window_fault(v->shadow, &v->paging, address, write)
                            : !shadow_window_fault(v->shadow, &v->paging, address, write))
        return false;
    /* Filling an entry may have dropped others. */
    v->scratch.return_top = (u64)regs[REG_RSP];
    returns_select(v, &t->returns, &t->cache);
    regs[REG_RSP] = (greg_t)v->scratch.return_top;
    return true;
}

/* A guest call, or a thunk on its way back, pushed onto a full shadow return stack. Empty the stack; the push is
 * executed again. */
static bool empty_return_stack(int signal, const siginfo_t *info, greg_t *regs)
{
    struct vcpu *v = current;
    if (!v || signal != SIGSEGV || regs[REG_TRAPNO] != TRAP_PAGE_FAULT) return false;
    struct engine *t = v->engine;
    u64 stack = returns_overflow(v, &t->returns, (u64)(uintptr_t)info->si_addr);
    if (stack) regs[REG_RSP] = (greg_t)stack;
    return stack;
}

/* The interpreter executed an instruction on the host CPU, which raised #XM. */
static bool return_to_interpreter(greg_t *regs)
{
    u64 pc = interp_host_exception((u64)regs[REG_RIP]);
    if (pc) regs[REG_RIP] = (greg_t)pc;
    return pc;
}

/* For a profiler that takes a sample during the handler. */
static void note_exit(const greg_t *regs)
{
    if (!current) return;
    current->scratch.exit_cause = EXIT_HOST_SIGNAL;
    current->scratch.exit_site = (u64)regs[REG_RIP] + 1; /* as a return address: sample_exit() subtracts 1 */
}

static void handler(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    if (return_to_interpreter(uc->uc_mcontext.gregs)) return;
    greg_t *regs = uc->uc_mcontext.gregs;
    note_exit(regs);
    bool sheltered = current && current->fpu_sheltered;
    bool served = empty_return_stack(signal, info, regs) || enter_into_window(signal, info, regs) ||
                  send_to_interpreter(signal, info, regs);
    /* The host gives handlers an FPU state of their own and restores the guest's. What an event log has sheltered here
     * is not it. */
    if (current) current->fpu_sheltered = sheltered;
    if (served) return;
    /* A bug of Ringer's: with the default action, the instruction kills the process when it is executed again. */
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    sigaction(signal, &fallback, NULL);
}

/* The alternate stack for handlers: the shadow return stack, where rsp is in translated code, has no room for them. */
static int give_signal_stack(void)
{
    stack_t stack = {.ss_size = (size_t)sysconf(_SC_SIGSTKSZ) + SIGNAL_STACK_BYTES};
    /* The thread keeps it for ever. It is not from the heap, because no pointer to it remains (leak checkers). */
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED) return -errno;
    return sigaltstack(&stack, NULL) < 0 ? -errno : 0;
}

/* --- kicks --- */

/* A kick outside translated code is repeated after this time. */
#define KICK_AGAIN_NS 100000

static void kicked(int signal, siginfo_t *info, void *context)
{
    struct vcpu *v = current;
    const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    int error = errno;
    if (!v || v->deterministic || !vcpu_pending(v)) return;
    const struct engine *t = v->engine;
    v->counters->kicks++;
    if (arena_holds(&t->cache.arena, (u64)regs[REG_RIP])) {
        cut_off(v, (u64)regs[REG_RIP], (u64 *)(uintptr_t)regs[REG_RSP]);
    } else {
        struct itimerspec soon = {.it_value.tv_nsec = KICK_AGAIN_NS};
        timer_settime(kick_timer, 0, &soon, NULL);
        v->counters->kicks_again++;
    }
    errno = error;
}

static int take_kicks(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK_SIGNAL};
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &kick_timer) < 0) return -errno;
    struct sigaction action = {.sa_sigaction = kicked, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigfillset(&action.sa_mask); /* a profiler's tick must sample the vCPU, not this handler */
    return sigaction(KICK_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

/* --- a profiler's clock --- */

static void tick(int signal, siginfo_t *info, void *context)
{
    struct sampler *sampler = info->si_value.sival_ptr;
    const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (sampler)
        sampler->take(sampler, current, (u64)regs[REG_RIP], (u64)regs[REG_RSP], (unsigned)info->si_overrun);
}

int translator_install_sampler(int signal)
{
    struct sigaction action = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    return sigaction(signal, &action, NULL) < 0 ? -errno : 0;
}

int translator_install_signals(void)
{
    int error = give_signal_stack();
    if (!error) error = take_kicks();
    if (error) return error;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    static const int signals[] = {SIGFPE, SIGSEGV, SIGBUS};
    for (unsigned n = 0; n < ARRAY_SIZE(signals); n++)
        if (sigaction(signals[n], &action, NULL) < 0) return -errno;
    return 0;
}
