#include "keeper.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The machine's end of the socket; -1: there is no keeper. The machine has one debugger, so this is global. */
static int keeper = -1;

bool keeper_is_there(void)
{
    return keeper >= 0;
}

/* --- in the machine --- */

union rights {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int keeper_ask(const struct replay *replay)
{
    union rights rights = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec data = {(void *)(uintptr_t)replay, sizeof(*replay)};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof(rights)};
    memcpy(CMSG_DATA(&rights.header), &replay->client, sizeof(int));
    if (sendmsg(keeper, &message, MSG_NOSIGNAL) < 0) return -errno;
    exit(STATUS_OK);
}

/* --- in the keeper --- */

static bool is_sound(const struct replay *replay)
{
    const struct conditions *c = &replay->conditions;
    bool good = (replay->goal == REPLAY_SEARCH || replay->goal == REPLAY_ARRIVE) &&
                replay->codes <= CODE_POINTS_MAX && replay->datas <= DATA_POINTS_MAX &&
                c->count <= CONDITIONS_MAX && c->used <= CONDITION_BYTES;
    for (u32 n = 0; good && n < c->count; n++)
        good = c->condition[n].at <= c->used && c->condition[n].bytes <= c->used - c->condition[n].at;
    return good;
}

/* What the machine that has ended wants. */
static bool was_asked(int socket, struct replay *replay)
{
    union rights rights;
    struct iovec data = {replay, sizeof(*replay)};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof(rights)};
    ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) return false;
    memcpy(&replay->client, CMSG_DATA(header), sizeof(int));
    return got == sizeof(*replay) && is_sound(replay);
}

/* Returns the status of waitpid(2). Ctrl-C at a terminal reaches all its processes; what one process sends to another
 * is passed on. */
static int wait_for_end(pid_t machine, const sigset_t *signals)
{
    int status;
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(signals, &info);
        if (number == SIGCHLD && waitpid(machine, &status, WNOHANG) == machine) return status;
        if (number > 0 && number != SIGCHLD && info.si_code <= 0) kill(machine, number);
    }
}

static _Noreturn void end_as(int status)
{
    if (WIFEXITED(status)) exit(WEXITSTATUS(status));
    sigset_t set;
    int number = WTERMSIG(status);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* the machine has left one */
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    abort();
}

static void become_machine(pid_t parent, int ends[2], const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) exit(STATUS_HOST);
    close(ends[0]);
    keeper = ends[1];
}

bool keeper_start(struct replay *replay)
{
    int ends[2];
    sigset_t signals, before;
    pid_t parent = getpid();
    sigprocmask(SIG_SETMASK, NULL, &before);
    signals = before;
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        die(STATUS_HOST, "cannot have a socket pair: %s", strerror(errno));
    for (bool again = false;;) {
        fflush(NULL);
        pid_t machine = fork();
        if (machine < 0) die(STATUS_HOST, "cannot start the process of the machine: %s", strerror(errno));
        if (!machine) {
            become_machine(parent, ends, &before);
            return again;
        }
        if (again) close(replay->client);
        int status = wait_for_end(machine, &signals);
        again = was_asked(ends[0], replay);
        if (!again) end_as(status);
    }
}
