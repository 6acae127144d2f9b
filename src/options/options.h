/*
 * The command line: Ringer's own long options and QEMU's spellings of the common ones, one table row each.
 *
 * One dash or two, "--name value" or "--name=value", are all the same, so that scripts can swap the program's
 * name.
 */
#ifndef RINGER_OPTIONS_OPTIONS_H
#define RINGER_OPTIONS_OPTIONS_H

#include "base/types.h"
#include "boot/loader.h"
#include "boot_plan.h"
#include "options_device.h"
#include "options_drive.h"
#include "translator/translator.h"

#include <stdio.h>

struct cpu_model;

enum display_kind {
    DISPLAY_AUTO, /* a window if the machine boots from media and there is a desktop */
    DISPLAY_NONE,
    DISPLAY_WINDOW,
};

/* -vga */
enum video_card { VIDEO_STANDARD, VIDEO_NONE };

enum engine { ENGINE_TRANSLATE, ENGINE_INTERP };

/* What the command asks for. */
enum command { COMMAND_RUN, COMMAND_HELP, COMMAND_HELP_KEYS, COMMAND_VERSION };

struct options {
    struct boot_files boot;
    struct boot_plan boot_plan;
    const char *firmware_directory; /* where SeaBIOS is, or NULL: the usual places */
    const char *firmware_log;       /* chardev specification, or NULL */
    const char *option_rom[OPTION_ROMS];
    unsigned option_rom_count;
    struct drive_options drives;
    struct device_options devices;
    u64 memory_bytes;
    enum video_card video;
    const struct cpu_model *cpu;
    const char *serial[4]; /* chardev specifications of COM1..COM4; NULL: no such port */
    unsigned serial_count; /* how many -serial were given */
    const char *debugcon;  /* chardev specification, or NULL */
    bool nographic;        /* escape keys also where standard input is no terminal */
    bool debug_exit;       /* isa-debug-exit is fitted ... */
    u16 debug_exit_port;   /* ... here, ... */
    u8 debug_exit_bytes;   /* ... this wide */
    bool no_apic;
    bool no_kvm_clock;
    bool no_isa_pnp;
    const char *name;          /* of the machine, for titles; NULL: none */
    const char *keys;          /* script of keys: a file or "-", or NULL */
    const char *typed;         /* text to be typed, or NULL */
    enum display_kind display; /* after options_parse(): not DISPLAY_AUTO */
    bool full_screen;
    bool whole_scale;  /* the window's picture is enlarged by whole factors only */
    const char *audio; /* none, sdl, wav:FILE, or auto: sdl if the host can */
    const char *vnc;   /* what -vnc says, or NULL */
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
    s64 rtc_base; /* Unix time at power-on, RTC_BASE_NOW or RTC_BASE_LOCAL */

    bool stats;
    const char *stats_json; /* where to write them, or NULL */
    const char *trace;      /* "stderr" or a path */
    u64 trace_from;         /* icount to begin at */
    const char *profile;    /* where to write the folded stacks, or NULL */
    const char *symbols;    /* of the guest kernel, or NULL */
    bool perf_map;
    const char *screen_dump, *screenshot;
    u64 timeout_ns; /* UINT64_MAX: none */
};

#define RTC_BASE_NOW   INT64_MIN
#define RTC_BASE_LOCAL (INT64_MIN + 1)

/* Sane bounds of guest memory. */
#define MEMORY_MIN_BYTES (2ull << 20)
#define MEMORY_MAX_BYTES (64ull << 30)

/* Parse argv[1...]. Returns false with one sentence in `error`. Strings in *options point into argv. */
bool options_parse(int argc, char **argv, struct options *options, enum command *command, char *error,
                   size_t error_bytes);

/* Free what the options own. */
void options_release(struct options *options);

void options_help(FILE *out);

#endif
