/*
 * The host's side of spice-vdagent: copies in both directions, the screen's size, an agent that comes late and comes
 * back. Hazards: text that is copied back and forth without end; a message that lies about its length; a guest that
 * copies without end, asks without end, or sends what nothing asked for; bytes that are no text.
 */
#include "ui/vdagent.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static struct clipboard clipboard;
static struct vdagent agent;
static u8 to_guest[8 << 20];
static u32 sent, room;
static unsigned copies;

static u32 take(void *owner, const u8 *bytes, u32 count)
{
    u32 now = count < room ? count : room;
    memcpy(to_guest + sent, bytes, now);
    sent += now;
    room -= now;
    return now;
}

static void copied(void *owner)
{
    copies++;
}

static const struct vdagent_ops ops = {take, copied};

static void start(bool shares)
{
    clipboard_init(&clipboard);
    vdagent_init(&agent, &ops, NULL, shares ? &clipboard : NULL);
    sent = copies = 0;
    room = sizeof(to_guest);
}

static void stop(void)
{
    vdagent_destroy(&agent);
    clipboard_destroy(&clipboard);
}

static size_t chunk(u8 *out, u32 bytes)
{
    store_any(out, 4, 1);
    store_any(out + 4, 4, bytes);
    return VDAGENT_CHUNK_BYTES;
}

static void guest_says(u32 type, const void *body, u32 bytes)
{
    u8 out[256];
    size_t at = chunk(out, VDAGENT_HEADER_BYTES + bytes);
    memset(out + at, 0, VDAGENT_HEADER_BYTES);
    store_any(out + at, 4, 1);
    store_any(out + at + 4, 4, type);
    store_any(out + at + 16, 4, bytes);
    memcpy(out + at + VDAGENT_HEADER_BYTES, body, bytes);
    vdagent_receive(&agent, out, at + VDAGENT_HEADER_BYTES + bytes);
}

/* The next message to the guest, without its chunks. Returns its type, 0: there is none. */
static u32 guest_hears(u8 *body, u32 *bytes)
{
    u8 whole[3 << 20];
    u32 at = 0, got = 0, left = 0;
    while (at < sent &&
           (got < VDAGENT_HEADER_BYTES || got < VDAGENT_HEADER_BYTES + load_any(whole + 16, 4))) {
        if (!left) {
            CHECK_EQ(load_any(to_guest + at, 4), 1);
            left = (u32)load_any(to_guest + at + 4, 4);
            CHECK(left && left <= 2048);
            at += VDAGENT_CHUNK_BYTES;
        }
        whole[got++] = to_guest[at++];
        left--;
    }
    memmove(to_guest, to_guest + at, sent - at);
    sent -= at;
    if (!got) return 0;
    CHECK_EQ(left, 0);
    *bytes = (u32)load_any(whole + 16, 4);
    memcpy(body, whole + VDAGENT_HEADER_BYTES, *bytes);
    return (u32)load_any(whole + 4, 4);
}

static u8 heard[3 << 20];
static u32 heard_bytes;

/* Monitors, clipboard by demand, selections */
static const u8 abilities[] = {1, 0, 0, 0, 0x62, 0, 0, 0};
static const u8 grab[] = {0, 0, 0, 0, 1, 0, 0, 0}, request[] = {0, 0, 0, 0, 1, 0, 0, 0};

static void connect_agent(void)
{
    guest_says(6, abilities, sizeof(abilities));
    CHECK_EQ(guest_hears(heard, &heard_bytes), 6);
    CHECK_EQ(load_any(heard, 4), 0);
}

static void test_host_copies(void)
{
    start(true);
    connect_agent();
    CHECK(clipboard_put(&clipboard, CLIPBOARD_HOST, "gr\xc3\xbc\xc3\x9f", 6));
    vdagent_offer(&agent);
    CHECK_EQ(guest_hears(heard, &heard_bytes), 7);
    CHECK(heard_bytes == 8 && !memcmp(heard, grab, 8));
    guest_says(8, request, sizeof(request));
    CHECK_EQ(guest_hears(heard, &heard_bytes), 4);
    CHECK_EQ(heard_bytes, 8 + 6);
    CHECK(!memcmp(heard + 8, "gr\xc3\xbc\xc3\x9f", 6));
    CHECK_EQ(guest_hears(heard, &heard_bytes), 0);
    stop();
}

static void guest_text(const char *text)
{
    u8 data[128] = {0, 0, 0, 0, 1};
    size_t bytes = strlen(text);
    memcpy(data + 8, text, bytes);
    guest_says(4, data, 8 + (u32)bytes);
}

static void test_guest_copies(void)
{
    start(true);
    connect_agent();
    guest_text("unasked");
    CHECK_EQ(copies, 0);
    guest_says(7, grab, sizeof(grab));
    CHECK_EQ(guest_hears(heard, &heard_bytes), 8);
    guest_text("from the guest");
    CHECK_EQ(copies, 1);
    char *text = clipboard_get(&clipboard, CLIPBOARD_GUEST);
    CHECK(text && !strcmp(text, "from the guest"));
    free(text);
    CHECK(!clipboard_put(&clipboard, CLIPBOARD_HOST, "from the guest", 14)); /* the desktop says it back */
    guest_text("twice");
    CHECK_EQ(copies, 1);
    /* another selection, and other formats */
    const u8 primary[] = {1, 0, 0, 0, 1, 0, 0, 0}, image[] = {0, 0, 0, 0, 2, 0, 0, 0};
    guest_says(7, primary, sizeof(primary));
    guest_says(7, image, sizeof(image));
    CHECK_EQ(guest_hears(heard, &heard_bytes), 0);
    const char *bad[] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "abc\xe2\x82"};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        guest_says(7, grab, sizeof(grab));
        guest_text(bad[n]);
    }
    CHECK_EQ(copies, 1);
    stop();
}

