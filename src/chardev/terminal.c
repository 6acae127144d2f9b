#include "terminal.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved_settings;
static int raw_fd = -1;

void terminal_restore(void)
{
    int fd = raw_fd;
    if (fd < 0) return;
    raw_fd = -1;
    int error = errno;
    /* Without this, a job that was moved to the background would be stopped when it touches the terminal. */
    sigset_t ttou, before;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    sigprocmask(SIG_BLOCK, &ttou, &before);
    tcsetattr(fd, TCSANOW, &saved_settings);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
}

static void crashed(int signal_number)
{
    terminal_restore();
    /* SA_RESETHAND has restored the default action. Returning from a fault raises it again; this covers the
     * other signals. */
    raise(signal_number);
}

static void restore_on_crash(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
    for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++) {
        struct sigaction before;
        /* An existing handler (a sanitizer's, the translator's) stays. */
        if (sigaction(fatal[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(fatal[i], &action, NULL);
    }
}

bool terminal_enter_raw(int fd, bool signals)
{
    if (!isatty(fd) || tcgetpgrp(fd) != getpgrp()) return false;
    if (tcgetattr(fd, &saved_settings) < 0) return false;
    struct termios raw = saved_settings;
    cfmakeraw(&raw);
    if (signals) raw.c_lflag |= ISIG;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    bool first = raw_fd < 0;
    raw_fd = fd;
    if (tcsetattr(fd, TCSANOW, &raw) < 0) {
        raw_fd = -1;
        return false;
    }
    if (first) {
        restore_on_crash();
        log_at_die(terminal_restore);
        atexit(terminal_restore);
    }
    return true;
}

enum key_action escape_key(struct escape_keys *keys, u8 byte, u8 *out)
{
    *out = byte;
    if (!keys->enabled) return KEY_SEND;
    if (!keys->seen) {
        keys->seen = byte == keys->escape;
        return keys->seen ? KEY_NOTHING : KEY_SEND;
    }
    keys->seen = false;
    if (byte == keys->escape) return KEY_SEND;
    switch (byte) {
    case 'a': *out = keys->escape; return KEY_SEND;
    case 'b': return KEY_BREAK;
    case 'c': return KEY_FOCUS;
    case 't': return KEY_TIMESTAMPS;
    case 'x': return KEY_QUIT;
    case 'h':
    case '?': return KEY_HELP;
    default: return KEY_NOTHING;
    }
}

void escape_help(const struct escape_keys *keys, char *text, size_t bytes)
{
    char name[16];
    if (keys->escape < 0x20)
        snprintf(name, sizeof(name), "Ctrl-%c", keys->escape + 0x40);
    else
        snprintf(name, sizeof(name), "byte %u", keys->escape);
    snprintf(text, bytes,
             "\r\n"
             "%s x    quit Ringer\r\n"
             "%s h    this help\r\n"
             "%s c    switch between the console and the monitor\r\n"
             "%s b    send a break (Linux: a SysRq key follows)\r\n"
             "%s t    time stamps on or off\r\n"
             "%s a    send %s to the guest (so does %s twice)\r\n"
             "All other keys, Ctrl-C among them, go to the guest.\r\n",
             name, name, name, name, name, name, name, name);
}
