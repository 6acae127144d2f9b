/*
 * The board that the user asks for, as plain values: chips, drives and devices.
 */
#ifndef RINGER_OPTIONS_OPTIONS_BOARD_H
#define RINGER_OPTIONS_OPTIONS_BOARD_H

#include "options_device.h"
#include "options_drive.h"
#include "options_firmware.h"
#include "options_net.h"
#include "options_share.h"

/* -vga */
enum video_card { VIDEO_STANDARD, VIDEO_NONE };

#define SERIAL_PORTS 4

/* What is done when a watchdog timer runs out. */
enum watchdog_action {
    WATCHDOG_RESET,
    WATCHDOG_SHUTDOWN,
    WATCHDOG_POWEROFF,
    WATCHDOG_PAUSE,
    WATCHDOG_DEBUG,
    WATCHDOG_NONE,
    WATCHDOG_NMI,
};

extern const char *const watchdog_action_names[]; /* NULL at the end */
/* Negative: there is no such action. */
int watchdog_action_by_name(const char *name);

/* Instead of a Unix time. */
#define RTC_BASE_NOW   INT64_MIN
#define RTC_BASE_LOCAL (INT64_MIN + 1)

struct board_options {
    const char *name; /* of the machine, for titles; NULL: none */
    u64 memory_bytes;
    enum video_card video;
    const char *audio; /* none, sdl, wav:FILE, or auto: sdl if the host can */
    struct drive_options drives;
    struct device_options devices;
    struct net_options net;
    struct shares_options shares;
    struct firmware_options firmware;
    const char *serial[SERIAL_PORTS]; /* ids of the chardevs of COM1..COM4; NULL: no such port */
    unsigned serial_count;            /* how many -serial were given */
    const char *firmware_directory;   /* where SeaBIOS and the VGA BIOS are, or NULL: the usual places */
    bool nographic;                   /* escape keys also where standard input is no terminal */
    bool boots_network;               /* firmware is to try it */
    bool no_apic;
    bool hpet;
    bool no_suspend;
    enum watchdog_action watchdog_action;
    const char *parallel; /* the chardev of the parallel port; NULL: no such port */
    bool no_isa_pnp;
    s64 rtc_base; /* Unix time at power-on, RTC_BASE_NOW or RTC_BASE_LOCAL */
};

#endif
