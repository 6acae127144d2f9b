/*
 * The guest agent's protocol: a JSON object a line, on a socket that the machine names. Answers that an earlier client
 * has not read come first, so a conversation begins with guest-sync-delimited: the answer to it follows a byte FFh,
 * which JSON does not have.
 */
#include "agent_command.h"

#include "base/host_time.h"
#include "base/json.h"
#include "base/log.h"
#include "chardev/runtime_folder.h"
#include "qmp_client.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_SECOND  1000000000ull
#define SYNC_SECONDS   10  /* an agent that is there answers within this time */
#define ANSWER_SECONDS 120 /* fsfreeze waits for disks */
#define POLL_NS        50000000
#define ANSWER_MAX     (64u << 20) /* the agent sends at most 16 MB of a program's output, in base 64 */

struct agent {
    int fd;
    GString *read; /* what has come and is not yet taken */
};

static void usage(FILE *out)
{
    fputs("ringer ctl NAME agent ping                 is there a guest agent?\n"
          "ringer ctl NAME agent info                 the guest's system, and what its agent can do\n"
          "ringer ctl NAME agent shutdown [reboot]    shut the guest down in an orderly way\n"
          "ringer ctl NAME agent freeze|thaw|frozen   its file systems: stop, resume, print the state\n"
          "ringer ctl NAME agent exec PROGRAM [ARGUMENT...]\n"
          "                                           run a program in the guest; ends with its exit status\n"
          "ringer ctl NAME agent COMMAND [ARGUMENTS]  a command of the agent, guest-...; its arguments are a "
          "JSON object\n",
          out);
}

/* --- the conversation --- */

/* The text up to a byte, which is taken too; to be freed. NULL: it did not come in time, or the machine has gone. */
static char *read_until(struct agent *agent, char end, u64 seconds)
{
    u64 until = host_now_ns() + seconds * NS_PER_SECOND;
    for (size_t seen = 0;;) {
        char *found = memchr(agent->read->str + seen, end, agent->read->len - seen);
        if (found) {
            size_t length = (size_t)(found - agent->read->str);
            char *text = g_strndup(agent->read->str, length);
            g_string_erase(agent->read, 0, (gssize)length + 1);
            return text;
        }
        seen = agent->read->len;
        u64 now = host_now_ns();
        struct pollfd poll_fd = {.fd = agent->fd, .events = POLLIN};
        int ready = now < until ? poll(&poll_fd, 1, (int)((until - now) / 1000000) + 1) : 0;
        if (ready < 0 && errno == EINTR) continue;
        char piece[4096];
        ssize_t got = ready > 0 ? recv(agent->fd, piece, sizeof(piece), 0) : 0;
        if (got <= 0 || seen > ANSWER_MAX) return NULL;
        g_string_append_len(agent->read, piece, got);
    }
}

static bool say(struct agent *agent, const char *command, struct json_object *arguments)
{
    struct json_object *object = json_object_new_object();
    json_add_text(object, "execute", command);
    if (arguments) json_object_object_add(object, "arguments", arguments);
    bool sent = qmp_client_send(agent->fd, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN)) &&
                qmp_client_send(agent->fd, "\n");
    json_object_put(object);
    return sent;
}

/* `arguments` is taken over. Returns what the command returns; NULL: a sentence was printed. */
static struct json_object *ask(struct agent *agent, const char *command, struct json_object *arguments)
{
    struct json_object *value = NULL, *text;
    char *line = say(agent, command, arguments) ? read_until(agent, '\n', ANSWER_SECONDS) : NULL;
    struct json_object *answer = line ? json_tokener_parse(line) : NULL;
    free(line);
    if (!json_object_is_type(answer, json_type_object)) {
        log_error("the guest's agent does not answer %s", command);
    } else if (json_object_object_get_ex(answer, "error", &value)) {
        bool said = json_object_object_get_ex(value, "desc", &text);
        log_error("the guest's agent: %s",
                  said ? json_object_get_string(text) : json_object_get_string(value));
        value = NULL;
    } else if (json_object_object_get_ex(answer, "return", &value)) {
        json_object_get(value);
    } else {
        log_error("the guest's agent answers %s with neither a result nor an error", command);
    }
    json_object_put(answer);
    return value;
}

static s64 send_sync(struct agent *agent)
{
    struct json_object *arguments = json_object_new_object();
    s64 id = (s64)(host_now_ns() & 0x7fffffff);
    json_add_number(arguments, "id", (u64)id);
    return say(agent, "guest-sync-delimited", arguments) ? id : -1;
}

