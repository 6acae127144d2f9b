/*
 * Hostile clients, and processes of the host that change the folder meanwhile: nothing outside the folder can be
 * reached, nothing hangs, and no false length is believed.
 */
#include "share_rig.h"

#include <pthread.h>
#include <sys/resource.h>

static struct share_rig rig;
static const struct share_options plain = {.security = SHARE_NONE};

/* A file beside the folder that must stay unreachable. */
static char outside[64];
#define SECRET "not for the guest"

static void test_names(void)
{
    static const char *const bad[] = {"", ".", "..", "/", "a/b", "../x", "/etc/passwd", "x/"};
    rig_host_file(&rig, "file", "text");
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        CHECK_EQ(rig_walk(&rig, ROOT, 10, bad[n]), EINVAL);
        CHECK_EQ(rig_clone(&rig, ROOT, 11), 0);
        CHECK_EQ(CALL(P9_TLCREATE, "4s444", 11, bad[n], O_RDWR, 0644, 0), EINVAL);
        CHECK_EQ(rig_clunk(&rig, 11), 0);
        CHECK_EQ(CALL(P9_TMKDIR, "4s44", ROOT, bad[n], 0755, 0), EINVAL);
        CHECK_EQ(CALL(P9_TSYMLINK, "4ss4", ROOT, bad[n], "x", 0), EINVAL);
        CHECK_EQ(CALL(P9_TMKNOD, "4s4444", ROOT, bad[n], S_IFREG | 0600, 0, 0, 0), EINVAL);
        CHECK_EQ(CALL(P9_TRENAMEAT, "4s4s", ROOT, bad[n], ROOT, "x"), EINVAL);
        CHECK_EQ(CALL(P9_TRENAMEAT, "4s4s", ROOT, "file", ROOT, bad[n]), EINVAL);
        CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, bad[n], 0), EINVAL);
        CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, bad[n], P9_REMOVE_DIRECTORY), EINVAL);
        CHECK_EQ(rig_walk(&rig, ROOT, 12, "file"), 0);
        CHECK_EQ(CALL(P9_TLINK, "44s", ROOT, 12, bad[n]), EINVAL);
        CHECK_EQ(CALL(P9_TRENAME, "44s", 12, ROOT, bad[n]), EINVAL);
        CHECK_EQ(rig_clunk(&rig, 12), 0);
    }
    /* A 0 in a name. */
    CHECK_EQ(rig_walk(&rig, ROOT, 10, "fxle"), ENOENT);
    memcpy(rig.message + rig.message_bytes - 4, "f\0le", 4);
    CHECK_EQ(rig_send(&rig), EINVAL);
    char longest[300];
    memset(longest, 'x', sizeof(longest));
    longest[299] = 0;
    CHECK(rig_walk(&rig, ROOT, 10, longest));
}

/* Through links out of the folder nothing is found, opened or changed. */
static void test_links(void)
{
    struct stat before, after;
    CHECK(!symlinkat("/", rig.folder, "out"));
    CHECK(!symlinkat(outside, rig.folder, "secret"));
    CHECK(!symlinkat("/proc/self/root", rig.folder, "magic"));
    CHECK_EQ(CALL(P9_TWALK, "442ss", ROOT, 10, 2, "out", "etc"), 0);
    CHECK_EQ(read16(&rig.in), 1); /* the link itself, and no further */
    CHECK_EQ(CALL(P9_TWALK, "442ss", ROOT, 10, 2, "magic", "etc"), 0);
    CHECK_EQ(read16(&rig.in), 1);
    CHECK_EQ(rig_walk(&rig, ROOT, 10, "secret"), 0);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 10, O_RDONLY), ENXIO);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 10, O_RDWR | O_TRUNC), ENXIO);
    CHECK(!stat(outside, &before));
    CHECK(CALL(P9_TSETATTR, "4444488888", 10, P9_SET_SIZE, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull));
    CALL(P9_TSETATTR, "4444488888", 10, P9_SET_MODE, 0777, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull);
    CALL(P9_TSETATTR, "4444488888", 10, P9_SET_MTIME | P9_SET_MTIME_TO, 0, 0, 0, 0ull, 0ull, 0ull, 9ull,
         0ull);
    CHECK(!stat(outside, &after));
    CHECK_EQ(after.st_mode, before.st_mode);
    CHECK_EQ(after.st_mtime, before.st_mtime);
    CHECK_EQ(after.st_size, before.st_size);
    CHECK_EQ(rig_clunk(&rig, 10), 0);
    CHECK_EQ(rig_clone(&rig, ROOT, 11), 0);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 11, "secret", O_RDWR | O_TRUNC, 0644, 0), ENXIO);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 11, "out", O_RDWR, 0644, 0), ENXIO);
    CHECK_EQ(rig_clunk(&rig, 11), 0);
    CHECK(!stat(outside, &after) && after.st_size == before.st_size);
}

