/*
 * ringer: the program. It sets up options, signals, terminal, machine and screen, runs the machine, and tidies up.
 *
 * Without a window the machine runs in the process's first thread. A window takes that thread for itself, and
 * the machine gets another: run_machine() sets up what belongs to a thread (signal stack, profiler's timer).
 */
#include "base/confine.h"
#include "base/log.h"
#include "base/words.h"
#include "board/device_table.h"
#include "boot/loader.h"
#include "chardev/terminal.h"
#include "control/control.h"
#include "control/daemon.h"
#include "cpu/cpuid.h"
#include "gdb/gdb.h"
#include "gdb/replay.h"
#include "observe/event_log.h"
#include "observe/instruments.h"
#include "observe/screen.h"
#include "options/options_files.h"
#include "sandbox/sandbox.h"
#include "study/census_command.h"
#include "study/explain_command.h"
#include "study/simulate_command.h"
#include "tools/ctl_command.h"
#include "tools/disk_command.h"
#include "tools/kept_command.h"
#include "tools/watch_command.h"
#include "tools/window_command.h"
#include "translator/translator.h"
#include "vm/dispatcher.h"
#include "vm/frontends.h"
#include "vm/key_script.h"
#include "vm/lockstep.h"
#include "vm/vm.h"
#include "vm/waker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Called by QEMU's name, it ends with this status where it cannot start, as QEMU does. */
#define QEMU_STATUS 1

struct session {
    struct vm *vm;
    struct chardevs chardevs; /* outlive the machine: its devices write to them until they are destroyed */
    struct waker waker; /* outlives the machine's thread: output at the end still reads waker.giving_up */
    struct frontends frontends;
    struct instruments instruments;
    struct control *control;
    struct gdb *gdb;
    struct sandbox_wishes wishes;
    const char *tftp[NETDEVS_MAX];
    int status;
};

static struct event_log *open_log(const struct options *options)
{
    char error[512];
    if (!options->event_log.categories) return NULL;
    struct event_log *log = event_log_open(&options->event_log, error, sizeof(error));
    if (!log) die(STATUS_USAGE, "%s", error);
    return log;
}

/* The machine's thread. */
static void run_machine(void *argument)
{
    struct session *session = argument;
    struct vm *vm = session->vm;
    const struct options *options = vm->options;
    int failed = translator_install_signals();
    if (failed) die(STATUS_HOST, "cannot take host signals: %s", strerror(-failed));
    sandbox_shut();
    struct waker *waker = &session->waker;
    failed = waker_start(waker, &vm->vcpu.pending, options->timeout_ns);
    if (failed) die(STATUS_HOST, "cannot start the timer thread: %s", strerror(-failed));
    waker_kick_me(waker);
    session->chardevs.giving_up = &waker->giving_up;
    failed = chardevs_start(&session->chardevs);
    if (failed) die(STATUS_HOST, "cannot start the thread of the character devices: %s", strerror(-failed));
    machine_set_waker(vm, waker);
    frontends_start(&session->frontends);
    control_start(session->control);
    gdb_start(session->gdb);
    failed = instruments_start(&session->instruments);
    if (failed) die(STATUS_HOST, "cannot sample for the profile: %s", strerror(-failed));

    if (options->lockstep) {
        session->status = lockstep_run(vm);
    } else {
        confine_thread(ROLE_VCPU);
        dispatcher_run(vm);
        session->status = vm->status;
    }

    fpu_park(&vm->vcpu);
    instruments_stop(&session->instruments);
    board_flush_output(&vm->board);
    gdb_stop(session->gdb);
    control_stop(session->control);
    chardevs_drain(&session->chardevs);
    frontends_stop(&session->frontends);
    disk_crew_drain(&vm->drives.crew); /* sends the last letters: a letter needs the waker */
    machine_stop_timers(vm);
    waker_stop(waker);
}

static void stop(void *owner, int status, const char *sentence)
{
    struct session *session = owner;
    vm_stop(session->vm, STOP_HOST, status, sentence ? "%s" : NULL, sentence);
}

