#include "fid.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS_LEAST 256

/* --- descriptors --- */

bool fid_table_claim(struct fid_table *table)
{
    if (__atomic_add_fetch(&table->descriptors, 1, __ATOMIC_RELAXED) <= table->descriptors_max) return true;
    __atomic_sub_fetch(&table->descriptors, 1, __ATOMIC_RELAXED);
    return false;
}

void fid_table_close(struct fid_table *table, int fd)
{
    if (fd < 0) return;
    close(fd);
    __atomic_sub_fetch(&table->descriptors, 1, __ATOMIC_RELAXED);
}

int fid_table_claimed(struct fid_table *table, int fd)
{
    if (fd < 0) __atomic_sub_fetch(&table->descriptors, 1, __ATOMIC_RELAXED);
    return fd;
}

/* --- nodes --- */

int node_new(struct fid_table *table, int fd, struct node **node)
{
    struct stat status;
    struct node *new = malloc(sizeof(*new));
    int failed = !new ? -ENOMEM : fstat(fd, &status) < 0 ? -errno : 0;
    if (failed) {
        free(new);
        fid_table_close(table, fd);
        return failed;
    }
    *new = (struct node){.fd = fd,
                         .references = 1,
                         .device = status.st_dev,
                         .inode = status.st_ino,
                         .type = status.st_mode & S_IFMT};
    *node = new;
    return 0;
}

struct node *node_keep(struct fid_table *table, struct node *node)
{
    pthread_mutex_lock(&table->lock);
    node->references++;
    pthread_mutex_unlock(&table->lock);
    return node;
}

void node_release(struct fid_table *table, struct node *node)
{
    if (!node) return;
    pthread_mutex_lock(&table->lock);
    bool last = !--node->references;
    pthread_mutex_unlock(&table->lock);
    if (!last) return;
    fid_table_close(table, node->fd);
    free(node);
}

/* --- the table --- */

static struct fid **bucket_of(const struct fid_table *table, u32 number)
{
    return &table->bucket[hash_splitmix(number) & (table->buckets - 1)];
}

/* Lock held. */
static struct fid *find(const struct fid_table *table, u32 number)
{
    struct fid *fid = *bucket_of(table, number);
    while (fid && fid->number != number)
        fid = fid->next;
    return fid;
}

/* Called with the lock held. The table grows when there is a fid for each bucket. If there is no memory, it stays as
 * it is. */
static void grow(struct fid_table *table)
{
    if (table->count < table->buckets) return;
    struct fid_table larger = {.buckets = table->buckets * 2};
    larger.bucket = calloc(larger.buckets, sizeof(*larger.bucket));
    if (!larger.bucket) return;
    for (u32 n = 0; n < table->buckets; n++)
        for (struct fid *fid = table->bucket[n], *next; fid; fid = next) {
            struct fid **bucket = bucket_of(&larger, fid->number);
            next = fid->next;
            fid->next = *bucket;
            *bucket = fid;
        }
    free(table->bucket);
    table->bucket = larger.bucket;
    table->buckets = larger.buckets;
}

/* Lock held. */
static bool leave(struct fid_table *table, struct fid *fid)
{
    struct fid **at = bucket_of(table, fid->number);
    while (*at && *at != fid)
        at = &(*at)->next;
    if (!*at) return false;
    *at = fid->next;
    table->count--;
    fid->references--; /* not the last one: the caller has another */
    return true;
}

static void destroy(struct fid_table *table, struct fid *fid)
{
    fid_table_close(table, fid->fd);
    node_release(table, fid->node);
    node_release(table, fid->parent);
    pthread_mutex_destroy(&fid->lock);
    free(fid->name);
    free(fid->attribute);
    free(fid->value);
    free(fid);
}

