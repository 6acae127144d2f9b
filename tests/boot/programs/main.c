/* hazards: runs the tests and prints which pass. Arguments: the names of some tests; "list" prints the names; "exit N"
 * ends with N at once (for exec). */
#define _GNU_SOURCE
#include "hazards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static bool failed;

void check_at(const char *file, int line, bool holds, const char *text, long a, long b)
{
    if (holds) return;
    failed = true;
    dprintf(1, "  %s:%d: not so: %s (%#lx, %#lx)\n", file, line, text, a, b);
}

void burn(void)
{
    static volatile u32 sum; /* not on the stack: its page may hold code */
    for (u32 n = 0; n < 12000000; n++)
        sum += n;
}

u32 random_u32(void)
{
    static u64 state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (u32)(state >> 16);
}

u8 *map(void *at, size_t bytes, int protection)
{
    void *result = mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
    if (result != MAP_FAILED) return result;
    perror("mmap");
    exit(2);
}

int memory_file(size_t bytes)
{
    char name[] = "/tmp/hazards-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0) {
        perror(name);
        exit(2);
    }
    unlink(name);
    return fd;
}

int wait_for(int pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void handle_faults(void (*handler)(int signal, siginfo_t *info, void *context))
{
    static u8 stack[65536];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (size_t n = 0; n < sizeof signals / sizeof *signals; n++)
        sigaction(signals[n], &action, NULL);
}

void die_by(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}

static bool wanted(const char *name, char **names)
{
    if (!*names) return true;
    for (; *names; names++)
        if (!strcmp(*names, name)) return true;
    return false;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "exit")) return atoi(argv[2]);
    bool list = argc == 2 && !strcmp(argv[1], "list");
    int bad = 0;
    for (const struct test *const *group = test_groups; *group; group++)
        for (const struct test *test = *group; test->name; test++) {
            if (list) puts(test->name);
            if (list || !wanted(test->name, argv + 1)) continue;
            int pid = fork();
            if (!pid) {
                test->run();
                _exit(failed);
            }
            int status = wait_for(pid);
            if (status)
                printf("%s FAILED (%d)\n", test->name, status);
            else
                printf("%s ok\n", test->name);
            fflush(stdout);
            bad |= status;
        }
    return bad != 0;
}
