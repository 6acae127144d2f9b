/*
 * The command line: Ringer's own long options and QEMU's spellings of the common ones, one table row each.
 *
 * One dash or two, "--name value" or "--name=value" all mean the same. So a script for QEMU often works with the name
 * of the program changed.
 */
#ifndef RINGER_OPTIONS_OPTIONS_H
#define RINGER_OPTIONS_OPTIONS_H

#include "base/types.h"
#include "options_board.h"
#include "options_boot.h"
#include "options_control.h"
#include "translator/translator.h"

#include <stdio.h>

struct cpu_model;

enum display_kind {
    DISPLAY_AUTO, /* a window if the machine boots from media and there is a desktop */
    DISPLAY_NONE,
    DISPLAY_WINDOW,
};

enum engine { ENGINE_TRANSLATE, ENGINE_INTERP };

/* What the program is to do. */
enum command {
    COMMAND_RUN,
    COMMAND_HELP,
    COMMAND_HELP_TESTING, /* the options that only tests need */
    COMMAND_HELP_KEYS,
    COMMAND_HELP_DEVICES, /* as options.device_help_type says */
    COMMAND_HELP_CHARDEVS,
    COMMAND_HELP_CPUS,
    COMMAND_HELP_EVENTS,
    COMMAND_HELP_MACHINES,
    COMMAND_HELP_DISPLAYS,
    COMMAND_HELP_NETDEVS, /* as options.netdev_help_kind says */
    COMMAND_HELP_BASH,    /* completion for shells */
    COMMAND_HELP_ZSH,
    COMMAND_VERSION,
};

struct options {
    struct boot_files boot;
    struct boot_plan boot_plan;
    struct board_options board;
    struct control_options control;
    enum command help;                          /* an argument was "help": not COMMAND_RUN */
    const struct device_type *device_help_type; /* NULL: all */
    const char *netdev_help_kind;               /* "KIND,help"; NULL: the kinds */
    const struct cpu_model *cpu;
    bool no_kvm_clock;
    const char *keys;          /* script of keys: a file or "-", or NULL */
    const char *typed;         /* text that is typed at power-on, or NULL */
    enum display_kind display; /* after options_parse(): not DISPLAY_AUTO */
    bool full_screen;
    bool window_closes; /* closing the window asks whether to stop the machine; otherwise it does nothing */
    bool whole_scale;   /* the window's picture is enlarged by whole factors only */
    const char *vnc;    /* the argument of --vnc, or NULL */
    bool as_qemu;       /* the program was called as qemu-system-... */
    bool as_x86_64;     /* ... as qemu-system-x86_64: the default CPU, "max" and "host" are 64-bit ones */
    bool cpu_given;     /* -cpu */
    bool nodefaults;
    const char *pid_file; /* NULL: none */
    const char *lock_pid; /* the lock file of a kept machine, for the process's number; NULL: none */
    bool sandbox;         /* --sandbox */
    bool daemonize;
    bool video_given; /* -vga */
    bool no_reboot;
    bool no_shutdown;

    enum engine engine;
    bool no_traces, no_prefill; /* shadow tables */
    bool no_low_window, no_borrowing;
    enum windows_policy windows;
    u64 window_mappings; /* 0: the default */
    u32 spaces;          /* 0: the default */
    struct translator_config translator;
    bool no_fpu_shelter;
    bool deterministic;
    u64 lockstep; /* instructions between comparisons, 0: no lockstep */

    bool stats;
    const char *stats_json; /* where to write them, or NULL */
    const char *block_log;  /* file; NULL: none */
    struct event_log_options {
        u32 categories;   /* bit EVENT_...: is logged; 0: no log */
        const char *path; /* NULL: stderr */
        u64 from, to;     /* icounts, the last one included */
        u8 cpls;          /* bit n: CPL n is logged */
    } event_log;
    const char *hot_blocks; /* where to write them, or NULL */
    const char *profile;    /* where to write the folded stacks, or NULL */
    const char *symbols;    /* of the guest kernel, or NULL */
    bool perf_map;
    const char *screen_dump, *screenshot;
    u64 timeout_ns; /* UINT64_MAX: none */
};

/* Bounds of guest memory. RAM beyond 3 GB begins at 4 GB, so the address lines of the CPU model bound it as well. */
#define MEMORY_MIN_BYTES (2ull << 20)
#define MEMORY_MAX_BYTES (64ull << 30)

/* Parse argv[1...]. `types`: the devices that -device knows, NULL at the end. Returns false with one sentence in
 * `error`. Strings in *options point into argv. */
bool options_parse(int argc, char **argv, const struct device_type *const *types, struct options *options,
                   enum command *command, char *error, size_t error_bytes);

/* The CPU model is max64 for a 64-bit kernel, unless -cpu names one. Its address lines must reach the end of RAM, which
 * beyond 3 GB begins at 4 GB. Returns false with one sentence in `error`. */
bool options_settle_cpu(struct options *options, bool is_64bit_kernel, char *error, size_t error_bytes);

/* Free what the options own. */
void options_release(struct options *options);

/* QEMU's lists of values: "-machine help" and others; and -help with a row an option, as programs read it. */
void options_help_values(enum command command, FILE *out);
void options_help_qemu(FILE *out);
/* Print the completion script of a shell. */
void options_help_completion(enum command command, FILE *out);
/* -netdev help, or with a kind -netdev KIND,help. */
void options_help_netdevs(const char *kind, FILE *out);
/* Print the everyday options. */
void options_help(FILE *out);
/* Print the options that only tests of Ringer need. */
void options_help_testing(FILE *out);

#endif
