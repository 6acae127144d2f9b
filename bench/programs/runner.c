/*
 * runner: runs the suite, on the host and in the guests alike.
 *
 *   runner --suite FILE [--part NAME] [--only REGEX] [--scale FACTOR] [--not WHERE]
 *
 * The suite is a text of stanzas, which bench/suite explains. Each test is a shell command; its output is
 * its result. A line before and a line after each test carry this machine's clock, so that the reader of the
 * output can compare it with its own clock when they arrive:
 *
 *   bench: begin NAME NS
 *   bench: value NAME VALUE UNIT...
 *   bench: check NAME TEXT
 *   bench: end NAME NS STATUS USER_S SYSTEM_S
 *
 * A test that prints no value has its duration as its value. USER_S and SYSTEM_S are the CPU time of the
 * test's processes, as this machine's kernel counts it.
 *
 * Everything runs on one processor, because the guests have only one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { TEST_LIMIT_S = 180, STATUS_TIMED_OUT = 124, STATUS_USAGE = 2, OUTPUT = 4096 };

struct stanza {
    char test[64], part[32], not_on[32];
    char prepare[1024], run[1024], check[1024];
    double seconds;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes the line in one piece, before the next test begins. */
static void say(const char *format, ...)
{
    char line[OUTPUT];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    if (length >= (int)sizeof(line)) length = sizeof(line) - 1;
    if (write(1, line, (size_t)length) < 0) exit(1);
    tcdrain(1);
}

static double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Runs a shell command and keeps the first OUTPUT bytes of its output. Returns its exit status. */
static int shell(const char *command, char output[OUTPUT])
{
    int ends[2], status;
    size_t held = 0;
    bool timed_out = false;
    double limit = clock_s() + TEST_LIMIT_S;
    if (pipe(ends)) exit(1);
    pid_t pid = fork();
    if (pid < 0) exit(1);
    if (!pid) {
        setpgid(0, 0);
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execlp("sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    for (;;) {
        char spare[512];
        struct pollfd readable = {.fd = ends[0], .events = POLLIN};
        double left = limit - clock_s();
        int ready = left > 0 ? poll(&readable, 1, (int)(left * 1000) + 1) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) {
            timed_out = true;
            break;
        }
        size_t room = OUTPUT - 1 - held;
        ssize_t count = read(ends[0], room ? output + held : spare, room ? room : sizeof(spare));
        if (count <= 0) break;
        if (room) held += (size_t)count;
    }
    output[held] = 0;
    if (timed_out) kill(-pid, SIGKILL);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (timed_out) return STATUS_TIMED_OUT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The last line of an output. */
static char *last_line(char *output)
{
    char *end = output + strlen(output);
    while (end > output && end[-1] == '\n')
        *--end = 0;
    char *begin = strrchr(output, '\n');
    return begin ? begin + 1 : output;
}

static void run_test(const struct stanza *s, double scale)
{
    char output[OUTPUT], seconds[32];
    struct rusage before, after;
    int status = 0;
    snprintf(seconds, sizeof(seconds), "%.3f", s->seconds * scale);
    setenv("SECONDS_EACH", seconds, 1);
    setenv("TEST", s->test, 1);
    if (s->prepare[0]) status = shell(s->prepare, output);
    getrusage(RUSAGE_CHILDREN, &before);
    double begin = clock_s();
    say("bench: begin %s %.0f\n", s->test, begin * 1e9);
    begin = clock_s();
    if (!status) status = shell(s->run[0] ? s->run : "exec micro $TEST $SECONDS_EACH", output);
    double end = clock_s();
    getrusage(RUSAGE_CHILDREN, &after);
    say("bench: end %s %.0f %d %.3f %.3f\n", s->test, end * 1e9, status,
        seconds_of(after.ru_utime) - seconds_of(before.ru_utime),
        seconds_of(after.ru_stime) - seconds_of(before.ru_stime));
    char *line = last_line(output);
    if (status) {
        say("bench: failed %s %s\n", s->test, line);
        return;
    }
    char name[64];
    int value_at = 0;
    if (sscanf(line, "%63s %n", name, &value_at) == 1 && !strcmp(name, s->test) && value_at)
        say("bench: value %s %s\n", s->test, line + value_at);
    else
        say("bench: value %s %.6f s in all\n", s->test, end - begin);
    if (s->check[0]) {
        status = shell(s->check, output);
        say("bench: check %s %d %s\n", s->test, status, last_line(output));
    }
}

static void keep_to_one_processor(void)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof(allowed), &allowed)) return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