/* A FIFO without a writer, and a device: they are there, and cannot be opened. */
static void test_special(void)
{
    CHECK(!mkfifoat(rig.folder, "fifo", 0600));
    for (u32 flags = 0; flags < 3; flags++) {
        CHECK_EQ(rig_walk(&rig, ROOT, 10, "fifo"), 0);
        CHECK_EQ(CALL(P9_TLOPEN, "44", 10, flags), ENXIO);
        CHECK_EQ(rig_clunk(&rig, 10), 0);
        CHECK_EQ(rig_clone(&rig, ROOT, 10), 0);
        CHECK_EQ(CALL(P9_TLCREATE, "4s444", 10, "fifo", flags, 0644, 0), ENXIO);
        CHECK_EQ(rig_clunk(&rig, 10), 0);
    }
    CHECK_EQ(rig_walk(&rig, ROOT, 10, "fifo"), 0);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 10, P9_SET_SIZE, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), EINVAL);
    CHECK_EQ(rig_clunk(&rig, 10), 0);
}

/* Each message cut at each of its bytes, with the length that it had and with the true one. */
static void test_lengths(void)
{
    static const struct {
        u8 type;
        const char *fields;
    } messages[] = {{P9_TVERSION, "4s"},  {P9_TATTACH, "44ss4"},      {P9_TWALK, "442s"},
                    {P9_TLOPEN, "44"},    {P9_TLCREATE, "4s444"},     {P9_TREAD, "484"},
                    {P9_TREADDIR, "484"}, {P9_TGETATTR, "48"},        {P9_TCLUNK, "4"},
                    {P9_TLOCK, "414884"}, {P9_TXATTRCREATE, "4s84"},  {P9_TRENAMEAT, "4s4s"},
                    {P9_TREMOVE, "4"},    {P9_TSETATTR, "4444488888"}};
    for (unsigned n = 0; n < ARRAY_SIZE(messages); n++) {
        struct writer w = {rig.message, rig.message + SHARE_HEAD_BYTES, rig.message + 4096, false};
        for (const char *field = messages[n].fields; *field; field++)
            if (*field == 's')
                write_string(&w, "some name");
            else
                write_number(&w, (unsigned)(*field - '0'), 1);
        u32 whole = (u32)(w.at - w.start);
        for (u32 bytes = SHARE_HEAD_BYTES; bytes < whole; bytes++)
            for (unsigned lie = 0; lie < 2; lie++) {
                store_any(rig.message, 4, lie ? whole : bytes);
                rig.message[4] = messages[n].type;
                rig.message_bytes = bytes;
                int failed = rig_send(&rig);
                CHECK(failed == EPROTO || failed == EINVAL ||
                      (messages[n].type == P9_TVERSION && failed == EMSGSIZE) ||
                      (messages[n].type == P9_TVERSION && !lie && !failed));
            }
        rig_restart(&rig, &plain, 1000);
    }
    /* A Twrite that announces more data than it has. */
    CHECK_EQ(rig_create(&rig, 10, "short", 0600), 0);
    CHECK_EQ(rig_write(&rig, 10, 0, "abc", 3), 0);
    store_any(rig.message + 19, 4, 4000);
    CHECK_EQ(rig_send(&rig), EPROTO);
    /* Types that do not exist; replies. */
    for (unsigned type = 0; type < 256; type++)
        if (type % 2 || type < 8) CHECK_EQ(rig_call(&rig, (u8)type, "4", ROOT), EOPNOTSUPP);
    CHECK_EQ(rig_call(&rig, P9_TWALK, "442", ROOT, 20, 17), EINVAL);
    CHECK_EQ(rig_call(&rig, P9_TWALK, "442", ROOT, 20, 5), EINVAL);
}

/* No room for a reply, or no head: the device breaks, and nothing is written beyond its end. */
static void test_rooms(void)
{
    u8 small[32], message[64] = {0};
    for (u32 room = 0; room < 32; room++) {
        memset(small, 0xee, sizeof(small));
        struct iovec in = {message, 19}, out = {small, room};
        struct share_request request = {
            .in = &in, .out = &out, .in_count = 1, .out_count = 1, .in_bytes = 19, .out_bytes = room};
        store_any(message, 4, 19);
        message[4] = P9_TGETATTR;
        message[SHARE_HEAD_BYTES] = ROOT;
        memcpy(request.head, message, SHARE_HEAD_BYTES);
        server_perform(&rig.server, &request);
        CHECK_EQ(request.broken, room < SHARE_HEAD_BYTES + 4);
        CHECK(request.written <= room);
        for (u32 n = room; n < sizeof(small); n++)
            CHECK_EQ(small[n], 0xee);
    }
}

