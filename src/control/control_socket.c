/*
 * The socket by which `ringer ctl` and `ringer watch` find a running machine. It speaks QMP with several clients at a
 * time. Several chardevs accept from this one listening socket, which the first one's options name.
 */
#include "base/log.h"
#include "chardev/runtime_folder.h"
#include "control_private.h"
#include "vm/vm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A running machine keeps its name. Another machine of that name gets the number of its process as a suffix. */
static bool choose_path(const char *name, char *path, size_t bytes)
{
    char other[160];
    snprintf(other, sizeof(other), "pid-%d", getpid());
    if (name && runtime_socket(name, path, bytes)) {
        int fd = runtime_connect(path);
        if (fd < 0) return true;
        close(fd);
        snprintf(other, sizeof(other), "%.100s.%d", name, getpid());
    }
    return runtime_socket(other, path, bytes);
}

bool control_listen(struct control *control)
{
    char error[256], path[256], text[300];
    runtime_sweep();
    if (!choose_path(control->vm->options->board.name, path, sizeof(path))) return true;
    for (unsigned n = 0; n < CONTROL_CLIENTS; n++) {
        char id[16];
        snprintf(id, sizeof(id), "#control%u", n);
        snprintf(text, sizeof(text), "unix:%s,server=on,wait=off", path);
        struct char_options *options = &control->chardevs->own[n];
        if (!char_options_short(options, id, text, error, sizeof(error))) return false;
        options->listener = n ? control->chardevs->own[0].id : NULL;
        if (!chardevs_add(control->chardevs, options, error, sizeof(error))) {
            log_debug("no control socket: %s", error);
            return true;
        }
        if (!control_add_session(control, chardevs_find(control->chardevs, id), &session_qmp, error,
                                 sizeof(error)))
            return false;
    }
    return true;
}
