/*
 * disk DEVICE SECONDS [OFFSET_MB LENGTH_MB]: reads and writes part of a block device in several ways, each for about
 * SECONDS, and prints "NAME UNIT VALUE" for each. It overwrites the data there.
 *
 * Direct: O_DIRECT with asynchronous I/O (io_submit), so that one thread keeps exactly `depth` requests in
 * flight. Cached: read() and write() of 64 KB through the page cache, which is emptied before; written data
 * are synchronized within the measured time.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 32
#define LARGE     (1u << 20)
#define SMALL     4096u
#define PIECE     65536u

struct job {
    const char *name;
    bool write, random;
    unsigned bytes, depth; /* depth 0: through the page cache */
};

static const struct job jobs[] = {
    {"read-1M-direct", false, false, LARGE, 4},    {"write-1M-direct", true, false, LARGE, 4},
    {"read-cached", false, false, PIECE, 0},       {"write-cached", true, false, PIECE, 0},
    {"read-4K-random-1", false, true, SMALL, 1},   {"read-4K-random-4", false, true, SMALL, 4},
    {"read-4K-random-32", false, true, SMALL, 32}, {"write-4K-random-1", true, true, SMALL, 1},
    {"write-4K-random-32", true, true, SMALL, 32},
};

static const char *device;
static double seconds;
static uint64_t length; /* of the device */
static char *buffer[DEPTH_MAX];
static uint64_t seed = 88172645463325252u;

static void fail(const char *what)
{
    fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Xorshift (Marsaglia 2003). */
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static uint64_t offset_of(const struct job *job, uint64_t n)
{
    uint64_t pieces = length / job->bytes;
    return (job->random ? next_random() % pieces : n % pieces) * job->bytes;
}

static void submit(aio_context_t context, const struct job *job, int fd, struct iocb *cb, unsigned slot,
                   uint64_t n)
{
    memset(cb, 0, sizeof(*cb));
    cb->aio_data = slot;
    cb->aio_lio_opcode = job->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    cb->aio_fildes = (uint32_t)fd;
    cb->aio_buf = (uintptr_t)buffer[slot];
    cb->aio_nbytes = job->bytes;
    cb->aio_offset = (int64_t)offset_of(job, n);
    if (syscall(SYS_io_submit, context, 1L, &cb) != 1) fail("io_submit");
}

/* Returns the bytes moved. */
static uint64_t run_direct(const struct job *job, int fd, double end)
{
    static struct iocb cb[DEPTH_MAX];
    struct io_event event[DEPTH_MAX];
    aio_context_t context = 0;
    uint64_t started = 0, done = 0;
    if (syscall(SYS_io_setup, DEPTH_MAX, &context)) fail("io_setup");
    while (started < job->depth) {
        submit(context, job, fd, &cb[started], (unsigned)started, started);
        started++;
    }
    while (done < started) {
        long got = syscall(SYS_io_getevents, context, 1L, (long)job->depth, event, NULL);
        if (got < 1) fail("io_getevents");
        bool more = now() < end;
        for (long i = 0; i < got; i++) {
            if ((uint64_t)event[i].res != job->bytes) {
                errno = event[i].res < 0 ? (int)-event[i].res : EIO;
                fail(job->name);
            }
            done++;
            if (!more) continue;
            unsigned slot = (unsigned)event[i].data;
            submit(context, job, fd, &cb[slot], slot, started++);
        }
    }
    syscall(SYS_io_destroy, context);
    return done * job->bytes;
}

static uint64_t run_cached(const struct job *job, int fd, double end)
{
    uint64_t n = 0;
    /* At most once through the range, because later reads would come from the cache. */
    for (; n < length / job->bytes && now() < end; n++) {
        off_t at = (off_t)offset_of(job, n);
        ssize_t got =
            job->write ? pwrite(fd, buffer[0], job->bytes, at) : pread(fd, buffer[0], job->bytes, at);
        if (got != (ssize_t)job->bytes) fail(job->name);
    }
    if (job->write && fsync(fd)) fail("fsync");
    return n * job->bytes;
}

static void run(const struct job *job)
{
    int fd = open(device, O_RDWR | O_CLOEXEC | (job->depth ? O_DIRECT : 0));
    if (fd < 0) fail(device);
    if (fsync(fd) || ioctl(fd, BLKFLSBUF, 0)) fail("BLKFLSBUF");
    double start = now();
    uint64_t bytes = (job->depth ? run_direct : run_cached)(job, fd, start + seconds);
    double took = now() - start;
    close(fd);
    if (job->random)
        printf("%s IOPS %.0f\n", job->name, (double)(bytes / job->bytes) / took);
    else
        printf("%s MB/s %.1f\n", job->name, (double)bytes / took / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: disk DEVICE SECONDS [TEST]\n");
        return 2;
    }
    device = argv[1];
    seconds = atof(argv[2]);
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(device);
    length = (uint64_t)lseek(fd, 0, SEEK_END);
    close(fd);
    for (unsigned n = 0; n < DEPTH_MAX; n++) {
        if (posix_memalign((void **)&buffer[n], 4096, LARGE)) fail("memory");
        memset(buffer[n], (int)n + 1, LARGE);
    }
    for (unsigned n = 0; n < sizeof(jobs) / sizeof(jobs[0]); n++)
        if (argc == 3 || !strcmp(argv[3], jobs[n].name)) run(&jobs[n]);
    return 0;
}
