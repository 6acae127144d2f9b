/*
 * Tests of the 9P server share this: a temporary folder, and a client that makes messages from a list of fields and
 * reads replies.
 */
#ifndef RINGER_TESTS_SHARE_RIG_H
#define RINGER_TESTS_SHARE_RIG_H

#include "check.h"
#include "share/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RIG_MESSAGE_BYTES (1u << 20)

enum { ROOT = 1 }; /* the fid of the folder */

struct share_rig {
    char path[32];
    int folder; /* the same, for the test's own access */
    struct server server;
    u16 tag;
    u8 *message, *reply;
    u32 message_bytes, reply_bytes;
    struct reader in; /* the reply's fields */
};

/* '1' '2' '4' '8': a number of that many bytes; 's': a string. */
static inline void rig_build(struct share_rig *rig, u8 type, const char *fields, va_list args)
{
    struct writer w = {rig->message, rig->message + SHARE_HEAD_BYTES, rig->message + RIG_MESSAGE_BYTES,
                       false};
    for (; *fields; fields++) {
        if (*fields == 's')
            write_string(&w, va_arg(args, const char *));
        else if (*fields == '8')
            write_number(&w, 8, va_arg(args, u64));
        else
            write_number(&w, (unsigned)(*fields - '0'), va_arg(args, u32));
    }
    CHECK(!w.full);
    rig->message_bytes = (u32)(w.at - w.start);
    store_any(rig->message, 4, rig->message_bytes);
    rig->message[4] = type;
    store_any(rig->message + 5, 2, rig->tag);
}

/* Sends `message`. Returns 0, with the reply's fields in `in`, or the error number of an Rlerror. */
static inline int rig_send(struct share_rig *rig)
{
    struct iovec in = {rig->message, rig->message_bytes}, out = {rig->reply, RIG_MESSAGE_BYTES};
    struct share_request request = {.in = &in,
                                    .out = &out,
                                    .in_count = 1,
                                    .out_count = 1,
                                    .in_bytes = in.iov_len,
                                    .out_bytes = out.iov_len};
    memcpy(request.head, rig->message, SHARE_HEAD_BYTES);
    server_perform(&rig->server, &request);
    CHECK(!request.broken);
    CHECK(request.written >= SHARE_HEAD_BYTES);
    CHECK_EQ(load_any(rig->reply, 4), request.written);
    CHECK_EQ(load_any(rig->reply + 5, 2), load_any(rig->message + 5, 2));
    rig->reply_bytes = request.written;
    rig->in = (struct reader){rig->reply + SHARE_HEAD_BYTES, rig->reply + request.written, false};
    if (rig->reply[4] == P9_RLERROR) {
        int error = (int)read32(&rig->in);
        CHECK(error > 0);
        return error;
    }
    CHECK_EQ(rig->reply[4], rig->message[4] + 1);
    return 0;
}

static inline int rig_call(struct share_rig *rig, u8 type, const char *fields, ...)
{
    va_list args;
    va_start(args, fields);
    rig_build(rig, type, fields, args);
    va_end(args);
    return rig_send(rig);
}

#define CALL(...) rig_call(&rig, __VA_ARGS__)

/* --- frequent requests --- */

static inline int rig_walk(struct share_rig *rig, u32 fid, u32 new_fid, const char *name)
{
    return rig_call(rig, P9_TWALK, "442s", fid, new_fid, 1, name);
}

static inline int rig_clone(struct share_rig *rig, u32 fid, u32 new_fid)
{
    return rig_call(rig, P9_TWALK, "442", fid, new_fid, 0);
}

static inline int rig_clunk(struct share_rig *rig, u32 fid)
{
    return rig_call(rig, P9_TCLUNK, "4", fid);
}

/* A new open file in the folder, as `fid`. */
static inline int rig_create(struct share_rig *rig, u32 fid, const char *name, u32 mode)
{
    int failed = rig_clone(rig, ROOT, fid);
    return failed ? failed : rig_call(rig, P9_TLCREATE, "4s444", fid, name, O_RDWR, mode, 1000);
}

static inline int rig_write(struct share_rig *rig, u32 fid, u64 offset, const void *bytes, u32 count)
{
    struct writer w = {rig->message, rig->message + SHARE_HEAD_BYTES, rig->message + RIG_MESSAGE_BYTES,
                       false};
    write_number(&w, 4, fid);
    write_number(&w, 8, offset);
    write_number(&w, 4, count);
    write_bytes(&w, bytes, count);
    rig->message_bytes = (u32)(w.at - w.start);
    store_any(rig->message, 4, rig->message_bytes);
    rig->message[4] = P9_TWRITE;
    int failed = rig_send(rig);
    if (!failed) CHECK_EQ(read32(&rig->in), count);
    return failed;
}

/* Returns the count; the data are at in.at. */
static inline u32 rig_read(struct share_rig *rig, u32 fid, u64 offset, u32 count)
{
    CHECK_EQ(rig_call(rig, P9_TREAD, "484", fid, offset, count), 0);
    return read32(&rig->in);
}

/* What the host's file has. */
static inline void rig_host_file(const struct share_rig *rig, const char *name, const char *text)
{
    int fd = openat(rig->folder, name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* Another session with other options on the same folder. */
static inline void rig_restart(struct share_rig *rig, const struct share_options *options, u32 descriptors)
{
    server_destroy(&rig->server);
    struct share_options with_path = *options;
    with_path.path = rig->path;
    int root = open(rig->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(root >= 0);
    CHECK_EQ(server_init(&rig->server, &with_path, root, descriptors), 0);
    CHECK_EQ(rig_call(rig, P9_TVERSION, "4s", 65536, "9P2000.L"), 0);
    CHECK_EQ(rig_call(rig, P9_TATTACH, "44ss4", ROOT, P9_NO_FID, "user", "", 1000), 0);
}

static inline void rig_init(struct share_rig *rig, const struct share_options *options)
{
    *rig = (struct share_rig){.path = "/tmp/ringer-share.XXXXXX"};
    rig->message = malloc(RIG_MESSAGE_BYTES);
    rig->reply = malloc(RIG_MESSAGE_BYTES);
    CHECK(rig->message && rig->reply && mkdtemp(rig->path));
    rig->folder = open(rig->path, O_RDONLY | O_DIRECTORY);
    rig->server.root = NULL;
    CHECK_EQ(server_init(&rig->server, options, open(rig->path, O_PATH | O_DIRECTORY), 1000), 0);
    rig_restart(rig, options, 1000);
}

static inline void rig_destroy(struct share_rig *rig)
{
    char command[64];
    server_destroy(&rig->server);
    close(rig->folder);
    free(rig->message);
    free(rig->reply);
    snprintf(command, sizeof(command), "rm -rf %s", rig->path);
    CHECK_EQ(system(command), 0);
}

#endif
