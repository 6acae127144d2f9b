/* Processes: making them, switching between them. The runner keeps all of them on one processor, on the host
 * too. */
#include "micro.h"
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static uint32_t fork_wait(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        pid_t pid = fork();
        must(pid >= 0, "fork");
        if (!pid) _exit(0);
        must(waitpid(pid, NULL, 0) == pid, "waitpid");
    }
    return n;
}

/* A statically linked program beside this one that exits at once: measures the kernel's work, not ld.so's. */
static char nothing[4096];

static void nothing_prepare(void)
{
    const char *own = (const char *)getauxval(AT_EXECFN), *name = strrchr(own, '/');
    snprintf(nothing, sizeof(nothing), "%.*snothing", name ? (int)(name + 1 - own) : 0, own);
    must(!access(nothing, X_OK), nothing);
}

static pid_t start(pid_t child)
{
    char *arguments[] = {nothing, NULL};
    if (child) return child;
    execve(nothing, arguments, environ);
    _exit(1);
}

static void wait_for(pid_t pid)
{
    int status;
    must(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "child");
}

static uint32_t fork_exec(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        wait_for(start(fork()));
    return n;
}

/* The child runs on its parent's stack, and leaves this frame alone. */
static __attribute__((noinline)) pid_t start_vfork(void)
{
    return start(vfork());
}

static uint32_t vfork_exec(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        wait_for(start_vfork());
    return n;
}

static pid_t partner;
static int to_partner[2], from_partner[2];

static void partner_finish(void)
{
    kill(partner, SIGKILL);
    waitpid(partner, NULL, 0);
}

static void pipe_prepare(void)
{
    char c;
    must(!pipe(to_partner) && !pipe(from_partner), "pipe");
    partner = fork();
    must(partner >= 0, "fork");
    if (partner) return;
    while (read(to_partner[0], &c, 1) == 1)
        must(write(from_partner[1], &c, 1) == 1, "write");
    _exit(0);
}

static uint32_t pipe_ping_pong(uint32_t n)
{
    char c = 'x';
    for (uint32_t i = 0; i < n; i++)
        must(write(to_partner[1], &c, 1) == 1 && read(from_partner[0], &c, 1) == 1, "ping-pong");
    return n;
}

static void yield_prepare(void)
{
    partner = fork();
    must(partner >= 0, "fork");
    if (partner) return;
    for (;;)
        sched_yield();
}

static uint32_t yield(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sched_yield();
    return n;
}

const struct test process_tests[] = {
    {"fork-wait", "process", fork_wait, 1, NULL, NULL},
    {"fork-exec", "process", fork_exec, 1, nothing_prepare, NULL},
    {"vfork-exec", "process", vfork_exec, 1, nothing_prepare, NULL},
    {"pipe", "round trip", pipe_ping_pong, 1, pipe_prepare, partner_finish},
    {"yield", "call, there and back", yield, 1, yield_prepare, partner_finish},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
