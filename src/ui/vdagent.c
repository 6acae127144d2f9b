#include "vdagent.h"

#include <stdlib.h>
#include <string.h>

enum {
    MONITORS_CONFIG = 2,
    CLIPBOARD_DATA = 4,
    ANNOUNCE_CAPABILITIES = 6,
    CLIPBOARD_GRAB = 7,
    CLIPBOARD_REQUEST = 8,
};

/* Bits of `abilities` */
#define CAN_MONITORS (1u << 1)
#define CAN_DEMAND   (1u << 5) /* GRAB and REQUEST */
/* Clipboard messages begin with the number of a selection in 4 bytes; 0: the clipboard. */
#define CAN_SELECTION (1u << 6)

enum { NO_DATA = 0, UTF8_TEXT = 1 };

#define PROTOCOL       1
#define CLIENT_PORT    1
#define CHUNK_DATA_MAX 2048u
/* The longest message that is kept: a text behind a selection and a type. */
#define BODY_MAX (8 + CLIPBOARD_BYTES_MAX)
/* Two of the longest with their headers: one that is under way, and the newest. */
#define OUT_MAX (2 * BODY_MAX + 65536)

/* --- to the guest --- */

void vdagent_go_on(struct vdagent *agent)
{
    while (agent->out_sent < agent->out_bytes) {
        u32 taken =
            agent->ops->send(agent->owner, agent->out + agent->out_sent, agent->out_bytes - agent->out_sent);
        if (!taken) return;
        agent->out_sent += taken;
    }
    agent->out_bytes = agent->out_sent = 0;
}

static bool make_room(struct vdagent *agent, u32 bytes)
{
    if (agent->out_sent) {
        memmove(agent->out, agent->out + agent->out_sent, agent->out_bytes - agent->out_sent);
        agent->out_bytes -= agent->out_sent;
        agent->out_sent = 0;
    }
    if (bytes > OUT_MAX - agent->out_bytes) return false;
    if (agent->out_bytes + bytes <= agent->out_room) return true;
    u8 *more = realloc(agent->out, agent->out_bytes + bytes);
    if (!more) return false;
    agent->out = more;
    agent->out_room = agent->out_bytes + bytes;
    return true;
}

/* Append to the output, a chunk header before every CHUNK_DATA_MAX bytes. *left: bytes of the message that are still to
 * come. */
static void append(struct vdagent *agent, u32 *in_chunk, u32 *left, const void *bytes, u32 count)
{
    const u8 *from = bytes;
    while (count) {
        if (!*in_chunk) {
            *in_chunk = *left < CHUNK_DATA_MAX ? *left : CHUNK_DATA_MAX;
            store_any(agent->out + agent->out_bytes, 4, CLIENT_PORT);
            store_any(agent->out + agent->out_bytes + 4, 4, *in_chunk);
            agent->out_bytes += VDAGENT_CHUNK_BYTES;
        }
        u32 piece = count < *in_chunk ? count : *in_chunk;
        memcpy(agent->out + agent->out_bytes, from, piece);
        agent->out_bytes += piece;
        *in_chunk -= piece;
        *left -= piece;
        from += piece;
        count -= piece;
    }
}

/* A message of words, and a text behind them. One that finds no room is lost: the guest does not read. */
static void say(struct vdagent *agent, u32 type, const u32 *words, u32 word_count, const char *text,
                u32 text_bytes)
{
    u8 header[VDAGENT_HEADER_BYTES] = {0};
    u32 body = 4 * word_count + text_bytes, left = VDAGENT_HEADER_BYTES + body, in_chunk = 0;
    if (!make_room(agent, left + (left / CHUNK_DATA_MAX + 1) * VDAGENT_CHUNK_BYTES)) return;
    store_any(header, 4, PROTOCOL);
    store_any(header + 4, 4, type);
    store_any(header + 16, 4, body);
    append(agent, &in_chunk, &left, header, sizeof(header));
    append(agent, &in_chunk, &left, words, 4 * word_count);
    append(agent, &in_chunk, &left, text, text_bytes);
    vdagent_go_on(agent);
}

/* A message about the clipboard that begins with its selection, if the agent knows selections. */
static void say_clipboard(struct vdagent *agent, u32 type, u32 format, const char *text, u32 bytes)
{
    u32 words[2] = {0, format};
    bool selection = agent->abilities & CAN_SELECTION;
    say(agent, type, selection ? words : words + 1, selection ? 2 : 1, text, bytes);
}

static void announce(struct vdagent *agent, bool ask)
{
    u32 words[2] = {ask, CAN_MONITORS | (agent->clipboard ? CAN_DEMAND | CAN_SELECTION : 0)};
    say(agent, ANNOUNCE_CAPABILITIES, words, 2, NULL, 0);
}

static bool shares_clipboard(const struct vdagent *agent)
{
    return agent->clipboard && agent->abilities & CAN_DEMAND;
}

void vdagent_offer(struct vdagent *agent)
{
    if (shares_clipboard(agent)) say_clipboard(agent, CLIPBOARD_GRAB, UTF8_TEXT, NULL, 0);
}

static void send_size(struct vdagent *agent)
{
    /* one monitor: height, width, depth, x, y */
    const u32 words[] = {1, 0, agent->height, agent->width, 32, 0, 0};
    if (agent->width && agent->abilities & CAN_MONITORS)
        say(agent, MONITORS_CONFIG, words, ARRAY_SIZE(words), NULL, 0);
}

void vdagent_resize(struct vdagent *agent, u16 width, u16 height)
{
    agent->width = width;
    agent->height = height;
    send_size(agent);
}

