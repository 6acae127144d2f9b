/*
 * Hostile 9P messages, on a temporary folder. Input: a byte that chooses the options; then messages, each a byte for
 * its type (mostly one that exists), two for its length and its bytes. The server fills in size and tag now and then,
 * or leaves what the input has. Nothing may be changed outside the folder, no reply may be longer than its room, and
 * nothing may hang.
 */
#include "input.h"

#include "share/server.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 4096 };

static char path[] = "/tmp/ringer-fuzz.XXXXXX";
static char secret[64];

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *ftw)
{
    if (ftw->level) remove(name);
    return 0;
}

static void remove_all(void)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(path);
    unlink(secret);
}

/* The same files at the start of each input. */
static void make_folder(void)
{
    static bool made; /* a name that mkdtemp() has chosen may also end in X */
    if (!made) {
        if (!mkdtemp(path)) abort();
        made = true;
        snprintf(secret, sizeof(secret), "%s.secret", path);
        atexit(remove_all);
    }
    chmod(path, 0700);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    int folder = open(path, O_RDONLY | O_DIRECTORY), fd = openat(folder, "a", O_CREAT | O_WRONLY, 0644);
    if (folder < 0 || write(fd, "some text", 9) != 9) abort();
    close(fd);
    fd = open(secret, O_CREAT | O_WRONLY | O_TRUNC, 0640);
    if (write(fd, "secret", 6) != 6) abort();
    close(fd);
    if (mkdirat(folder, "d", 0755) || symlinkat(secret, folder, "l") || mkfifoat(folder, "f", 0600)) abort();
    close(folder);
}

static void check_secret(void)
{
    struct stat status;
    if (stat(secret, &status) || status.st_size != 6 || (status.st_mode & 07777) != 0640) abort();
}

static void perform(struct server *server, const u8 *message, u32 bytes, u32 room)
{
    static u8 reply[ROOM + 16];
    u8 *copy = malloc(bytes ? bytes : 1); /* so that a sanitizer detects reads beyond it */
    memcpy(copy, message, bytes);
    memset(reply + room, 0xee, 16);
    struct iovec in[] = {{copy, bytes / 2}, {copy + bytes / 2, bytes - bytes / 2}};
    struct iovec out[] = {{reply, room / 3}, {reply + room / 3, room - room / 3}};
    struct share_request request = {
        .in = in, .out = out, .in_count = 2, .out_count = 2, .in_bytes = bytes, .out_bytes = room};
    memcpy(request.head, message, bytes < SHARE_HEAD_BYTES ? bytes : SHARE_HEAD_BYTES);
    server_perform(server, &request);
    if (request.written > room || (!request.broken && request.written < SHARE_HEAD_BYTES)) abort();
    if (request.written && load_any(reply, 4) != request.written) abort();
    for (unsigned n = 0; n < 16; n++)
        if (reply[room + n] != 0xee) abort();
    free(copy);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static const u8 attach[] = {25, 0, 0, 0, P9_TATTACH, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0};
    static const u8 types[] = {
        P9_TSTATFS,  P9_TLOPEN,   P9_TLCREATE, P9_TSYMLINK,   P9_TMKNOD,       P9_TRENAME,   P9_TREADLINK,
        P9_TGETATTR, P9_TSETATTR, P9_TWALK,    P9_TXATTRWALK, P9_TXATTRCREATE, P9_TREADDIR,  P9_TFSYNC,
        P9_TLOCK,    P9_TGETLOCK, P9_TLINK,    P9_TMKDIR,     P9_TRENAMEAT,    P9_TUNLINKAT, P9_TVERSION,
        P9_TATTACH,  P9_TFLUSH,   P9_TWALK,    P9_TREAD,      P9_TWRITE,       P9_TCLUNK,    P9_TREMOVE,
        P9_TWALK,    P9_TWALK,    P9_TLCREATE, P9_TLOPEN};
    struct input in = {data, data + bytes};
    u32 choice = take(&in, 1);
    struct share_options options = {.path = path,
                                    .security = choice & 1 ? SHARE_MAPPED : SHARE_NONE,
                                    .devices = (enum share_devices)(choice / 2 % 3),
                                    .read_only = (choice & 0x18) == 0x18,
                                    .file_mode = 0600,
                                    .directory_mode = 0700};
    struct server server;
    u8 message[2048];
    make_folder();
    if (server_init(&server, &options, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), 50)) abort();
    memset(message, 0, 25);
    memcpy(message, attach, sizeof(attach));
    perform(&server, message, 23, ROOM);
    message[0] = 23;
    perform(&server, message, 23, ROOM);
    for (unsigned steps = 0; in.at < in.end && steps < 200; steps++) {
        u32 type = take(&in, 1), length = take(&in, 1) | (type == P9_TWRITE ? take(&in, 1) << 8 : 0);
        bool lies = type >= 0xf0;
        length = length % (sizeof(message) - SHARE_HEAD_BYTES);
        for (u32 n = 0; n < length; n++)
            message[SHARE_HEAD_BYTES + n] = (u8)take(&in, 1);
        u32 total = SHARE_HEAD_BYTES + length;
        store_any(message, 4, lies ? take(&in, 4) : total);
        message[4] = lies ? (u8)take(&in, 1) : types[type % sizeof(types)];
        perform(&server, message, lies ? take(&in, 2) % (total + 1) : total,
                lies ? take(&in, 2) % ROOM : ROOM);
    }
    server_destroy(&server);
    check_secret();
    return 0;
}
