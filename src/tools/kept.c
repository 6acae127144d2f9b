/*
 * Kept machines: files and settings. See kept.h.
 */
#include "kept.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool kept_name_is_good(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t length = strlen(name);
    if (length && length <= 48 && strspn(name, good) == length && *name != '.' && *name != '-') return true;
    log_error("the name of a machine has letters, digits, '-', '_' and '.', not \"%s\"", name);
    return false;
}

bool kept_root(char *path, size_t bytes)
{
    if ((size_t)snprintf(path, bytes, "%s/ringer", g_get_user_data_dir()) < bytes &&
        g_mkdir_with_parents(path, 0700) == 0)
        return true;
    log_error("cannot make the folder %s: %s", path, strerror(errno));
    return false;
}

bool kept_path(const char *name, const char *file, char *path, size_t bytes)
{
    char root[KEPT_PATH];
    if (!kept_root(root, sizeof(root))) return false;
    return (size_t)snprintf(path, bytes, "%s/%s%s%s", root, name, file ? "/" : "", file ? file : "") < bytes;
}

bool kept_exists(const char *name)
{
    char path[KEPT_PATH];
    if (!kept_name_is_good(name)) return false;
    if (kept_path(name, "machine.ini", path, sizeof(path)) && access(path, F_OK) == 0) return true;
    log_error("there is no machine \"%s\"; ringer list shows those there are", name);
    return false;
}

GKeyFile *kept_load(const char *name)
{
    char path[KEPT_PATH];
    GError *error = NULL;
    GKeyFile *settings = g_key_file_new();
    if (kept_exists(name) && kept_path(name, "machine.ini", path, sizeof(path))) {
        if (g_key_file_load_from_file(settings, path, G_KEY_FILE_KEEP_COMMENTS, &error)) return settings;
        log_error("cannot read the settings %s: %s", path, error->message);
        g_error_free(error);
    }
    g_key_file_free(settings);
    return NULL;
}

/* g_file_set_contents() writes another file and renames it. */
bool kept_save(const char *folder, GKeyFile *settings)
{
    char path[KEPT_PATH + 16];
    GError *error = NULL;
    snprintf(path, sizeof(path), "%s/machine.ini", folder);
    if (g_key_file_save_to_file(settings, path, &error)) return true;
    log_error("cannot write the settings: %s", error->message);
    g_error_free(error);
    return false;
}

/* --- the lock ---
 *
 * An open file description lock (fcntl(2)): the machine's process and its children hold it together, it goes with the
 * last of them, and others can look at it without holding it for a moment. */

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int open_lock(const char *name)
{
    char path[KEPT_PATH];
    if (!kept_path(name, "lock", path, sizeof(path))) return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int kept_lock(const char *name)
{
    struct flock lock = whole_file();
    int fd = open_lock(name);
    if (fd < 0) return fd;
    /* The number of the last process goes at once. */
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0 && ftruncate(fd, 0) == 0) return fd;
    int failed = errno == EACCES ? EAGAIN : errno; /* both mean that it is held */
    close(fd);
    return -failed;
}

int kept_runner(const char *name)
{
    char text[32] = "";
    struct flock lock = whole_file();
    int fd = open_lock(name), pid = 0;
    if (fd < 0) return 0;
    bool free = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
    if (!free && pread(fd, text, sizeof(text) - 1, 0) > 0) pid = atoi(text);
    close(fd);
    return free ? 0 : pid > 0 ? pid : -1;
}

/* --- the command line --- */

static char *setting(GKeyFile *settings, const char *group, const char *key)
{
    char *value = g_key_file_get_string(settings, group, key, NULL);
    if (value && *g_strstrip(value)) return value;
    g_free(value);
    return NULL;
}

static void add(GPtrArray *words, const char *option, char *value)
{
    if (!value) return;
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, value);
}

/* A comma within an item of an option's list is written twice. */
static char *in_list(const char *text)
{
    char **parts = g_strsplit(text, ",", -1), *joined = g_strjoinv(",,", parts);
    g_strfreev(parts);
    return joined;
}

/* A path of the settings is relative to the machine's folder. */
static char *path_of(const char *name, char *file)
{
    char path[KEPT_PATH];
    if (!file || *file == '/' || !kept_path(name, file, path, sizeof(path))) return file;
    g_free(file);
    return g_strdup(path);
}

static void add_drives(GPtrArray *words, const char *name, GKeyFile *settings)
{
    char *file = path_of(name, setting(settings, "disk", "file")), *bus = setting(settings, "disk", "bus"),
         *cd = path_of(name, setting(settings, "disk", "cdrom")),
         *boot = setting(settings, "machine", "boot");
    if (file) {
        char *listed = in_list(file);
        add(words, "-drive", g_strdup_printf("file=%s,if=%s,index=0", listed, bus ? bus : "ide"));
        g_free(listed);
    }
    add(words, "-cdrom", cd);
    if (boot || cd) add(words, "-boot", boot ? boot : g_strdup("cd"));
    g_free(file);
    g_free(bus);
}

