/*
 * scale: one point of a curve over the number of processes, or over the memory that they touch.
 *
 *   scale KIND N SECONDS
 *
 *   ring    N processes pass a token round by pipes. Each writes a word in 64 pages of its own before it passes
 *           the token on. The time of a hop.
 *   shells  The same with N shells, each of which reads a line, computes, and prints a line. The time of a hop.
 *   start   N shells are started, are alive together, and end. The time of a shell.
 *   spread  A page in each of N regions of 2 MB is written in turn. A process has up to 1365 regions; more of
 *           them are divided among processes, between which a token goes round. The time of a write.
 *   first   A new process writes a page in each of N regions of 2 MB, for the first time. The time of a write.
 *
 * Prints "NAME value ns OF", as the suite's other programs do. The first two laps, in which everything is
 * cold, are not counted, except by `start` and `first`, which are about them.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    REGION = 2 << 20,
    RING_PAGES = 64,
    REGIONS_EACH = 1365, /* 2.7 GB of 3 */
};

static void must(int condition, const char *what)
{
    if (condition) return;
    perror(what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* --- rings --- */

/* For each token a member writes a word in each of `pages` pages that are `stride` bytes apart. */
struct work {
    uint8_t *area;
    uint32_t pages, stride;
};

static struct work work_map(uint32_t pages, uint32_t stride)
{
    /* Nothing else lies within 2 MB, so the page has a region to itself. */
    uint32_t bytes = pages * stride + (stride > PAGE ? stride : 0);
    uint8_t *area =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(area != MAP_FAILED, "mmap");
    /* The curves measure 4 KB pages. */
    madvise(area, bytes, MADV_NOHUGEPAGE);
    uintptr_t first = ((uintptr_t)area + stride - 1) & ~(uintptr_t)(stride - 1);
    return (struct work){(uint8_t *)first, pages, stride};
}

static void work_do(const struct work *work)
{
    for (uint32_t n = 0; n < work->pages; n++)
        /* Not the same word of each page: these would share a few sets of the processor's caches. */
        ++*(volatile uint32_t *)(work->area + (size_t)n * work->stride + n % 64 * 64);
}

/* The ends of pipes that belong to the process that counts the laps. */
struct ring {
    int in, out;
    uint32_t others;
};

typedef void member_function(int in, int out, const void *argument);

/* Starts a member that reads from `in`. Returns the read end of the pipe to which it writes. */
static int add_member(int in, member_function *member, const void *argument)
{
    int ends[2];
    must(!pipe(ends), "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (!pid) {
        close(ends[0]);
        member(in, ends[1], argument);
        _exit(0);
    }
    close(in);
    close(ends[1]);
    return ends[0];
}

/* `others` members besides the caller. */
static struct ring ring_make(uint32_t others, member_function *member, const void *argument)
{
    int ends[2];
    must(!pipe(ends), "pipe");
    struct ring ring = {.in = ends[0], .out = ends[1], .others = others};
    for (uint32_t n = 0; n < others; n++)
        ring.in = add_member(ring.in, member, argument);
    return ring;
}

static void pass_token(int in, int out, const void *argument)
{
    const uint32_t *pages_stride = argument;
    struct work work = work_map(pages_stride[0], pages_stride[1]);
    char token;
    while (read(in, &token, 1) == 1 && token != 'x') {
        work_do(&work);
        if (write(out, &token, 1) != 1) break;
    }
    token = 'x';
    if (write(out, &token, 1) != 1) _exit(1);
}

static void lap_of_tokens(const struct ring *ring, const struct work *work)
{
    char token = 't';
    if (ring->others) {
        must(write(ring->out, &token, 1) == 1, "write");
        must(read(ring->in, &token, 1) == 1 && token == 't', "the token");
    }
    work_do(work);
}

static void end_of_tokens(const struct ring *ring)
{
    char token = 'x';
    must(write(ring->out, &token, 1) == 1, "write");
    must(read(ring->in, &token, 1) == 1 && token == 'x', "the last token");
}

static void wait_for_all(void)
{
    while (wait(NULL) > 0)
        ;
}

/* Laps until the time is up; the first two, where everything is cold, are not counted. */
static double ring_ns(uint32_t members, uint32_t pages, uint32_t stride, double limit_ns)
{
    uint32_t pages_stride[2] = {pages, stride}, laps = 0;
    struct ring ring = ring_make(members - 1, pass_token, pages_stride);
    struct work work = work_map(pages, stride);
    for (int n = 0; n < 2; n++)
        lap_of_tokens(&ring, &work);
    double begin = now_ns(), used;
    do {
        lap_of_tokens(&ring, &work);
        laps++;
        used = now_ns() - begin;
    } while (used < limit_ns);
    end_of_tokens(&ring);
    wait_for_all();
    return used / laps / members;
}

/* --- shells --- */

static void be_shell(int in, int out, const void *argument)
{
    const int *spare = argument;
    dup2(in, 0);
    dup2(out, 1);
    close(in);
    close(out);
    close(*spare); /* the write end of the first pipe: only the parent ends the ring, by closing it */
    execlp("sh", "sh", "-c", "while read -r n; do echo $(((n * 31 + 7) % 65521)); done", (char *)NULL);
    _exit(127);
}

static struct ring shells_make(uint32_t count)
{
    int ends[2];
    must(!pipe(ends), "pipe");
    struct ring ring = {.in = ends[0], .out = ends[1]};
    for (uint32_t n = 0; n < count; n++)
        ring.in = add_member(ring.in, be_shell, &ring.out);
    return ring;
}

static void lap_of_lines(const struct ring *ring, uint32_t count)
{
    static const char line[] = "1\n";
    char answer[32] = "";
    uint32_t expected = 1;
    must(write(ring->out, line, sizeof line - 1) == sizeof line - 1, "write");
    must(read(ring->in, answer, sizeof answer - 1) > 0, "the line");
    for (uint32_t n = 0; n < count; n++)
        expected = (expected * 31 + 7) % 65521;
    must((uint32_t)atoi(answer) == expected, "the shells' sum");
}

static double shells_ns(uint32_t count, double limit_ns)
{
    uint32_t laps = 0;
    struct ring ring = shells_make(count);
    for (int n = 0; n < 2; n++)
        lap_of_lines(&ring, count);
    double begin = now_ns(), used;
    do {
        lap_of_lines(&ring, count);
        laps++;
        used = now_ns() - begin;
    } while (used < limit_ns);
    close(ring.out);
    wait_for_all();
    return used / laps / count;
}

static double start_ns(uint32_t count, double limit_ns)
{
    uint32_t rounds = 0;
    double begin = now_ns(), used;
    do {
        struct ring ring = shells_make(count);
        lap_of_lines(&ring, count);
        close(ring.out);
        wait_for_all();
        close(ring.in);
        rounds++;
        used = now_ns() - begin;
    } while (used < limit_ns);
    return used / rounds / count;
}

/* --- memory --- */

static double spread_ns(uint32_t regions, double limit_ns)
{
    uint32_t members = (regions + REGIONS_EACH - 1) / REGIONS_EACH;
    return ring_ns(members, regions / members, REGION, limit_ns) / (regions / members);
}

static double first_ns(uint32_t regions, double limit_ns)
{
    struct work work = work_map(regions, REGION);
    double used = 0, *child_ns = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint32_t children = 0;
    must(child_ns != MAP_FAILED, "mmap");
    double begin = now_ns();
    do {
        pid_t pid = fork();
        must(pid >= 0, "fork");
        if (!pid) {
            *child_ns = now_ns(); /* the child's first write goes to a page that it shares */
            double before = now_ns();
            work_do(&work);
            *child_ns = now_ns() - before;
            _exit(0);
        }
        wait_for_all();
        used += *child_ns;
        children++;
    } while (now_ns() - begin < limit_ns);
    return used / children / regions;
}

int main(int argc, char **argv)
{
    const char *name = getenv("TEST");
    uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;
    double limit_ns = (argc > 3 ? atof(argv[3]) : 0.5) * 1e9;
    if (!count) argc = 0;
    if (!name && argc) name = argv[1];
    signal(SIGPIPE, SIG_IGN);
    if (argc && !strcmp(argv[1], "ring"))
        printf("%s %.5g ns hop\n", name, ring_ns(count, RING_PAGES, PAGE, limit_ns));
    else if (argc && !strcmp(argv[1], "shells"))
        printf("%s %.5g ns hop\n", name, shells_ns(count, limit_ns));
    else if (argc && !strcmp(argv[1], "start"))
        printf("%s %.5g ns shell\n", name, start_ns(count, limit_ns));
    else if (argc && !strcmp(argv[1], "spread"))
        printf("%s %.5g ns write\n", name, spread_ns(count, limit_ns));
    else if (argc && !strcmp(argv[1], "first"))
        printf("%s %.5g ns write\n", name, first_ns(count, limit_ns));
    else {
        fprintf(stderr, "usage: scale ring|shells|start|spread|first N [SECONDS]\n");
        return 2;
    }
    return 0;
}
