/* Processes: copy on write, fork storms, vfork and exec. */
#define _GNU_SOURCE
#include "hazards.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS 65536u
static u32 data[WORDS];

static u32 sum_of(void)
{
    u32 sum = 0;
    for (u32 n = 0; n < WORDS; n++)
        sum = sum * 31 + data[n];
    return sum;
}

static void copy_on_write(u32 depth)
{
    for (u32 n = 0; n < WORDS; n++)
        data[n] = n * (depth + 1);
    u32 before = sum_of();
    for (u32 child = 0; child < 3; child++) {
        int pid = fork();
        if (!pid) {
            if (sum_of() != before) _exit(10);
            for (u32 n = child * 64; n < WORDS; n += 512)
                data[n] = child;
            u32 own = sum_of();
            if (depth)
                copy_on_write(depth - 1);
            else if (sum_of() != own)
                _exit(11);
            _exit(0);
        }
        for (u32 n = child; n < WORDS; n += 2048)
            data[n]++; /* the parent parts too */
        before = sum_of();
        check_eq(wait_for(pid), 0);
        check_eq(sum_of(), before);
    }
}

static void storm(void) /* more address spaces than the shadow remembers, all alive and taking turns */
{
    enum { CHILDREN = 90 };
    int pid[CHILDREN], to[CHILDREN][2], from[2];
    if (pipe(from)) _exit(3);
    for (u32 n = 0; n < CHILDREN; n++) {
        if (pipe(to[n])) _exit(3);
        if ((pid[n] = fork())) continue;
        u8 byte;
        for (u32 round = 0; round < 6; round++) {
            if (read(to[n][0], &byte, 1) != 1) _exit(4);
            if (round && data[n * 100] != n + round - 1) _exit(5);
            for (u32 k = 0; k < WORDS; k += 1000)
                data[k] = n + round;
            data[n * 100] = n + round;
            if (write(from[1], &byte, 1) != 1) _exit(4);
        }
        _exit(0);
    }
    u8 byte = 0;
    for (u32 round = 0; round < 6; round++)
        for (u32 n = 0; n < CHILDREN; n++) {
            u32 k = (n * 37 + round) % CHILDREN;
            check_eq(write(to[k][1], &byte, 1), 1);
            check_eq(read(from[0], &byte, 1), 1);
        }
    for (u32 n = 0; n < CHILDREN; n++) {
        check_eq(wait_for(pid[n]), 0);
        close(to[n][0]);
        close(to[n][1]);
    }
}

static void execute(void)
{
    for (u32 n = 0; n < 60; n++) {
        char number[8];
        snprintf(number, sizeof number, "%u", n);
        int pid = n & 1 ? vfork() : fork();
        if (!pid) {
            execl("/proc/self/exe", "hazards", "exit", number, (char *)NULL);
            _exit(99);
        }
        check_eq(wait_for(pid), n);
    }
}

static void shared_memory(void) /* in lock-step through a page that both share */
{
    volatile u32 *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int pid = fork();
    for (u32 n = 0; n < 300; n++) {
        u32 own = pid ? 2 * n : 2 * n + 1;
        while (page[0] != own)
            usleep(0);
        page[own & 511 ? 1 : 2]++;
        page[0] = own + 1;
    }
    if (!pid) _exit(0);
    check_eq(wait_for(pid), 0);
    check_eq(page[0], 600);
    check_eq(page[1] + page[2], 600);
}

static void run_copy(void)
{
    copy_on_write(2);
    burn();
    copy_on_write(1);
}
static void run_storm(void)
{
    burn();
    storm();
}

const struct test tests_process[] = {
    {"copy-on-write", run_copy},
    {"many-processes", run_storm},
    {"fork-vfork-exec", execute},
    {"shared-memory", shared_memory},
    {0},
};
