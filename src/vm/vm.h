/*
 * The machine: a CPU, its memory and a board, and what concerns all of them: power-on, reset, pause, the end. Each part
 * sees only its own seam: struct board and struct board_host (board/board.h), struct vcpu_host, the callbacks of
 * struct phys.
 *
 * Invariants
 * 1. Only the vCPU thread touches anything here. The waker sets nothing but vcpu.pending and its own events;
 *    other threads send letters (base/mailbox.h).
 * 2. Stopping and resetting are requests: they set PENDING_EXIT, and the dispatcher does them between two
 *    instructions.
 * 3. Nothing here is global: lockstep has two machines.
 */
#ifndef RINGER_VM_VM_H
#define RINGER_VM_VM_H

#include "base/counters.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "board/board.h"
#include "board/chipset.h"
#include "board/drives.h"
#include "boot/wire_firmware.h"
#include "cpu/vcpu.h"
#include "debugger.h"
#include "mmu/phys.h"
#include "mmu/shadow.h"
#include "options/options.h"
#include "vmtime.h"

struct event_log;
struct key_script;
struct waker;

enum machine_role {
    MACHINE_LEADER,
    MACHINE_FOLLOWER, /* the second machine of a lockstep run: gets the leader's input, has no output */
};

/* Events of the machine, for its owner. */
enum machine_event {
    MACHINE_PAUSED,
    MACHINE_RESUMED,
    MACHINE_RESET,
    MACHINE_SHUTDOWN,
    MACHINE_SUSPENDED,
    MACHINE_WOKEN,
    MACHINE_DISK_FAILED, /* and the machine is paused */
};

struct machine_listener {
    /* vCPU thread. by_guest: the guest did it. */
    void (*tell)(void *owner, enum machine_event event, bool by_guest);
    void (*tell_of_board)(void *owner, enum board_event event, const char *text, u64 value);
    void *owner;
    struct machine_listener *next;
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
    struct board board;
    struct chipset chipset;
    struct drives drives;
    struct firmware firmware;
    struct key_script *script;   /* NULL: none */
    struct waker *waker;         /* NULL: none */
    struct mailbox mailbox;      /* letters of other threads */
    struct event_log *event_log; /* of instructions; NULL: none */
    struct chardevs *chardevs;   /* the host's ends of character devices; they outlive the machine */
    struct machine_listener *listeners;
    struct machine_debugger debugger;
    u64 powered_on_ns; /* CLOCK_MONOTONIC */
    u64 wall_ns;       /* Unix time of the machine's time 0 */
    bool started;      /* machine_set_waker() was called */

    bool reset_wanted, hard_reset, reset_by_host;
    bool suspend_wanted, wake_wanted;
    bool suspended; /* S3: the CPU has no power */
    u8 paused;      /* enum pause_reason */
    bool resumed;   /* it has been paused, and has been let go since */
    bool stopping;
    bool stopped_by_host;
    int status;
    char last_words[512];
    unsigned quick_triple_faults; /* consecutive, each soon after a start */
    u64 last_reset_ns;            /* guest time */
};

/* Power on. The options must outlive the machine. NULL with one sentence in error, and the exit status in
 * *status. */
struct vm *machine_create(const struct options *options, enum machine_role role, struct chardevs *chardevs,
                          int *status, char *error, size_t error_bytes);
void machine_destroy(struct vm *vm);
/* From now on timers, standard input and other threads wake the machine. The waker must outlive it. */
void machine_set_waker(struct vm *vm, struct waker *waker);
/* The machine has stopped for good, and the waker's thread is about to end. Other threads may still send letters. */
void machine_stop_timers(struct vm *vm);
/* Begin to read input. The first call also starts the script of keys. */
void machine_start(struct vm *vm);

/* vCPU thread, or before it starts. The listener must outlive the machine, or leave it. */
void machine_listen(struct vm *vm, struct machine_listener *listener);
void machine_leave(struct vm *vm, struct machine_listener *listener);

/* Do the reset that was requested: devices, CPU, and the boot files loaded again. Only the dispatcher calls it. */
void machine_reset(struct vm *vm);
/* A device or a triple fault requests a reset: of the whole machine, or (not hard) of the CPU alone. */
void machine_request_reset(struct vm *vm, bool hard);
/* The same of a user. */
void machine_reset_by_host(struct vm *vm);
void machine_triple_fault(struct vm *vm);
/* The guest requests S3, or an event ends S3. */
void machine_request_suspend(struct vm *vm);
void machine_request_wake(struct vm *vm);
/* Do what these two have requested. Only the dispatcher calls it. */
void machine_change_power(struct vm *vm);

/* Stop with this exit status; the first call wins. `format`: a sentence for the user, or NULL. */
void vm_stop(struct vm *vm, enum stop_cause cause, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Pause, clocks included: no guest instruction runs until machine_resume() was called for each reason.
 */
void machine_pause(struct vm *vm, enum pause_reason reason);
void machine_resume(struct vm *vm, enum pause_reason reason);

/* The video card, or NULL if there is none. */
static inline const struct vga *machine_vga(const struct vm *vm)
{
    return vm->chipset.video.board ? &vm->chipset.video.vga : NULL;
}
static inline struct display *machine_display(struct vm *vm)
{
    return video_display(&vm->chipset.video);
}
/* --screen-dump and --screenshot. */
void machine_dump_screen(struct vm *vm);

#endif
