#include "qmp_client.h"

#include "base/json.h"
#include "base/log.h"
#include "chardev/runtime_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The next object that is not an event. NULL: the machine has ended. */
static struct json_object *receive(struct qmp_client *talk)
{
    while (getline(&talk->line, &talk->capacity, talk->in) > 0) {
        struct json_object *object = json_tokener_parse(talk->line);
        if (object && !json_object_object_get_ex(object, "event", NULL)) return object;
        json_object_put(object);
    }
    return NULL;
}

bool qmp_client_send(int fd, const char *text)
{
    for (size_t left = strlen(text); left;) {
        ssize_t done = send(fd, text, left, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR) return false;
        if (done < 0) continue;
        text += done;
        left -= (size_t)done;
    }
    return true;
}

struct json_object *qmp_client_ask(struct qmp_client *talk, const char *command,
                                   struct json_object *arguments)
{
    struct json_object *object = json_object_new_object();
    json_add_text(object, "execute", command);
    if (arguments) json_object_object_add(object, "arguments", arguments);
    bool sent = qmp_client_send(talk->fd, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN)) &&
                qmp_client_send(talk->fd, "\n");
    json_object_put(object);
    return sent ? receive(talk) : NULL;
}

struct json_object *qmp_client_run(struct qmp_client *talk, const char *command,
                                   struct json_object *arguments)
{
    struct json_object *answer = qmp_client_ask(talk, command, arguments), *value = NULL;
    if (!answer) {
        log_error("the machine has ended");
    } else if (json_object_object_get_ex(answer, "error", &value)) {
        log_error("%s", json_text_of(value, "desc"));
        value = NULL;
    } else if (json_object_object_get_ex(answer, "return", &value)) {
        json_object_get(value);
    }
    json_object_put(answer);
    return value;
}

bool qmp_client_open(struct qmp_client *talk, const char *name)
{
    char path[256];
    if (strchr(name, '/'))
        snprintf(path, sizeof(path), "%s", name);
    else if (!runtime_socket(name, path, sizeof(path)))
        return log_error("\"%s\" is not the name of a machine", name), false;
    talk->fd = runtime_connect(path);
    if (talk->fd < 0) {
        bool none = talk->fd == -ENOENT || talk->fd == -ECONNREFUSED;
        log_error("%s%s", none ? "no machine runs at " : "cannot connect to ", path);
        return false;
    }
    talk->in = fdopen(talk->fd, "r");
    struct json_object *greeting = talk->in ? receive(talk) : NULL;
    json_object_put(greeting);
    struct json_object *answer = greeting ? qmp_client_ask(talk, "qmp_capabilities", NULL) : NULL;
    json_object_put(answer);
    if (!answer) log_error("the machine at %s does not answer", path);
    return answer;
}

void qmp_client_close(struct qmp_client *talk)
{
    if (talk->in) fclose(talk->in);
    free(talk->line);
}
