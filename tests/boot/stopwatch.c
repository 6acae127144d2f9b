/*
 * stopwatch: runs a program and watches it from outside, for the boot tests and the benchmarks.
 *
 *   stopwatch [--timeout SECONDS] [--marker TEXT] [--last TEXT] [--stamp TEXT] [--report FILE]
 *             -- PROGRAM ARGUMENT...
 *
 * Passes on the program's standard output, and records when and after how much CPU time TEXT first appears in it. The
 * report has one "name value" a line:
 *
 *   status N                 exit status (128 + signal when killed, 124 when the time ran out)
 *   wall_s  cpu_s            whole run, from before fork
 *   marker_s marker_cpu_s    up to the marker ("-" when it never came)
 *   peak_kb                  largest resident set (VmHWM), children included
 *   stamp WALL_S CPU_S WAKEUPS LINE
 *                            for each line that contains --stamp's TEXT, when its last byte came
 *
 * WAKEUPS counts how often a thread of the program has slept and was woken.
 *
 * --last TEXT ends the program when TEXT has appeared (for a guest that never ends); its status is then 0. The exit
 * status of stopwatch is that of the program. Standard input is passed on unless it is a terminal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_TIMED_OUT = 124, STATUS_USAGE = 2 };

/* Looks for a text in a stream that comes in pieces. It keeps the last bytes, because the text may begin in them. */
struct finder {
    const char *text;
    char window[8192];
    size_t held;
};

static bool finder_feed(struct finder *f, const char *bytes, size_t count)
{
    if (!f->text) return false;
    size_t length = strlen(f->text);
    memcpy(f->window + f->held, bytes, count);
    f->held += count;
    bool found = memmem(f->window, f->held, f->text, length) != NULL;
    size_t keep = f->held < length - 1 ? f->held : length - 1;
    memmove(f->window, f->window + f->held - keep, keep);
    f->held = keep;
    return found;
}

/* Notes the lines of a stream that have a text in them. */
struct stamper {
    const char *text;
    char line[1024];
    size_t length;
    FILE *stamps;
    char *noted;
    size_t noted_bytes;
};

/* The cost of a process so far. Neither value contains the time for which other processes kept the processors. */
struct cost {
    double cpu_s;
    unsigned long long wakeups;
};

static void stamper_feed(struct stamper *s, const char *bytes, size_t count, double wall_s, struct cost cost)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != '\n') {
            if (bytes[i] != '\r' && s->length < sizeof(s->line) - 1) s->line[s->length++] = bytes[i];
            continue;
        }
        s->line[s->length] = 0;
        s->length = 0;
        char *found = strstr(s->line, s->text);
        if (found) fprintf(s->stamps, "stamp %.6f %.6f %llu %s\n", wall_s, cost.cpu_s, cost.wakeups, found);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds on a processor. (/proc/PID/stat would have them in ticks of 10 ms.) */
static unsigned long long thread_cpu_ns(pid_t pid, const char *thread)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", (int)pid, thread);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%llu", &ns) != 1) ns = 0;
    fclose(file);
    return ns;
}

static unsigned long long thread_wakeups(pid_t pid, const char *thread)
{
    char path[64], line[128];
    unsigned long long switches = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid, thread);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1) break;
    fclose(file);
    return switches;
}

/* The cost of a running process: the sum over all its threads that live. */
static struct cost cost_of(pid_t pid)
{
    char path[64];
    struct cost cost = {0};
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads) return cost;
    for (struct dirent *thread; (thread = readdir(threads));) {
        if (thread->d_name[0] == '.') continue;
        cost.cpu_s += (double)thread_cpu_ns(pid, thread->d_name) / 1e9;
        cost.wakeups += thread_wakeups(pid, thread->d_name);
    }
    closedir(threads);
    return cost;
}

struct request {
    double timeout_s;
    const char *report;
    struct finder marker, last;
    struct stamper stamper;
    char **command;
};

struct result {
    double wall_s, cpu_s, marker_s, marker_cpu_s;
    long peak_kb;
    int status;
};

static void usage(const char *what)
{
    fprintf(stderr,
            "stopwatch: %s\nusage: stopwatch [--timeout S] [--marker TEXT] [--last TEXT] [--stamp TEXT] "
            "[--report FILE] -- PROGRAM...\n",
            what);
    exit(STATUS_USAGE);
}

