/*
 * The machine: the allocator of the classic VMM. It owns memory, the vCPU, ports, device windows and IRQ
 * wires, and lets every part see only its own seam (base/device.h, struct vcpu_host, the callbacks of struct
 * phys).
 *
 * Invariants
 * 1. One thread, the vCPU thread, touches anything here; the waker only sets vcpu.pending and its own events,
 *    other threads send letters (base/post.h).
 * 2. Stopping and resetting are requests: they set PENDING_EXIT, and the dispatcher does them between two
 *    instructions.
 * 3. Nothing here is global: lockstep has two of them.
 */
#ifndef RINGER_VM_VM_H
#define RINGER_VM_VM_H

#include "base/counters.h"
#include "base/log.h"
#include "base/post.h"
#include "board/chipset.h"
#include "board/drives.h"
#include "board/ports.h"
#include "cpu/vcpu.h"
#include "mmu/phys.h"
#include "mmu/shadow.h"
#include "options/options.h"
#include "vmtime.h"

/* For functions that run while the guest's FPU state may be live in the host's registers. */
#define GENERAL_REGS __attribute__((target("general-regs-only")))

struct trace;
struct waker;

enum machine_role {
    MACHINE_LEADER,
    MACHINE_FOLLOWER, /* lockstep's second machine: no input but the leader's, no output */
};

/* Who wanted the machine to stop. */
enum stop_cause {
    STOP_GUEST, /* it follows from the guest's own doing (and would happen again) */
    STOP_HOST,  /* the user, a time limit, a broken pipe */
};

struct vm {
    struct vcpu vcpu;
    const struct options *options;
    enum machine_role role;
    struct counters counters;
    struct phys phys;
    struct shadow shadow;
    struct vcpu_host cpu_host;
    struct vm_time time;
    struct port_bus ports;
    struct chipset chipset;
    struct drives drives;
    struct waker *waker;  /* NULL: none */
    struct post_box post; /* what other threads have done for devices */
    struct trace *trace;  /* NULL: none */
    u64 powered_on_ns;    /* CLOCK_MONOTONIC */
    u64 wall_ns;          /* Unix time of the machine's time 0 */

    bool reset_wanted, hard_reset;
    bool suspend_wanted, wake_wanted;
    bool suspended; /* S3: the CPU has no power */
    u8 paused;      /* enum pause_reason */
    bool stopping;
    bool stopped_by_host;
    int status;
    char last_words[512];
    unsigned quick_triple_faults; /* in a row, each soon after the start */
    u64 last_reset_ns;            /* guest time */
};

/* Power on. The options must outlive the machine. NULL with one sentence in error, and the exit status in
 * *status. */
struct vm *machine_create(const struct options *options, enum machine_role role, int *status, char *error,
                          size_t error_bytes);
void machine_destroy(struct vm *vm);
/* From now on timers, standard input and other threads wake the machine. NULL: it has stopped for good, and
 * there is no thread left that sends letters. */
void machine_set_waker(struct vm *vm, struct waker *waker);

/* Do it: all devices, the CPU, and the boot files once more. The dispatcher's. */
void machine_reset(struct vm *vm);
/* A device or a triple fault asks for a reset: of the whole machine, or (soft) of the CPU alone. */
void machine_request_reset(struct vm *vm, bool hard);
void machine_triple_fault(struct vm *vm);
/* The guest wants S3, or an event ends it. */
void machine_request_suspend(struct vm *vm);
void machine_request_wake(struct vm *vm);
/* Do what was asked for of these. The dispatcher's. */
void machine_change_power(struct vm *vm);

/* Stop with this exit status; the first call wins. `format` may be NULL: nothing to say. */
void vm_stop(struct vm *vm, enum stop_cause cause, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define PAUSE_RETRY_S 2

/* Stand still, clocks and all: no guest instruction runs until machine_resume() was called for each reason.
 * Requests that disks hold are tried again every PAUSE_RETRY_S. */
enum pause_reason {
    PAUSE_USER = 1,
    PAUSE_DISK = 2, /* a host file cannot be written or read just now */
};
void machine_pause(struct vm *vm, enum pause_reason reason);
void machine_resume(struct vm *vm, enum pause_reason reason);

/* Other memory answers at [gpa, gpa + bytes) than before: forget translations of it, and code made from it. */
void machine_memory_changed(struct vm *vm, u64 gpa, u64 bytes);
/* --screen-dump and --screenshot. */
void machine_dump_screen(struct vm *vm);

#endif
