/*
 * micro NAME [SECONDS]: runs the test NAME for about SECONDS (default 0.5) by the machine's own clock and
 * prints "NAME value ns OF". micro --list prints all names.
 *
 * The work is repeated, at most four times as often from one round to the next, until the time is used up.
 * All rounds count, also the first ones, when page tables, caches and a virtual machine's translations are
 * cold.
 */
#include "micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { LARGEST_ROUND = 1u << 30 };

static const struct test *const tables[] = {
    integer_tests, sse_tests, x87_tests, call_tests, memory_tests, process_tests, kernel_tests,
};

void must(int condition, const char *what)
{
    if (condition) return;
    perror(what);
    exit(1);
}

void *must_map(uint32_t bytes, int protection)
{
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(p != MAP_FAILED, "mmap");
    return p;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double stopped_at_ns, stopped_ns;

void clock_stop(void)
{
    stopped_at_ns = now_ns();
}
void clock_go(void)
{
    stopped_ns += now_ns() - stopped_at_ns;
}

static volatile uint32_t sink;

static double unit_ns(const struct test *t, double limit_ns)
{
    double used_ns = 0, all_ns = 0, done = 0;
    uint32_t n = 1;
    if (t->prepare) t->prepare();
    for (;;) {
        double begin = now_ns();
        stopped_ns = 0;
        sink = t->run(n);
        double round_ns = now_ns() - begin - stopped_ns;
        used_ns += round_ns;
        all_ns += round_ns + stopped_ns;
        done += n;
        if (used_ns >= limit_ns || all_ns >= 3 * limit_ns) break;
        double rest = (limit_ns - used_ns) / (round_ns / n + 0.01) + 1;
        double most = n < LARGEST_ROUND / 4 ? n * 4.0 : LARGEST_ROUND;
        n = (uint32_t)(rest < most ? rest : most);
    }
    if (t->finish) t->finish();
    return used_ns / done / t->per;
}

int main(int argc, char **argv)
{
    int list = argc == 2 && !strcmp(argv[1], "--list");
    double seconds = argc > 2 ? atof(argv[2]) : 0.5;
    for (size_t i = 0; argc > 1 && i < sizeof(tables) / sizeof(*tables); i++) {
        for (const struct test *t = tables[i]; t->name; t++) {
            if (list) {
                puts(t->name);
            } else if (!strcmp(t->name, argv[1])) {
                const char *name = getenv("TEST");
                printf("%s %.4g ns %s\n", name ? name : t->name, unit_ns(t, seconds * 1e9), t->of);
                return 0;
            }
        }
    }
    if (list) return 0;
    fprintf(stderr, "usage: micro NAME [SECONDS]\n       micro --list\n");
    return 2;
}