/* Servers are bound, and their first clients are there if they are to be waited for. */
static void open_chardevs(struct session *session, const struct options *options)
{
    char error[512];
    struct chardevs *set = &session->chardevs;
    const struct device_options *devices = &options->board.devices;
    int failed = chardevs_init(set);
    if (failed) die(STATUS_HOST, "cannot have character devices: %s", strerror(-failed));
    set->escape = options->control.escape;
    set->escape_keys = options->board.nographic;
    set->stop = stop;
    set->owner = session;
    for (unsigned n = 0; n < devices->chardevs; n++)
        if (!devices->chardev[n].lent && !chardevs_add(set, &devices->chardev[n], error, sizeof(error)))
            die(STATUS_USAGE, "%s", error);
}

static char *run_line(void *owner, const char *line)
{
    return control_run_line(owner, line);
}

static bool listen_for_gdb(void *owner, const char *to, char *error, size_t error_bytes)
{
    return gdb_listen(owner, to, error, error_bytes);
}

static void name_file(void *owner, const char *path)
{
    if (!opener_files_add(owner, path)) die(STATUS_HOST, "out of memory");
}

/* What the sandbox is to let through, of this machine. */
static void open_sandbox(struct session *session, const struct options *options)
{
    struct sandbox_wishes *wishes = &session->wishes;
    *wishes = (struct sandbox_wishes){.pid_file = options->pid_file,
                                      .network_reads = session->tftp,
                                      .network_read_count = options_tftp_directories(options, session->tftp),
                                      .programs = options_start_programs(options)};
    options_files(options, name_file, &wishes->named);
    sandbox_open(wishes);
}

static int run(struct options *options)
{
    char error[512];
    struct session session;
    int status = STATUS_USAGE;
    if ((options->screen_dump && !screen_dump_check(options->screen_dump, error, sizeof(error))) ||
        (options->screenshot && !screen_dump_check(options->screenshot, error, sizeof(error))))
        die(STATUS_USAGE, "%s", error);
    replay_begin(options);
    sandbox_spare_core_dumps();
    session.wishes = (struct sandbox_wishes){0};
    if (options->sandbox) open_sandbox(&session, options);
    struct event_log *log = open_log(options);
    open_chardevs(&session, options);
    struct vm *vm = machine_create(options, MACHINE_LEADER, &session.chardevs, &status, error, sizeof(error));
    if (!vm) die(status, "%s", error);
    session.chardevs.vcpu_mailbox = &vm->mailbox;
    if (log && event_log_instructions(log)) vm->event_log = log;
    event_log_attach(log, &vm->vcpu, &vm->time.clock);
    session.vm = vm;
    if (options->lockstep)
        lockstep_prepare();
    else
        plug_allow(&vm->chipset.plug, &options->board);
    status = instruments_open(&session.instruments, options, &vm->vcpu, error, sizeof(error));
    if (status) die(status, "%s", error);
    status = frontends_open(&session.frontends, vm, error, sizeof(error));
    if (status) die(status, "%s", error);
    session.control = control_open(vm, &session.chardevs, RINGER_VERSION, error, sizeof(error));
    if (!session.control) die(STATUS_USAGE, "%s", error);
    session.gdb = gdb_open(&(struct gdb_wiring){vm, &session.chardevs, run_line, session.control}, error,
                           sizeof(error));
    if (!session.gdb) die(STATUS_USAGE, "%s", error);
    control_set_gdbserver(session.control, listen_for_gdb, session.gdb);
    chardevs_take_terminal(&session.chardevs);
    if (options->pid_file && !daemon_write_pid(options->pid_file, error, sizeof(error)))
        die(STATUS_USAGE, "%s", error);
    if (options->lock_pid && !daemon_note_pid(options->lock_pid, error, sizeof(error)))
        die(STATUS_USAGE, "%s", error);
    daemon_ready();

    frontends_run(&session.frontends, run_machine, &session);

    terminal_restore();
    if (vm->last_words[0]) fprintf(stderr, "ringer: %s\n", vm->last_words);
    machine_dump_screen(vm);
    instruments_close(&session.instruments,
                      &(struct stats_host){vm->powered_on_ns, vm_time_host_tsc_hz(&vm->time)});
    event_log_close(log);
    gdb_close(session.gdb);
    control_close(session.control);
    chardevs_forget_machine(&session.chardevs);
    machine_destroy(vm);
    chardevs_destroy(&session.chardevs);
    opener_files_release(&session.wishes.named);
    return session.status;
}