struct choice {
    const char *suite, *part, *not_on;
    double scale;
    bool has_only;
    regex_t only;
};

static void usage(const char *what)
{
    fprintf(stderr,
            "runner: %s\nusage: runner --suite FILE [--part NAME] [--only REGEX] [--scale FACTOR] [--not "
            "WHERE]\n",
            what);
    exit(STATUS_USAGE);
}

static void parse(int argc, char **argv, struct choice *c)
{
    *c = (struct choice){.scale = 1};
    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!value) usage("an argument is missing");
        if (!strcmp(argv[i], "--suite")) {
            c->suite = value;
        } else if (!strcmp(argv[i], "--part")) {
            c->part = value;
        } else if (!strcmp(argv[i], "--not")) {
            c->not_on = value;
        } else if (!strcmp(argv[i], "--scale")) {
            c->scale = atof(value);
        } else if (!strcmp(argv[i], "--only")) {
            if (regcomp(&c->only, value, REG_EXTENDED | REG_NOSUB)) usage("--only is no regular expression");
            c->has_only = true;
        } else {
            usage("unknown option");
        }
    }
    if (!c->suite) usage("--suite is missing");
}

static void consider(const struct stanza *s, const struct choice *c)
{
    if (!s->test[0]) return;
    if (c->part && strcmp(c->part, s->part)) return;
    if (c->not_on && !strcmp(c->not_on, s->not_on)) return;
    if (c->has_only && regexec(&c->only, s->test, 0, NULL, 0)) return;
    run_test(s, c->scale);
}

/* "KEY VALUE" into the field of that name. */
static void take(struct stanza *s, const char *key, const char *value)
{
    const struct {
        const char *key;
        char *field;
        size_t size;
    } fields[] = {
        {"part", s->part, sizeof(s->part)},          {"not", s->not_on, sizeof(s->not_on)},
        {"prepare", s->prepare, sizeof(s->prepare)}, {"run", s->run, sizeof(s->run)},
        {"check", s->check, sizeof(s->check)},
    };
    if (!strcmp(key, "seconds")) s->seconds = atof(value);
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        if (!strcmp(key, fields[i].key)) snprintf(fields[i].field, fields[i].size, "%s", value);
}

int main(int argc, char **argv)
{
    struct choice choice;
    /* A stanza inherits "part" and "seconds" from the stanza before it. */
    struct stanza stanza = {.seconds = 0.5};
    char line[2048], key[64];
    parse(argc, argv, &choice);
    FILE *suite = fopen(choice.suite, "r");
    if (!suite) usage("cannot read the suite");
    keep_to_one_processor();
    while (fgets(line, sizeof(line), suite)) {
        int value_at = 0;
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || sscanf(line, "%63s %n", key, &value_at) < 1 || !value_at) continue;
        if (!strcmp(key, "test")) {
            consider(&stanza, &choice);
            stanza.prepare[0] = stanza.run[0] = stanza.check[0] = stanza.not_on[0] = 0;
            snprintf(stanza.test, sizeof(stanza.test), "%s", line + value_at);
        } else {
            if (!strcmp(key, "part")) {
                consider(&stanza, &choice);
                stanza.test[0] = 0;
            }
            take(&stanza, key, line + value_at);
        }
    }
    consider(&stanza, &choice);
    fclose(suite);
    return 0;
}