struct fid *fid_new(struct fid_table *table, u32 number, u32 uid, struct node *node, struct node *parent,
                    const char *name)
{
    struct fid *fid = calloc(1, sizeof(*fid));
    char *copy = name ? strdup(name) : NULL;
    if (!fid || (name && !copy)) {
        free(fid);
        free(copy);
        node_release(table, node);
        node_release(table, parent);
        return NULL;
    }
    *fid = (struct fid){.number = number,
                        .uid = uid,
                        .references = 1,
                        .node = node,
                        .parent = parent,
                        .name = copy,
                        .kind = FID_PATH,
                        .fd = -1};
    pthread_mutex_init(&fid->lock, NULL);
    return fid;
}

int fid_enter(struct fid_table *table, struct fid *fid, struct fid *instead_of)
{
    int failed = fid->number == P9_NO_FID ? -EINVAL : 0;
    pthread_mutex_lock(&table->lock);
    if (!failed && instead_of && !leave(table, instead_of)) failed = -EBADF;
    if (!failed && find(table, fid->number)) failed = -EBADF;
    if (!failed && table->count == FIDS_MAX) failed = -ENFILE;
    if (!failed) {
        grow(table);
        struct fid **bucket = bucket_of(table, fid->number);
        fid->next = *bucket;
        *bucket = fid;
        table->count++;
    }
    pthread_mutex_unlock(&table->lock);
    if (failed) destroy(table, fid);
    return failed;
}

struct fid *fid_get(struct fid_table *table, u32 number)
{
    pthread_mutex_lock(&table->lock);
    struct fid *fid = find(table, number);
    if (fid) fid->references++;
    pthread_mutex_unlock(&table->lock);
    return fid;
}

void fid_release(struct fid_table *table, struct fid *fid)
{
    if (!fid) return;
    pthread_mutex_lock(&table->lock);
    bool last = !--fid->references;
    pthread_mutex_unlock(&table->lock);
    if (last) destroy(table, fid);
}

bool fid_remove(struct fid_table *table, struct fid *fid)
{
    pthread_mutex_lock(&table->lock);
    bool there = leave(table, fid);
    pthread_mutex_unlock(&table->lock);
    return there;
}

int fid_file(struct fid *fid)
{
    pthread_mutex_lock(&fid->lock);
    int fd = fid->kind == FID_FILE ? fid->fd : -EBADF;
    pthread_mutex_unlock(&fid->lock);
    return fd;
}

int fid_origin(struct fid_table *table, struct fid *fid, struct node **parent, char **name)
{
    pthread_mutex_lock(&fid->lock);
    *name = fid->name ? strdup(fid->name) : NULL;
    int failed = !fid->name ? -EBUSY : !*name ? -ENOMEM : 0;
    if (!failed) *parent = node_keep(table, fid->parent);
    pthread_mutex_unlock(&fid->lock);
    return failed;
}

int fid_moved(struct fid_table *table, struct fid *fid, struct node *parent, const char *name)
{
    char *copy = strdup(name);
    if (!copy) return -ENOMEM;
    node_keep(table, parent);
    pthread_mutex_lock(&fid->lock);
    struct node *old_parent = fid->parent;
    char *old_name = fid->name;
    fid->parent = parent;
    fid->name = copy;
    pthread_mutex_unlock(&fid->lock);
    node_release(table, old_parent);
    free(old_name);
    return 0;
}

void fid_table_clear(struct fid_table *table)
{
    for (u32 n = 0; n < table->buckets; n++)
        for (;;) {
            pthread_mutex_lock(&table->lock);
            struct fid *fid = table->bucket[n];
            if (fid) {
                table->bucket[n] = fid->next;
                table->count--;
            }
            pthread_mutex_unlock(&table->lock);
            if (!fid) break;
            fid_release(table, fid);
        }
}

int fid_table_init(struct fid_table *table)
{
    *table = (struct fid_table){.buckets = BUCKETS_LEAST};
    table->bucket = calloc(table->buckets, sizeof(*table->bucket));
    pthread_mutex_init(&table->lock, NULL);
    return table->bucket ? 0 : -ENOMEM;
}

void fid_table_destroy(struct fid_table *table)
{
    if (table->bucket) fid_table_clear(table);
    free(table->bucket);
    pthread_mutex_destroy(&table->lock);
}
