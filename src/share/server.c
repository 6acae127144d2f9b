#include "server.h"

#include "base/log.h"
#include "confined.h"
#include "owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the messages --- */

/* The folder's queue serves Tversion and Tflush in their order (folder.h). A Tflush has nothing else to do. */
static int op_flush(struct call *call)
{
    read16(&call->in);
    return call_read(call);
}

static int op_auth(struct call *call)
{
    return -EOPNOTSUPP; /* there is no authentication: a guest that has the device may use the folder */
}

enum { CHANGES = 1 }; /* refused where the folder is read-only */

static const struct {
    operation *perform;
    u8 changes;
} operations[256] = {
    [P9_TVERSION] = {op_version, 0},
    [P9_TAUTH] = {op_auth, 0},
    [P9_TATTACH] = {op_attach, 0},
    [P9_TFLUSH] = {op_flush, 0},
    [P9_TWALK] = {op_walk, 0},
    [P9_TCLUNK] = {op_clunk, 0},
    [P9_TREMOVE] = {op_remove, 0}, /* clunks in any case, so it checks by itself */
    [P9_TLOPEN] = {op_open, 0},    /* depends on the flags */
    [P9_TLCREATE] = {op_create, CHANGES},
    [P9_TREAD] = {op_read, 0},
    [P9_TWRITE] = {op_write, CHANGES},
    [P9_TREADDIR] = {op_readdir, 0},
    [P9_TFSYNC] = {op_fsync, 0},
    [P9_TLOCK] = {op_lock, 0},
    [P9_TGETLOCK] = {op_getlock, 0},
    [P9_TGETATTR] = {op_getattr, 0},
    [P9_TSETATTR] = {op_setattr, CHANGES},
    [P9_TSTATFS] = {op_statfs, 0},
    [P9_TSYMLINK] = {op_symlink, CHANGES},
    [P9_TMKNOD] = {op_mknod, CHANGES},
    [P9_TMKDIR] = {op_mkdir, CHANGES},
    [P9_TLINK] = {op_link, CHANGES},
    [P9_TRENAME] = {op_rename, CHANGES},
    [P9_TRENAMEAT] = {op_rename_at, CHANGES},
    [P9_TUNLINKAT] = {op_unlink_at, CHANGES},
    [P9_TREADLINK] = {op_readlink, 0},
    [P9_TXATTRWALK] = {op_attribute_walk, 0},
    [P9_TXATTRCREATE] = {op_attribute_create, CHANGES},
};

/* A reply is made on the stack, except the data of Rread, which go straight to their destination. */
#define REPLY_BYTES 65536

static int perform(struct call *call, u8 type)
{
    if (!operations[type].perform) return -EOPNOTSUPP;
    if (operations[type].changes && call->server->options.read_only) return -EROFS;
    return operations[type].perform(call);
}

static void put_head(u8 *at, u64 bytes, u8 type, u16 tag)
{
    store_any(at, 4, bytes);
    at[4] = type;
    store_any(at + 5, 2, tag);
}

void server_perform(struct server *server, struct share_request *request)
{
    u8 message[MESSAGE_BYTES], reply[REPLY_BYTES];
    u32 size = (u32)load_any(request->head, 4);
    u8 type = request->head[4];
    u16 tag = (u16)load_any(request->head + 5, 2);
    struct call call = {.server = server, .request = request};
    if (request->in_bytes < SHARE_HEAD_BYTES || request->out_bytes < SHARE_HEAD_BYTES + 4) {
        request->broken = true;
        return;
    }
    u64 bytes = pieces_read(request->in, request->in_count, message, sizeof(message));
    if (size < bytes && type != P9_TWRITE) bytes = size; /* old drivers do not count a Twrite's data */
    call.in = (struct reader){.at = message + SHARE_HEAD_BYTES, .end = message + bytes};
    u64 room = request->out_bytes < sizeof(reply) ? request->out_bytes : sizeof(reply);
    call.out = (struct writer){.start = reply, .at = reply + SHARE_HEAD_BYTES, .end = reply + room};
    int failed = size < SHARE_HEAD_BYTES || size > request->in_bytes ? -EPROTO : perform(&call, type);
    if (call.out.full) failed = -EMSGSIZE;
    if (failed) {
        call.data_bytes = 0;
        call.out.at = reply + SHARE_HEAD_BYTES;
        call.out.full = false;
        write_number(&call.out, 4, (u32)-failed);
    }
    u64 head_bytes = (u64)(call.out.at - reply);
    put_head(reply, head_bytes + call.data_bytes, failed ? P9_RLERROR : type + 1, tag);
    pieces_write(request->out, request->out_count, reply, head_bytes);
    request->written = (u32)(head_bytes + call.data_bytes);
}

