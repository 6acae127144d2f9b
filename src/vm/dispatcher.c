/*
 * The dispatcher. See dispatcher.h. The guest's FPU state may be live, so this file is compiled for general registers
 * only. Until it has sheltered or parked the state, it calls nothing but the engines (tests/lint/stray_calls).
 */
#include "dispatcher.h"

#include "cpu/interp.h"
#include "cpu/mode.h"
#include "cpu/system.h"
#include "observe/event_log.h"

#include <unistd.h>

/* --- engines --- */

static void note_exit(struct vm *vm, enum exit_reason reason)
{
    if (reason == EXIT_HALT) {
        vm->counters.halts++;
        note_event(vm->counters.events, EVENT_INTERRUPT_HALT, vm->vcpu.rip);
    }
    if (reason == EXIT_SHUTDOWN) {
        fpu_park(&vm->vcpu);
        machine_triple_fault(vm);
    }
    if (unlikely(reason == EXIT_BREAKPOINT)) debugger_breakpoint(vm);
}

enum exit_reason dispatcher_step(struct vm *vm)
{
    enum exit_reason reason = interp_step(&vm->vcpu);
    if (reason != EXIT_NONE) note_exit(vm, reason);
    return reason;
}

static enum exit_reason logged_step(struct vm *vm)
{
    fpu_park(&vm->vcpu);
    bool logged = event_log_before(vm->event_log, &vm->vcpu);
    enum exit_reason reason = dispatcher_step(vm);
    fpu_park(&vm->vcpu);
    if (logged) event_log_after(vm->event_log, &vm->vcpu);
    return reason;
}

static enum exit_reason run_engine(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    if (vm->options->engine == ENGINE_INTERP) {
        note_event(vm->counters.events, EVENT_DISPATCH_INTERPRETER, v->rip, v->cpl);
        return interp_run(v);
    }
    if (!(v->mode & MODE_STEP)) {
        note_event(vm->counters.events, EVENT_DISPATCH_TRANSLATOR, v->rip, v->cpl);
        enum exit_reason reason = translator_run(v);
        if (reason != EXIT_STEP) return reason;
    }
    note_event(vm->counters.events, EVENT_DISPATCH_INTERPRETER, v->rip, v->cpl);
    return interp_step(v);
}

enum exit_reason dispatcher_execute(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    if (unlikely(vm->event_log)) return logged_step(vm);
    if (v->icount >= v->icount_limit) return EXIT_BUDGET;
    if (unlikely(vm->debugger.steps)) return debugger_execute(vm);
    enum exit_reason reason = run_engine(vm);
    note_event(vm->counters.events, EVENT_DISPATCH_RETURN, v->rip, reason);
    if (reason == EXIT_HALT || reason == EXIT_SHUTDOWN || reason == EXIT_BREAKPOINT) note_exit(vm, reason);
    return reason;
}

/* --- pending --- */

static void clear_pending(struct vcpu *v, u32 bits)
{
    __atomic_and_fetch(&v->pending, ~bits, __ATOMIC_SEQ_CST);
}

static void host_events(struct vm *vm)
{
    mailbox_run(&vm->mailbox);
    video_tell(&vm->chipset.video);
    if (!vm->waker) return;
    u32 events = waker_take_events(vm->waker);
    if (events & WAKER_DUMP) {
        fpu_park(&vm->vcpu);
        machine_dump_screen(vm);
    }
    if (events & WAKER_RETRY) disk_crew_retry(&vm->drives.crew);
    if (events & WAKER_TIMEOUT) vm_stop(vm, STOP_HOST, STATUS_TIMEOUT, "the time limit has run out");
    if (events & WAKER_QUIT) vm_stop(vm, STOP_HOST, STATUS_OK, NULL);
}

/* The interrupt line is up. No guest instruction runs between here and the acknowledge cycle, so the controllers give
 * the vector that is due now. */
static void take_interrupt(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    clear_pending(v, PENDING_INTERRUPT);
    if (!v->interrupt_line || !(v->eflags & FL_IF))
        return; /* vcpu_recheck_interrupts() comes when IF is set */
    int vector = v->host->interrupt_acknowledge(v->host->machine);
    if (vector >= 0) note_exit(vm, interrupt_external(v, (u8)vector));
    vcpu_recheck_interrupts(v);
}

static void take_debug_trap(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    u32 bits = v->debug_trap;
    v->debug_trap = 0;
    clear_pending(v, PENDING_DEBUG);
    note_exit(vm, debug_trap_deliver(v, bits));
}

/* Handle one bit of v->pending, in the order of SDM 3A table 6-2: traps of the last instruction come before
 * interrupts. */
