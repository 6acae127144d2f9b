/*
 * The socket by which `ringer ctl` and `ringer watch` find a running machine. It speaks QMP with several clients at a
 * time. Several chardevs accept from this one listening socket, which the first one's options name.
 */
#include "base/log.h"
#include "chardev/runtime_folder.h"
#include "control_private.h"
#include "vm/vm.h"

#include <stdio.h>

bool control_listen(struct control *control)
{
    char error[256], path[256], text[300];
    runtime_sweep();
    if (!runtime_new_socket(control->vm->options->board.name, false, path, sizeof(path))) return true;
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
