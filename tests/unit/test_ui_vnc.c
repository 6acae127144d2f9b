/*
 * The VNC server with a client that checks every rectangle: colours are right, and no rectangle is larger than the size
 * that the client knows, however the size of the picture changes. (Hazards: libvncserver sends a new size only to
 * clients that have asked for it in time, and loses Ringer's order of colours with every new size.)
 */
#include "ui/vnc.h"

#include "check.h"
#include "devices/video/display.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the machine: a picture of one colour --- */

static struct mailbox box;
static struct display display;
static struct console console;
static u32 width, height, color;

static void *picture_create(void *device)
{
    return malloc(1);
}
static void collect(void *device, u64 *dirty) {}
static void snapshot(void *device, void *picture) {}

static u64 draw(void *picture, const u64 *dirty, struct display_frame *frame, u64 now_ns)
{
    if (width != frame->width || height != frame->height) display_frame_resize(frame, width, height);
    for (u32 n = 0; n < width * height; n++)
        frame->pixel[n] = color;
    display_frame_damage(frame, 0, 0, width, height);
    return UINT64_MAX;
}

static const struct display_ops ops = {picture_create, free, collect, snapshot, draw};

static void show(u32 new_width, u32 new_height, u32 new_color)
{
    width = new_width;
    height = new_height;
    color = new_color;
    display_changed(&display);
}

static const struct key *pressed, *let_go;

static void take_event(void *machine, const struct console_event *event)
{
    if (event->kind != CONSOLE_KEY) return;
    if (event->down)
        pressed = event->key;
    else
        let_go = event->key;
}

/* --- a client --- */

enum { RAW = 0, DESKTOP_SIZE = -223 };

struct client {
    int fd;
    u32 width, height; /* the size that the server sent */
    u32 color;         /* of the last pixel that came; 1: none */
    u8 red;            /* where it wants red: 16 or 0 */
    unsigned patience; /* in units of 2 ms */
};

/* Waits for a message while the machine runs. Returns false if none has come for a while. */
static bool take(struct client *c, void *to, size_t bytes)
{
    u8 *at = to;
    for (unsigned idle = 0; bytes && idle < c->patience;) {
        struct pollfd pollfd = {.fd = c->fd, .events = POLLIN};
        mailbox_run(&box);
        if (poll(&pollfd, 1, 2) <= 0) {
            idle++;
            continue;
        }
        ssize_t got = read(c->fd, at, bytes);
        if (got <= 0) return false;
        at += got;
        bytes -= (size_t)got;
    }
    return !bytes;
}

static void say(struct client *c, const void *data, size_t bytes)
{
    CHECK(write(c->fd, data, bytes) == (ssize_t)bytes);
}

static u32 number(const u8 *at, unsigned bytes)
{
    u32 value = 0;
    while (bytes--)
        value = value << 8 | *at++;
    return value;
}

static u16 port;

