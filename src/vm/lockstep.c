#include "lockstep.h"

#include "base/confine.h"
#include "base/log.h"
#include "chardev/chardev.h"
#include "dispatcher.h"
#include "lockstep_compare.h"
#include "observe/event_log.h"
#include "translator/capstone_library.h"
#include "translator/translator.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The smallest step. The longest block must fit in it, or the block would never run. */
#define SMALLEST_STEP 64

/* --- reporting --- */

void lockstep_prepare(void)
{
    char error[256];
    if (!library_load(&capstone_library, error, sizeof(error)))
        log_warn("a report of the lockstep will list no code: %s", error);
}

static void list_block(struct lockstep *l, FILE *out)
{
    struct vcpu *v = &l->lead->vcpu;
    u64 rip = v->rip;
    u32 mode = v->mode;
    v->rip = l->before.rip;
    v->mode = l->before.mode;
    fprintf(out, "\nThe translator ran from %04x:%08x:\n", l->before.seg[SEG_CS].selector, (u32)v->rip);
    translator_list_block(v, out);
    v->rip = rip;
    v->mode = mode;
}

static int diverged(struct lockstep *l)
{
    FILE *out = stderr;
    board_flush_output(&l->lead->board);
    chardevs_drain(l->lead->chardevs);
    terminal_restore();
    fprintf(out, "\nringer: the engines differ after icount %" PRIu64 ":\n", l->before.icount);
    lockstep_compare(l, out);
    fprintf(out, "\nState before:\n");
    event_log_print_state(&l->before, out);
    fprintf(out, "\nTranslator:\n");
    event_log_print_state(&l->lead->vcpu, out);
    fprintf(out, "\nInterpreter:\n");
    event_log_print_state(&l->follow->vcpu, out);
    list_block(l, out);
    return STATUS_DIVERGED;
}

/* --- running --- */

/* Run the leader's next blocks. */
static void run_lead(struct lockstep *l)
{
    struct vcpu *v = &l->lead->vcpu;
    u64 step = l->lead->options->lockstep;
    memcpy(&l->before, v, offsetof(struct vcpu, fault));
    v->icount_soft = v->icount + step;
    vm_time_set_budget(&l->lead->time, v->icount + (step > SMALLEST_STEP ? step : SMALLEST_STEP));
    dispatcher_execute(l->lead);
    vm_time_set_budget(&l->lead->time, UINT64_MAX); /* what is due at this instruction fires in settle() */
    fpu_park(v);
}

/* Run the follower to the leader's instruction count. */
static void run_follow(struct lockstep *l)
{
    struct vcpu *v = &l->follow->vcpu;
    l->log.count = 0;
    l->log.overflow = false;
    u64 target = l->lead->vcpu.icount;
    vm_time_set_budget(&l->follow->time, target);
    while (v->icount < target && !v->halted && !l->follow->reset_wanted) {
        u64 before = v->icount;
        dispatcher_execute(l->follow);
        if (v->icount == before)
            dispatcher_step(l->follow); /* something is pending that the leader ran past */
    }
    vm_time_set_budget(&l->follow->time, UINT64_MAX);
    fpu_park(v);
}

/* Both settle at the same instruction count, so their timers fire and their interrupts are delivered alike. */
static bool settle(struct lockstep *l, bool *differ)
{
    bool a = dispatcher_settle(l->lead);
    if (!a && l->lead->stopped_by_host) return false;
    bool b = dispatcher_settle(l->follow);
    *differ = a != b || (!a && l->lead->status != l->follow->status);
    return a && b;
}

int lockstep_run(struct vm *lead)
{
    struct lockstep *both = aligned_alloc(_Alignof(struct lockstep), sizeof(*both));
    char error[512];
    if (!both) die(STATUS_HOST, "out of memory");
    memset(both, 0, sizeof(*both));
    both->lead = lead;
    both->follow_options = *lead->options;
    both->follow_options.engine = ENGINE_INTERP;
    int failure = STATUS_HOST;
    both->follow = machine_create(&both->follow_options, MACHINE_FOLLOWER, lead->chardevs, &failure, error,
                                  sizeof(error));
    if (!both->follow) die(failure, "the second machine of the lockstep: %s", error);
    both->follow->vcpu.instruments.write_log = &both->log;
    machine_start(both->follow);
    chipset_mirror_input(&lead->chipset, &both->follow->chipset);
    confine_thread(ROLE_VCPU);

    bool differ = false;
    int status = -1;
    while (status < 0) {
        if (!settle(both, &differ)) {
            if (!differ && !lead->stopped_by_host) differ = lockstep_compare_memory(both, NULL) != 0;
            status = differ ? diverged(both) : lead->status;
            break;
        }
        run_lead(both);
        run_follow(both);
        if (lockstep_compare(both, NULL)) status = diverged(both);
    }
    log_debug("lockstep: %" PRIu64 " comparisons, %" PRIu64 " instructions", both->compared,
              lead->vcpu.icount);
    machine_destroy(both->follow);
    free(both);
    return status;
}
