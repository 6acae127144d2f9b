#include "landlock.h"

#include "base/types.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than Debian 12's headers: Linux 6.2. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

#define READ     (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define ALL_ABI1 (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)
/* What a rule for a file, not for a directory, may name. */
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | WRITE)

static u64 handled; /* the kinds of access that the kernel knows */
static int ruleset_of[ROLE_COUNT];
static bool prepared;

static int abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool landlock_possible(void)
{
    return abi() > 0;
}

/* The wish of Landlock's documentation ("Defensive programming"): use what is there. */
static void look_at_kernel(void)
{
    int version = abi();
    handled = ALL_ABI1;
    if (version >= 2) handled |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) handled |= LANDLOCK_ACCESS_FS_TRUNCATE;
}

static int create(void)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = handled};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    return fd < 0 ? -errno : fd;
}

static int allow_below(int ruleset, int fd, u64 access)
{
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    if (!S_ISDIR(status.st_mode)) access &= OF_FILES;
    struct landlock_path_beneath_attr attr = {.allowed_access = access & handled, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) ? -errno : 0;
}

/* What is not there needs no rule. */
static void allow(enum thread_role role, const char *path, u64 access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return;
    allow_below(ruleset_of[role], fd, access);
    close(fd);
}

static void allow_at_home(enum thread_role role, const char *name)
{
    char path[4096];
    const char *home = getenv("HOME");
    if (!home || snprintf(path, sizeof(path), "%s/%s", home, name) >= (int)sizeof(path)) return;
    allow(role, path, READ);
}

static void allow_name_service(enum thread_role role)
{
    static const char *const places[] = {"/etc", "/run/systemd/resolve", "/run/resolvconf",
                                         "/run/NetworkManager"};
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++)
        allow(role, places[n], READ);
}

static void allow_window(void)
{
    static const char *const places[] = {"/usr",  "/lib", "/lib64", "/etc",     "/opt",
                                         "/proc", "/sys", "/run",   "/var/lib", "/var/cache"};
    static const char *const at_home[] = {".icons",
                                          ".fonts",
                                          ".local/share/icons",
                                          ".local/share/fonts",
                                          ".config/fontconfig",
                                          ".cache/fontconfig",
                                          ".Xauthority"};
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++)
        allow(ROLE_WINDOW, places[n], READ);
    for (unsigned n = 0; n < ARRAY_SIZE(at_home); n++)
        allow_at_home(ROLE_WINDOW, at_home[n]);
    allow(ROLE_WINDOW, "/dev", READ | WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE);
    if (runtime) allow(ROLE_WINDOW, runtime, READ | WRITE);
}

int landlock_prepare(const char *const *network_reads, unsigned count)
{
    look_at_kernel();
    for (unsigned role = 0; role < ROLE_COUNT; role++)
        ruleset_of[role] = -1;
    prepared = true;
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        if (role == ROLE_FOLDER) continue; /* its threads make their own */
        int fd = create();
        if (fd < 0) return fd;
        ruleset_of[role] = fd;
#ifdef RINGER_SANITIZED
        allow(role, "/",
              READ | LANDLOCK_ACCESS_FS_EXECUTE); /* the sanitizers look at /proc and run a program */
#endif
    }
    allow_name_service(ROLE_NETWORK);
    for (unsigned n = 0; n < count; n++)
        allow(ROLE_NETWORK, network_reads[n], READ);
    allow_name_service(ROLE_CHARACTERS);
    allow(ROLE_CHARACTERS, "/dev/ptmx", READ | WRITE);
    allow(ROLE_CHARACTERS, "/dev/pts", READ | WRITE);
    allow(ROLE_CHARACTERS, "/", LANDLOCK_ACCESS_FS_MAKE_SOCK);
    allow_window();
    return 0;
}

void landlock_forget(void)
{
    for (unsigned role = 0; role < ROLE_COUNT && prepared; role++)
        if (ruleset_of[role] >= 0) close(ruleset_of[role]);
    prepared = false;
}

static int restrict_self(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
}

/* The folder's threads have their own table of descriptors, so the rule set is made here. */
static int enter_folder(int folder_fd)
{
    int ruleset = create();
    if (ruleset < 0) return ruleset;
    int failed = allow_below(ruleset, folder_fd, handled & ~LANDLOCK_ACCESS_FS_EXECUTE);
    if (!failed) failed = restrict_self(ruleset);
    close(ruleset);
    return failed;
}

int landlock_enter(enum thread_role role, int folder_fd)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -errno;
    return role == ROLE_FOLDER ? enter_folder(folder_fd) : restrict_self(ruleset_of[role]);
}
