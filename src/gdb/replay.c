#include "replay.h"

#include "chardev/terminal.h"
#include "gdb_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The number of the memfd's descriptor. */
#define VARIABLE "RINGER_REPLAY"

static struct replay inherited;
static bool inherits;
static s64 rtc_base;

void replay_begin(struct options *options)
{
    const char *number = getenv(VARIABLE);
    int fd = number ? atoi(number) : -1;
    if (fd >= 0) {
        inherits = pread(fd, &inherited, sizeof(inherited), 0) == sizeof(inherited) &&
                   inherited.bytes == sizeof(inherited);
        close(fd);
    }
    /* It may stop at any instruction, also where nothing reads the flags. */
    if (inherits) options->translator.exact_flags = true;
    unsetenv(VARIABLE);
    if (!options->deterministic) return;
    /* The clock of the guest must show the same in each replay. */
    if (options->board.rtc_base == RTC_BASE_NOW)
        options->board.rtc_base = inherits ? inherited.rtc_base : (s64)time(NULL);
    rtc_base = options->board.rtc_base;
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
    if (o->sandbox)
        return "reverse execution starts the program anew, which the sandbox forbids: start with "
               "--sandbox=off";
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
    if (!g->front.chardev || g->front.chardev->options->kind != CHAR_SOCKET)
        return "reverse execution needs a debugger at a socket";
    return NULL;
}

/* The command line of this process as execv() takes it; to be freed with its text, which is the first string. */
static char **own_arguments(void)
{
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES);
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = text && fd >= 0 ? read(fd, text, BYTES - 1) : -1;
    if (fd >= 0) close(fd);
    if (bytes <= 0) {
        free(text);
        return NULL;
    }
    text[bytes] = 0;
    unsigned count = 0;
    for (ssize_t n = 0; n < bytes; n++)
        count += !text[n];
    char **arguments = calloc(count + 1, sizeof(*arguments)), *at = text;
    for (unsigned n = 0; arguments && n < count; n++, at += strlen(at) + 1)
        arguments[n] = at;
    if (!arguments) free(text);
    return arguments;
}

static void keep_open(int fd)
{
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC);
}

/* Execute the program anew. Returns only if that fails. */
static const char *start_again(struct gdb *g, const struct replay *replay)
{
    static char sentence[128];
    char number[16];
    int fd = memfd_create("replay", 0);
    char **arguments = own_arguments();
    bool written = fd >= 0 && write(fd, replay, sizeof(*replay)) == sizeof(*replay);
    if (written && arguments) {
        board_flush_output(&g->vm->board);
        chardevs_drain(g->wiring.chardevs);
        terminal_restore();
        keep_open(replay->client);
        snprintf(number, sizeof(number), "%d", fd);
        setenv(VARIABLE, number, 1);
        execv("/proc/self/exe", arguments);
    }
    snprintf(sentence, sizeof(sentence), "the machine cannot start again: %s", strerror(errno));
    unsetenv(VARIABLE);
    if (fd >= 0) close(fd);
    if (arguments) free(arguments[0]);
    free(arguments);
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
    replay = (struct replay){.bytes = sizeof(replay),
                             .goal = step ? REPLAY_ARRIVE : REPLAY_SEARCH,
                             .target = step && now ? now - 1 : now,
                             .seen_ns = latest(g),
                             .rtc_base = rtc_base,
                             .client = g->front.chardev->in_fd,
                             .acknowledges = g->acknowledges,
                             .physical = g->physical,
                             .step_bits = g->step_bits};
    note_points(g, &replay);
    g->vm->debugger.begins = !now;
    return start_again(g, &replay);
}

/* --- in the new program --- */

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
    fcntl(inherited.client, F_SETFD, FD_CLOEXEC);
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
