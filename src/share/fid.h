/*
 * Fids: the client's numbers for files, and the files that they name.
 *
 *   fid 7 ---> struct fid -----------> struct node: O_PATH descriptor of a/b, whatever its name is now
 *              parent, name "b" -----> struct node: O_PATH descriptor of a
 *              fd, once opened
 *
 * Invariants
 * 1. The table's lock covers the table and all counts of references. A fid's own lock covers the fields that requests
 *    change: those behind `lock`. No lock is taken while the table's is held.
 * 2. A fid that left the table lives on, and so do its descriptors, until the requests that use it are done.
 * 3. A node is never changed. It belongs to a file, not to a name: after a rename it is still the same file.
 */
#ifndef RINGER_SHARE_FID_H
#define RINGER_SHARE_FID_H

#include "base/types.h"
#include "p9.h"

#include <pthread.h>
#include <sys/types.h>

#define FIDS_MAX (1u << 18)

struct node {
    int fd; /* O_PATH */
    u32 references;
    dev_t device;
    ino_t inode;
    mode_t type; /* S_IFMT of the host's file */
};

enum fid_kind {
    FID_PATH,            /* walked to */
    FID_FILE,            /* opened */
    FID_DIRECTORY,       /* the same */
    FID_ATTRIBUTE_READ,  /* an extended attribute's value, or the list of all */
    FID_ATTRIBUTE_WRITE, /* the same, to be set when the fid is clunked */
};

struct fid {
    u32 number;
    u32 uid; /* of the guest's user */
    u32 references;
    struct fid *next; /* in the bucket */
    struct node *node;
    pthread_mutex_t lock;
    struct node *parent; /* the directory in which the node was found; NULL: the node is the shared folder */
    char *name;
    enum fid_kind kind;
    int fd;       /* -1: not open */
    u64 position; /* directory: of its next entry to be read */
    char *attribute;
    u8 *value;
    u64 value_bytes, value_filled;
    u32 attribute_flags;
};

struct fid_table {
    pthread_mutex_t lock;
    struct fid **bucket;
    u32 buckets; /* a power of two */
    u32 count;
    u32 descriptors, descriptors_max; /* atomic: open descriptors, and their greatest number */
};

/* Returns 0 or -errno. */
int fid_table_init(struct fid_table *table);
void fid_table_clear(struct fid_table *table);
void fid_table_destroy(struct fid_table *table);

/* Count a descriptor that is about to be opened. False: there are too many. */
bool fid_table_claim(struct fid_table *table);
void fid_table_close(struct fid_table *table, int fd);
/* Takes the result of open() or the like for a claim. If it is a failure, the claim is returned. */
int fid_table_claimed(struct fid_table *table, int fd);

/* A node for an O_PATH descriptor that was claimed, which it owns from now on; also when this fails. Returns 0 or
 * -errno. */
int node_new(struct fid_table *table, int fd, struct node **node);
struct node *node_keep(struct fid_table *table, struct node *node);
void node_release(struct fid_table *table, struct node *node);

/* A fid that is not in the table, with one reference, the caller's. Takes the caller's references of the nodes;
 * `name` is copied. NULL: out of memory. */
struct fid *fid_new(struct fid_table *table, u32 number, u32 uid, struct node *node, struct node *parent,
                    const char *name);
/* Puts a fid into the table, which takes the caller's reference, also when this fails. `instead_of` leaves the table
 * at the same time (NULL: none). Returns 0; -EBADF: there is a fid of this number; -ENFILE: there are too many. */
int fid_enter(struct fid_table *table, struct fid *fid, struct fid *instead_of);
/* The fid of this number, to be released; NULL: there is none. */
struct fid *fid_get(struct fid_table *table, u32 number);
void fid_release(struct fid_table *table, struct fid *fid);
/* Take it out of the table; the caller has a reference. False: another request has done so. */
bool fid_remove(struct fid_table *table, struct fid *fid);

/* The descriptor of an opened file, or -EBADF. */
int fid_file(struct fid *fid);
/* The directory in which the fid was found, and its name. The caller releases the parent and frees the name. Returns
 * 0 or -errno. */
int fid_origin(struct fid_table *table, struct fid *fid, struct node **parent, char **name);
/* Records that the file was moved there. Returns 0 or -errno. */
int fid_moved(struct fid_table *table, struct fid *fid, struct node *parent, const char *name);

#endif
