#include "what_if.h"
#include "host_experiment.h"
#include "what_if_data.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern const u8 what_if_kernel_32[], what_if_kernel_32_end[];
extern char **environ;

/* --- the kernel as a Multiboot image --- */

/* Multiboot 0.6.96, 3.1: with flag 16 the addresses stand in the header, and the file needs no ELF. */
struct multiboot_header {
    u32 magic, flags, checksum, header_at, load_at, load_end, bss_end, entry;
};
enum { MULTIBOOT_MAGIC = 0x1badb002, MULTIBOOT_ADDRESSES = 1 << 16 };

/* The image sets ESP first, which Multiboot leaves undefined: BC imm32. */
static const u8 set_stack[] = {0xbc, WHAT_IF_STACK & 0xff, WHAT_IF_STACK >> 8 & 0xff,
                               WHAT_IF_STACK >> 16 & 0xff, 0};

static bool write_all(int fd, const void *from, size_t bytes)
{
    const u8 *at = from;
    while (bytes) {
        ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static int make_image(void)
{
    size_t kernel = (size_t)(what_if_kernel_32_end - what_if_kernel_32);
    u32 entry = WHAT_IF_CODE + (u32)sizeof(struct multiboot_header);
    u32 load_end = entry + (u32)(sizeof(set_stack) + kernel);
    struct multiboot_header header = {.magic = MULTIBOOT_MAGIC,
                                      .flags = MULTIBOOT_ADDRESSES,
                                      .checksum = 0u - MULTIBOOT_MAGIC - MULTIBOOT_ADDRESSES,
                                      .header_at = WHAT_IF_CODE,
                                      .load_at = WHAT_IF_CODE,
                                      .load_end = load_end,
                                      .bss_end = load_end,
                                      .entry = entry};
    int fd = memfd_create("what-if kernel", 0);
    if (fd < 0) return -errno;
    if (write_all(fd, &header, sizeof(header)) && write_all(fd, set_stack, sizeof(set_stack)) &&
        write_all(fd, what_if_kernel_32, kernel))
        return fd;
    int failed = -errno;
    close(fd);
    return failed;
}

/* --- under Ringer --- */

static void read_all(int fd, struct what_if_run *run)
{
    u8 *to = (u8 *)run->found;
    size_t got = 0;
    while (got < sizeof(run->found)) {
        ssize_t n = read(fd, to + got, sizeof(run->found) - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    run->ended = got == sizeof(run->found);
}

int what_if_ringer(struct what_if_run *run)
{
    char kernel[64];
    char *const argv[] = {"ringer",   "run",          "--kernel",    kernel,         "--start=direct",
                          "--memory", "16",           "--net",       "none",         "-nographic",
                          "--serial", "null",         "--no-reboot", "--timeout=20", "--debugcon",
                          "stdio",    "--debug-exit", NULL};
    *run = (struct what_if_run){0};
    int pipe_fd[2], image = make_image();
    if (image < 0) return image;
    if (pipe(pipe_fd) < 0) {
        close(image);
        return -errno;
    }
    snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", image);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], 1);
    posix_spawn_file_actions_addclose(&actions, pipe_fd[0]);
    pid_t child;
    int failed = posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fd[1]);
    close(image);
    if (!failed) {
        read_all(pipe_fd[0], run);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(pipe_fd[0]);
    return -failed;
}

/* --- both --- */

bool what_if_take(struct what_if *w, char *error, size_t error_bytes)
{
    *w = (struct what_if){0};
    int failed = host_experiment_init();
    if (failed) {
        snprintf(error, error_bytes, "cannot map memory for the experiments: %s", strerror(-failed));
        return false;
    }
    w->code32 = host_experiment_has_32();
    w->naive = what_if_trap_and_emulate(w->code32);
    failed = what_if_ringer(&w->ringer);
    if (failed) {
        snprintf(error, error_bytes, "cannot start Ringer: %s", strerror(-failed));
        return false;
    }
    return true;
}
