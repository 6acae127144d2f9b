/*
 * Each role tries what the sandbox forbids it, and what it needs, with the filters and rules of the product.
 *
 * Each case is a process of its own, confined as ringer is. A thread in it takes the role and tries.
 */
#include "base/confine.h"
#include "base/host_path.h"
#include "base/types.h"
#include "block/host_file.h"
#include "block/store.h"
#include "check.h"
#include "sandbox/landlock.h"
#include "sandbox/opener.h"
#include "sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef RINGER_SANITIZED

#define R(role) (1u << ROLE_##role)
#define ALL     ((1u << ROLE_COUNT) - 1)

static char folder[64], secret[128], inside[128];
static int folder_fd, secret_fd;

static long try_read_secret(void)
{
    return open(secret, O_RDONLY);
}

static long try_write_secret(void)
{
    return open(secret, O_WRONLY | O_APPEND);
}

static long try_remove_secret(void)
{
    return unlink(secret);
}

static long try_truncate_secret(void)
{
    return truncate(secret, 0);
}

static long try_open_inside(void)
{
    return open(inside, O_RDWR);
}

static long try_read_passwords(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static long try_use_descriptor(void)
{
    char byte;
    return read(secret_fd, &byte, 1) < 0 ? -1 : 0;
}

static long try_internet(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long try_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long try_raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW, 1);
}

static long try_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long try_fork(void)
{
    pid_t child = fork();
    if (!child) _exit(0);
    return child;
}

static long try_executable_memory(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? -1 : 0;
}

static long try_make_executable(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(at, 4096, PROT_READ | PROT_EXEC);
}

static long try_signal_parent(void)
{
    return kill(getppid(), 0);
}

static long try_signal_self(void)
{
    return tgkill(getpid(), gettid(), 0);
}

static long try_typing_into_terminal(void)
{
    int failed = ioctl(0, TIOCSTI, "x");
    return failed && errno == EPERM ? -1 : 0; /* ENOTTY or EIO: it got past the filter */
}

static long try_own_signal_by_descriptor(void)
{
    return fcntl(secret_fd, F_SETOWN, getppid());
}

static long try_thread(void);

static long try_opener_reads(void)
{
    return host_open(inside, O_RDONLY, 0);
}

static long try_opener_reads_hidden(void)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/.hidden/key", folder);
    return host_open(path, O_RDONLY, 0);
}

static long try_opener_follows_link_to_hidden(void)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/link", folder);
    return host_open(path, O_RDONLY, 0);
}

static long try_opener_reads_memory_of_parent(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
    return host_open(path, O_RDWR, 0);
}

/* As the overlay of a snapshot run. */
static long try_opener_makes_nameless(void)
{
    int fd = host_open(folder, O_TMPFILE | O_RDWR, 0600);
    return fd < 0 || write(fd, "x", 1) != 1 ? -1 : 0;
}

static long try_opener_makes_hidden_nameless(void)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/.hidden", folder);
    return host_open(path, O_TMPFILE | O_RDWR, 0600);
}

static long try_opener_writes_program(void)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/program", folder);
    return host_open(path, O_WRONLY | O_TRUNC, 0);
}

static long try_opener_removes(void)
{
    return host_unlink(inside);
}

static long try_opener_replaces(void)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/other", folder);
    return host_rename(inside, path);
}

/* As a screendump: make, write, rename; and remove. */
static long try_opener_makes(void)
{
    char path[160], to[192];
    struct stat status;
    snprintf(path, sizeof(path), "%s/new.%d", folder, gettid());
    snprintf(to, sizeof(to), "%s.x", path);
    int fd = host_open(path, O_RDWR | O_CREAT | O_EXCL, 0777);
    if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &status) || status.st_mode & 0111) return -1;
    return host_rename(path, to) || host_unlink(to) ? -1 : 0;
}

struct attempt {
    const char *name;
    long (*run)(void);
    unsigned works; /* for which roles */
    bool by_landlock;
};