/* The handshake up to the server's message about the size of the screen (RFC 6143, 7.1 to 7.3.2). */
static void greet(struct client *c, u8 red)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    u8 text[256];
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0), .color = 1, .red = red, .patience = 2500};
    CHECK(connect(c->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(take(c, text, 12));
    say(c, "RFB 003.008\n", 12);
    CHECK(take(c, text, 1) && take(c, text + 1, text[0]));
    say(c, "\1", 1);
    CHECK(take(c, text, 4) && !number(text, 4));
    say(c, "\1", 1);
    CHECK(take(c, text, 24));
    c->width = number(text, 2);
    c->height = number(text + 2, 2);
    CHECK(take(c, text, number(text + 20, 4) & 0xff));
}

/* 32 bits; red at 16, which is the server's own order, or blue. */
static void want(struct client *c, bool sizes)
{
    static const u8 with[] = {2, 0, 0, 2, 0, 0, 0, RAW, 0xff, 0xff, 0xff, DESKTOP_SIZE & 0xff};
    static const u8 without[] = {2, 0, 0, 1, 0, 0, 0, RAW};
    /* (A depth of 32 makes the second one libvncserver's.) */
    const u8 format[] = {0, 0, 0, 0, 32, 32, 0, 1, 0, 255, 0, 255, 0, 255, c->red, 8, 16 - c->red, 0, 0, 0};
    say(c, format, sizeof(format));
    if (sizes)
        say(c, with, sizeof(with));
    else
        say(c, without, sizeof(without));
}

static void ask(struct client *c, bool all)
{
    const u8 request[] = {3, !all, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    say(c, request, sizeof(request));
}

static bool rectangle(struct client *c)
{
    u8 head[12], pixel[4];
    if (!take(c, head, sizeof(head))) return false;
    u32 x = number(head, 2), y = number(head + 2, 2), w = number(head + 4, 2), h = number(head + 6, 2);
    if ((s32)number(head + 8, 4) == DESKTOP_SIZE) {
        c->width = w;
        c->height = h;
        return true;
    }
    CHECK_EQ(number(head + 8, 4), RAW);
    CHECK(x + w <= c->width && y + h <= c->height);
    for (u32 n = 0; n < w * h; n++) {
        if (!take(c, pixel, 4)) return false;
        c->color = (u32)pixel[0] << (16 - c->red) | (u32)pixel[1] << 8 | (u32)pixel[2] << c->red;
    }
    return true;
}

static bool update(struct client *c)
{
    u8 head[4];
    if (!take(c, head, sizeof(head))) return false;
    CHECK_EQ(head[0], 0);
    for (u32 count = number(head + 2, 2); count; count--)
        if (!rectangle(c)) return false;
    return true;
}

/* Asks until the picture has come. A new size and a frame or two of the old picture may come first. */
static void await(struct client *c, u32 wanted)
{
    for (unsigned n = 0; n < 8 && c->color != wanted; n++) {
        ask(c, false);
        if (!update(c)) break;
    }
    CHECK_EQ(c->color, wanted);
}

static void test_sizes(void)
{
    struct client early, late, simple;
    show(64, 40, 0x102030);
    greet(&early, 16);
    CHECK(early.width == 64 && early.height == 40); /* the first client of all, too */
    want(&early, true);
    ask(&early, true);
    await(&early, 0x102030);
    CHECK_EQ(early.width, 64);
    show(32, 20, 0x800001);
    await(&early, 0x800001);
    CHECK_EQ(early.width, 32);
    CHECK_EQ(early.height, 20);

    greet(&late, 0);
    greet(&simple, 16);
    CHECK_EQ(late.width, 32);
    want(&simple, false);
    ask(&simple, true);
    await(&simple, 0x800001);
    /* Now the mode changes, and only then does one of them ask for new sizes. */
    show(80, 60, 0x00aa55);
    await(&early, 0x00aa55);
    CHECK_EQ(early.width, 80);
    want(&late, true);
    ask(&late, true);
    await(&late, 0x00aa55);
    CHECK_EQ(late.width, 80);
    CHECK_EQ(late.height, 60);
    /* The other one never does: it gets the part that fits its size. */
    await(&simple, 0x00aa55);
    CHECK_EQ(simple.width, 32);
    show(16, 10, 0x4455ff);
    await(&simple, 0x4455ff);
    await(&late, 0x4455ff);
    CHECK_EQ(late.width, 16);
    show(16, 10, 0x00ff00);
    await(&late, 0x00ff00);
    await(&simple, 0x00ff00);
    close(early.fd);
    close(late.fd);
    close(simple.fd);
}

/* Keys by meaning, and keys by position. Hazard: a client with a German keyboard cannot type characters that the US
 * layout has on another key, or does not have. */
static void test_keys(void)
{
    static const u8 sysrq_down[] = {4, 1, 0, 0, 0, 0, 0xff, 0x15},
                    sysrq_up[] = {4, 0, 0, 0, 0, 0, 0xff, 0x15};
    static const u8 encodings[] = {2, 0, 0, 1, 0xff, 0xff, 0xfe, 0xfe};
    /* The key between the left shift and Z, and the right Ctrl */
    static const u8 less[] = {255, 0, 0, 1, 0, 0, 0, '<', 0, 0, 0, 0x56,
                              255, 0, 0, 0, 0, 0, 0, '<', 0, 0, 0, 0x56};
    static const u8 right[] = {255, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x9d};
    static const u8 none[] = {255, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    static const u8 unknown[] = {255, 1, 0, 0};
    u8 head[16];
    struct client c;
    greet(&c, 16);
    c.patience = 150;
    say(&c, sysrq_down, sizeof(sysrq_down));
    say(&c, sysrq_up, sizeof(sysrq_up));
    CHECK(!take(&c, head, 1));
    CHECK(pressed && pressed == let_go && !strcmp(pressed->name, "print"));
    say(&c, encodings, sizeof(encodings));
    CHECK(take(&c, head, sizeof(head)));
    CHECK(!head[0] && number(head + 2, 2) == 1 && number(head + 12, 4) == 0xfffffefe);
    say(&c, less, sizeof(less));
    say(&c, none, sizeof(none));
    CHECK(!take(&c, head, 1));
    CHECK(pressed && pressed == let_go && !strcmp(pressed->name, "less"));
    say(&c, right, sizeof(right));
    CHECK(!take(&c, head, 1));
    CHECK(pressed && !strcmp(pressed->name, "ctrl_r"));
    say(&c, unknown, sizeof(unknown)); /* the server hangs up, and lets go what is held */
    c.patience = 2500;
    CHECK(!take(&c, head, 1));
    for (unsigned n = 0; n < 1000 && let_go != pressed; n++) {
        mailbox_run(&box);
        usleep(1000);
    }
    CHECK(let_go == pressed);
    close(c.fd);
}

/* A client that sends without end does not take the server's thread away from the others. */
static void *send_without_end(void *client)
{
    static const u8 key[] = {4, 1, 0, 0, 0, 0, 0, 'a'};
    u8 keys[64 * sizeof(key)];
    for (unsigned n = 0; n < 64; n++)
        memcpy(keys + n * sizeof(key), key, sizeof(key));
    while (send(((struct client *)client)->fd, keys, sizeof(keys), MSG_NOSIGNAL) > 0)
        ;
    return NULL;
}

static void test_flood(struct vnc *vnc)
{
    struct client c, other;
    pthread_t thread;
    greet(&c, 16);
    greet(&other, 16);
    want(&other, true);
    CHECK(!pthread_create(&thread, NULL, send_without_end, &c));
    do /* until the flood arrives */
        mailbox_run(&box);
    while (!pressed || strcmp(pressed->name, "a"));
    ask(&other, true);
    CHECK(update(&other));
    alarm(30);
    vnc_stop(vnc);
    alarm(0);
    mailbox_run(&box);
    vnc_close(vnc);
    pthread_join(thread, NULL);
    close(c.fd);
    close(other.fd);
}

int main(void)
{
    char specification[16], error[256] = "";
    int status;
    struct vnc *vnc = NULL;
    display_init(&display, &ops, NULL, 64);
    display.mailbox = &box;
    console_init(&console);
    console.display = &display;
    console.mailbox = &box;
    console.take = take_event;
    for (unsigned n = (unsigned)getpid() % 5000 + 200, tries = 0; !vnc && tries < 50; n++, tries++) {
        snprintf(specification, sizeof(specification), ":%u", n);
        port = (u16)(5900 + n);
        vnc = vnc_open(&console, specification, &status, error, sizeof(error));
    }
    CHECK(vnc);
    if (!vnc) return check_report();
    vnc_start(vnc);
    test_sizes();
    test_keys();
    test_flood(vnc);
    display_destroy(&display);
    console_destroy(&console);
    return check_report();
}
