/*
 * The user's terminal as the machine's console: raw mode while the guest runs, settings that are restored at every
 * kind of end, and the escape keys (Ctrl-A or the character of -echr, as with QEMU's -nographic).
 *
 * In raw mode Ctrl-C, Ctrl-Z and Ctrl-S go to the guest; Ctrl-A x quits. A descriptor is left alone if it is not a
 * terminal, or if another foreground job has the terminal.
 *
 * The saved settings are global, because the process has one terminal and a crash handler gets no argument.
 */
#ifndef RINGER_CHARDEV_TERMINAL_H
#define RINGER_CHARDEV_TERMINAL_H

#include "base/types.h"

/* Put `fd` into raw mode; `signals`: Ctrl-C, Ctrl-Z and Ctrl-\ still raise signals. It is restored by
 * terminal_restore(), by die(), by exit() and by fatal signals (SEGV, BUS, ILL, FPE, ABRT, SYS), which then end the
 * process as usual. Returns whether fd is now a raw terminal. */
bool terminal_enter_raw(int fd, bool signals);
/* May be called any number of times; async-signal-safe. */
void terminal_restore(void);

/* --- escape keys: a byte in, at most one byte out --- */

enum key_action {
    KEY_NOTHING, /* swallowed */
    KEY_SEND,    /* *out goes to the guest */
    KEY_BREAK,   /* hold the line in break */
    KEY_FOCUS,   /* input goes to the next front end */
    KEY_TIMESTAMPS,
    KEY_QUIT,
    KEY_HELP,
};

struct escape_keys {
    bool enabled;
    u8 escape; /* Ctrl-A, or -echr's */
    bool seen; /* the escape key was typed: the next key is a command */
};

enum key_action escape_key(struct escape_keys *keys, u8 byte, u8 *out);

/* What Ctrl-A h prints; lines end with CR LF. */
void escape_help(const struct escape_keys *keys, char *text, size_t bytes);

#endif
