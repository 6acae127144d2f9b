/*
 * The escape keys, and the terminal's settings, which are restored. Hazard: a shell that is left in raw mode.
 */
#include "chardev/terminal.h"

#include "base/log.h"
#include "check.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void test_escape_keys(void)
{
    struct escape_keys keys = {.enabled = true, .escape = 1};
    u8 out = 0;
    CHECK_EQ(escape_key(&keys, 'x', &out), KEY_SEND);
    CHECK_EQ(out, 'x');
    CHECK_EQ(escape_key(&keys, 3, &out), KEY_SEND);
    CHECK_EQ(out, 3);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'x', &out), KEY_QUIT);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'h', &out), KEY_HELP);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_SEND);
    CHECK_EQ(out, 1);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'a', &out), KEY_SEND);
    CHECK_EQ(out, 1);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'b', &out), KEY_BREAK);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'c', &out), KEY_FOCUS);
    CHECK_EQ(escape_key(&keys, 'c', &out), KEY_SEND);
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'q', &out), KEY_NOTHING);
    keys.escape = 20; /* -echr */
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_SEND);
    CHECK_EQ(escape_key(&keys, 20, &out), KEY_NOTHING);
    CHECK_EQ(escape_key(&keys, 'a', &out), KEY_SEND);
    CHECK_EQ(out, 20);
}

static void test_keys_off(void)
{
    struct escape_keys keys = {.enabled = false, .escape = 1};
    u8 out = 0;
    CHECK_EQ(escape_key(&keys, 1, &out), KEY_SEND);
    CHECK_EQ(out, 1);
    CHECK_EQ(escape_key(&keys, 'x', &out), KEY_SEND);
}

enum way_out { WAY_EXIT, WAY_DIE, WAY_ABORT, WAY_COUNT };

static void leave(enum way_out way)
{
    if (way == WAY_EXIT) exit(0);
    if (way == WAY_ABORT) abort();
    if (!freopen("/dev/null", "w", stderr)) _exit(9);
    die(STATUS_HOST, "on purpose");
}

/* A child makes the slave its controlling terminal, goes raw and leaves. */
static void test_way_out(enum way_out way)
{
    int master, slave;
    struct termios before, raw, after;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
        printf("no pseudo-terminals here: skipped\n");
        return;
    }
    CHECK_EQ(tcgetattr(slave, &before), 0);
    int ready[2], go[2];
    if (pipe(ready) < 0 || pipe(go) < 0) abort();
    pid_t child = fork();
    if (!child) {
        char byte;
        if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0 || dup2(slave, STDIN_FILENO) < 0) _exit(8);
        bool entered = terminal_enter_raw(STDIN_FILENO, false);
        if (write(ready[1], entered ? "y" : "n", 1) != 1 || read(go[0], &byte, 1) != 1) _exit(7);
        leave(way);
    }
    char answer = 0;
    CHECK_EQ(read(ready[0], &answer, 1), 1);
    CHECK_EQ(answer, 'y');
    CHECK_EQ(tcgetattr(slave, &raw), 0);
    CHECK(!(raw.c_lflag & (ICANON | ECHO | ISIG)));
    CHECK_EQ(write(go[1], "g", 1), 1);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(way == WAY_ABORT ? WIFSIGNALED(status) : WIFEXITED(status));
    CHECK_EQ(tcgetattr(slave, &after), 0);
    CHECK_EQ(after.c_lflag, before.c_lflag);
    CHECK_EQ(after.c_iflag, before.c_iflag);
    CHECK_EQ(after.c_oflag, before.c_oflag);
    close(master);
    close(slave);
}

static void test_no_terminal(void)
{
    int fds[2];
    if (pipe(fds) < 0) abort();
    CHECK(!terminal_enter_raw(fds[0], false));
    terminal_restore();
}

int main(void)
{
    test_escape_keys();
    test_keys_off();
    test_no_terminal();
    for (enum way_out way = 0; way < WAY_COUNT; way++)
        test_way_out(way);
    return check_report();
}
