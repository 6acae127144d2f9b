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

static int abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool landlock_possible(void)
{
    return abi() > 0;
}

/* What the host's kernel can confine; all of that is forbidden but for the rules. */
static u64 handled(void)
{
    int version = abi();
    u64 access = ALL_ABI1;
    if (version >= 2) access |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) access |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return access;
}

struct ruleset {
    int fd;
    u64 handled;
};

static int allow_below(const struct ruleset *set, int fd, u64 access)
{
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    if (!S_ISDIR(status.st_mode)) access &= OF_FILES;
    struct landlock_path_beneath_attr attr = {.allowed_access = access & set->handled, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, set->fd, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) ? -errno : 0;
}

/* What is not there needs no rule. */
static void allow(const struct ruleset *set, const char *path, u64 access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return;
    allow_below(set, fd, access);
    close(fd);
}

static void allow_list(const struct ruleset *set, const char *const *path, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        allow(set, path[n], READ);
}

static void allow_at_home(const struct ruleset *set, const char *name)
{
    char path[4096];
    const char *home = getenv("HOME");
    if (!home || snprintf(path, sizeof(path), "%s/%s", home, name) >= (int)sizeof(path)) return;
    allow(set, path, READ);
}

/* Name servers, and the file from which glib seeds its random numbers. */
static void allow_name_service(const struct ruleset *set)
{
    static const char *const places[] = {"/etc", "/run/systemd/resolve", "/run/resolvconf",
                                         "/run/NetworkManager", "/dev/urandom"};
    allow_list(set, places, ARRAY_SIZE(places));
}

static void allow_characters(const struct ruleset *set)
{
    allow_name_service(set);
    allow(set, "/dev/ptmx", READ | WRITE);
    allow(set, "/dev/pts", READ | WRITE);
    allow(set, "/", LANDLOCK_ACCESS_FS_MAKE_SOCK);
}

static void allow_window(const struct ruleset *set)
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
    allow_list(set, places, ARRAY_SIZE(places));
    for (unsigned n = 0; n < ARRAY_SIZE(at_home); n++)
        allow_at_home(set, at_home[n]);
    allow(set, "/dev", READ | WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE);
    if (runtime) allow(set, runtime, READ | WRITE);
}

static int add_rules(const struct ruleset *set, enum thread_role role, const struct landlock_files *files)
{
    switch (role) {
    case ROLE_NETWORK:
        allow_name_service(set);
        allow_list(set, files->network_reads, files->network_read_count);
        return 0;
    case ROLE_CHARACTERS: allow_characters(set); return 0;
    case ROLE_WINDOW: allow_window(set); return 0;
    case ROLE_FOLDER: return allow_below(set, files->folder_fd, set->handled & ~LANDLOCK_ACCESS_FS_EXECUTE);
    default: return 0;
    }
}

int landlock_enter(enum thread_role role, const struct landlock_files *files)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = handled()};
    struct ruleset set = {-1, attr.handled_access_fs};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -errno;
    set.fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (set.fd < 0) return -errno;
    int failed = add_rules(&set, role, files);
    if (!failed && syscall(SYS_landlock_restrict_self, set.fd, 0)) failed = -errno;
    close(set.fd);
    return failed;
}
