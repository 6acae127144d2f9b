/*
 * The server of 9P2000.L: it carries out messages on a folder of the host. Several threads may call server_perform()
 * at once; folder.c decides which thread calls it, and when.
 *
 * op_*.c have one function for each message, and server.c lists them. owner.c keeps owners and modes that an
 * unprivileged process cannot set. All access to the host's files goes through confined.h.
 */
#ifndef RINGER_SHARE_SERVER_H
#define RINGER_SHARE_SERVER_H

#include "base/share.h"
#include "base/share_options.h"
#include "codec.h"
#include "fid.h"
#include "p9.h"

#include <sys/stat.h>

#define DEVICES_SEEN 256

struct server {
    struct share_options options;
    struct fid_table fids;
    struct node *root;
    mode_t umask;         /* of the process: it withholds these bits from new files */
    u32 size_most;        /* atomic: the negotiated size of messages */
    pthread_mutex_t lock; /* of what follows */
    struct inode_prefix {
        dev_t device;
        u64 high;
    } prefix[DEVICES_SEEN];
    unsigned prefixes;
    bool warned;
};

/* root_fd: a directory, by O_PATH; the server owns it, also when this fails. Returns 0 or -errno. */
int server_init(struct server *server, const struct share_options *options, int root_fd, u32 descriptors_max);
void server_destroy(struct server *server);

/* Carry out a request and write its reply. */
void server_perform(struct server *server, struct share_request *request);
/* Closes everything that the client has opened. No request is at work. */
void server_forget(struct server *server);

/* --- for the operations --- */

struct call {
    struct server *server;
    struct share_request *request;
    struct reader in;
    struct writer out;
    u32 data_bytes; /* Tread: the data behind the reply's head are there already */
};

/* Carries out a message: reads its fields from `in` and writes the reply's fields to `out`. Returns 0 or -errno. */
typedef int operation(struct call *call);

/* op_walk.c */
operation op_version, op_attach, op_walk, op_clunk, op_remove;
/* op_file.c */
operation op_open, op_create, op_read, op_write, op_fsync, op_lock, op_getlock;
/* op_tree.c */
operation op_symlink, op_mknod, op_mkdir, op_link, op_rename, op_rename_at, op_unlink_at, op_readlink;
/* op_status.c */
operation op_getattr, op_setattr, op_statfs;
/* op_list.c, op_attribute.c */
operation op_readdir, op_attribute_walk, op_attribute_create;

/* The next fid in the message, which the caller releases. NULL: there is none of this number. */
struct fid *call_fid(struct call *call);
/* The next name in the message. Returns 0, or -EINVAL if no file can have this name. */
int call_name(struct call *call, char name[NAME_MAX + 1]);
/* After the last field. -EPROTO: the message was too short. */
int call_read(const struct call *call);

/* The status of a file as the guest sees it; its identity. */
int server_status(const struct server *server, const struct node *node, struct stat *status);
void server_write_qid(struct server *server, struct writer *out, const struct stat *status);
/* A file's number on all devices of the folder. */
u64 server_inode(struct server *server, dev_t device, ino_t inode);

/* The file that was just made or found under this name. Returns 0 or -errno. */
int server_find(struct server *server, const struct node *directory, const char *name, struct node **node);

/* Write a value to an extended attribute, as a Tclunk of FID_ATTRIBUTE_WRITE does. Returns 0 or -errno. */
int attribute_store(struct server *server, struct fid *fid);

#endif