static void parse(int argc, char **argv, struct request *r)
{
    *r = (struct request){.timeout_s = 3600};
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--"); at += 2) {
        if (at + 1 >= argc) usage("an argument is missing");
        if (!strcmp(argv[at], "--timeout"))
            r->timeout_s = atof(argv[at + 1]);
        else if (!strcmp(argv[at], "--marker"))
            r->marker.text = argv[at + 1];
        else if (!strcmp(argv[at], "--last"))
            r->last.text = argv[at + 1];
        else if (!strcmp(argv[at], "--stamp"))
            r->stamper.text = argv[at + 1];
        else if (!strcmp(argv[at], "--report"))
            r->report = argv[at + 1];
        else
            usage("unknown option");
    }
    if (at + 1 >= argc) usage("no program");
    r->command = argv + at + 1;
    if (r->stamper.text) {
        r->stamper.stamps = open_memstream(&r->stamper.noted, &r->stamper.noted_bytes);
        if (!r->stamper.stamps) usage("no memory");
    }
    for (struct finder *f = &r->marker;; f = &r->last) {
        if (f->text && (!f->text[0] || strlen(f->text) > 1024)) usage("a text must have 1 to 1024 bytes");
        if (f == &r->last) break;
    }
}

static pid_t start(const struct request *r, int *output)
{
    int pipe_ends[2];
    if (pipe(pipe_ends)) {
        perror("stopwatch: pipe");
        exit(STATUS_USAGE);
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("stopwatch: fork");
        exit(STATUS_USAGE);
    }
    if (!pid) {
        /* The program gets a process group of its own, so that a timeout also kills its children. A background group
         * may not read the terminal, so it gets none. */
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (isatty(0)) {
            int null = open("/dev/null", O_RDONLY);
            dup2(null, 0);
            close(null);
        }
        dup2(pipe_ends[1], 1);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        execvp(r->command[0], r->command);
        fprintf(stderr, "stopwatch: cannot run %s: %s\n", r->command[0], strerror(errno));
        _exit(127);
    }
    close(pipe_ends[1]);
    *output = pipe_ends[0];
    return pid;
}

static void watch(struct request *r, struct result *out)
{
    char bytes[4096];
    int output;
    bool timed_out = false, last_seen = false;
    double begin = now_s();
    pid_t pid = start(r, &output);
    *out = (struct result){.marker_s = -1};
    for (;;) {
        double left = begin + r->timeout_s - now_s();
        struct pollfd readable = {.fd = output, .events = POLLIN};
        int ready = left <= 0 ? 0 : poll(&readable, 1, (int)(left * 1000) + 1);
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) {
            timed_out = true;
            break;
        }
        ssize_t count = read(output, bytes, sizeof(bytes));
        if (count <= 0) break;
        if (out->marker_s < 0 && finder_feed(&r->marker, bytes, (size_t)count)) {
            out->marker_s = now_s() - begin;
            out->marker_cpu_s = cost_of(pid).cpu_s;
        }
        if (r->stamper.text) stamper_feed(&r->stamper, bytes, (size_t)count, now_s() - begin, cost_of(pid));
        for (ssize_t done = 0, n; done < count; done += n)
            if ((n = write(1, bytes + done, (size_t)(count - done))) < 0) break;
        if (finder_feed(&r->last, bytes, (size_t)count)) {
            last_seen = true;
            break;
        }
    }
    if (timed_out || last_seen) kill(-pid, SIGKILL);
    close(output);
    struct rusage usage;
    int status;
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    out->wall_s = now_s() - begin;
    out->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    out->peak_kb = usage.ru_maxrss;
    out->status = timed_out             ? STATUS_TIMED_OUT
                  : last_seen           ? 0
                  : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                        : WEXITSTATUS(status);
}

static int write_report(const char *path, const struct result *r, struct stamper *stamper)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "stopwatch: cannot write %s: %s\n", path, strerror(errno));
        return STATUS_USAGE;
    }
    fprintf(file, "status %d\nwall_s %.3f\ncpu_s %.3f\n", r->status, r->wall_s, r->cpu_s);
    if (r->marker_s >= 0)
        fprintf(file, "marker_s %.3f\nmarker_cpu_s %.3f\n", r->marker_s, r->marker_cpu_s);
    else
        fprintf(file, "marker_s -\nmarker_cpu_s -\n");
    fprintf(file, "peak_kb %ld\n", r->peak_kb);
    if (stamper->stamps) {
        fclose(stamper->stamps);
        fputs(stamper->noted, file);
        free(stamper->noted);
    }
    return fclose(file) ? STATUS_USAGE : 0;
}

int main(int argc, char **argv)
{
    struct request request;
    struct result result;
    parse(argc, argv, &request);
    watch(&request, &result);
    if (request.report && write_report(request.report, &result, &request.stamper)) return STATUS_USAGE;
    return result.status;
}