static void take_pending(struct vm *vm, u32 pending)
{
    struct vcpu *v = &vm->vcpu;
    fpu_shelter(v);
    if (pending & PENDING_EXIT) {
        clear_pending(v, PENDING_EXIT);
        if (vm->reset_wanted) machine_reset(vm);
        machine_change_power(vm);
    } else if (pending & PENDING_HOST) {
        clear_pending(v, PENDING_HOST);
        host_events(vm);
        vm_time_run(&vm->time);
    } else if (pending & PENDING_DEBUGGER) {
        debugger_data_hit(vm);
    } else if (v->inhibit && !v->halted) {
        dispatcher_step(vm); /* after STI or MOV SS everything below waits for one more instruction */
    } else if (pending & PENDING_DEBUG) {
        take_debug_trap(vm);
    } else if (pending & PENDING_NMI) {
        clear_pending(v, PENDING_NMI);
        if (v->nmi_masked)
            v->nmi_latched = true; /* until IRET: vcpu_unmask_nmi() */
        else
            note_exit(vm, interrupt_nmi(v));
    } else if (pending & PENDING_INTERRUPT) {
        take_interrupt(vm);
    }
}

/* How long an idle vCPU thread polls for the completion of a disk request. That may be quicker than to sleep and
 * wake. */
#define LOOK_OUT_NS 100000u

/* Interrupts that wait while a debugger executes a single instruction. A halted CPU wakes by them. */
static u32 held_back(const struct vm *vm)
{
    bool holds = vm->debugger.steps && vm->debugger.holds_interrupts && !vm->vcpu.halted;
    return holds ? PENDING_NMI | PENDING_INTERRUPT : 0;
}

/* The guest is halted and nothing is pending. */
static void idle(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    vm->debugger.woken = true;
    fpu_shelter(v);
    board_flush_output(&vm->board);
    if (!(v->eflags & FL_IF) && !vm->options->no_shutdown && !apic_wires_may_wake(&vm->chipset.apic)) {
        /* Nothing can wake the guest any more, and no chip of this machine resets it. A guest without ACPI powers
         * off this way, or gives up. */
        vm_stop(vm, STOP_GUEST, STATUS_OK, "the guest halted for good, with interrupts off, at %04x:%08llx",
                v->seg[SEG_CS].selector, (unsigned long long)v->rip);
        return;
    }
    if (!vm->time.deterministic || !vm_time_skip(&vm->time)) {
        if (!vm->waker) {
            vm_stop(vm, STOP_GUEST, STATUS_OK, NULL); /* a lockstep follower: its leader sleeps for both */
            return;
        }
        bool disk_works = vm->drives.crew.under_way && vm->drives.crew.polls;
        vm_time_wait(&vm->time, disk_works ? LOOK_OUT_NS : 0);
    }
    vm_time_run(&vm->time);
}

/* S3: the CPU has no power and loses what is pending for it. Timers run, because one of them may be the alarm
 * that wakes the machine. */
static void sleep_suspended(struct vm *vm, u32 pending)
{
    struct vcpu *v = &vm->vcpu;
    if (pending & (PENDING_EXIT | PENDING_HOST)) {
        take_pending(vm, pending);
        return;
    }
    clear_pending(v, pending);
    board_flush_output(&vm->board);
    if (!vm->time.deterministic || !vm_time_skip(&vm->time)) {
        if (!vm->waker) {
            vm_stop(vm, STOP_GUEST, STATUS_OK, NULL); /* a lockstep follower: its leader sleeps for both */
            return;
        }
        vm_time_wait(&vm->time, 0);
    }
    vm_time_run(&vm->time);
}

/* The machine is paused: only events of the host are handled. Everything else stays pending. */
static void stand_still(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    fpu_shelter(v);
    board_flush_output(&vm->board);
    u32 kept = __atomic_exchange_n(&v->pending, 0, __ATOMIC_SEQ_CST);
    u64 retry_at_ns = vm->paused & PAUSE_DISK ? host_now_ns() + PAUSE_RETRY_S * 1000000000ull : UINT64_MAX;
    if (!(kept & PENDING_HOST)) {
        if (vm->waker)
            waker_wait(vm->waker, retry_at_ns, 0);
        else
            sleep(PAUSE_RETRY_S); /* a lockstep follower */
    }
    __atomic_or_fetch(&v->pending, kept & ~PENDING_HOST, __ATOMIC_SEQ_CST);
    clear_pending(v, PENDING_HOST);
    host_events(vm);
    if (host_now_ns() >= retry_at_ns) disk_crew_retry(&vm->drives.crew);
}

bool dispatcher_settle(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    for (;;) {
        if (vm->stopping) return false;
        u32 pending = vcpu_pending(v) & ~held_back(vm);
        if (unlikely(vm->paused)) {
            stand_still(vm);
        } else if (unlikely(vm->suspended)) {
            sleep_suspended(vm, pending);
        } else if (unlikely(pending)) {
            take_pending(vm, pending);
        } else if (unlikely(v->halted)) {
            idle(vm);
        } else if (unlikely(v->icount >= v->icount_limit && vm->time.deterministic &&
                            v->icount < vm->time.budget)) {
            fpu_shelter(v);
            vm_time_run(&vm->time);
        } else if (likely(!vm->waker || !waker_runs(vm->waker))) {
            return true;
        }
    }
}

void dispatcher_run(struct vm *vm)
{
    while (dispatcher_settle(vm))
        if (dispatcher_execute(vm) == EXIT_BUDGET) debugger_budget(vm);
}
