/*
 * memory pattern BYTES: writes the pattern to standard output, for a disk.
 * memory use BYTES DISK...: in a guest. Fills this much memory with numbers that depend on the address, lets each disk
 * transfer its first 16 MB straight into the middle of it (O_DIRECT), and checks both. Says how much of it lies beyond
 * 4 GB, by /proc/self/pagemap.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE     4096ul
#define TRANSFER (16ul << 20)

static uint64_t pattern(uint64_t n)
{
    n *= 0x9e3779b97f4a7c15ull;
    return n ^ n >> 29;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void check(const uint64_t *at, uint64_t words, uint64_t first, const char *what)
{
    for (uint64_t n = 0; n < words; n++)
        if (at[n] != pattern(first + n)) {
            printf("%s: word %ld is %lx instead of %lx\n", what, (long)n, (long)at[n],
                   (long)pattern(first + n));
            exit(1);
        }
}

static void write_pattern(uint64_t bytes)
{
    for (uint64_t n = 0; n < bytes / 8; n++) {
        uint64_t word = pattern(n);
        if (fwrite(&word, sizeof(word), 1, stdout) != 1) die("standard output");
    }
}

/* The rows of pagemap have the frame in bits 0-54, and bit 63 for pages that are present (the kernel's pagemap.rst). */
static void tell_frames(const uint64_t *memory, uint64_t bytes)
{
    uint64_t high = 0, highest = 0, row;
    int map = open("/proc/self/pagemap", O_RDONLY);
    if (map < 0) die("pagemap");
    for (uint64_t at = 0; at < bytes; at += PAGE) {
        uint64_t page = ((uintptr_t)memory + at) / PAGE;
        if (pread(map, &row, sizeof(row), (off_t)(page * sizeof(row))) != sizeof(row) || !(row >> 63))
            die("pagemap");
        uint64_t address = (row << 9 >> 9) * PAGE;
        if (address >> 32) high++;
        if (address > highest) highest = address;
    }
    close(map);
    printf("beyond 4 GB: %ld %%\nhighest: %ld MB\n", (long)(high * PAGE * 100 / bytes),
           (long)(highest >> 20));
}

static void transfer(const char *disk, uint64_t *to)
{
    int file = open(disk, O_RDONLY | O_DIRECT);
    if (file < 0) die(disk);
    for (uint64_t done = 0; done < TRANSFER;) {
        ssize_t got = read(file, (char *)to + done, TRANSFER - done);
        if (got <= 0) die(disk);
        done += (uint64_t)got;
    }
    close(file);
    check(to, TRANSFER / 8, 0, disk);
    printf("%s: good\n", disk);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    uint64_t bytes = strtoull(argv[2], NULL, 10);
    if (!strcmp(argv[1], "pattern")) {
        write_pattern(bytes);
        return 0;
    }
    uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("memory");
    uint64_t words = bytes / 8, middle = words / 2;
    for (uint64_t n = 0; n < words; n++)
        memory[n] = pattern(n);
    tell_frames(memory, bytes);
    for (int n = 3; n < argc; n++) {
        memset(memory + middle, 0, TRANSFER);
        transfer(argv[n], memory + middle);
    }
    if (argc > 3)
        for (uint64_t n = middle; n < middle + TRANSFER / 8; n++)
            memory[n] = pattern(n);
    check(memory, words, 0, "memory");
    puts("memory: good");
    return 0;
}