static bool synchronize(struct agent *agent)
{
    struct json_object *value;
    /* FFh ends an object that another client has left half written. */
    s64 id = qmp_client_send(agent->fd, "\xff") ? send_sync(agent) : -1;
    if (id < 0) return false;
    for (char *text; (text = read_until(agent, '\xff', SYNC_SECONDS));) {
        free(text);
        char *line = read_until(agent, '\n', SYNC_SECONDS);
        struct json_object *answer = line ? json_tokener_parse(line) : NULL;
        bool ours = json_object_object_get_ex(answer, "return", &value) && json_object_get_int64(value) == id;
        json_object_put(answer);
        free(line);
        if (ours) return true;
    }
    return false;
}

/* --- the commands --- */

static int done(struct json_object *value)
{
    json_object_put(value);
    return value ? STATUS_OK : STATUS_GUEST;
}

static int info(struct agent *agent)
{
    struct json_object *about = ask(agent, "guest-info", NULL), *commands;
    struct json_object *system = about ? ask(agent, "guest-get-osinfo", NULL) : NULL;
    struct json_object *host = about ? ask(agent, "guest-get-host-name", NULL) : NULL;
    if (about) printf("agent    %s\n", json_text_of(about, "version"));
    if (system)
        printf("system   %s, %s\n", json_text_of(system, "pretty-name"),
               json_text_of(system, "kernel-release"));
    if (host) printf("name     %s\n", json_text_of(host, "host-name"));
    if (about && json_object_object_get_ex(about, "supported_commands", &commands)) {
        printf("commands");
        for (size_t n = 0; n < json_object_array_length(commands); n++)
            printf(" %s", json_text_of(json_object_array_get_idx(commands, n), "name"));
        putchar('\n');
    }
    json_object_put(system);
    json_object_put(host);
    return done(about);
}

/* What an agent that could not do it has said in front of the answer to a later command. */
static struct json_object *complaint_in(const char *text)
{
    struct json_object *answer = text ? json_tokener_parse(text) : NULL, *error, *found = NULL;
    if (json_object_object_get_ex(answer, "error", &error)) found = json_object_get(error);
    json_object_put(answer);
    return found;
}

/* An agent that succeeds answers nothing, because the guest is on its way down, and may be gone before it answers the
 * next command. One that cannot do it says so before that. But systemd ends the agent together with the program that
 * the agent waits for: then the agent also says that it failed, and nothing more. */
static int shut_down(struct agent *agent, const char *mode)
{
    if (mode && strcmp(mode, "reboot")) {
        log_error("agent shutdown takes no word but \"reboot\", not \"%s\"", mode);
        return STATUS_USAGE;
    }
    struct json_object *arguments = json_object_new_object();
    json_add_text(arguments, "mode", mode ? mode : "powerdown");
    if (!say(agent, "guest-shutdown", arguments)) {
        log_error("the machine has ended");
        return STATUS_GUEST;
    }
    char *before = send_sync(agent) < 0 ? NULL : read_until(agent, '\xff', SYNC_SECONDS);
    struct json_object *error = complaint_in(before);
    if (error && !synchronize(agent)) {
        json_object_put(error);
        error = NULL;
    }
    if (error) log_error("the guest's agent: %s", json_text_of(error, "desc"));
    free(before);
    json_object_put(error);
    return error ? STATUS_GUEST : STATUS_OK;
}

/* How many file systems, or their state. */
static int print_one(struct agent *agent, const char *command)
{
    struct json_object *value = ask(agent, command, NULL);
    if (value) puts(json_object_get_string(value));
    return done(value);
}

static void print_output(struct json_object *status, const char *key, FILE *out)
{
    struct json_object *value;
    gsize bytes = 0;
    if (!json_object_object_get_ex(status, key, &value)) return;
    guchar *data = g_base64_decode(json_object_get_string(value), &bytes);
    fwrite(data, 1, bytes, out);
    g_free(data);
}

/* What a shell says: 128 and the signal that has ended the program. */
static int exit_status(struct json_object *status)
{
    struct json_object *value;
    if (json_object_object_get_ex(status, "signal", &value)) return 128 + json_object_get_int(value);
    return json_object_object_get_ex(status, "exitcode", &value) ? json_object_get_int(value) : STATUS_GUEST;
}

