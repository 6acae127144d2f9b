#include "sandbox.h"

#include "base/log.h"
#include "base/types.h"
#include "filter.h"
#include "landlock.h"
#include "opener.h"
#include "refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The sandbox belongs to the process, so this is global. */
static struct {
    bool open, has_filters, has_landlock;
    bool programs; /* the user network starts some */
    struct landlock_files files;
} sandbox;

/* A sanitized build has the opener only. The leak sanitizer stops all threads by ptrace(2), reads /proc and starts
 * programs. */
#ifdef RINGER_SANITIZED
#define CONFINES false
#else
#define CONFINES true
#endif

void sandbox_open(const struct sandbox_wishes *wishes)
{
    sandbox.has_filters = CONFINES && filter_possible();
    sandbox.has_landlock = CONFINES && landlock_possible();
    const char *lacks = sandbox.has_filters    ? "Landlock: files are confined less strictly"
                        : sandbox.has_landlock ? "filters of system calls: only files are confined"
                                               : "filters of system calls and Landlock";
    if (CONFINES && (!sandbox.has_filters || !sandbox.has_landlock))
        log_warn("the sandbox does without the host's %s", lacks);
    int failed = opener_start(&wishes->named, wishes->pid_file);
    if (failed) die(STATUS_HOST, "cannot start the process that opens files: %s", strerror(-failed));
    sandbox.programs = wishes->programs;
    sandbox.files = (struct landlock_files){wishes->network_reads, wishes->network_read_count, -1};
    sandbox.open = true;
    atexit(opener_stop); /* functions that are given to atexit() later run earlier, and may remove files */
}

/* A thread that cannot be confined must not run. */
static void confine(enum thread_role role, int folder_fd)
{
    /* What the user network starts would inherit the confinement. */
    if (role == ROLE_NETWORK && sandbox.programs) return;
    struct landlock_files files = sandbox.files;
    files.folder_fd = folder_fd;
    if (role == ROLE_VCPU) host_path_set(&opener_ops); /* the machine has been set up */
    refusal_set_role(role);
    int failed = sandbox.has_landlock ? landlock_enter(role, &files) : 0;
    if (!failed && sandbox.has_filters) failed = filter_enter(role);
    if (failed)
        die(STATUS_HOST, "cannot confine a thread (--sandbox=off goes without): %s", strerror(-failed));
}

void sandbox_shut(void)
{
    if (!sandbox.open) return;
    int failed = sandbox.has_filters ? refusal_prepare() : 0;
    if (!failed && sandbox.has_filters) failed = filter_enter_common(sandbox.programs);
    if (failed)
        die(STATUS_HOST, "cannot set up the sandbox (--sandbox=off goes without): %s", strerror(-failed));
    confine_set(confine);
}

/* core(5), "Controlling which mappings are written to the core dump": bit 1 is for anonymous shared mappings. Guest
 * memory is one wherever it is mapped (mmu/phys.c, mmu/window.c), and so is the translation cache. Where the file is
 * missing, there are no core dumps. */
#define DUMP_PRIVATE_AND_HEADERS "0x31"

void sandbox_spare_core_dumps(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (write(fd, DUMP_PRIVATE_AND_HEADERS, strlen(DUMP_PRIVATE_AND_HEADERS)) < 0)
        log_debug("core dumps may hold guest memory: %s", strerror(errno));
    close(fd);
}
