/*
 * Output that meets slow, non-blocking and vanished readers; input without waiting.
 */
#include "ui/chardev.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void make_pipe(int fds[2])
{
    if (pipe(fds) < 0) abort();
}

static void test_specifications(void)
{
    struct chardev chardev;
    char error[256], path[] = "/tmp/ringer-chardev-XXXXXX", specification[64];
    CHECK(chardev_open(&chardev, "null", error, sizeof(error)));
    CHECK_EQ(chardev_put(&chardev, 'x'), 0);
    CHECK(!chardev_open(&chardev, "telnet:1", error, sizeof(error)));
    CHECK(strstr(error, "telnet:1") != NULL);
    CHECK(!chardev_open(&chardev, "file:/nonexistent/x", error, sizeof(error)));
    CHECK(strstr(error, "/nonexistent/x") != NULL);
    int fd = mkstemp(path);
    snprintf(specification, sizeof(specification), "file:%s", path);
    CHECK(chardev_open(&chardev, specification, error, sizeof(error)));
    CHECK_EQ(chardev_put(&chardev, 'a'), 0);
    CHECK_EQ(chardev_put(&chardev, 'b'), 0);
    chardev_close(&chardev);
    char text[4] = "";
    CHECK_EQ(read(fd, text, 3), 2);
    CHECK(!strcmp(text, "ab"));
    close(fd);
    unlink(path);
}

/* Hazard: a descriptor that another process has made non-blocking loses output at EAGAIN. */
static void test_slow_reader(void)
{
    int fds[2];
    make_pipe(fds);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    pid_t child = fork();
    const unsigned total = 300000;
    if (!child) {
        u8 buffer[5000];
        unsigned sum = 0;
        ssize_t got;
        close(fds[1]);
        usleep(50000);
        while ((got = read(fds[0], buffer, sizeof(buffer))) > 0)
            sum += (unsigned)got;
        _exit(sum == total ? 0 : 1);
    }
    struct chardev chardev = {.in_fd = -1, .out_fd = fds[1]};
    for (unsigned i = 0; i < total; i++)
        if (chardev_put(&chardev, (u8)i) < 0) abort();
    CHECK_EQ(chardev_flush(&chardev), 0);
    close(fds[1]);
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
}

static void test_vanished_reader(void)
{
    int fds[2];
    make_pipe(fds);
    close(fds[0]);
    struct chardev chardev = {.in_fd = -1, .out_fd = fds[1]};
    chardev_put(&chardev, 'x');
    CHECK_EQ(chardev_flush(&chardev), -EPIPE);
    CHECK_EQ(chardev_put(&chardev, 'x'), 0);
    CHECK_EQ(chardev_flush(&chardev), 0);
    close(fds[1]);
}

/* Hazard: SIGTERM must end the process also while its output is not read. */
static void test_giving_up(void)
{
    int fds[2];
    u32 giving_up = 0;
    make_pipe(fds);
    struct chardev chardev = {.in_fd = -1, .out_fd = fds[1], .giving_up = &giving_up};
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    u8 fill[4096] = {0};
    while (write(fds[1], fill, sizeof(fill)) > 0) { /* until it is full */
    }
    giving_up = 1;
    chardev_put(&chardev, 'x');
    CHECK_EQ(chardev_flush(&chardev), 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_input(void)
{
    int fds[2];
    u8 buffer[8];
    make_pipe(fds);
    struct chardev chardev = {.in_fd = fds[0], .out_fd = -1};
    CHECK_EQ(chardev_read(&chardev, buffer, sizeof(buffer)), 0);
    CHECK_EQ(chardev.in_fd, fds[0]);
    CHECK_EQ(write(fds[1], "hello", 5), 5);
    CHECK_EQ(chardev_read(&chardev, buffer, 2), 2);
    CHECK_EQ(chardev_read(&chardev, buffer, sizeof(buffer)), 3);
    CHECK_EQ(buffer[2], 'o');
    close(fds[1]);
    CHECK_EQ(chardev_read(&chardev, buffer, sizeof(buffer)), 0);
    CHECK_EQ(chardev.in_fd, -1);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_specifications();
    test_slow_reader();
    test_vanished_reader();
    test_giving_up();
    test_input();
    return check_report();
}