static void test_size(void)
{
    start(false);
    vdagent_resize(&agent, 1000, 700);
    CHECK_EQ(sent, 0); /* there is no agent yet */
    for (unsigned boot = 0; boot < 2; boot++) {
        connect_agent();
        CHECK_EQ(guest_hears(heard, &heard_bytes), 2);
        CHECK_EQ(heard_bytes, 28);
        CHECK_EQ(load_any(heard, 4), 1);
        CHECK_EQ(load_any(heard + 8, 4), 700);
        CHECK_EQ(load_any(heard + 12, 4), 1000);
        guest_says(7, grab, sizeof(grab)); /* the clipboard is not shared */
        guest_says(8, request, sizeof(request));
        CHECK_EQ(guest_hears(heard, &heard_bytes), 0);
        vdagent_reset(&agent);
    }
    stop();
}

/* The host has copied before the agent comes; a guest that takes one byte at a time, and sends one at a time. */
static void test_pieces(void)
{
    static char text[CLIPBOARD_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    start(true);
    CHECK(!clipboard_put(&clipboard, CLIPBOARD_HOST, text, CLIPBOARD_BYTES_MAX + 1));
    CHECK(clipboard_put(&clipboard, CLIPBOARD_HOST, text, CLIPBOARD_BYTES_MAX));
    connect_agent();
    CHECK_EQ(guest_hears(heard, &heard_bytes), 7);
    room = 0;
    u8 out[64];
    size_t bytes = chunk(out, VDAGENT_HEADER_BYTES + 8);
    memset(out + bytes, 0, VDAGENT_HEADER_BYTES);
    out[bytes] = 1;
    out[bytes + 4] = 8;
    out[bytes + 16] = 8;
    memcpy(out + bytes + VDAGENT_HEADER_BYTES, request, 8);
    for (size_t n = 0; n < bytes + VDAGENT_HEADER_BYTES + 8; n++)
        vdagent_receive(&agent, out + n, 1);
    for (unsigned n = 0; n < 3 << 20; n++) {
        room = 1;
        vdagent_go_on(&agent);
    }
    CHECK_EQ(guest_hears(heard, &heard_bytes), 4);
    CHECK_EQ(heard_bytes, 8 + CLIPBOARD_BYTES_MAX);
    CHECK(!memcmp(heard + 8, text, CLIPBOARD_BYTES_MAX));
    stop();
}

static void test_hostile(void)
{
    static u8 zeros[65536];
    u8 out[VDAGENT_CHUNK_BYTES + VDAGENT_HEADER_BYTES];
    start(true);
    connect_agent();
    /* It asks without end and reads nothing: the text is queued a few times, not a thousand times. */
    char text[60000];
    memset(text, 'y', sizeof(text));
    CHECK(clipboard_put(&clipboard, CLIPBOARD_HOST, text, sizeof(text)));
    room = 0;
    for (unsigned n = 0; n < 1000; n++)
        guest_says(8, request, sizeof(request));
    CHECK(agent.out_room < 4 << 20);
    vdagent_reset(&agent);
    room = sizeof(to_guest);
    connect_agent();
    CHECK_EQ(guest_hears(heard, &heard_bytes), 7);
    /* 4 GB of text are promised and come: none of it is kept, and the next message is understood. */
    guest_says(7, grab, sizeof(grab));
    CHECK_EQ(guest_hears(heard, &heard_bytes), 8);
    chunk(out, VDAGENT_HEADER_BYTES + (64u << 20));
    memset(out + VDAGENT_CHUNK_BYTES, 0, VDAGENT_HEADER_BYTES);
    out[VDAGENT_CHUNK_BYTES] = 1;
    out[VDAGENT_CHUNK_BYTES + 4] = 4;
    store_any(out + VDAGENT_CHUNK_BYTES + 16, 4, 64u << 20);
    vdagent_receive(&agent, out, sizeof(out));
    CHECK(agent.body_room < 1 << 20);
    for (unsigned n = 0; n < (64 << 20) / sizeof(zeros); n++)
        vdagent_receive(&agent, zeros, sizeof(zeros));
    CHECK(agent.body_room < 2 << 20);
    CHECK_EQ(copies, 0);
    guest_text("understood");
    CHECK_EQ(copies, 1);
    /* Bodies that are too short for what they say. */
    for (u32 type = 0; type < 20; type++)
        for (u32 bytes = 0; bytes < 12; bytes++)
            guest_says(type, abilities, bytes < sizeof(abilities) ? bytes : sizeof(abilities));
    stop();
}

int main(void)
{
    test_host_copies();
    test_guest_copies();
    test_size();
    test_pieces();
    test_hostile();
    return check_report();
}
