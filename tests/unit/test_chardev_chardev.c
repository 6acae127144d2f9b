/*
 * Chardevs: bytes through every kind of back end, one client at a time, output without a client, escape keys, and
 * front ends that share a terminal. Hazards: a client that gets what another one left; a machine that waits for a
 * reader that does not exist; a telnet command that the guest sees; a call to a front end that is no more.
 */
#include "chardev/chardev.h"

#include "base/log.h"
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LIMIT_S 20

static char folder[] = "/tmp/ringer-chardev-XXXXXX";
static struct chardevs set;
static struct char_options options[4];
static struct mailbox vcpu;
static int stops, stop_status;

static void stop(void *owner, int status, const char *sentence)
{
    stops++;
    stop_status = status;
}

static void open_set(void)
{
    CHECK_EQ(chardevs_init(&set), 0);
    set.vcpu_mailbox = &vcpu;
    set.stop = stop;
    stops = 0;
}

static void close_set(void)
{
    chardevs_destroy(&set);
    for (unsigned n = 0; n < ARRAY_SIZE(options); n++)
        char_options_release(&options[n]);
}

/* A front end that keeps what it gets. */
struct front {
    struct char_front front; /* first */
    char text[65536];
    u32 count;
    u32 opened, closed, breaks, focused; /* atomic, as count */
    u32 rooms;
    u32 inside; /* atomic: input() runs */
};

static void input(struct char_front *char_front)
{
    struct front *f = (struct front *)char_front;
    u16 items[64];
    for (u32 count; (count = chardev_take(&f->front, items, 64));)
        for (u32 n = 0; n < count; n++) {
            u32 *counter = items[n] == CHAR_OPENED   ? &f->opened
                           : items[n] == CHAR_CLOSED ? &f->closed
                           : items[n] == CHAR_BREAK  ? &f->breaks
                           : items[n] == CHAR_FOCUS  ? &f->focused
                                                     : &f->count;
            if (counter == &f->count) f->text[f->count % sizeof(f->text)] = (char)items[n];
            __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
        }
}

static void room(struct char_front *char_front)
{
    __atomic_add_fetch(&((struct front *)char_front)->rooms, 1, __ATOMIC_SEQ_CST);
}

static struct front fronts[2], *front = &fronts[0];

static bool add(unsigned n, const char *how)
{
    char error[256] = "", text[256], id[4] = {(char)('a' + n), 0};
    snprintf(text, sizeof(text), how, folder);
    bool good = char_options_short(&options[n], id, text, error, sizeof(error)) &&
                chardevs_add(&set, &options[n], error, sizeof(error));
    if (!good) printf("%s: %s\n", text, error);
    return good;
}

static bool attach(struct front *f, unsigned n)
{
    char error[256];
    memset(f, 0, sizeof(*f));
    f->front.input = input;
    f->front.room = room;
    return chardev_attach(&f->front, set.chardev[n], error, sizeof(error));
}

/* Waits for an event of the character thread. alarm() ends a test that waits for ever. */
static void await(const u32 *counter, u32 least)
{
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < least)
        usleep(200);
}