/* Thousands of fids; all descriptors in use. */
static void test_many(void)
{
    enum { CLONES = 20000, DESCRIPTORS = 100 };
    rig_host_file(&rig, "one", "text");
    rig_restart(&rig, &plain, DESCRIPTORS);
    for (u32 n = 0; n < CLONES; n++)
        CHECK_EQ(rig_clone(&rig, ROOT, 1000 + n), 0); /* they share a descriptor */
    u32 opened = 0;
    while (opened < 1000 && !rig_walk(&rig, ROOT, 100000 + opened, "one"))
        opened++;
    CHECK(opened > DESCRIPTORS / 2 && opened < DESCRIPTORS);
    CHECK_EQ(rig_walk(&rig, ROOT, 99999, "one"), EMFILE);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 100000, O_RDONLY), EMFILE);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 1000, "new", O_RDWR, 0644, 0), EMFILE);
    CHECK_EQ(rig_clunk(&rig, 100000), 0);
    CHECK_EQ(rig_walk(&rig, ROOT, 100000, "one"), 0); /* there is room again */
    CHECK_EQ(rig_clunk(&rig, 100000), 0);
    CHECK_EQ(rig_clunk(&rig, 100001), 0);
    CHECK_EQ(rig_clunk(&rig, 100002), 0);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 100003, O_RDONLY), 0);
    /* The host itself has no more of them. */
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){3, limit.rlim_max};
    CHECK(!setrlimit(RLIMIT_NOFILE, &none));
    CHECK_EQ(rig_walk(&rig, ROOT, 99999, "one"), EMFILE);
    CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
    rig_restart(&rig, &plain, 1000);
}

/* --- a file that the host replaces by a link, again and again --- */

static bool stop;

static void *replace(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        symlinkat(outside, rig.folder, "new");
        renameat(rig.folder, "new", rig.folder, "race");
        int fd = openat(rig.folder, "new", O_CREAT | O_WRONLY | O_NOFOLLOW, 0600);
        if (write(fd, "inside", 6) != 6) abort();
        close(fd);
        renameat(rig.folder, "new", rig.folder, "race");
    }
    return NULL;
}

static void test_race(void)
{
    pthread_t thread;
    struct stat before, after;
    unsigned files = 0, links = 0;
    CHECK(!stat(outside, &before));
    CHECK(!pthread_create(&thread, NULL, replace, NULL));
    for (unsigned n = 0; n < 20000 && (n < 2000 || !files || !links); n++) {
        if (rig_walk(&rig, ROOT, 10, "race")) continue; /* not there yet */
        int failed = CALL(P9_TLOPEN, "44", 10, n % 2 ? O_RDWR : O_RDONLY);
        CHECK(!failed || failed == ENXIO);
        if (failed) links++;
        if (!failed) {
            files++;
            CHECK(rig_read(&rig, 10, 0, 100) <= 6);
            CHECK(memcmp(rig.in.at, SECRET, 6));
        }
        CALL(P9_TSETATTR, "4444488888", 10, P9_SET_MODE, 0777, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull);
        CALL(P9_TSETATTR, "4444488888", 10, P9_SET_SIZE, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull);
        CHECK_EQ(rig_clunk(&rig, 10), 0);
        CHECK_EQ(rig_clone(&rig, ROOT, 11), 0);
        failed = CALL(P9_TLCREATE, "4s444", 11, "race", O_RDWR | O_TRUNC, 0644, 0);
        CHECK(!failed || failed == ENXIO || failed == ENOENT);
        CHECK_EQ(rig_clunk(&rig, 11), 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    CHECK(files && links);
    CHECK(!stat(outside, &after));
    CHECK_EQ(after.st_size, before.st_size);
    CHECK_EQ(after.st_mode, before.st_mode);
}

int main(void)
{
    umask(022);
    rig_init(&rig, &plain);
    snprintf(outside, sizeof(outside), "%s.outside", rig.path);
    int fd = open(outside, O_CREAT | O_WRONLY, 0600);
    CHECK(write(fd, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET));
    close(fd);
    test_names();
    test_links();
    test_special();
    test_lengths();
    test_rooms();
    test_many();
    test_race();
    unlink(outside);
    rig_destroy(&rig);
    return check_report();
}
