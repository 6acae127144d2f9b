#include "rules.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define V     (1u << ROLE_VCPU)
#define WAKER (1u << ROLE_WAKER)
#define DISK  (1u << ROLE_DISK)
#define NET   (1u << ROLE_NETWORK)
#define CHAR  (1u << ROLE_CHARACTERS)
#define SHARE (1u << ROLE_FOLDER)
#define VNC   (1u << ROLE_VNC)
#define WIN   (1u << ROLE_WINDOW)
#define ALL   ((1u << ROLE_COUNT) - 1)
/* Roles that occur together: those that move messages, those that look at names, those that work on images and
 * folders. */
#define MESSAGES (V | CHAR | NET | VNC | WIN)
#define NAMES    (V | CHAR | NET | WIN)
#define IMAGES   (V | DISK | SHARE)

/* clang-format off */
#define ANY(roles, name) {#name, roles, 0, {{0}}}
/* The bits of `mask` in the argument have this value. */
#define BITS(roles, name, argument, mask, value) {#name, roles, 1, {{argument, mask, value}}}
#define IS(roles, name, argument, value) BITS(roles, name, argument, 0xffffffffull, value)
#define SOCKET(roles, family, type) {"socket", roles, 2, {{0, 0xffffffffull, family}, {1, 0xf, type}}}
/* clang-format on */