static int dial(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static bool hears(int fd, const char *text)
{
    char buffer[256];
    size_t got = 0, want = strlen(text);
    while (got < want) {
        ssize_t now = read(fd, buffer + got, want - got);
        if (now <= 0) return false;
        got += (size_t)now;
    }
    return !memcmp(buffer, text, want);
}

static u32 put(struct front *f, const char *text)
{
    return chardev_write(&f->front, (const u8 *)text, (u32)strlen(text));
}

static void test_unix_server(void)
{
    open_set();
    CHECK(add(0, "unix:%s/s,server=on,wait=off"));
    CHECK(attach(front, 0));
    CHECK(!attach(&fronts[1], 0)); /* it is no multiplexer */
    CHECK_EQ(chardevs_start(&set), 0);
    for (unsigned n = 0; n < 100; n++) /* without a client, output is discarded and never waits */
        CHECK_EQ(put(front, "0123456789012345678901234567890123456789012345678901234567890123456789"), 70);
    int client = dial("s"), second = dial("s");
    await(&front->opened, 1);
    say(client, "hello");
    await(&front->count, 5);
    CHECK(!memcmp(front->text, "hello", 5));
    put(front, "good day");
    CHECK(hears(client, "good day"));
    say(second, "I wait");
    close(client);
    await(&front->closed, 1);
    await(&front->opened, 2);
    await(&front->count, 11);
    CHECK(!memcmp(front->text, "helloI wait", 11));
    put(front, "now you");
    CHECK(hears(second, "now you"));
    /* A client that does not read: output is refused, and is taken again when the client reads. */
    static char much[CHAR_OUT_BYTES];
    u64 sent = 0;
    for (u32 taken = 1; taken; sent += taken)
        taken = chardev_write(&front->front, (u8 *)much, sizeof(much));
    CHECK(sent >= CHAR_OUT_BYTES);
    for (u64 got = 0; got < CHAR_OUT_BYTES;) {
        ssize_t now = read(second, much, sizeof(much));
        CHECK(now > 0);
        got += (u64)now;
    }
    while (!__atomic_load_n(&front->rooms, __ATOMIC_SEQ_CST)) {
        CHECK(read(second, much, sizeof(much)) > 0);
    }
    close(second);
    close_set();
    char path[64];
    snprintf(path, sizeof(path), "%s/s", folder);
    CHECK(access(path, F_OK) < 0);
}

static void test_client_comes_back(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    open_set();
    CHECK(add(0, "unix:%s/late,reconnect=1"));
    CHECK(attach(front, 0));
    CHECK_EQ(chardevs_start(&set), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/late", folder);
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(listen(server, 1), 0);
    for (unsigned n = 1; n < 3; n++) {
        int peer = accept(server, NULL, NULL);
        await(&front->opened, n);
        say(peer, "x");
        await(&front->count, n);
        put(front, "ok");
        CHECK(hears(peer, "ok"));
        close(peer);
        await(&front->closed, n);
    }
    close(server);
    unlink(address.sun_path);
    close_set();
    open_set();
    CHECK(!add(0, "unix:%s/nobody")); /* without reconnect= it must be there */
    close_set();
}

static void test_telnet(void)
{
    open_set();
    CHECK(add(0, "telnet:127.0.0.1:0,server=on,wait=off"));
    CHECK(attach(front, 0));
    CHECK_EQ(chardevs_start(&set), 0);
    struct sockaddr_in address;
    socklen_t bytes = sizeof(address);
    CHECK_EQ(getsockname(set.chardev[0]->listen_fd, (struct sockaddr *)&address, &bytes), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK(hears(client, "\xff\xfb\1\xff\xfb\3\xff\xfb"));
    char rest[4];
    CHECK_EQ(read(client, rest, 4), 4); /* a 0 is among them */
    /* DO ECHO, a letter, a break, IAC IAC, a subnegotiation, CR NUL */
    CHECK_EQ(write(client, "\xff\xfd\1a\xff\xf3\xff\xff\xff\xfa\x18\1\xff\xf0z\r\0!", 18), 18);
    await(&front->count, 5);
    CHECK(!memcmp(front->text, "a\xffz\r!", 5));
    CHECK_EQ(front->breaks, 1);
    put(front, "\xff.");
    CHECK(hears(client, "\xff\xff."));
    close(client);
    close_set();
}

static void test_multiplexer(void)
{
    int in[2], saved = dup(STDIN_FILENO);
    if (pipe(in) < 0 || dup2(in[0], STDIN_FILENO) < 0) abort();
    open_set();
    set.escape_keys = true;
    CHECK(add(0, "stdio"));
    CHECK(attach(&fronts[0], 0) && attach(&fronts[1], 0));
    CHECK_EQ(chardevs_start(&set), 0);
    say(in[1], "one\1btwo\1cthree\1c\1\1four\1q");
    await(&fronts[0].count, 11);
    await(&fronts[1].count, 5);
    CHECK(!memcmp(fronts[0].text, "onetwo\1four", 11) && fronts[0].breaks == 1);
    CHECK(!memcmp(fronts[1].text, "three", 5) && fronts[1].focused == 1);
    say(in[1], "\1x");
    while (!stops)
        mailbox_run(&vcpu);
    CHECK(stops == 1 && stop_status == STATUS_OK);
    close(in[1]);
    close_set();
    dup2(saved, STDIN_FILENO);
    close(in[0]);
}

/* Stays in the call for so long that chardev_detach() comes meanwhile. */
static void slow_input(struct char_front *char_front)
{
    struct front *f = (struct front *)char_front;
    __atomic_store_n(&f->inside, 1, __ATOMIC_SEQ_CST);
    usleep(50000);
    input(char_front);
    __atomic_store_n(&f->inside, 0, __ATOMIC_SEQ_CST);
}

/* A client comes while the machine ends: the front end's memory is given back after chardev_detach(). */
static void test_detach(void)
{
    open_set();
    CHECK(add(0, "unix:%s/d,server=on,wait=off"));
    CHECK(attach(front, 0));
    front->front.input = slow_input;
    CHECK_EQ(chardevs_start(&set), 0);
    int client = dial("d");
    await(&front->inside, 1);
    chardev_detach(&front->front);
    CHECK_EQ(__atomic_load_n(&front->inside, __ATOMIC_SEQ_CST), 0);
    say(client, "Is anybody there?");
    usleep(20000);
    CHECK_EQ(front->count, 0);
    close(client);
    close_set();
}

static void take_later(struct char_front *char_front) {}

/* A front end that takes its time to answer: what one client has asked is answered when the next one is there. */
static void test_answers(void)
{
    enum { ITEMS = 64 };
    u16 items[ITEMS];
    open_set();
    CHECK(add(0, "unix:%s/a,server=on,wait=off"));
    CHECK(attach(front, 0));
    front->front.input = take_later;
    front->front.answers = true;
    CHECK_EQ(chardevs_start(&set), 0);
    int first = dial("a");
    say(first, "ab");
    close(first);
    int second = dial("a");
    say(second, "c");
    await(&front->front.tail, 6); /* opened, a, b, closed, opened, c */
    CHECK_EQ(chardev_take(&front->front, items, ITEMS), 3);
    CHECK_EQ(items[2], 'b');
    CHECK_EQ(put(front, "for the first"), 13); /* dropped */
    CHECK_EQ(chardev_take(&front->front, items, ITEMS), 3);
    CHECK_EQ(items[0], CHAR_CLOSED);
    CHECK_EQ(items[2], 'c');
    put(front, "for the second");
    CHECK(hears(second, "for the second"));
    close(second);
    close_set();
}

static void test_pty(void)
{
    char *colon;
    open_set();
    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    CHECK(add(0, "pty"));
    CHECK(attach(front, 0));
    CHECK_EQ(chardevs_start(&set), 0);
    CHECK_EQ(put(front, "nobody hears"), 12);
    colon = strchr(set.chardev[0]->name, ':');
    int terminal = open(colon + 1, O_RDWR | O_NOCTTY);
    CHECK(terminal >= 0);
    await(&front->opened, 1);
    put(front, "somebody");
    CHECK(hears(terminal, "somebody"));
    say(terminal, "me");
    await(&front->count, 2);
    close(terminal);
    await(&front->closed, 1);
    CHECK_EQ(put(front, "gone"), 4);
    close_set();
}

static void test_files(void)
{
    char path[64], text[32] = "";
    open_set();
    CHECK(add(0, "file:%s/f") && add(1, "ringbuf,size=8") && add(2, "pipe:%s/p") == false);
    CHECK(attach(&fronts[0], 0) && attach(&fronts[1], 1));
    CHECK_EQ(chardevs_start(&set), 0);
    put(&fronts[0], "to be kept");
    put(&fronts[1], "too much for it");
    CHECK_EQ(chardev_ring_read(set.chardev[1], (u8 *)text, 32), 8);
    CHECK(!memcmp(text, "h for it", 8));
    close_set();
    snprintf(path, sizeof(path), "%s/f", folder);
    int fd = open(path, O_RDONLY);
    CHECK(read(fd, text, sizeof(text)) == 10 && !memcmp(text, "to be kept", 10));
    close(fd);
    unlink(path);
    /* A log beside the chardev, also without a client. */
    open_set();
    snprintf(text, sizeof(text), "%s/l", folder);
    char list[128], error[128];
    snprintf(list, sizeof(list), "null,id=n,logfile=%s", text);
    CHECK(char_options_parse(&options[0], list, error, sizeof(error)));
    CHECK(chardevs_add(&set, &options[0], error, sizeof(error)) && attach(front, 0));
    put(front, "logged");
    close_set();
    fd = open(text, O_RDONLY);
    CHECK(read(fd, path, sizeof(path)) == 6 && !memcmp(path, "logged", 6));
    close(fd);
    unlink(text);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(LIMIT_S);
    CHECK(mkdtemp(folder) != NULL);
    test_unix_server();
    test_client_comes_back();
    test_telnet();
    test_multiplexer();
    test_files();
    test_pty();
    test_answers();
    test_detach();
    rmdir(folder);
    return check_report();
}