/* --- from the guest --- */

static void capabilities(struct vdagent *agent, const u8 *body, u32 bytes)
{
    if (bytes < 8) return;
    bool is_new = !agent->abilities;
    agent->abilities = (u32)load_any(body + 4, 4);
    if (load_any(body, 4)) announce(agent, false);
    if (!is_new) return;
    send_size(agent);
    char *text = agent->clipboard ? clipboard_get(agent->clipboard, CLIPBOARD_HOST) : NULL;
    if (text) vdagent_offer(agent);
    free(text);
}

static void give_text(struct vdagent *agent)
{
    char *text = clipboard_get(agent->clipboard, CLIPBOARD_HOST);
    say_clipboard(agent, CLIPBOARD_DATA, text ? UTF8_TEXT : NO_DATA, text, text ? (u32)strlen(text) : 0);
    free(text);
}

static void clipboard_message(struct vdagent *agent, u32 type, const u8 *body, u32 bytes)
{
    if (!shares_clipboard(agent)) return;
    if (agent->abilities & CAN_SELECTION) {
        if (bytes < 4 || *body) return; /* another selection */
        body += 4;
        bytes -= 4;
    }
    bool text = false;
    u32 formats = type == CLIPBOARD_GRAB ? bytes / 4 : bytes >= 4;
    for (u32 n = 0; n < formats; n++)
        text |= load_any(body + 4 * n, 4) == UTF8_TEXT;
    if (type == CLIPBOARD_GRAB && text) {
        agent->requested = true;
        say_clipboard(agent, CLIPBOARD_REQUEST, UTF8_TEXT, NULL, 0);
    } else if (type == CLIPBOARD_REQUEST && bytes >= 4) {
        give_text(agent);
    } else if (type == CLIPBOARD_DATA && bytes >= 4 && agent->requested) {
        agent->requested = false;
        if (text && clipboard_put(agent->clipboard, CLIPBOARD_GUEST, (const char *)body + 4, bytes - 4))
            agent->ops->copied(agent->owner);
    }
}

static u32 body_bytes(const struct vdagent *agent)
{
    return (u32)load_any(agent->header + 16, 4);
}

static void take_message(struct vdagent *agent)
{
    u32 type = (u32)load_any(agent->header + 4, 4), bytes = body_bytes(agent);
    if (load_any(agent->header, 4) != PROTOCOL) return;
    switch (type) {
    case ANNOUNCE_CAPABILITIES: capabilities(agent, agent->body, bytes); break;
    case CLIPBOARD_GRAB:
    case CLIPBOARD_REQUEST:
    case CLIPBOARD_DATA: clipboard_message(agent, type, agent->body, bytes); break;
    default: break;
    }
}

/* Room for as much of the body as has come, not for as much as its header promises. */
static bool keep(struct vdagent *agent, const u8 *bytes, u32 count)
{
    u64 needed = agent->got - VDAGENT_HEADER_BYTES + count;
    if (needed > BODY_MAX) return false;
    if (needed > agent->body_room) {
        u32 room = needed < 4096 ? 4096 : (u32)(needed + needed / 2);
        u8 *more = realloc(agent->body, room);
        if (!more) return false;
        agent->body = more;
        agent->body_room = room;
    }
    memcpy(agent->body + agent->got - VDAGENT_HEADER_BYTES, bytes, count);
    return true;
}

/* Bytes within a chunk. A message that is too long is counted, and not kept. Returns how many bytes were of this
 * message. */
static u32 take_bytes(struct vdagent *agent, const u8 *bytes, u32 count)
{
    bool header = agent->got < VDAGENT_HEADER_BYTES;
    u64 end = VDAGENT_HEADER_BYTES + (header ? 0 : (u64)body_bytes(agent));
    u32 now = end - agent->got < count ? (u32)(end - agent->got) : count;
    if (header)
        memcpy(agent->header + agent->got, bytes, now);
    else
        agent->skip |= !keep(agent, bytes, now);
    agent->got += now;
    if (agent->got < VDAGENT_HEADER_BYTES || agent->got < VDAGENT_HEADER_BYTES + (u64)body_bytes(agent))
        return now;
    if (!agent->skip) take_message(agent);
    agent->got = 0;
    agent->skip = false;
    return now;
}

void vdagent_receive(struct vdagent *agent, const u8 *bytes, u64 count)
{
    while (count) {
        u32 now;
        if (agent->chunk_left) {
            now = take_bytes(agent, bytes, agent->chunk_left < count ? agent->chunk_left : (u32)count);
            agent->chunk_left -= now;
        } else {
            now = 1;
            agent->chunk[agent->chunk_got++] = *bytes;
            if (agent->chunk_got == VDAGENT_CHUNK_BYTES) {
                agent->chunk_left = (u32)load_any(agent->chunk + 4, 4);
                agent->chunk_got = 0;
            }
        }
        bytes += now;
        count -= now;
    }
}

/* --- the agent --- */

void vdagent_init(struct vdagent *agent, const struct vdagent_ops *ops, void *owner,
                  struct clipboard *clipboard)
{
    *agent = (struct vdagent){.ops = ops, .owner = owner, .clipboard = clipboard};
}

void vdagent_reset(struct vdagent *agent)
{
    u16 width = agent->width, height = agent->height;
    vdagent_destroy(agent);
    vdagent_init(agent, agent->ops, agent->owner, agent->clipboard);
    agent->width = width;
    agent->height = height;
}

void vdagent_destroy(struct vdagent *agent)
{
    free(agent->body);
    free(agent->out);
    agent->body = agent->out = NULL;
}