/* --- for the operations --- */

struct fid *call_fid(struct call *call)
{
    return fid_get(&call->server->fids, read32(&call->in));
}

int call_name(struct call *call, char name[NAME_MAX + 1])
{
    read_string(&call->in, name, NAME_MAX + 1);
    if (call->in.bad) return -EINVAL;
    return confined_name_is_good(name) ? 0 : -EINVAL;
}

int call_read(const struct call *call)
{
    return call->in.bad ? -EPROTO : 0;
}

int server_status(const struct server *server, const struct node *node, struct stat *status)
{
    if (fstat(node->fd, status) < 0) return -errno;
    owner_read(server, node->fd, status);
    return 0;
}

/* Inode numbers of less than 2^40 on the folder's device stay as they are. Others get a prefix for their device and
 * their high bits. */
u64 server_inode(struct server *server, dev_t device, ino_t inode)
{
    enum { LOW_BITS = 40 };
    u64 high = (u64)inode >> LOW_BITS, low = (u64)inode & ((1ull << LOW_BITS) - 1);
    if (server->options.devices != SHARE_REMAP || (device == server->root->device && !high)) return inode;
    pthread_mutex_lock(&server->lock);
    unsigned n = 0;
    while (n < server->prefixes && (server->prefix[n].device != device || server->prefix[n].high != high))
        n++;
    if (n == server->prefixes && n < DEVICES_SEEN)
        server->prefix[server->prefixes++] = (struct inode_prefix){device, high};
    pthread_mutex_unlock(&server->lock);
    return (u64)(n + 1) << LOW_BITS | low;
}

void server_write_qid(struct server *server, struct writer *out, const struct stat *status)
{
    u8 type = S_ISDIR(status->st_mode)   ? P9_QID_DIRECTORY
              : S_ISLNK(status->st_mode) ? P9_QID_LINK
                                         : P9_QID_FILE;
    write_number(out, 1, type);
    write_number(out, 4,
                 (u32)status->st_mtim.tv_sec ^ (u32)status->st_mtim.tv_nsec ^ (u32)(status->st_size << 8));
    write_number(out, 8, server_inode(server, status->st_dev, status->st_ino));
}

static void warn_of_devices(struct server *server, const char *name)
{
    pthread_mutex_lock(&server->lock);
    bool first = !server->warned;
    server->warned = true;
    pthread_mutex_unlock(&server->lock);
    if (first)
        log_warn("\"%s\" in the shared folder %s is on another device: %s", name, server->options.path,
                 server->options.devices == SHARE_WARN
                     ? "two files may have one inode number (multidevs=remap helps)"
                     : "multidevs=forbid keeps it from the guest");
}

int server_find(struct server *server, const struct node *directory, const char *name, struct node **node)
{
    struct fid_table *fids = &server->fids;
    if (!fid_table_claim(fids)) return -EMFILE;
    int fd = fid_table_claimed(fids, confined_find(directory->fd, name));
    if (fd < 0) return fd;
    int failed = node_new(fids, fd, node);
    if (failed || (*node)->device == server->root->device || server->options.devices == SHARE_REMAP)
        return failed;
    warn_of_devices(server, name);
    if (server->options.devices == SHARE_WARN) return 0;
    node_release(fids, *node);
    return -ENODEV;
}

/* --- set-up --- */

int server_init(struct server *server, const struct share_options *options, int root_fd, u32 descriptors_max)
{
    *server = (struct server){.options = *options, .size_most = P9_SIZE_MOST};
    int failed = fid_table_init(&server->fids);
    pthread_mutex_init(&server->lock, NULL);
    server->fids.descriptors_max = descriptors_max;
    server->fids.descriptors = 1;
    server->umask = umask(0777);
    umask(server->umask);
    if (failed)
        close(root_fd);
    else
        failed = node_new(&server->fids, root_fd, &server->root);
    if (failed) server_destroy(server);
    return failed;
}

void server_destroy(struct server *server)
{
    server_forget(server);
    node_release(&server->fids, server->root);
    fid_table_destroy(&server->fids);
    pthread_mutex_destroy(&server->lock);
}

void server_forget(struct server *server)
{
    if (server->fids.bucket) fid_table_clear(&server->fids);
}
