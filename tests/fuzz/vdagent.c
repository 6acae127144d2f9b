/*
 * SPICE's agent protocol, spoken by a hostile guest. Input: the stream of the guest's bytes, as the virtio port has
 * them. Whatever comes, the clipboard has text in UTF-8, and the answers are bounded.
 */
#include "ui/vdagent.h"

#include <stdlib.h>
#include <string.h>

static u64 sent;

static u32 take(void *owner, const u8 *bytes, u32 count)
{
    u32 some = count > 7 ? count - 3 : count; /* the guest's buffers end anywhere */
    sent += some + bytes[some - 1] % 2;       /* each byte was written */
    return sent % 5 ? some : 0;
}

static void copied(void *owner)
{
    struct clipboard *clipboard = owner;
    char *text = clipboard_get(clipboard, CLIPBOARD_GUEST);
    if (!text || strlen(text) > CLIPBOARD_BYTES_MAX) abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static const struct vdagent_ops ops = {take, copied};
    struct clipboard clipboard;
    struct vdagent agent;
    clipboard_init(&clipboard);
    vdagent_init(&agent, &ops, &clipboard, &clipboard);
    clipboard_put(&clipboard, CLIPBOARD_HOST, "host", 4);
    for (size_t at = 0, step; at < bytes; at += step) {
        step = bytes - at < 37 ? bytes - at : 37;
        vdagent_receive(&agent, data + at, step);
        if (data[at] == 0x55) vdagent_offer(&agent);
        if (data[at] == 0xaa) vdagent_reset(&agent);
        vdagent_go_on(&agent);
    }
    vdagent_destroy(&agent);
    clipboard_destroy(&clipboard);
    return 0;
}
