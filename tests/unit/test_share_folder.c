/*
 * The threads of a shared folder: several requests at once, the order of Tversion and Tflush, a reset while requests
 * are under way, a table of descriptors of its own, and deterministic time.
 */
#include "check.h"
#include "share/codec.h"
#include "share/folder.h"
#include "share/p9.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REQUESTS = 100, BYTES = 8192 };

static char path[] = "/tmp/ringer-folder.XXXXXX";
static struct mailbox box;
static struct folder *folder;
static struct call {
    struct share_request request;
    struct iovec in, out;
    u8 message[BYTES], reply[BYTES];
    unsigned done_as; /* 1: the first that was done */
} call[REQUESTS];
static unsigned done_count, under_way;

static void done(struct share_request *request)
{
    ((struct call *)request->device)->done_as = ++done_count;
    under_way--;
}

/* '1' '2' '4' '8' as in share_rig.h; the string, if any, is the last field. */
static void submit(unsigned n, u8 type, const char *fields, const u64 *value, const char *text)
{
    struct call *c = &call[n];
    struct writer w = {c->message, c->message + SHARE_HEAD_BYTES, c->message + BYTES, false};
    for (; *fields; fields++)
        write_number(&w, (unsigned)(*fields - '0'), *value++);
    if (text) write_string(&w, text);
    store_any(c->message, 4, (u64)(w.at - w.start));
    c->message[4] = type;
    store_any(c->message + 5, 2, n);
    c->in = (struct iovec){c->message, (size_t)(w.at - w.start)};
    c->out = (struct iovec){c->reply, BYTES};
    c->done_as = 0;
    c->request = (struct share_request){.in = &c->in,
                                        .out = &c->out,
                                        .in_count = 1,
                                        .out_count = 1,
                                        .in_bytes = c->in.iov_len,
                                        .out_bytes = BYTES,
                                        .done = done,
                                        .device = c};
    under_way++;
    folder_share(folder)->submit(folder_share(folder), &c->request);
}

static void finish(void)
{
    while (under_way)
        if (!mailbox_run(&box)) sched_yield();
}

/* The error number of the reply; 0: it is none. */
static int error_of(unsigned n)
{
    return call[n].reply[4] == P9_RLERROR ? (int)load_any(call[n].reply + SHARE_HEAD_BYTES, 4) : 0;
}

static void version(unsigned n)
{
    submit(n, P9_TVERSION, "4", (u64[]){BYTES}, "9P2000.L");
}

/* Twalk of no name: a second fid of the folder. */
static void clone_fid(unsigned n, u32 fid)
{
    submit(n, P9_TWALK, "442", (u64[]){1, fid, 0}, NULL);
}

static void attach(void)
{
    struct call *c = &call[0];
    version(0);
    finish();
    CHECK_EQ(error_of(0), 0);
    /* Two empty strings are two lengths of 0. */
    submit(0, P9_TATTACH, "44224", (u64[]){1, P9_NO_FID, 0, 0, 0}, NULL);
    finish();
    CHECK_EQ(error_of(0), 0);
    CHECK_EQ(c->request.written, SHARE_HEAD_BYTES + 13);
}

static void test_many_at_once(void)
{
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned n = 1; n < REQUESTS; n++)
            clone_fid(n, 1000 + n);
        finish();
        for (unsigned n = 1; n < REQUESTS; n++)
            CHECK_EQ(error_of(n), 0);
        for (unsigned n = 1; n < REQUESTS; n++)
            submit(n, P9_TCLUNK, "4", (u64[]){1000 + n}, NULL);
        finish();
        for (unsigned n = 1; n < REQUESTS; n++)
            CHECK_EQ(error_of(n), 0);
    }
}

static void test_flush(void)
{
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned n = 1; n < 20; n++)
            submit(n, P9_TGETATTR, "48", (u64[]){1, P9_GETATTR_BASIC}, NULL);
        for (unsigned n = 1; n < 20; n++)
            submit(20 + n, P9_TFLUSH, "2", (u64[]){n}, NULL);
        finish();
        for (unsigned n = 1; n < 20; n++) {
            CHECK_EQ(error_of(n), 0);
            CHECK_EQ(call[20 + n].reply[4], P9_TFLUSH + 1);
            CHECK_EQ(call[20 + n].request.written, SHARE_HEAD_BYTES);
            CHECK(call[n].done_as < call[20 + n].done_as);
        }
    }
    submit(1, P9_TFLUSH, "2", (u64[]){77}, NULL); /* of nothing, and of itself */
    submit(2, P9_TFLUSH, "2", (u64[]){2}, NULL);
    finish();
    CHECK_EQ(call[1].reply[4], P9_TFLUSH + 1);
    CHECK_EQ(call[2].reply[4], P9_TFLUSH + 1);
}

