/* System calls, signals, page faults, mappings, files, the clock, kernel modules. */
#define _GNU_SOURCE
#include "micro.h"
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, AREA = 4 << 20 };

static uint32_t getppid_loop(uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (uint32_t)syscall(SYS_getppid);
    return sum;
}

/* The system call gate that static programs without the vDSO use. */
static uint32_t int80_loop(uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t result;
        __asm__ volatile("int $0x80" : "=a"(result) : "0"(SYS_getppid) : "memory");
        sum += result;
    }
    return sum;
}

static volatile uint32_t handled;

static void handler(int number)
{
    handled += (uint32_t)number;
}

static void signal_prepare(void)
{
    struct sigaction action = {.sa_handler = handler};
    must(!sigaction(SIGUSR1, &action, NULL), "sigaction");
}

static uint32_t signal_loop(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        raise(SIGUSR1);
    return handled;
}

/* SIGSEGV, with a handler that makes the page accessible, as in garbage collectors. */
static uint8_t *guarded;

static void guard_handler(int number)
{
    (void)number;
    mprotect(guarded, PAGE, PROT_READ | PROT_WRITE);
}

static void guard_prepare(void)
{
    struct sigaction action = {.sa_handler = guard_handler};
    guarded = must_map(PAGE, PROT_READ | PROT_WRITE);
    must(!sigaction(SIGSEGV, &action, NULL), "sigaction");
}

static uint32_t guard_loop(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        must(!mprotect(guarded, PAGE, PROT_READ), "mprotect");
        *(volatile uint8_t *)guarded = 1;
    }
    return n;
}

static uint32_t touch_pages(uint32_t n)
{
    while (n--) {
        uint8_t *area = must_map(AREA, PROT_READ | PROT_WRITE);
        /* The test measures 4 KB pages. */
        madvise(area, AREA, MADV_NOHUGEPAGE);
        for (uint32_t at = 0; at < AREA; at += PAGE)
            *(volatile uint8_t *)(area + at) = 1;
        munmap(area, AREA);
    }
    return AREA;
}

/* Writes nearly all free memory, so that a virtual machine's peak memory is that of a guest that uses all of its own.
 * */
static uint32_t fill_bytes;

static void fill_prepare(void)
{
    enum { SPARE_KB = 24 << 10 };
    char line[128];
    unsigned kb = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    must(file != NULL, "/proc/meminfo");
    while (fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %u kB", &kb) != 1)
        ;
    fclose(file);
    must(kb > SPARE_KB && kb < 2 << 20, "MemAvailable");
    fill_bytes = (uint32_t)(kb - SPARE_KB) << 10;
}

static uint32_t fill(uint32_t n)
{
    while (n--) {
        uint8_t *area = must_map(fill_bytes, PROT_READ | PROT_WRITE);
        for (uint32_t at = 0; at < fill_bytes; at += PAGE)
            area[at] = 1;
        clock_stop();
        munmap(area, fill_bytes);
        clock_go();
    }
    return fill_bytes;
}

static uint32_t map_unmap(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *area = must_map(16 * PAGE, PROT_READ | PROT_WRITE);
        *(volatile uint8_t *)area = 1;
        must(!munmap(area, 16 * PAGE), "munmap");
    }
    return n;
}

static uint32_t create_delete(uint32_t n)
{
    char path[64] = "/tmp/micro-XXXXXX";
    int first = mkstemp(path);
    must(first >= 0, "mkstemp");
    close(first);
    unlink(path);
    for (uint32_t i = 0; i < n; i++) {
        int file = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
        must(file >= 0 && write(file, path, sizeof(path)) == sizeof(path), path);
        close(file);
        unlink(path);
    }
    return n;
}

static uint32_t clock_loop(uint32_t n)
{
    struct timespec t;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        sum += (uint32_t)t.tv_nsec;
    }
    return sum;
}

/* Inserts a module of the kernel's own. The removal, which waits for the kernel's grace periods, is not
 * measured. */
static int module_file;

static void module_prepare(void)
{
    const char *path = getenv("MICRO_MODULE");
    must(path != NULL, "MICRO_MODULE names no module");
    module_file = open(path, O_RDONLY | O_CLOEXEC);
    must(module_file >= 0, path);
}

static uint32_t module_loop(uint32_t n)
{
    const char *name = getenv("MICRO_MODULE_NAME");
    for (uint32_t i = 0; i < n; i++) {
        must(!syscall(SYS_finit_module, module_file, "", 0), "finit_module");
        clock_stop();
        must(!syscall(SYS_delete_module, name, O_NONBLOCK), "delete_module");
        clock_go();
    }
    return n;
}

const struct test kernel_tests[] = {
    {"getppid", "call", getppid_loop, 1, NULL, NULL},
    {"int80", "call", int80_loop, 1, NULL, NULL},
    {"signal", "signal", signal_loop, 1, signal_prepare, NULL},
    {"guard-page", "fault, signal and two mprotect", guard_loop, 1, guard_prepare, NULL},
    {"page-fault", "page", touch_pages, AREA / PAGE, NULL, NULL},
    {"fill", "all free memory", fill, 1, fill_prepare, NULL},
    {"mmap", "map, touch, unmap", map_unmap, 1, NULL, NULL},
    {"file", "create, write, delete", create_delete, 1, NULL, NULL},
    {"clock", "call", clock_loop, 1, NULL, NULL},
    {"module", "insertion", module_loop, 1, module_prepare, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
