#include "replay.h"

#include "chardev/terminal.h"
#include "gdb_private.h"
#include "keeper.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct replay inherited;
static bool inherits;

/* What why_not() says of the whole run. */
static bool may_replay(const struct options *o)
{
    return o->deterministic && !o->lockstep && o->control.gdb && o->display != DISPLAY_WINDOW && !o->vnc &&
           !o->daemonize && !o->lock_pid;
}

void replay_begin(struct options *options)
{
    /* The clock of the guest must show the same in each replay. */
    if (options->deterministic && options->board.rtc_base == RTC_BASE_NOW)
        options->board.rtc_base = (s64)time(NULL);
    inherits = may_replay(options) && keeper_start(&inherited);
    /* It may stop at any instruction, also where nothing reads the flags. */
    if (inherits) options->translator.exact_flags = true;
}

/* --- backwards --- */

static bool writes_images(const struct vm *vm)
{
    for (unsigned n = 0; n < vm->drives.count; n++) {
        const struct drive *drive = &vm->drives.drive[n];
        bool kept = drive->fitted && drive->block.image && !drive->option->read_only;
        if (kept && !drive->option->snapshot && !vm->drives.snapshot) return true;
    }
    return false;
}

static const char *why_not(const struct gdb *g)
{
    const struct options *o = g->vm->options;
    if (!o->deterministic) return "reverse execution needs --deterministic";
    if (o->lockstep) return "a lockstep run has no reverse execution";
    if (g->vm->debugger.changed) return g->vm->debugger.changed;
    if (g->vm->board.had_input) return "the guest has had input, which is not recorded";
    if (o->board.net.count) return "what comes from a network is not recorded: start with -nic none";
    if (o->board.shares.count) return "what is in shared folders is not recorded";
    if (writes_images(g->vm)) return "the guest writes to its images: start with -snapshot";
    if (o->board.rtc_base == RTC_BASE_LOCAL)
        return "reverse execution needs another -rtc base than localtime";
    if (o->display == DISPLAY_WINDOW || o->vnc || o->daemonize || o->lock_pid)
        return "reverse execution needs a machine in the foreground, without a window";
    if (!keeper_is_there()) return "reverse execution needs -gdb (or -s) on the command line";
    if (!g->front.chardev || g->front.chardev->options->kind != CHAR_SOCKET)
        return "reverse execution needs a debugger at a socket";
    return NULL;
}

/* Has a new machine started, and ends this one. Returns only if that fails. */
static const char *start_again(struct gdb *g, const struct replay *replay)
{
    static char sentence[128];
    board_flush_output(&g->vm->board);
    chardevs_drain(g->wiring.chardevs);
    terminal_restore();
    snprintf(sentence, sizeof(sentence), "the machine cannot start again: %s", strerror(-keeper_ask(replay)));
    return sentence;
}

static void note_points(const struct gdb *g, struct replay *replay)
{
    const struct debug_points *points = &g->vm->debugger.points;
    for (u32 n = 0; n < points->codes; n++)
        if (points->code[n].active) replay->code[replay->codes++] = points->code[n].linear;
    replay->datas = points->datas;
    memcpy(replay->point, points->data, sizeof(replay->point));
    replay->conditions = g->conditions;
}

static u64 latest(const struct gdb *g)
{
    u64 now = clock_now(&g->vm->time.clock);
    return inherits && inherited.seen_ns > now ? inherited.seen_ns : now;
}

const char *replay_backward(struct gdb *g, bool step)
{
    static struct replay replay;
    const char *reason = why_not(g);
    u64 now = g->vm->vcpu.icount;
    if (reason) return reason;
    replay = (struct replay){.goal = step ? REPLAY_ARRIVE : REPLAY_SEARCH,
                             .target = step && now ? now - 1 : now,
                             .seen_ns = latest(g),
                             .client = g->front.chardev->in_fd,
                             .acknowledges = g->acknowledges,
                             .physical = g->physical,
                             .step_bits = g->step_bits};
    note_points(g, &replay);
    g->vm->debugger.begins = !now;
    return start_again(g, &replay);
}

/* --- in the new machine --- */

/* vCPU thread. A point would stop the machine: note it, and go on. */
static bool note_hit(void *owner, enum debugger_cause cause)
{
    struct gdb *g = owner;
    bool data = cause == DEBUGGER_DATA;
    inherited.found = true;
    inherited.data = data;
    /* Backwards, a watchpoint stops in front of the instruction that it has stopped behind. */
    inherited.found_at = g->vm->vcpu.icount - data;
    if (data) inherited.hit = g->vm->debugger.points.hit;
    return true;
}

/* vCPU thread. The target has been reached. */
static void arrived(void *owner)
{
    struct gdb *g = owner;
    struct machine_debugger *d = &g->vm->debugger;
    vm_time_set_budget(&g->vm->time, UINT64_MAX);
    if (inherited.goal == REPLAY_SEARCH) {
        inherited.goal = REPLAY_ARRIVE;
        inherited.target = inherited.found ? inherited.found_at : 0;
        inherited.client = g->front.chardev->in_fd;
        const char *sentence = start_again(g, &inherited);
        log_warn("%s", sentence); /* the debugger is told that the machine stands where it was */
    }
    d->notes = NULL;
    d->arrived = NULL;
    d->points.hit = inherited.hit;
    d->begins = !inherited.target;
    if (inherited.found && !inherited.data) debug_points_pass(&g->vm->vcpu); /* as a stop there by itself */
    debugger_stop(g->vm, inherited.found && inherited.data ? DEBUGGER_DATA : DEBUGGER_STEPPED);
}

void replay_adopt(struct gdb *g)
{
    u16 opened;
    struct chardev *chardev = g->front.chardev;
    if (!inherits || !chardev) return;
    chardev_adopt(chardev, inherited.client);
    chardev_take(&g->front, &opened, 1); /* the connection is not new */
    g->open = true;
    g->acknowledges = inherited.acknowledges;
    g->physical = inherited.physical;
    g->step_bits = inherited.step_bits;
    g->conditions = inherited.conditions;
    g->vm->board.quiet_until_ns = inherited.seen_ns;
}

void replay_start(struct gdb *g)
{
    struct machine_debugger *d = &g->vm->debugger;
    if (!inherits || !g->open) return;
    debugger_attach(g->vm);
    for (u32 n = 0; n < inherited.codes; n++)
        debug_points_set_code(&g->vm->vcpu, inherited.code[n]);
    for (u32 n = 0; n < inherited.datas; n++)
        debug_points_set_data(&g->vm->vcpu, inherited.point[n].linear, inherited.point[n].bytes,
                              inherited.point[n].kind);
    d->notes = note_hit;
    d->arrived = arrived;
    vm_time_set_budget(&g->vm->time, inherited.target);
    gdb_resume(g);
    debugger_continue(g->vm);
}