const struct rule rules_allowed[] = {
    /* What the C library needs everywhere: memory that is not executable, locks, signals, clocks where the vDSO does
     * not serve them, abort(). */
    BITS(ALL, mmap, 2, PROT_EXEC, 0),
    BITS(ALL, mprotect, 2, PROT_EXEC, 0),
    ANY(ALL, munmap),
    ANY(ALL, mremap),
    ANY(ALL, madvise),
    ANY(ALL, brk),
    ANY(ALL, futex),
    ANY(ALL, set_robust_list),
    ANY(ALL, rseq),
    ANY(ALL, membarrier),
    ANY(ALL, sched_yield),
    ANY(ALL, sched_getaffinity),
    ANY(ALL, getcpu),
    ANY(ALL, restart_syscall),
    ANY(ALL, rt_sigreturn),
    ANY(ALL, rt_sigprocmask),
    ANY(ALL, rt_sigaction),
    ANY(ALL, rt_sigpending),
    ANY(ALL, sigaltstack),
    IS(ALL, tgkill, 0, RULE_OWN_PID),
    IS(ALL, kill, 0, RULE_OWN_PID),
    ANY(ALL, clock_gettime),
    ANY(ALL, clock_getres),
    ANY(ALL, clock_nanosleep),
    ANY(ALL, nanosleep),
    ANY(ALL, gettimeofday),
    ANY(ALL, time),
    ANY(ALL, getrandom),
    ANY(ALL, getpid),
    ANY(ALL, gettid),
    ANY(ALL, getppid),
    ANY(ALL, getuid),
    ANY(ALL, geteuid),
    ANY(ALL, getgid),
    ANY(ALL, getegid),
    ANY(ALL, getpgrp),
    ANY(ALL, getrusage),
    ANY(ALL, uname),
    ANY(ALL, sysinfo),
    IS(ALL, prlimit64, 0, 0),
    ANY(ALL, getrlimit),
    ANY(ALL, exit),
    ANY(ALL, exit_group),

    /* Descriptors that are open already. fcntl(): not F_SETOWN and F_NOTIFY, which send signals. */
    ANY(ALL, read),
    ANY(ALL, write),
    ANY(ALL, readv),
    ANY(ALL, writev),
    ANY(ALL, lseek),
    ANY(ALL, close),
    ANY(ALL, fstat),
    ANY(ALL, newfstatat),
    ANY(ALL, poll),
    ANY(ALL, ppoll),
    IS(ALL, fcntl, 1, F_GETFD),
    IS(ALL, fcntl, 1, F_SETFD),
    IS(ALL, fcntl, 1, F_GETFL),
    IS(ALL, fcntl, 1, F_SETFL),
    IS(ALL, fcntl, 1, F_DUPFD),
    IS(ALL, fcntl, 1, F_DUPFD_CLOEXEC),
    IS(IMAGES, fcntl, 1, F_OFD_GETLK),
    IS(IMAGES, fcntl, 1, F_OFD_SETLK),

    /* Disk images, and outputs. A thread of the disk crew begins as the vCPU thread's child, so the latter may do all
     * that the former may. */
    ANY(IMAGES | NET, pread64),
    ANY(IMAGES | NET, pwrite64),
    ANY(IMAGES, preadv),
    ANY(IMAGES, pwritev),
    ANY(V | DISK, preadv2),
    ANY(V | DISK, pwritev2),
    ANY(IMAGES, fsync),
    ANY(IMAGES, fdatasync),
    ANY(V | DISK, fallocate),
    ANY(IMAGES | WIN, ftruncate),
    IS(V | DISK, ioctl, 1, BLKGETSIZE64),
    /* The first threads of the crew start others, and each confines itself. */
    BITS(V | DISK | WIN, clone, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM),
    ANY(V | DISK, seccomp),
    ANY(V | DISK, landlock_create_ruleset),
    ANY(V | DISK, landlock_restrict_self),
    IS(V | DISK, prctl, 0, PR_SET_NO_NEW_PRIVS),

    /* The vCPU thread: timers, messages to the opener, vhost-user back ends and clients. The waker: signals. */
    ANY(V, timer_create),
    ANY(V, timer_settime),
    ANY(V, timer_getoverrun),
    ANY(V, timer_delete),
    ANY(WAKER, rt_sigtimedwait),
    ANY(V, wait4),
    ANY(V | WIN, eventfd2),
    ANY(V | NET | CHAR | WIN, pipe2),
    ANY(V | WIN, fchmod),
    ANY(NAMES, access),
    ANY(NAMES, readlink),
    ANY(NAMES, faccessat2),
    ANY(NAMES, faccessat),
    ANY(NAMES, readlinkat),
    ANY(NAMES, getcwd),
    ANY(NAMES, statx),
    ANY(V | WIN, umask),
    ANY(MESSAGES, sendto),
    ANY(MESSAGES, recvfrom),
    ANY(MESSAGES, sendmsg),
    ANY(MESSAGES, recvmsg),
    ANY(MESSAGES, getsockopt),
    ANY(MESSAGES, shutdown),

    /* Terminals. Not TIOCSTI, which types into the user's shell. */
    IS(ALL, ioctl, 1, TCGETS),
    IS(V | CHAR, ioctl, 1, TCSETS),
    IS(V | CHAR, ioctl, 1, TCSETSW),
    IS(V | CHAR, ioctl, 1, TCSETSF),
    IS(V | CHAR, ioctl, 1, TIOCGPGRP),
    IS(CHAR, ioctl, 1, TIOCGPTN),
    IS(CHAR, ioctl, 1, TIOCSPTLCK),

    /* Sockets: of the Internet and of this host, no raw packets, no netlink. VNC's thread only takes connections. */
    SOCKET(NET | CHAR, AF_INET, SOCK_STREAM),
    SOCKET(NET | CHAR, AF_INET6, SOCK_STREAM),
    SOCKET(NET | CHAR, AF_INET, SOCK_DGRAM),
    SOCKET(NET | CHAR, AF_INET6, SOCK_DGRAM),
    SOCKET(NET | CHAR | WIN, AF_UNIX, SOCK_STREAM),
    SOCKET(NET | CHAR | WIN, AF_UNIX, SOCK_DGRAM),
    ANY(NET | CHAR | WIN, connect),
    ANY(NET | CHAR, bind),
    ANY(NET | CHAR, listen),
    ANY(NET | CHAR | VNC, accept),
    ANY(NET | CHAR | VNC, accept4),
    ANY(NET | CHAR | VNC | WIN, setsockopt),
    ANY(NET | CHAR | VNC | WIN, getsockname),
    ANY(NET | CHAR | VNC | WIN, getpeername),
    ANY(NET | CHAR, sendmmsg),
    ANY(NET | CHAR, recvmmsg),
    ANY(NET | WIN, epoll_create1),
    ANY(NET | WIN, epoll_ctl),
    ANY(NET | WIN, epoll_wait),
    ANY(NET | CHAR | VNC | WIN, select),
    ANY(NET | CHAR | VNC | WIN, pselect6),
    IS(NET | VNC, ioctl, 1, FIONREAD),
    IS(NET | VNC, ioctl, 1, FIONBIO),
    IS(VNC, ioctl, 1, SIOCOUTQ),
    IS(NET, ioctl, 1, TUNSETIFF),
    IS(NET, ioctl, 1, TUNGETIFF),
    IS(NET, ioctl, 1, TUNSETVNETHDRSZ),
    IS(NET, ioctl, 1, TUNSETOFFLOAD),
    ANY(NET | CHAR, eventfd2),

    /* Files by name: a shared folder's, and few for the others (landlock.c). */
    ANY(NET | CHAR | SHARE | WIN, openat),
    ANY(NET | CHAR | SHARE | WIN, open),
    ANY(SHARE | WIN, getdents64),
    ANY(SHARE, openat2),
    ANY(SHARE, close_range),
    ANY(SHARE, mkdirat),
    ANY(SHARE, mknodat),
    ANY(SHARE, linkat),
    ANY(SHARE, symlinkat),
    ANY(SHARE, renameat),
    ANY(SHARE, unlinkat),
    ANY(SHARE, readlinkat),
    ANY(SHARE, access),
    ANY(SHARE, chmod),
    ANY(SHARE, fchownat),
    ANY(SHARE, utimensat),
    ANY(SHARE, truncate),
    ANY(SHARE | WIN, fstatfs),
    ANY(SHARE | WIN, statfs),
    ANY(SHARE, setxattr),
    ANY(SHARE, getxattr),
    ANY(SHARE, listxattr),
    ANY(SHARE, removexattr),

    /* SDL and what it loads: X11, Wayland, D-Bus, sound, Mesa. They load libraries and may compile shaders. */
    ANY(WIN, mmap),
    ANY(WIN, mprotect),
    ANY(WIN, ioctl),
    ANY(WIN, fcntl),
    ANY(WIN, prctl),
    ANY(WIN, memfd_create),
    ANY(WIN, shmget),
    ANY(WIN, shmat),
    ANY(WIN, shmdt),
    ANY(WIN, shmctl),
    ANY(WIN, socketpair),
    ANY(WIN, epoll_pwait),
    ANY(WIN, eventfd2),
    ANY(WIN, timerfd_create),
    ANY(WIN, timerfd_settime),
    ANY(WIN, inotify_init1),
    ANY(WIN, inotify_add_watch),
    ANY(WIN, inotify_rm_watch),
    ANY(WIN, dup),
    ANY(WIN, dup2),
    ANY(WIN, dup3),
    ANY(WIN, pread64),
    ANY(WIN, stat),
    ANY(WIN, lstat),
    ANY(WIN, fallocate),
    ANY(WIN, fadvise64),
    ANY(WIN, unlink),
    ANY(WIN, unlinkat),
    ANY(WIN, mkdir),
    ANY(WIN, rename),
    ANY(WIN, flock),
    ANY(WIN, getresuid),
    ANY(WIN, getresgid),
    ANY(WIN, setpriority),
    ANY(WIN, getpriority),
    ANY(WIN, sched_setaffinity),
    ANY(WIN, sched_getparam),
    ANY(WIN, sched_getscheduler),
    ANY(WIN, sched_get_priority_min),
    ANY(WIN, sched_get_priority_max),
    ANY(WIN, wait4),
    {0},
};