static int exec(struct agent *agent, int count, char **words)
{
    struct json_object *arguments = json_object_new_object(), *list = json_object_new_array(), *value;
    json_add_text(arguments, "path", words[0]);
    for (int n = 1; n < count; n++)
        json_object_array_add(list, json_object_new_string(words[n]));
    json_object_object_add(arguments, "arg", list);
    json_add_flag(arguments, "capture-output", true);
    struct json_object *started = ask(agent, "guest-exec", arguments);
    bool runs = json_object_object_get_ex(started, "pid", &value);
    s64 pid = runs ? json_object_get_int64(value) : 0;
    if (started && !runs) log_error("the guest's agent does not say the number of the process");
    json_object_put(started);
    if (!runs) return STATUS_GUEST;
    for (;;) {
        arguments = json_object_new_object();
        json_object_object_add(arguments, "pid", json_object_new_int64(pid));
        struct json_object *status = ask(agent, "guest-exec-status", arguments);
        bool exited = json_object_object_get_ex(status, "exited", &value) && json_object_get_boolean(value);
        if (!status || exited) {
            print_output(status, "out-data", stdout);
            print_output(status, "err-data", stderr);
            int result = status ? exit_status(status) : STATUS_GUEST;
            json_object_put(status);
            return result;
        }
        json_object_put(status);
        host_sleep_ns(POLL_NS);
    }
}

static int raw(struct agent *agent, int count, char **words)
{
    struct json_object *arguments = count > 1 ? json_tokener_parse(words[1]) : NULL;
    if (count > 2 || (count > 1 && !json_object_is_type(arguments, json_type_object))) {
        log_error("the arguments of %s must be one JSON object", words[0]);
        json_object_put(arguments);
        return STATUS_USAGE;
    }
    struct json_object *value = ask(agent, words[0], arguments);
    if (value) puts(json_object_to_json_string_ext(value, QMP_CLIENT_PRETTY));
    return done(value);
}

/* --- the words --- */

static bool is_known(int count, char **words)
{
    static const struct {
        const char *word;
        int least, most;
    } known[] = {{"ping", 1, 1}, {"info", 1, 1},   {"shutdown", 1, 2}, {"freeze", 1, 1},
                 {"thaw", 1, 1}, {"frozen", 1, 1}, {"exec", 2, 1024}};
    for (unsigned n = 0; n < ARRAY_SIZE(known); n++)
        if (!strcmp(words[0], known[n].word)) return count >= known[n].least && count <= known[n].most;
    return !strncmp(words[0], "guest-", 6);
}

static int run(struct agent *agent, int count, char **words)
{
    const char *word = words[0];
    if (!strcmp(word, "ping")) return done(ask(agent, "guest-ping", NULL));
    if (!strcmp(word, "info")) return info(agent);
    if (!strcmp(word, "shutdown")) return shut_down(agent, count > 1 ? words[1] : NULL);
    if (!strcmp(word, "freeze")) return print_one(agent, "guest-fsfreeze-freeze");
    if (!strcmp(word, "thaw")) return print_one(agent, "guest-fsfreeze-thaw");
    if (!strcmp(word, "frozen")) return print_one(agent, "guest-fsfreeze-status");
    if (!strcmp(word, "exec")) return exec(agent, count - 1, words + 1);
    return raw(agent, count, words);
}

/* The socket behind the port of the agent; -1: a sentence was printed. */
static int connect_agent(struct qmp_client *machine)
{
    struct json_object *value = qmp_client_run(machine, "x-ringer-guest-agent", NULL);
    int fd = value ? runtime_connect(json_text_of(value, "path")) : -1;
    if (value && fd < 0) log_error("cannot connect to %s: %s", json_text_of(value, "path"), strerror(-fd));
    json_object_put(value);
    return fd;
}

int agent_command(struct qmp_client *machine, int count, char **words)
{
    if (!count || !is_known(count, words)) {
        usage(stderr);
        return STATUS_USAGE;
    }
    struct agent agent = {.fd = connect_agent(machine)};
    if (agent.fd < 0) return STATUS_GUEST;
    agent.read = g_string_new(NULL);
    int status = STATUS_GUEST;
    if (synchronize(&agent))
        status = run(&agent, count, words);
    else
        log_error("no agent answers in the guest: does the package qemu-guest-agent run there?");
    g_string_free(agent.read, TRUE);
    close(agent.fd);
    return status;
}