/* Tversion ends the session of the requests before it, and not of those behind it. */
static void test_version(void)
{
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned n = 1; n < 30; n++)
            clone_fid(n, 2000 + n);
        version(30);
        for (unsigned n = 31; n < 60; n++)
            submit(n, P9_TCLUNK, "4", (u64[]){2000 + n - 30}, NULL);
        finish();
        for (unsigned n = 1; n < 30; n++)
            CHECK_EQ(error_of(n), 0);
        for (unsigned n = 31; n < 60; n++)
            CHECK_EQ(error_of(n), EBADF);
        attach();
    }
}

/* Afterwards nothing writes to replies, and fids are gone; all requests come back. */
static void test_forget(void)
{
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned n = 1; n < REQUESTS; n++)
            if (n % 7)
                clone_fid(n, 3000 + n);
            else
                submit(n, P9_TFLUSH, "2", (u64[]){n - 1}, NULL);
        folder_share(folder)->forget(folder_share(folder));
        for (unsigned n = 1; n < REQUESTS; n++)
            memset(call[n].reply, 0xee, 16);
        finish();
        for (unsigned n = 1; n < REQUESTS; n++)
            CHECK(call[n].done_as && call[n].reply[0] == 0xee);
        submit(1, P9_TCLUNK, "4", (u64[]){1}, NULL);
        finish();
        CHECK_EQ(error_of(1), EBADF);
        attach();
    }
}

static unsigned own_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void test_descriptors(void)
{
    unsigned before = own_descriptors();
    char name[256];
    snprintf(name, sizeof(name), "%s/file", path);
    close(open(name, O_CREAT | O_WRONLY, 0600));
    for (unsigned n = 1; n < REQUESTS; n++)
        submit(n, P9_TWALK, "442", (u64[]){1, 4000 + n, 1}, "file");
    finish();
    for (unsigned n = 1; n < REQUESTS; n++)
        CHECK_EQ(error_of(n), 0);
    CHECK_EQ(own_descriptors(), before);
}

/* --- deterministic --- */

static u64 now;

static u64 clock_ns(const struct clock *clock)
{
    return now;
}

static void test_deterministic(const struct share_options *options)
{
    char error[256];
    struct clock clock = {.now_ns = clock_ns};
    folder = folder_open(options, &box, &clock, error, sizeof(error));
    CHECK(folder != NULL);
    version(0);
    submit(1, P9_TGETATTR, "48", (u64[]){1, 0}, NULL);
    usleep(1000);
    CHECK(!mailbox_run(&box) && under_way == 2); /* only guest time counts */
    now = clock_next_deadline(&clock);
    clock_run(&clock);
    CHECK_EQ(under_way, 1);
    CHECK_EQ(call[0].done_as + 1, done_count + 1);
    now = clock_next_deadline(&clock);
    clock_run(&clock);
    CHECK_EQ(under_way, 0);
    CHECK_EQ(error_of(1), EBADF);
    version(0);
    folder_share(folder)->forget(folder_share(folder));
    finish();
    version(0); /* never to be done */
    folder_close(folder);
}

int main(void)
{
    char error[256];
    CHECK(mkdtemp(path) != NULL);
    struct share_options options = {.path = path};
    folder = folder_open(&options, &box, NULL, error, sizeof(error));
    CHECK(folder != NULL);
    attach();
    test_many_at_once();
    test_flush();
    test_version();
    test_forget();
    test_descriptors();
    for (unsigned n = 1; n < REQUESTS; n++)
        submit(n, P9_TGETATTR, "48", (u64[]){1, P9_GETATTR_BASIC}, NULL);
    folder_close(folder); /* with requests under way */
    box.newest = NULL;
    under_way = done_count = 0;
    test_deterministic(&options);
    struct share_options missing = {.path = "/nonexistent/folder"};
    CHECK(!folder_open(&missing, &box, NULL, error, sizeof(error)));
    CHECK(strstr(error, "cannot share the folder /nonexistent/folder: No such file") != NULL);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", path);
    CHECK_EQ(system(command), 0);
    return check_report();
}
