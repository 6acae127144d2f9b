/*
 * Waiting for other threads: a test waits for the event itself, however long a busy host takes. If the event does not
 * come within a minute, the program ends with status 1.
 */
#ifndef RINGER_TESTS_EVENTS_H
#define RINGER_TESTS_EVENTS_H

#include "base/types.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENT_LIMIT_S 60

/* Until another thread has called sem_post(). `what` is for the message when it does not. */
static inline void event_wait(sem_t *event, const char *what)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += EVENT_LIMIT_S;
    while (sem_timedwait(event, &end) < 0) {
        if (errno == EINTR) continue;
        printf("this did not happen within %u s: %s\n", EVENT_LIMIT_S, what);
        exit(1);
    }
}

/* The state of a thread as /proc has it: 'S' asleep, 'R' running or ready; 0: it has ended. */
static inline char thread_state(long thread)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", thread);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] ? name_end[2] : 0;
}

/* How often a thread was put on a processor: it does not change while the thread sleeps. */
static inline u64 thread_runs(long thread)
{
    char path[64];
    unsigned long long on_cpu, waited, runs = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%ld/schedstat", thread);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu %llu", &on_cpu, &waited, &runs) != 3) runs = 0;
    fclose(file);
    return runs;
}

/* The only thread of this process besides its first one. */
static inline long other_thread(void)
{
    long found = 0;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        long thread = atol(entry->d_name);
        if (thread && thread != getpid()) found = thread;
    }
    if (folder) closedir(folder);
    return found;
}

/* Until a thread sleeps or has ended. */
static inline void wait_until_asleep(long thread)
{
    time_t end = time(NULL) + EVENT_LIMIT_S;
    for (char state; (state = thread_state(thread)) && state != 'S'; sched_yield())
        if (time(NULL) > end) {
            printf("a thread was not asleep within %u s\n", EVENT_LIMIT_S);
            exit(1);
        }
}

#endif