const struct rule_refusal rules_refused[] = {
    {.name = "open", .roles = ALL, .error = EACCES}, /* /etc/localtime, /sys/devices/system/cpu/online */
    {.name = "openat", .roles = ALL, .error = EACCES},
    {.name = "socket",
     .roles = NET,
     .error = EACCES}, /* libslirp: a raw one, where the host allows no other pings */
    {.name = "clone3",
     .roles = ALL,
     .error = ENOSYS}, /* a filter cannot see its flags; the C library then calls clone() */
    {.name = "clone", .roles = ALL, .error = EPERM, .conditions = 1, .condition = {0, CLONE_THREAD, 0}},
    {.name = "fork", .roles = WIN, .error = EPERM},
    {.name = "vfork", .roles = WIN, .error = EPERM},
    {.name = "execve", .roles = WIN, .error = EPERM}, /* D-Bus and PulseAudio would start their servers */
    {.name = "prctl", .roles = ALL, .error = EPERM},  /* names of threads and mappings */
    {.name = "kcmp", .roles = WIN, .error = EPERM},   /* Mesa */
    {.name = "sched_setscheduler",
     .roles = WIN,
     .error = EPERM}, /* sound libraries ask for real-time scheduling */
    {.name = "sched_setattr", .roles = WIN, .error = EPERM},
    {.name = NULL},
};

const char *const rules_programs[] = {"execve", NULL};

const char *const rules_deadly[] = {
    /* other programs */
    "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd",
    "pidfd_open", "pidfd_send_signal",
    /* users and privileges */
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
    "capset",
    /* the view of the file system */
    "mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "open_tree", "move_mount", "fsopen",
    "fsmount", "fspick", "fsconfig", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "mknod",
    /* the host's kernel */
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon",
    "swapoff", "bpf", "iopl", "ioperm", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime",
    "sethostname", "setdomainname", "syslog", "acct", "quotactl", "vhangup", "lookup_dcookie", "nfsservctl",
    "perf_event_open",
    /* where exploits of kernels begin */
    "userfaultfd", "add_key", "request_key", "keyctl", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "modify_ldt", "personality", "move_pages", "mbind", "migrate_pages", "fanotify_init",
    "vmsplice", NULL};
