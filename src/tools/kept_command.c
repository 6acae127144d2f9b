/*
 * ringer new|start|stop|list|edit|remove. See kept_command.h.
 */
#include "kept_command.h"

#include "base/json.h"
#include "base/log.h"
#include "base/words.h"
#include "chardev/runtime_folder.h"
#include "disk_command.h"
#include "kept.h"
#include "qmp_client.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long `ringer stop` waits for a guest that shuts down. */
#define STOP_SECONDS 120
#define POLL_NS      20000000

/* A word "--NAME=VALUE" or "--NAME VALUE". */
static const char *value_of(int argc, char **argv, int *at, const char *name)
{
    if (strncmp(argv[*at], "--", 2)) return NULL;
    const char *word = argv[*at] + 2, *value = word_value(word, name);
    if (value || strcmp(word, name)) return value;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

/* NULL: a name was to come. */
static int bad_word(const char *command, const char *word)
{
    static const char *const with_value[] = {"--disk", "--cdrom", "--memory", "--debian"};
    for (unsigned n = 0; n < ARRAY_SIZE(with_value) && word; n++)
        if (!strcmp(command, "new") && !strcmp(word, with_value[n])) {
            log_error("ringer new: %s needs a value", word);
            return STATUS_USAGE;
        }
    if (word)
        log_error("ringer %s: there is no use for \"%s\"; see ringer help", command, word);
    else
        log_error("ringer %s needs the name of a machine", command);
    return STATUS_USAGE;
}

/* No machine has settings that cannot be understood. `outcome` is what that means for the machine. */
static bool settings_are_good(const char *name, GKeyFile *settings, const char *outcome, kept_check *check)
{
    char error[512], **words = kept_arguments(name, settings);
    bool good = words && check((int)g_strv_length(words), words, error, sizeof(error));
    if (words && !good) log_error("the machine \"%s\" %s: %s", name, outcome, error);
    g_strfreev(words);
    return good;
}

/* --- new --- */

struct recipe {
    const char *name, *disk, *cdrom, *memory, *debian;
    bool desktop;
    kept_check *check;
};

/* The script that makes a Debian image: of the installed program, or of the source tree it was built in. NULL: a
 * sentence was printed. */
static char *find_script(void)
{
    char self[KEPT_PATH];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[length > 0 ? length : 0] = 0;
    char *folder = g_path_get_dirname(self);
    char *places[] = {g_build_filename(folder, "../share/ringer/guests/kept", NULL),
                      g_build_filename(folder, "../guests/kept", NULL)};
    char *found = NULL;
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
        if (!found && access(places[n], X_OK) == 0) found = g_strdup(places[n]);
        g_free(places[n]);
    }
    if (!found) log_error("the recipe for Debian machines, guests/kept, is not beside %s", self);
    g_free(folder);
    return found;
}