static const struct attempt attempts[] = {
    {"read a file of the user's", try_read_secret, 0, true},
    {"write it", try_write_secret, 0, true},
    {"remove it", try_remove_secret, 0, true},
    {"truncate it", try_truncate_secret, 0, true},
    {"open a file of the shared folder", try_open_inside, R(FOLDER), true},
    {"read /etc, for name resolution", try_read_passwords, R(NETWORK) | R(CHARACTERS) | R(WINDOW), true},
    {"read a descriptor that is open", try_use_descriptor, ALL, false},
    {"make an Internet socket", try_internet, R(NETWORK) | R(CHARACTERS), false},
    {"make a socket of this host", try_unix_socket, R(NETWORK) | R(CHARACTERS) | R(WINDOW), false},
    {"make a raw socket", try_raw_socket, 0, false},
    {"make a netlink socket", try_netlink, 0, false},
    {"fork", try_fork, 0, false},
    {"map memory that is writable and executable", try_executable_memory, R(WINDOW), false},
    {"make memory executable", try_make_executable, R(WINDOW), false},
    {"signal another process", try_signal_parent, 0, false},
    {"signal itself", try_signal_self, ALL, false},
    {"type into the terminal", try_typing_into_terminal, R(WINDOW), false},
    {"have a descriptor signal another process", try_own_signal_by_descriptor, R(WINDOW), false},
    {"start a thread", try_thread, R(VCPU) | R(DISK) | R(WINDOW), false},
    {"have a file opened", try_opener_reads, R(VCPU) | R(CHARACTERS) | R(NETWORK) | R(VNC) | R(WINDOW),
     false},
    {"have a file made and renamed", try_opener_makes,
     R(VCPU) | R(CHARACTERS) | R(NETWORK) | R(VNC) | R(WINDOW), false},
    {"have a file without a name made", try_opener_makes_nameless,
     R(VCPU) | R(CHARACTERS) | R(NETWORK) | R(VNC) | R(WINDOW), false},
    {"have one made in a hidden folder", try_opener_makes_hidden_nameless, 0, false},
    {"have a hidden file opened", try_opener_reads_hidden, 0, false},
    {"have a link to one opened", try_opener_follows_link_to_hidden, 0, false},
    {"have another process's memory opened", try_opener_reads_memory_of_parent, 0, false},
    {"have a program overwritten", try_opener_writes_program, 0, false},
    {"have a file removed", try_opener_removes, 0, false},
    {"have a file replaced", try_opener_replaces, 0, false},
};

struct trial {
    enum thread_role role;
    bool confined;
    const int *missing; /* system calls that the host's kernel lacks; -1 at the end */
    bool all_named;     /* the host's file systems make no files without names */
    void (*run)(const struct trial *trial);
};

static void *idle(void *argument)
{
    return NULL;
}

static long try_thread(void)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, idle, NULL);
    return failed ? -1 : pthread_join(thread, NULL);
}

static void confine_as(enum thread_role role)
{
    confine_thread_slowly(role, role == ROLE_FOLDER ? folder_fd : -1);
}