static void add_network(GPtrArray *words, GKeyFile *settings)
{
    char *card = setting(settings, "network", "card"), *forward = setting(settings, "network", "forward");
    if (card && !strcmp(card, "none")) {
        add(words, "-nic", card);
        g_free(forward);
        return;
    }
    GString *nic = g_string_new("user,model=");
    g_string_append(nic, card ? card : "e1000");
    char **rules = g_strsplit(forward ? forward : "", ";", -1);
    for (char **rule = rules; *rule; rule++)
        if (*g_strstrip(*rule)) g_string_append_printf(nic, ",hostfwd=%s", *rule);
    g_strfreev(rules);
    g_free(card);
    g_free(forward);
    add(words, "-nic", g_string_free(nic, FALSE));
}

char **kept_arguments(const char *name, GKeyFile *settings)
{
    GPtrArray *words = g_ptr_array_new();
    char *display = setting(settings, "machine", "display"), *more = setting(settings, "machine", "options");
    char **parsed = NULL;
    GError *error = NULL;
    bool window = !display || !strcmp(display, "window"), shown = window || !strcmp(display, "none");
    bool good = shown || strchr(display, ':');
    if (!good)
        log_error("the display of \"%s\" is window, none or [HOST]:N, not \"%s\"", name, display);
    else if (more && *more && !g_shell_parse_argv(more, NULL, &parsed, &error)) {
        log_error("the options in the settings of \"%s\": %s", name, error->message);
        g_error_free(error);
        good = false;
    }
    if (!good) {
        g_free(more);
        g_free(display);
        g_ptr_array_free(words, TRUE);
        return NULL;
    }
    g_ptr_array_add(words, g_strdup("ringer"));
    g_ptr_array_add(words, g_strdup("run"));
    add(words, "--name", g_strdup(name));
    add(words, "--memory", setting(settings, "machine", "memory"));
    add(words, "--cpu", setting(settings, "machine", "cpu"));
    if (!shown)
        add(words, "--vnc", g_strdup(display)); /* HOST:N */
    else
        add(words, "--display", g_strdup(window ? "sdl" : "none"));
    if (g_key_file_get_boolean(settings, "machine", "agents", NULL))
        g_ptr_array_add(words, g_strdup("--agents"));
    add_drives(words, name, settings);
    add_network(words, settings);
    for (char **word = parsed; word && *word; word++)
        g_ptr_array_add(words, g_strdup(*word));
    g_strfreev(parsed);
    g_free(more);
    g_free(display);
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

/* --- the desktop --- */

void kept_desktop_entry(const char *name, bool there)
{
    char target[KEPT_PATH];
    char *folder = g_build_filename(g_get_user_data_dir(), "applications", NULL);
    char *entry = g_strdup_printf("%s/ringer-%s.desktop", folder, name);
    if (!there) unlink(entry);
    if (there && access(entry, F_OK) < 0 && kept_path(name, "ringer.desktop", target, sizeof(target)) &&
        g_mkdir_with_parents(folder, 0700) == 0) {
        char *text = g_strdup_printf(
            "[Desktop Entry]\nType=Application\nName=%s\nComment=A virtual PC of Ringer\n"
            "Exec=ringer start %s\nIcon=ringer\nTerminal=false\nCategories=System;Emulator;\n",
            name, name);
        unlink(entry); /* a link whose target is gone */
        if (!g_file_set_contents(target, text, -1, NULL) || symlink(target, entry) < 0)
            log_debug("no desktop entry %s", entry);
        g_free(text);
    }
    g_free(entry);
    g_free(folder);
}

/* --- leftovers --- */

static void delete_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0); /* "." and "..": refused */
    if (folder) closedir(folder);
    rmdir(path);
}

/* ".NAME.PID": does the process that makes or removes this machine still live? */
static bool is_in_use(const char *name)
{
    int pid = atoi(strrchr(name, '.') + 1);
    return pid > 0 && pid != getpid() && (kill(pid, 0) == 0 || errno != ESRCH);
}

void kept_sweep(void)
{
    char root[KEPT_PATH], path[KEPT_PATH + 260];
    DIR *folder = kept_root(root, sizeof(root)) ? opendir(root) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (name[0] != '.' || !strcmp(name, ".") || !strcmp(name, "..") || is_in_use(name)) continue;
        snprintf(path, sizeof(path), "%s/%s", root, name);
        delete_folder(path);
    }
    if (folder) closedir(folder);
}