static int run_program(char **words)
{
    int status;
    pid_t child = fork();
    if (!child) {
        execvp(words[0], words);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The image that guests/kept makes once for all machines is copied into the machine's disk, with what lies below it. */
static int make_debian(const struct recipe *recipe, const char *disk)
{
    if (strcmp(recipe->debian, "bookworm")) {
        log_error("--debian takes bookworm, not \"%s\"", recipe->debian);
        return STATUS_USAGE;
    }
    char *script = find_script(), *cache = g_build_filename(g_get_user_cache_dir(), "ringer", "guests", NULL);
    int status = STATUS_USAGE;
    if (script) {
        char self[KEPT_PATH] = "ringer";
        ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (length > 0) self[length] = 0;
        setenv("RINGER", self, 1);
        setenv("RINGER_GUESTS", cache, 0);
        char *made = g_build_filename(getenv("RINGER_GUESTS"), "kept-i386", "disk.qcow2", NULL);
        if (g_mkdir_with_parents(getenv("RINGER_GUESTS"), 0700) || run_program((char *[]){script, NULL}))
            log_error("the image of Debian could not be made");
        else
            status = disk_command(7, (char *[]){"convert", "-f", "qcow2", "-O", "qcow2", made, (char *)disk});
        g_free(made);
    }
    g_free(script);
    g_free(cache);
    return status;
}

static GKeyFile *settings_of(const struct recipe *recipe)
{
    GKeyFile *settings = g_key_file_new();
    bool window = !recipe->debian || recipe->desktop;
    g_key_file_set_comment(
        settings, NULL, NULL,
        " A machine of Ringer: ringer start runs it. man ringer, KEPT MACHINES, explains the keys.", NULL);
    g_key_file_set_string(settings, "machine", "memory", recipe->memory ? recipe->memory : "512M");
    g_key_file_set_string(settings, "machine", "cpu", "max");
    g_key_file_set_string(settings, "machine", "display", window ? "window" : "none");
    g_key_file_set_string(settings, "machine", "agents", "true");
    g_key_file_set_string(settings, "machine", "options", window ? "" : "-serial ringbuf");
    if (recipe->disk || recipe->debian) {
        g_key_file_set_string(settings, "disk", "file", "disk.qcow2");
        g_key_file_set_string(settings, "disk", "bus", recipe->debian ? "virtio" : "ide");
    }
    if (recipe->cdrom) g_key_file_set_string(settings, "disk", "cdrom", recipe->cdrom);
    g_key_file_set_string(settings, "network", "card", "e1000");
    g_key_file_set_string(settings, "network", "forward", "");
    return settings;
}

/* Fill the folder `path`, which is not yet the machine's. */
static int fill_folder(const struct recipe *recipe, const char *path)
{
    char disk[KEPT_PATH + 16];
    int status = STATUS_OK;
    GKeyFile *settings = settings_of(recipe);
    snprintf(disk, sizeof(disk), "%s/disk.qcow2", path);
    if (!settings_are_good(recipe->name, settings, "is not made", recipe->check))
        status = STATUS_USAGE;
    else if (recipe->debian)
        status = make_debian(recipe, disk);
    else if (recipe->disk)
        status = disk_command(3, (char *[]){"create", disk, (char *)recipe->disk});
    if (!status && !kept_save(path, settings)) status = STATUS_HOST;
    g_key_file_free(settings);
    return status;
}

static int make_machine(const struct recipe *recipe)
{
    char path[KEPT_PATH], making[KEPT_PATH], hidden[80];
    snprintf(hidden, sizeof(hidden), ".%s.%d", recipe->name, getpid());
    if (!kept_path(recipe->name, NULL, path, sizeof(path)) ||
        !kept_path(hidden, NULL, making, sizeof(making)))
        return STATUS_HOST;
    if (access(path, F_OK) == 0) {
        log_error("there is a machine \"%s\" already", recipe->name);
        return STATUS_USAGE;
    }
    kept_sweep();
    if (mkdir(making, 0700) < 0) {
        log_error("cannot make the folder %s: %s", making, strerror(errno));
        return STATUS_HOST;
    }
    int status = fill_folder(recipe, making);
    if (!status && rename(making, path) < 0) {
        log_error("cannot make the machine \"%s\": %s", recipe->name, strerror(errno));
        status = errno == ENOTEMPTY || errno == EEXIST ? STATUS_USAGE : STATUS_HOST;
    }
    if (status)
        kept_sweep();
    else
        kept_desktop_entry(recipe->name, true);
    return status;
}

static int run_new(int argc, char **argv, kept_check *check)
{
    struct recipe recipe = {.check = check};
    for (int n = 0; n < argc; n++) {
        const char *value;
        if ((value = value_of(argc, argv, &n, "disk")))
            recipe.disk = value;
        else if ((value = value_of(argc, argv, &n, "cdrom")))
            recipe.cdrom = value;
        else if ((value = value_of(argc, argv, &n, "memory")))
            recipe.memory = value;
        else if ((value = value_of(argc, argv, &n, "debian")))
            recipe.debian = value;
        else if (!strcmp(argv[n], "--desktop"))
            recipe.desktop = true;
        else if (argv[n][0] == '-' || recipe.name)
            return bad_word("new", argv[n]);
        else
            recipe.name = argv[n];
    }
    char *cd = recipe.cdrom ? realpath(recipe.cdrom, NULL) : NULL;
    if (!recipe.name || !kept_name_is_good(recipe.name))
        return recipe.name ? STATUS_USAGE : bad_word("new", NULL);
    if (recipe.cdrom && !cd) {
        log_error("cannot open %s: %s", recipe.cdrom, strerror(errno));
        return STATUS_USAGE;
    }
    if (!recipe.disk && !recipe.debian && !recipe.cdrom) recipe.disk = "20G";
    recipe.cdrom = cd;
    int status = make_machine(&recipe);
    free(cd);
    if (!status) printf("The machine \"%s\" is there: ringer start %s\n", recipe.name, recipe.name);
    return status;
}

/* --- start --- */

/* Leaves the command line for main(). The lock's descriptor stays open as long as this process and its children
 * live. */
static int run_start(int *argc, char ***argv)
{
    int words = *argc;
    char **word = *argv;
    bool foreground = false;
    const char *name = NULL;
    GPtrArray *line = g_ptr_array_new();
    for (int n = 0; n < words; n++) {
        if (!strcmp(word[n], "--foreground"))
            foreground = true;
        else if (!name)
            name = word[n];
        else
            g_ptr_array_add(line, g_strdup(word[n])); /* options of `ringer run` */
    }
    GKeyFile *settings = name ? kept_load(name) : NULL;
    if (!name) bad_word("start", NULL);
    char **made = settings ? kept_arguments(name, settings) : NULL;
    if (settings) g_key_file_free(settings);
    if (!made) return STATUS_USAGE;
    int lock = kept_lock(name);
    if (lock < 0) {
        log_error(lock == -EWOULDBLOCK ? "the machine \"%s\" runs already"
                                       : "cannot lock the machine \"%s\": %s",
                  name, strerror(-lock));
        return lock == -EWOULDBLOCK ? STATUS_USAGE : STATUS_HOST;
    }
    kept_desktop_entry(name, true);
    GPtrArray *whole = g_ptr_array_new();
    for (char **at = made; *at; at++)
        g_ptr_array_add(whole, *at);
    for (guint n = 0; n < line->len; n++)
        g_ptr_array_add(whole, line->pdata[n]);
    char path[KEPT_PATH];
    if (!foreground) g_ptr_array_add(whole, g_strdup("-daemonize"));
    if (kept_path(name, "lock", path, sizeof(path))) {
        g_ptr_array_add(whole, g_strdup("--lock-pid"));
        g_ptr_array_add(whole, g_strdup(path));
    }
    *argc = (int)whole->len;
    g_ptr_array_add(whole, NULL);
    *argv = (char **)g_ptr_array_free(whole, FALSE);
    g_ptr_array_free(line, TRUE);
    return -1;
}

/* --- stop --- */

static bool ask(const char *name, const char *command)
{
    struct qmp_client talk = {.fd = -1};
    char path[KEPT_PATH];
    struct json_object *answer = NULL;
    if (runtime_socket(name, path, sizeof(path)) && access(path, F_OK) == 0 && qmp_client_open(&talk, name))
        answer = qmp_client_ask(&talk, command, NULL);
    bool good = answer && !json_object_object_get_ex(answer, "error", NULL);
    json_object_put(answer);
    qmp_client_close(&talk);
    return good;
}

static int run_stop(int argc, char **argv, kept_check *check)
{
    const char *name = NULL;
    bool now = false;
    for (int n = 0; n < argc; n++) {
        if (!strcmp(argv[n], "--now"))
            now = true;
        else if (name || argv[n][0] == '-')
            return bad_word("stop", argv[n]);
        else
            name = argv[n];
    }
    if (!name) return bad_word("stop", NULL);
    if (!kept_exists(name)) return STATUS_USAGE;
    if (!kept_runner(name)) {
        log_error("the machine \"%s\" does not run", name);
        return STATUS_USAGE;
    }
    const struct timespec pause = {.tv_nsec = POLL_NS};
    bool told = false; /* a machine that is starting has neither a socket nor a process number yet */
    for (u64 waited = 0; waited < STOP_SECONDS * 1000000000ull; waited += POLL_NS) {
        int pid = kept_runner(name);
        if (!pid) return STATUS_OK;
        /* Without a control socket, a signal switches it off: disks are flushed, as always. */
        if (!told)
            told = ask(name, now ? "quit" : "system_powerdown") || (pid > 0 && kill(pid, SIGTERM) == 0);
        nanosleep(&pause, NULL);
    }
    log_error("the machine \"%s\" still runs: ringer stop --now %s switches it off", name, name);
    return STATUS_GUEST;
}

/* --- list, edit, remove --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Bytes of the host's that the machine's disk takes; 0: it has no disk of its own. */
static u64 disk_bytes(const char *name)
{
    char disk[KEPT_PATH];
    struct stat about;
    bool any = kept_path(name, "disk.qcow2", disk, sizeof(disk)) && stat(disk, &about) == 0;
    return any ? (u64)about.st_blocks * 512 : 0;
}

static void print_machine(const char *name, GKeyFile *settings)
{
    char size[32] = "-";
    u64 bytes = disk_bytes(name);
    char *memory = g_key_file_get_string(settings, "machine", "memory", NULL);
    if (bytes) snprintf(size, sizeof(size), "%llu MB", (unsigned long long)bytes >> 20);
    printf("%-24s %-12s %-8s %s\n", name, kept_runner(name) ? "running" : "off", memory ? memory : "-", size);
    g_free(memory);
}

static void add_machine(struct json_object *list, const char *name, GKeyFile *settings)
{
    static const char *const shown[][2] = {
        {"machine", "memory"}, {"machine", "display"}, {"disk", "cdrom"}, {"network", "card"}};
    struct json_object *machine = json_object_new_object();
    json_add_text(machine, "name", name);
    json_add_flag(machine, "running", kept_runner(name) != 0);
    json_object_object_add(machine, "disk-bytes", json_object_new_int64((s64)disk_bytes(name)));
    for (unsigned n = 0; n < ARRAY_SIZE(shown); n++) {
        char *value = g_key_file_get_string(settings, shown[n][0], shown[n][1], NULL);
        if (value) json_add_text(machine, shown[n][1], value);
        g_free(value);
    }
    json_object_array_add(list, machine);
}

static int run_list(int argc, char **argv, kept_check *check)
{
    char root[KEPT_PATH];
    bool json = argc && !strcmp(argv[0], "--json");
    if (argc > json) return bad_word("list", argv[json]);
    struct json_object *list = json ? json_object_new_array() : NULL;
    kept_sweep();
    DIR *folder = kept_root(root, sizeof(root)) ? opendir(root) : NULL;
    if (!folder) {
        json_object_put(list);
        return STATUS_HOST;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') g_ptr_array_add(names, g_strdup(entry->d_name));
    closedir(folder);
    g_ptr_array_sort(names, compare_names);
    if (names->len && !list) printf("%-24s %-12s %-8s %s\n", "NAME", "STATE", "MEMORY", "DISK");
    for (guint n = 0; n < names->len; n++) {
        GKeyFile *settings = kept_load(names->pdata[n]);
        if (settings && list) add_machine(list, names->pdata[n], settings);
        if (settings && !list) print_machine(names->pdata[n], settings);
        if (settings) g_key_file_free(settings);
    }
    if (list) puts(json_object_to_json_string_ext(list, QMP_CLIENT_PRETTY));
    json_object_put(list);
    g_ptr_array_free(names, TRUE);
    return STATUS_OK;
}

static const char *editor(void)
{
    const char *visual = getenv("VISUAL"), *plain = getenv("EDITOR");
    return visual && *visual ? visual : plain && *plain ? plain : "sensible-editor";
}

#define STAYS "stays as it was"

/* The editor gets a copy, which becomes the settings if it can be read. */
static int edit_file(const char *name, const char *path, kept_check *check)
{
    char copy[KEPT_PATH + 32], *text = NULL;
    GError *error = NULL;
    GKeyFile *settings = g_key_file_new();
    int status = STATUS_USAGE;
    char *file = g_strdup_printf("%s/machine.ini", path);
    snprintf(copy, sizeof(copy), "%s/.edit.ini", path);
    if (g_file_get_contents(file, &text, NULL, NULL) && g_file_set_contents(copy, text, -1, NULL)) {
        char *words[] = {"sh", "-c", "exec $0 \"$1\"", (char *)editor(), copy, NULL};
        if (run_program(words))
            log_error("the machine \"%s\" " STAYS ": the editor \"%s\" failed", name, editor());
        else if (!g_key_file_load_from_file(settings, copy, G_KEY_FILE_KEEP_COMMENTS, &error))
            log_error("the machine \"%s\" " STAYS ": %s", name, error->message);
        else if (settings_are_good(name, settings, STAYS, check))
            status = kept_save(path, settings) ? STATUS_OK : STATUS_HOST;
    }
    unlink(copy);
    if (error) g_error_free(error);
    g_key_file_free(settings);
    g_free(text);
    g_free(file);
    return status;
}

/* KEY=VALUE or GROUP.KEY=VALUE */
static bool change_setting(GKeyFile *settings, const char *word)
{
    static const char *const known[][2] = {
        {"machine", "memory"},  {"machine", "cpu"},    {"machine", "display"}, {"machine", "boot"},
        {"machine", "options"}, {"machine", "agents"}, {"disk", "file"},       {"disk", "bus"},
        {"disk", "cdrom"},      {"network", "card"},   {"network", "forward"}};
    size_t length = strcspn(word, "=");
    for (unsigned n = 0; n < ARRAY_SIZE(known) && word[length]; n++)
        if (strlen(known[n][1]) == length && !strncmp(known[n][1], word, length)) {
            g_key_file_set_string(settings, known[n][0], known[n][1], word + length + 1);
            return true;
        }
    if (word[length])
        log_error("ringer edit: there is no setting \"%.*s\"", (int)length, word);
    else
        log_error("ringer edit takes SETTING=VALUE, not \"%s\"", word);
    return false;
}

static int run_edit(int argc, char **argv, kept_check *check)
{
    char path[KEPT_PATH];
    if (!argc) return bad_word("edit", NULL);
    GKeyFile *settings = kept_load(argv[0]);
    if (!settings || !kept_path(argv[0], NULL, path, sizeof(path))) return STATUS_USAGE;
    int status = STATUS_OK;
    for (int n = 1; n < argc && !status; n++)
        if (!change_setting(settings, argv[n])) status = STATUS_USAGE;
    if (!status && argc == 1)
        status = edit_file(argv[0], path, check);
    else if (!status && !settings_are_good(argv[0], settings, STAYS, check))
        status = STATUS_USAGE;
    else if (!status)
        status = kept_save(path, settings) ? STATUS_OK : STATUS_HOST;
    g_key_file_free(settings);
    return status;
}

static int run_remove(int argc, char **argv, kept_check *check)
{
    char path[KEPT_PATH], removed[KEPT_PATH], hidden[80];
    if (argc != 1) return bad_word("remove", argc ? argv[1] : NULL);
    if (!kept_exists(argv[0])) return STATUS_USAGE;
    snprintf(hidden, sizeof(hidden), ".%s.%d", argv[0], getpid());
    int lock = kept_lock(argv[0]);
    if (lock < 0) {
        log_error("the machine \"%s\" runs: ringer stop %s", argv[0], argv[0]);
        return STATUS_USAGE;
    }
    kept_desktop_entry(argv[0], false);
    bool good = kept_path(argv[0], NULL, path, sizeof(path)) &&
                kept_path(hidden, NULL, removed, sizeof(removed)) && rename(path, removed) == 0;
    if (!good) log_error("cannot remove the machine \"%s\": %s", argv[0], strerror(errno));
    close(lock);
    kept_sweep();
    return good ? STATUS_OK : STATUS_HOST;
}

/* --- the commands --- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, kept_check *check); /* NULL: start */
} commands[] = {{"new", run_new},   {"start", NULL},    {"stop", run_stop},
                {"list", run_list}, {"edit", run_edit}, {"remove", run_remove}};

bool kept_is_command(const char *word)
{
    for (unsigned n = 0; n < ARRAY_SIZE(commands); n++)
        if (!strcmp(commands[n].name, word)) return true;
    return false;
}

int kept_command(int *argc, char ***argv, kept_check *check)
{
    for (unsigned n = 0; n < ARRAY_SIZE(commands); n++) {
        if (strcmp(commands[n].name, (*argv)[0])) continue;
        if (commands[n].run) return commands[n].run(*argc - 1, *argv + 1, check);
    }
    --*argc;
    ++*argv;
    return run_start(argc, argv);
}