static void *thread_main(void *argument)
{
    struct trial *trial = argument;
    sigset_t all; /* as in the network thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (trial->confined) confine_as(trial->role);
    trial->run(trial);
    return NULL;
}

/* As a container that forbids the calls. */
static void take_away(const int *missing)
{
    struct sock_filter filter[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {1, filter};
    for (; *missing >= 0; missing++) {
        filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)*missing, 0, 1);
        filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        abort();
}

/* As a file system without O_TMPFILE, of which __O_TMPFILE is the bit that no other flag has. */
static void take_nameless_files_away(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_SIZE(filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        abort();
}

/* In a child process; its standard error is the pipe. */
static void live(struct trial *trial, int said)
{
    static struct sandbox_wishes wishes;
    pthread_t thread;
    alarm(60);
    dup2(said, 2);
    if (trial->missing) take_away(trial->missing);
    if (trial->all_named) take_nameless_files_away();
    opener_files_add(&wishes.named, inside);
    sandbox_open(&wishes);
    sandbox_shut();
    host_path_set(&opener_ops); /* as when the vCPU thread takes its role */
    if (!pthread_create(&thread, NULL, thread_main, trial)) pthread_join(thread, NULL);
    exit(0);
}

/* Returns the wait status; what the process said is in text. */
static int in_process(struct trial *trial, char *text, size_t text_bytes)
{
    int ends[2], status;
    size_t length = 0;
    ssize_t got;
    fflush(stdout);
    if (pipe(ends)) abort();
    pid_t child = fork();
    if (!child) live(trial, ends[1]);
    close(ends[1]);
    while ((got = read(ends[0], text + length, text_bytes - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    if (waitpid(child, &status, 0) < 0) abort();
    return status;
}

static u8 *works; /* shared: a byte an attempt */

static void try_all(const struct trial *trial)
{
    for (unsigned n = 0; n < ARRAY_SIZE(attempts); n++)
        works[n] = attempts[n].run() >= 0;
}

static void test_attempts(enum thread_role role, bool has_landlock)
{
    char text[8192];
    struct trial trial = {.role = role, .confined = true, .run = try_all};
    memset(works, 2, ARRAY_SIZE(attempts));
    int status = in_process(&trial, text, sizeof(text));
    CHECK_EQ(status, 0);
    for (unsigned n = 0; n < ARRAY_SIZE(attempts); n++) {
        if (attempts[n].by_landlock && !has_landlock) continue;
        unsigned expected = attempts[n].works >> role & 1;
        CHECK_EQ(works[n], expected);
        if (works[n] != expected)
            printf("role %d %s \"%s\"\n%s\n", role, expected ? "cannot" : "can", attempts[n].name, text);
    }
    CHECK(role == ROLE_WINDOW || strstr(text, "the sandbox refuses the system call "));
}

static void run_program(const struct trial *trial)
{
    static char *argv[] = {(char *)"true", NULL};
    execv("/bin/true", argv);
    CHECK_EQ(errno, EPERM);
}

static void trace(const struct trial *trial)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static void become_another(const struct trial *trial)
{
    syscall(SYS_setuid, 1);
}

static void mount_file_systems(const struct trial *trial)
{
    syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0);
}

/* What no code of Ringer does ends the process, with a sentence that names the call. */
static void test_deadly(enum thread_role role)
{
    static const struct {
        const char *name;
        void (*run)(const struct trial *trial);
    } deadly[] = {{"execve", run_program},
                  {"ptrace", trace},
                  {"setuid", become_another},
                  {"mount", mount_file_systems}};
    char text[4096];
    for (unsigned n = 0; n < ARRAY_SIZE(deadly); n++) {
        struct trial trial = {.role = role, .confined = true, .run = deadly[n].run};
        int status = in_process(&trial, text, sizeof(text));
        bool survives = role == ROLE_WINDOW && !n; /* libraries try to start servers */
        CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, survives ? 0 : SIGABRT);
        CHECK(survives || strstr(text, deadly[n].name));
    }
}

/* A library's thread: it has no role, but programs are not for it. */
static void test_thread_without_role(void)
{
    char text[4096];
    struct trial program = {.run = run_program}, tracer = {.run = trace};
    CHECK_EQ(in_process(&program, text, sizeof(text)), 0);
    int status = in_process(&tracer, text, sizeof(text));
    CHECK(WIFSIGNALED(status));
}

/* The line of /proc/thread-self/status. */
static void read_line(int fd, const char *name, char *line, size_t bytes)
{
    char text[8192];
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    text[got > 0 ? got : 0] = 0;
    const char *at = strstr(text, name);
    snprintf(line, bytes, "%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
}

static void look_at_mitigations(const struct trial *trial)
{
    char before[128], after[128], filter[64];
    int fd = open("/proc/thread-self/status", O_RDONLY);
    read_line(fd, "Speculation_Store_Bypass", before, sizeof(before));
    confine_as(trial->role);
    read_line(fd, "Speculation_Store_Bypass", after, sizeof(after));
    read_line(fd, "Seccomp:", filter, sizeof(filter));
    if (strcmp(before, after) || strcmp(filter, "Seccomp:\t2")) _exit(1);
}

/* Hazard: kernels that turn the mitigation on for threads with a filter slow the guest down. */
static void test_no_mitigations(void)
{
    char text[4096];
    struct trial trial = {.role = ROLE_VCPU, .run = look_at_mitigations};
    CHECK_EQ(in_process(&trial, text, sizeof(text)), 0);
}

static void try_common_needs(const struct trial *trial)
{
    if (try_use_descriptor() < 0 || try_signal_self() < 0 || try_opener_makes() < 0) _exit(1);
    if (try_opener_reads_hidden() >= 0) _exit(2);
}

/* A host without them still runs guests, and says so in one sentence. */
static void test_poor_host(void)
{
    static const int landlock[] = {SYS_landlock_create_ruleset, -1}, filters[] = {SYS_seccomp, -1},
                     both[] = {SYS_landlock_create_ruleset, SYS_seccomp, -1};
    static const int *const poor[] = {landlock, filters, both};
    char text[4096];
    for (unsigned n = 0; n < ARRAY_SIZE(poor); n++) {
        struct trial trial = {
            .role = ROLE_VCPU, .confined = true, .run = try_common_needs, .missing = poor[n]};
        CHECK_EQ(in_process(&trial, text, sizeof(text)), 0);
        const char *first = strstr(text, "the sandbox does without the host's ");
        CHECK(first && !strstr(first + 1, "the sandbox does without"));
        CHECK(first && !strstr(first, "Landlock") == (poor[n] == filters));
    }
}

/* Hazard: a descriptor that the kernel drops on its way is taken for one that came, or the next answer for this one. */
static void use_all_descriptors(const struct trial *trial)
{
    int last = -1, more;
    while ((more = fcntl(secret_fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        last = more;
    for (unsigned n = 0; n < 100; n++)
        if (host_open(inside, O_RDONLY, 0) >= 0 || errno != EMFILE) _exit(1);
    close(last);
    int fd = host_open(inside, O_RDONLY, 0);
    if (fd != last || pread(fd, &(char){0}, 1, 0) != 1) _exit(2);
    if (host_open(secret, O_RDONLY, 0) >= 0 || errno != EMFILE) _exit(3);
    close(fd);
    if (try_opener_makes_nameless() < 0) _exit(4);
}

static void test_no_descriptors(void)
{
    char text[4096];
    struct trial trial = {.role = ROLE_VCPU, .confined = true, .run = use_all_descriptors};
    CHECK_EQ(in_process(&trial, text, sizeof(text)), 0);
}

/* A file system without O_TMPFILE: the file is made with a name, which goes at once. */
static void make_overlay(const struct trial *trial)
{
    char error[256] = "", byte = 0;
    if (trial->all_named && try_opener_makes_nameless() >= 0) _exit(2);
    struct store *store = host_file_temporary(error, sizeof(error));
    if (!store || store_put(store, 1 << 20, "x", 1) || store_get(store, 1 << 20, &byte, 1) || byte != 'x') {
        fprintf(stderr, "%s", error);
        _exit(1);
    }
}

static unsigned names_in_folder(void)
{
    unsigned names = 0;
    DIR *open = opendir(folder);
    while (open && readdir(open))
        names++;
    if (open) closedir(open);
    return names;
}

static void test_overlay(void)
{
    char text[4096];
    unsigned before = names_in_folder();
    setenv("TMPDIR", folder, 1);
    for (unsigned named = 0; named < 2; named++) {
        struct trial trial = {.role = ROLE_VCPU, .confined = true, .run = make_overlay, .all_named = named};
        int status = in_process(&trial, text, sizeof(text));
        CHECK_EQ(status, 0);
        if (status) printf("%s\n", text);
    }
    unsetenv("TMPDIR");
    CHECK_EQ(names_in_folder(), before);
}

static int make_files(void)
{
    char path[160], target[160];
    static const char content[] = "content";
    snprintf(folder, sizeof(folder), "/tmp/test-sandbox-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof(path), "%s/.hidden", folder);
    if (mkdir(path, 0700)) return -1;
    const char *names[] = {"secret", "shared/inside", ".hidden/key", "program"};
    snprintf(path, sizeof(path), "%s/shared", folder);
    if (mkdir(path, 0700)) return -1;
    folder_fd = open(path, O_PATH | O_DIRECTORY);
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[n]);
        int fd = open(path, O_WRONLY | O_CREAT, names[n][0] == 'p' ? 0755 : 0644);
        if (fd < 0 || write(fd, content, sizeof(content)) < 0) return -1;
        close(fd);
    }
    snprintf(secret, sizeof(secret), "%s/secret", folder);
    snprintf(inside, sizeof(inside), "%s/shared/inside", folder);
    snprintf(path, sizeof(path), "%s/link", folder);
    snprintf(target, sizeof(target), "%s/.hidden/key", folder);
    secret_fd = open(secret, O_RDONLY);
    return symlink(target, path) || secret_fd < 0 ? -1 : 0;
}

static void remove_files(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
}

static void test_roles(void)
{
    bool has_landlock = landlock_possible();
    if (!has_landlock) printf("what Landlock forbids is skipped: this host's kernel has none\n");
    works = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (make_files()) {
        CHECK(!"files can be made");
        return;
    }
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        test_attempts(role, has_landlock);
        test_deadly(role);
    }
    test_thread_without_role();
    test_no_mitigations();
    test_poor_host();
    test_no_descriptors();
    test_overlay();
    remove_files();
}

#else

static void test_roles(void)
{
    printf("roles are skipped: sanitizers need what they forbid\n");
}

#endif

static void test_opener_rules(void)
{
    static char *const named[] = {(char *)"/home/u/.local/share/ringer/m/disk.qcow2",
                                  (char *)"/home/u/disk.img", (char *)"/home/u/.cd.iso", (char *)"/dev/sdb"};
    const struct opener_files files = {(char **)named, ARRAY_SIZE(named)};
    CHECK(opener_allows(&files, "/home/u/disk.img", true));
    CHECK(opener_allows(&files, "/home/u/other.img", true));
    CHECK(opener_allows(&files, "/home/u/.cd.iso", false));
    CHECK(opener_allows(&files, "/home/u/.local/share/ringer/m/snapshot.qcow2", true));
    CHECK(opener_allows(&files, "/dev/sdb", true));
    CHECK(opener_allows(&files, "/dev/sr0", false));
    CHECK(opener_allows(&files, "/dev/null", true));
    CHECK(opener_allows(&files, "/usr/share/x.iso", false));
    CHECK(!opener_allows(&files, "/dev/sda", false));
    CHECK(!opener_allows(&files, "/dev/sdb1", false));
    CHECK(!opener_allows(&files, "/home/u/.ssh/id_ed25519", false));
    CHECK(!opener_allows(&files, "/home/u/.bashrc", true));
    CHECK(!opener_allows(&files, "/home/u/.local/share/ringer/m/.x", true));
    CHECK(!opener_allows(&files, "/home/u/.local/share/ringer/machine", true));
    CHECK(!opener_allows(&files, "/proc/1/mem", false));
    CHECK(!opener_allows(&files, "/proc", false));
    CHECK(!opener_allows(&files, "/sys/power/state", true));
    CHECK(!opener_allows(&files, "/etc/cron.d/x", true));
    CHECK(opener_allows(&files, "/etcetera/x", true));
}

int main(void)
{
    test_opener_rules();
    test_roles();
    return check_report();
}
