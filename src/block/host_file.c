#include "host_file.h"

#include "base/host_path.h"
#include "base/host_time.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Iovecs in one system call. The rest goes into further calls. */
#define PARTS_AT_ONCE 64

static struct host_file *file_of(struct store *store)
{
    return container_of(store, struct host_file, store);
}

/* --- the end of all writing --- */

static int give_up(struct host_file *file, const char *why)
{
    if (!__atomic_exchange_n(&file->broken, true, __ATOMIC_SEQ_CST))
        log_warn("%s %s: nothing more is written to it", file->path ? file->path : "a temporary file", why);
    return -EIO;
}

static int check_whole(struct host_file *file)
{
    u64 end = __atomic_load_n(&file->end, __ATOMIC_SEQ_CST);
    struct stat status;
    if (__atomic_load_n(&file->broken, __ATOMIC_RELAXED)) return -EIO;
    if (!file->is_file || (!fstat(file->fd, &status) && (u64)status.st_size >= end)) return 0;
    return give_up(file, "was truncated while it was in use");
}

static void note_end(struct host_file *file, u64 end)
{
    u64 before = __atomic_load_n(&file->end, __ATOMIC_RELAXED);
    while (before < end &&
           !__atomic_compare_exchange_n(&file->end, &before, end, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

/* --- transfers --- */

static int file_read(struct store *store, u64 offset, struct span to)
{
    struct host_file *file = file_of(store);
    while (to.bytes) {
        struct iovec parts[PARTS_AT_ONCE];
        unsigned count = span_parts(to, parts, PARTS_AT_ONCE);
        ssize_t done = preadv(file->fd, parts, (int)count, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -errno;
        if (!done) {
            span_clear(to);
            return STORE_SHORT;
        }
        offset += (u64)done;
        to = span_slice(to, (u64)done, to.bytes - (u64)done);
    }
    return 0;
}

/* Reads only what is in the host's page cache. */
static int file_read_now(struct store *store, u64 offset, struct span to)
{
    struct iovec parts[PARTS_AT_ONCE];
    unsigned count = span_parts(to, parts, PARTS_AT_ONCE);
    ssize_t done = preadv2(file_of(store)->fd, parts, (int)count, (off_t)offset, RWF_NOWAIT);
    return done == (ssize_t)to.bytes ? 0 : -EAGAIN;
}

static int file_write(struct store *store, u64 offset, struct span from)
{
    struct host_file *file = file_of(store);
    int failed = check_whole(file);
    if (failed) return failed;
    if (!__atomic_load_n(&file->written, __ATOMIC_RELAXED))
        __atomic_store_n(&file->written, true, __ATOMIC_RELAXED);
    while (from.bytes) {
        struct iovec parts[PARTS_AT_ONCE];
        unsigned count = span_parts(from, parts, PARTS_AT_ONCE);
        ssize_t done = pwritev(file->fd, parts, (int)count, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -errno;
        if (!done) return -ENOSPC;
        offset += (u64)done;
        from = span_slice(from, (u64)done, from.bytes - (u64)done);
    }
    if (file->is_file) note_end(file, offset);
    return 0;
}

/* One thread at a time, because the host reports a failure only once. */
static int file_sync(struct store *store)
{
    struct host_file *file = file_of(store);
    char why[160];
    pthread_mutex_lock(&file->syncing);
    int failed = __atomic_load_n(&file->broken, __ATOMIC_SEQ_CST) ? -EIO : 0;
    while (!failed && fdatasync(file->fd))
        if (errno != EINTR) {
            snprintf(why, sizeof(why), "could not be made stable (%s), and what was written last may be lost",
                     strerror(errno));
            failed = give_up(file, why);
        }
    pthread_mutex_unlock(&file->syncing);
    return failed;
}

static int file_size(struct store *store, u64 *bytes)
{
    struct host_file *file = file_of(store);
    struct stat status;
    if (fstat(file->fd, &status)) return -errno;
    *bytes = (u64)status.st_size;
    if (S_ISBLK(status.st_mode) && ioctl(file->fd, BLKGETSIZE64, bytes)) return -errno;
    return 0;
}

static int file_set_size(struct store *store, u64 bytes)
{
    struct host_file *file = file_of(store);
    if (ftruncate(file->fd, (off_t)bytes)) return -errno;
    __atomic_store_n(&file->end, bytes, __ATOMIC_SEQ_CST);
    return 0;
}

static int file_punch(struct store *store, u64 offset, u64 bytes)
{
    struct host_file *file = file_of(store);
    int failed = check_whole(file);
    if (failed) return failed;
    do
        failed = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    while (failed && errno == EINTR);
    if (!failed) return 0;
    return errno == EOPNOTSUPP || errno == ENODEV || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

/* A host that cannot tell data from holes reports everything as data. */
static int file_seek(struct store *store, u64 offset, bool data, u64 *found)
{
    off_t at = lseek(file_of(store)->fd, (off_t)offset, data ? SEEK_DATA : SEEK_HOLE);
    if (at >= 0) {
        *found = (u64)at;
        return 0;
    }
    if (errno == ENXIO) return -ENXIO;
    if (data) {
        *found = offset;
        return 0;
    }
    return file_size(store, found);
}

static void file_close(struct store *store)
{
    struct host_file *file = file_of(store);
    struct stat status;
    if (file->written && file->path && !fstat(file->fd, &status) && !status.st_nlink)
        log_warn("%s was removed while it was in use: what was written to it is lost", file->path);
    close(file->fd);
    pthread_mutex_destroy(&file->syncing);
    free(file->path);
    free(file);
}

static const struct store_ops file_ops = {
    .read = file_read,
    .read_now = file_read_now,
    .write = file_write,
    .sync = file_sync,
    .size = file_size,
    .set_size = file_set_size,
    .punch = file_punch,
    .seek = file_seek,
    .close = file_close,
};

/* --- opening --- */

/* QEMU's permission numbers, and the offsets at which its lock bytes begin (QEMU, block/file-posix.c). */
enum permission { MAY_READ_CONSISTENTLY = 0, MAY_WRITE = 1, MAY_RESIZE = 3 };
enum { HELD_BASE = 100, UNSHARED_BASE = 200 };

static int lock_byte(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* Fails with -EAGAIN if another process has locked this byte. */
static int test_byte(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &lock)) return -errno;
    return lock.l_type == F_UNLCK ? 0 : -EAGAIN;
}

static int lock_file(int fd, bool read_only)
{
    static const u8 changes[] = {MAY_WRITE, MAY_RESIZE};
    int failed = lock_byte(fd, HELD_BASE + MAY_READ_CONSISTENTLY);
    for (unsigned n = 0; n < ARRAY_SIZE(changes) && !failed; n++) {
        failed = lock_byte(fd, UNSHARED_BASE + changes[n]);
        if (!failed && !read_only) failed = lock_byte(fd, HELD_BASE + changes[n]);
    }
    /* Test only after locking: of two processes that open the file at once, at least one sees the other. */
    if (!failed) failed = test_byte(fd, UNSHARED_BASE + MAY_READ_CONSISTENTLY);
    for (unsigned n = 0; n < ARRAY_SIZE(changes) && !failed; n++) {
        failed = test_byte(fd, HELD_BASE + changes[n]);
        if (!failed && !read_only) failed = test_byte(fd, UNSHARED_BASE + changes[n]);
    }
    /* The file system has no locks: the user must make sure that nothing else uses the file. */
    return failed == -ENOLCK || failed == -EOPNOTSUPP || failed == -EINVAL ? 0 : failed;
}

struct store *host_file_of(int fd, const char *path)
{
    struct host_file *file = malloc(sizeof(*file));
    struct stat status;
    if (!file) return NULL;
    bool is_file = !fstat(fd, &status) && S_ISREG(status.st_mode);
    *file = (struct host_file){.store = {&file_ops},
                               .fd = fd,
                               .is_file = is_file,
                               .path = path ? strdup(path) : NULL,
                               .end = is_file ? (u64)status.st_size : 0};
    pthread_mutex_init(&file->syncing, NULL);
    return &file->store;
}

struct store *host_file_open(const char *path, bool read_only, char *error, size_t error_bytes)
{
    struct stat status;
    int fd = host_open(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK, 0);
    if (fd < 0) {
        snprintf(error, error_bytes, "cannot open %s%s: %s", path, read_only ? "" : " for writing",
                 strerror(errno));
        return NULL;
    }
    if (fstat(fd, &status) || !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))) {
        snprintf(error, error_bytes, "%s is neither a file nor a block device", path);
        close(fd);
        return NULL;
    }
    int failed = lock_file(fd, read_only);
    if (failed) {
        bool busy = failed == -EAGAIN || failed == -EACCES;
        snprintf(error, error_bytes, "%s %s%s", path,
                 busy ? "is in use by another machine or drive" : "cannot be locked: ",
                 !busy       ? strerror(-failed)
                 : read_only ? ", which writes to it"
                             : ": only one can write to it");
        close(fd);
        return NULL;
    }
    struct store *store = host_file_of(fd, path);
    if (!store) {
        snprintf(error, error_bytes, "out of memory");
        close(fd);
    }
    return store;
}

/* For file systems without O_TMPFILE. mkostemp(3) would not ask the opener. */
static int named_temporary(const char *directory)
{
    char path[4096];
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        snprintf(path, sizeof(path), "%s/ringer-%d-%llx", directory, getpid(),
                 (unsigned long long)host_now_ns());
        int fd = host_open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
        if (fd >= 0) host_unlink(path);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

struct store *host_file_temporary(char *error, size_t error_bytes)
{
    const char *directory = getenv("TMPDIR");
    if (!directory || !*directory) directory = "/var/tmp";
    int fd = host_open(directory, O_TMPFILE | O_RDWR, 0600);
    if (fd < 0) fd = named_temporary(directory);
    struct store *store = fd < 0 ? NULL : host_file_of(fd, NULL);
    if (!store) {
        snprintf(error, error_bytes, "cannot make a temporary file in %s: %s", directory, strerror(errno));
        if (fd >= 0) close(fd);
    }
    return store;
}