/* kept_check */
static bool is_understood(int argc, char **argv, char *error, size_t error_bytes)
{
    struct options options;
    enum command command;
    bool good = options_parse(argc, argv, device_table, &options, &command, error, error_bytes);
    if (good) options_release(&options);
    return good;
}

/* Commands for those who study a machine. All their options take values. */
static const struct {
    const char *name;
    int (*run)(int count, char **words);
} studies[] = {{"watch", watch_command},
               {"inspect", inspect_command},
               {"census", census_command},
               {"simulate", simulate_command},
               {"explain", explain_command}};

static int study(int (*run)(int count, char **words), int count, char **words)
{
    char **joined = words_join(&count, words);
    if (!joined) die(STATUS_HOST, "there is not enough memory");
    int status = run(count, joined);
    words_free(joined);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    enum command command;
    char error[512];
    /* So that a write beyond the user's limit on file sizes gives EFBIG. */
    signal(SIGXFSZ, SIG_IGN);
    if (argc > 1 && !strcmp(argv[1], "ctl")) return ctl_command(argc - 2, argv + 2);
    if (argc > 1 && !strcmp(argv[1], "disk")) return disk_command(argc - 2, argv + 2);
    for (unsigned n = 0; argc > 1 && n < ARRAY_SIZE(studies); n++)
        if (!strcmp(argv[1], studies[n].name)) return study(studies[n].run, argc - 2, argv + 2);
    if (argc > 1 && !strcmp(argv[1], "window")) return window_command(argc - 2, argv + 2);
    if (argc == 1 && window_is_wanted()) return window_command(0, NULL);
    if (argc > 1 && kept_is_command(argv[1])) {
        argc--;
        argv++;
        int status = kept_command(&argc, &argv, is_understood);
        if (status >= 0) return status;
    }
    bool good = options_parse(argc, argv, device_table, &options, &command, error, sizeof(error));
    if (options.as_qemu) log_die_status(QEMU_STATUS);
    if (!good) die(STATUS_USAGE, "%s", error);
    switch (command) {
    case COMMAND_HELP:
        if (options.as_qemu)
            options_help_qemu(stdout);
        else
            options_help(stdout);
        return STATUS_OK;
    case COMMAND_HELP_TESTING: options_help_testing(stdout); return STATUS_OK;
    case COMMAND_HELP_DEVICES: device_help(device_table, options.device_help_type, stdout); return STATUS_OK;
    case COMMAND_HELP_CHARDEVS: char_options_help(stdout); return STATUS_OK;
    case COMMAND_HELP_KEYS: key_script_help(stdout); return STATUS_OK;
    case COMMAND_HELP_CPUS:
    case COMMAND_HELP_EVENTS:
    case COMMAND_HELP_MACHINES:
    case COMMAND_HELP_DISPLAYS: options_help_values(command, stdout); return STATUS_OK;
    case COMMAND_HELP_NETDEVS: options_help_netdevs(options.netdev_help_kind, stdout); return STATUS_OK;
    case COMMAND_HELP_BASH:
    case COMMAND_HELP_ZSH: options_help_completion(command, stdout); return STATUS_OK;
    case COMMAND_VERSION:
        puts(options.as_qemu ? "QEMU emulator version 7.2.0 (Ringer " RINGER_VERSION ")"
                             : "ringer " RINGER_VERSION);
        return STATUS_OK;
    case COMMAND_RUN: break;
    }
    if (!options_settle_cpu(&options, loader_kernel_is_64bit(&options.boot), error, sizeof(error)))
        die(STATUS_USAGE, "%s", error);
    /* So that a write to a pipe without a reader gives EPIPE. */
    signal(SIGPIPE, SIG_IGN);
    /* So that a background process that reads its terminal gets an error and is not stopped. */
    signal(SIGTTIN, SIG_IGN);
    int failed = options.daemonize ? daemon_begin() : 0;
    if (failed) die(STATUS_HOST, "cannot go into the background: %s", strerror(-failed));
    waker_block_signals();
    int status = run(&options);
    options_release(&options);
    return status;
}
