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

/* --- the table --- */

static const struct step {
    const char *what;
    u32 right;
} steps[WHAT_IF_STEPS] = {
    [STEP_SGDT] = {"LGDT, then SGDT: the table's address", WHAT_IF_DATA + 0x100},
    [STEP_SIDT] = {"LIDT, then SIDT: the table's address", WHAT_IF_DATA + 0x200},
    [STEP_PUSHF] = {"CLI, then PUSHF: the interrupt flag", 0},
    [STEP_POPF] = {"STI, then POPF that clears IF, then PUSHF", 0},
    [STEP_CS] = {"MOV from CS: the privilege level", 0},
    [STEP_STR] = {"LTR, then STR: the task's selector", 0x28},
    [STEP_SMSW] = {"CR0.TS set, then SMSW: TS", 8},
    [STEP_CR0] = {"CR0.TS set, then MOV from CR0: TS", 8},
    [STEP_LAR] = {"LAR of the kernel's code segment", 0x00cf9b00},
    [STEP_VERR] = {"VERR of the kernel's data segment", 1},
    [STEP_MSR] = {"WRMSR, then RDMSR", 0x10},
    [STEP_PORT] = {"OUT, then IN: the interrupt controller's mask", 0xff},
};

static unsigned print_found(FILE *out, const struct what_if_run *run, unsigned step)
{
    if (!run->ended) {
        fprintf(out, " %-18s", "(did not end)");
        return 1;
    }
    bool right = run->found[step] == steps[step].right;
    fprintf(out, " %08x %-9s", run->found[step], right ? "" : "WRONG");
    return !right;
}

bool what_if_print(FILE *out, char *error, size_t error_bytes)
{
    int failed = host_experiment_init();
    if (failed) {
        snprintf(error, error_bytes, "cannot map memory for the experiments: %s", strerror(-failed));
        return false;
    }
    bool code32 = host_experiment_has_32();
    struct what_if_run naive = what_if_trap_and_emulate(code32), ringer;
    failed = what_if_ringer(&ringer);
    if (failed) {
        snprintf(error, error_bytes, "cannot start Ringer: %s", strerror(-failed));
        return false;
    }
    unsigned wrong_naive = 0, wrong_ringer = 0;
    fprintf(out,
            "A small kernel under a monitor that only traps and emulates (%s), and under Ringer (32-bit "
            "code).\n\n",
            code32 ? "32-bit code" : "64-bit mode: this host executes no 32-bit code");
    fprintf(out, "%-46s %-9s %-18s %s\n", "what the kernel did", "right", "trap-and-emulate", "Ringer");
    for (unsigned n = 0; n < WHAT_IF_STEPS; n++) {
        fprintf(out, "%-46s %08x ", steps[n].what, steps[n].right);
        wrong_naive += print_found(out, &naive, n);
        wrong_ringer += print_found(out, &ringer, n);
        fprintf(out, "\n");
    }
    fprintf(
        out,
        "\nThe monitor saw %u traps and emulated each of them right. %u answers are wrong all the same: the\n"
        "instructions that gave them did not trap. Under Ringer, %u are wrong.\n",
        naive.traps, wrong_naive, wrong_ringer);
    return true;
}
