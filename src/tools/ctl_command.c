/*
 * `ringer ctl`: a client of a running machine's control socket.
 *
 *   ringer ctl                      the machines that run
 *   ringer ctl NAME COMMAND...      an HMP command: info status, stop, eject ide1-cd0, ...
 *   ringer ctl NAME qmp COMMAND [ARGUMENTS]    a QMP command with its arguments as a JSON object
 *   ringer ctl NAME agent ...       the guest agent: agent_command.h
 *
 * Exit status: 0; 1: the machine, or the agent, refused; 2: bad arguments, or there is no such machine.
 */
#include "ctl_command.h"

#include "agent_command.h"
#include "base/json.h"
#include "base/log.h"
#include "chardev/runtime_folder.h"
#include "qmp_client.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(FILE *out)
{
    fputs("ringer ctl                               list the machines that run\n"
          "ringer ctl NAME COMMAND...               an HMP command for one: info status, stop, help, ...\n"
          "ringer ctl NAME qmp COMMAND [ARGUMENTS]  a QMP command; its arguments are a JSON object\n"
          "ringer ctl NAME agent ...                commands of the guest's agent; agent alone lists them\n"
          "\n"
          "NAME is the machine's --name, or pid-N; or the path of a socket that -qmp made.\n",
          out);
    return out == stdout ? STATUS_OK : STATUS_USAGE;
}

/* --- the commands --- */

/* Prints the reply. */
static int finish(struct json_object *value, bool hmp)
{
    if (!value) return STATUS_GUEST;
    int status = STATUS_OK;
    if (hmp) {
        const char *said = json_object_get_string(value);
        bool bad = !strncmp(said, "Error: ", 7) || !strncmp(said, "unknown command: ", 17);
        fputs(said, bad ? stderr : stdout);
        status = bad;
    } else {
        puts(json_object_to_json_string_ext(value, QMP_CLIENT_PRETTY));
    }
    json_object_put(value);
    return status;
}

static int run_qmp(struct qmp_client *talk, int count, char **words)
{
    struct json_object *arguments = count > 1 ? json_tokener_parse(words[1]) : NULL;
    if (count < 1 || count > 2) return usage(stderr);
    if (count > 1 && !json_object_is_type(arguments, json_type_object)) {
        log_error("the arguments of %s must be a JSON object, not \"%s\"", words[0], words[1]);
        json_object_put(arguments);
        return STATUS_USAGE;
    }
    return finish(qmp_client_run(talk, words[0], arguments), false);
}

static int run_hmp(struct qmp_client *talk, int count, char **words)
{
    char line[1024] = "";
    size_t used = 0;
    for (int n = 0; n < count && used < sizeof(line); n++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s", n ? " " : "", words[n]);
    if (used >= sizeof(line)) {
        log_error("the command is too long");
        return STATUS_USAGE;
    }
    struct json_object *arguments = json_object_new_object();
    json_add_text(arguments, "command-line", line);
    return finish(qmp_client_run(talk, "human-monitor-command", arguments), true);
}

static int list(void)
{
    char folder[256], path[600];
    DIR *directory = runtime_folder(folder, sizeof(folder)) ? opendir(folder) : NULL;
    if (!directory) return STATUS_OK;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        int fd = runtime_connect(path);
        if (fd < 0) continue; /* the socket of a machine that was killed */
        close(fd);
        puts(entry->d_name);
    }
    closedir(directory);
    return STATUS_OK;
}

int ctl_command(int count, char **words)
{
    struct qmp_client talk = {.fd = -1};
    if (!count) return list();
    if (!strcmp(words[0], "--help") || !strcmp(words[0], "-h") || !strcmp(words[0], "help"))
        return usage(stdout);
    if (count < 2) return usage(stderr);
    int status;
    if (!qmp_client_open(&talk, words[0]))
        status = STATUS_USAGE;
    else if (!strcmp(words[1], "qmp"))
        status = run_qmp(&talk, count - 2, words + 2);
    else if (!strcmp(words[1], "agent"))
        status = agent_command(&talk, count - 2, words + 2);
    else
        status = run_hmp(&talk, count - 1, words + 1);
    qmp_client_close(&talk);
    return status;
}
