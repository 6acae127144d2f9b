/*
 * Every message of 9P2000.L, on a temporary folder: its effect on the host's files, and its reply.
 */
#include "share_rig.h"

#include <sys/file.h>
#include <sys/xattr.h>

static struct share_rig rig;
static const struct share_options plain = {.security = SHARE_NONE};

static struct stat host_status(const char *name)
{
    struct stat status = {0};
    CHECK(!fstatat(rig.folder, name, &status, AT_SYMLINK_NOFOLLOW));
    return status;
}

static u64 qid_path(struct reader *in, u8 *type)
{
    *type = read8(in);
    read32(in);
    return read64(in);
}

static void test_version(void)
{
    CHECK_EQ(CALL(P9_TVERSION, "4s", 8192, "9P2000.L"), 0);
    CHECK_EQ(read32(&rig.in), 8192);
    CHECK_EQ(rig_clunk(&rig, ROOT), EBADF); /* a new session has no fids */
    CHECK_EQ(CALL(P9_TVERSION, "4s", 1u << 30, "9P2000.L"), 0);
    CHECK_EQ(read32(&rig.in), P9_SIZE_MOST);
    CHECK_EQ(CALL(P9_TVERSION, "4s", 8192, "9P2000"), 0);
    CHECK_EQ(read32(&rig.in), 8192);
    char version[16];
    read_string(&rig.in, version, sizeof(version));
    CHECK(!strcmp(version, "unknown"));
    CHECK_EQ(CALL(P9_TVERSION, "4s", 100, "9P2000.L"), EMSGSIZE);
    CHECK_EQ(CALL(P9_TAUTH, "4ss4", 9, "user", "", 0), EOPNOTSUPP);
    rig_restart(&rig, &plain, 1000);
    CHECK_EQ(CALL(P9_TATTACH, "44ss4", ROOT, P9_NO_FID, "user", "", 0), EBADF); /* in use */
    CHECK_EQ(CALL(P9_TATTACH, "44ss4", 7, 3, "user", "", 0), EINVAL);
    CHECK_EQ(CALL(P9_TATTACH, "44ss4", P9_NO_FID, P9_NO_FID, "user", "", 0), EINVAL);
}

static void test_walk(void)
{
    u8 type;
    CHECK(!mkdirat(rig.folder, "a", 0755) && !mkdirat(rig.folder, "a/b", 0755));
    rig_host_file(&rig, "a/b/c", "text");
    CHECK_EQ(CALL(P9_TWALK, "442sss", ROOT, 10, 3, "a", "b", "c"), 0);
    CHECK_EQ(read16(&rig.in), 3);
    CHECK_EQ(qid_path(&rig.in, &type), host_status("a").st_ino);
    CHECK_EQ(type, P9_QID_DIRECTORY);
    qid_path(&rig.in, &type);
    CHECK_EQ(qid_path(&rig.in, &type), host_status("a/b/c").st_ino);
    CHECK_EQ(type, P9_QID_FILE);
    /* Part of the way: qids, but no fid. */
    CHECK_EQ(CALL(P9_TWALK, "442sss", ROOT, 11, 3, "a", "none", "c"), 0);
    CHECK_EQ(read16(&rig.in), 1);
    CHECK_EQ(rig_clunk(&rig, 11), EBADF);
    CHECK_EQ(rig_walk(&rig, ROOT, 11, "none"), ENOENT);
    CHECK_EQ(rig_walk(&rig, ROOT, 10, "a"), EBADF); /* a new fid that is in use */
    CHECK_EQ(rig_walk(&rig, 10, 11, "x"), ENOTDIR);
    CHECK_EQ(rig_walk(&rig, 77, 11, "a"), EBADF);
    /* The same number: the fid moves. */
    CHECK_EQ(rig_clone(&rig, ROOT, 12), 0);
    CHECK_EQ(rig_walk(&rig, 12, 12, "a"), 0);
    CHECK_EQ(rig_walk(&rig, 12, 12, "b"), 0);
    CHECK_EQ(rig_walk(&rig, 12, 13, "c"), 0);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 13, O_RDONLY), 0);
    CHECK_EQ(rig_walk(&rig, 13, 13, "x"), EBUSY); /* open */
    CHECK_EQ(rig_clunk(&rig, 12), 0);
    CHECK_EQ(rig_clunk(&rig, 13), 0);
    CHECK_EQ(rig_clunk(&rig, 10), 0);
    CHECK_EQ(rig_clunk(&rig, 10), EBADF);
}

static void test_data(void)
{
    static u8 large[100000];
    for (u32 n = 0; n < sizeof(large); n++)
        large[n] = (u8)(n * 7 ^ n >> 8);
    CHECK_EQ(rig_create(&rig, 20, "data", 0640), 0);
    CHECK_EQ(host_status("data").st_mode, S_IFREG | 0640);
    CHECK_EQ(rig_write(&rig, 20, 0, large, 60000), 0);
    CHECK_EQ(rig_write(&rig, 20, 60000, large + 60000, 40000), 0);
    CHECK_EQ(host_status("data").st_size, sizeof(large));
    CHECK_EQ(rig_read(&rig, 20, 30000, 50000), 50000);
    CHECK(!memcmp(rig.in.at, large + 30000, 50000));
    CHECK_EQ(rig_read(&rig, 20, 99990, 50000), 10);
    CHECK_EQ(rig_read(&rig, 20, 200000, 10), 0);
    CHECK_EQ(rig_read(&rig, 20, 0, UINT32_MAX), 65536 - P9_READ_BYTES); /* the negotiated size */
    CHECK_EQ(CALL(P9_TREAD, "484", 20, (u64)INT64_MAX + 1, 10), EINVAL);
    CHECK_EQ(CALL(P9_TFSYNC, "44", 20, 1), 0);
    CHECK_EQ(CALL(P9_TFSYNC, "4", 20), 0);
    CHECK_EQ(CALL(P9_TREAD, "484", ROOT, 0ull, 10), EBADF); /* not open */
    CHECK_EQ(CALL(P9_TLOPEN, "44", 20, O_RDONLY), EBUSY);
    /* The host lets the file grow: the guest sees it. */
    int fd = openat(rig.folder, "data", O_WRONLY | O_APPEND);
    CHECK(write(fd, "more", 4) == 4);
    close(fd);
    CHECK_EQ(rig_read(&rig, 20, 100000, 10), 4);
    CHECK(!memcmp(rig.in.at, "more", 4));
    /* Removed while it is open: it can still be used. */
    CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, "data", 0), 0);
    CHECK_EQ(rig_read(&rig, 20, 100000, 10), 4);
    CHECK_EQ(CALL(P9_TGETATTR, "48", 20, P9_GETATTR_BASIC), 0);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 20, P9_SET_SIZE, 0, 0, 0, 5ull, 0ull, 0ull, 0ull, 0ull), 0);
    CHECK_EQ(rig_read(&rig, 20, 0, 100), 5);
    CHECK_EQ(rig_clunk(&rig, 20), 0);
}

static void test_create(void)
{
    umask(077);
    rig_restart(&rig, &plain, 1000);
    CHECK_EQ(rig_create(&rig, 20, "wide", 0666), 0); /* the guest's umask counts, not the process' */
    CHECK_EQ(host_status("wide").st_mode & 07777, 0666);
    umask(022);
    rig_restart(&rig, &plain, 1000);
    CHECK_EQ(rig_clone(&rig, ROOT, 21), 0);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 21, "wide", O_RDWR | O_EXCL, 0644, 0), EEXIST);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 21, "wide", O_RDWR | O_TRUNC, 0644, 0), 0);
    CHECK_EQ(host_status("wide").st_mode & 07777, 0666);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 21, "x", O_RDWR, 0644, 0), EBUSY); /* the fid is the file's now */
    CHECK_EQ(rig_clone(&rig, ROOT, 22), 0);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 22, "none-may", O_WRONLY, 0, 0), 0);
    CHECK_EQ(rig_write(&rig, 22, 0, "x", 1), 0);
    CHECK_EQ(rig_clunk(&rig, 21), 0);
    CHECK_EQ(rig_clunk(&rig, 22), 0);
}

static void test_names(void)
{
    char target[64];
    u8 type;
    CHECK_EQ(CALL(P9_TMKDIR, "4s44", ROOT, "dir", 0751, 0), 0);
    CHECK_EQ(host_status("dir").st_mode, S_IFDIR | 0751);
    qid_path(&rig.in, &type);
    CHECK_EQ(type, P9_QID_DIRECTORY);
    CHECK_EQ(CALL(P9_TMKDIR, "4s44", ROOT, "dir", 0751, 0), EEXIST);
    CHECK_EQ(CALL(P9_TSYMLINK, "4ss4", ROOT, "link", "../somewhere/else", 0), 0);
    CHECK(S_ISLNK(host_status("link").st_mode));
    CHECK_EQ(rig_walk(&rig, ROOT, 30, "link"), 0);
    CHECK_EQ(CALL(P9_TREADLINK, "4", 30), 0);
    read_string(&rig.in, target, sizeof(target));
    CHECK(!strcmp(target, "../somewhere/else"));
    CHECK_EQ(CALL(P9_TREADLINK, "4", ROOT), EINVAL);
    CHECK_EQ(CALL(P9_TMKNOD, "4s4444", ROOT, "fifo", S_IFIFO | 0600, 0, 0, 0), 0);
    CHECK(S_ISFIFO(host_status("fifo").st_mode));
    CHECK_EQ(CALL(P9_TMKNOD, "4s4444", ROOT, "not", S_IFDIR | 0600, 0, 0, 0), EINVAL);
    CHECK_EQ(rig_create(&rig, 31, "one", 0600), 0);
    CHECK_EQ(CALL(P9_TLINK, "44s", ROOT, 31, "two"), 0);
    CHECK_EQ(host_status("two").st_nlink, 2);
    CHECK_EQ(CALL(P9_TLINK, "44s", ROOT, 30, "link2"), 0); /* of the link itself */
    CHECK(S_ISLNK(host_status("link2").st_mode));
    CHECK_EQ(CALL(P9_TRENAMEAT, "4s4s", ROOT, "two", ROOT, "three"), 0);
    host_status("three");
    CHECK_EQ(CALL(P9_TRENAMEAT, "4s4s", ROOT, "two", ROOT, "three"), ENOENT);
    /* By fids, as clients without Trenameat do it. */
    CHECK_EQ(rig_walk(&rig, ROOT, 32, "dir"), 0);
    CHECK_EQ(rig_walk(&rig, ROOT, 33, "three"), 0);
    CHECK_EQ(CALL(P9_TRENAME, "44s", 33, 32, "four"), 0);
    host_status("dir/four");
    CHECK_EQ(CALL(P9_TRENAME, "44s", 33, ROOT, "five"), 0);
    host_status("five");
    CHECK_EQ(CALL(P9_TRENAME, "44s", ROOT, 32, "root"), EBUSY);
    CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, "dir", 0), EISDIR);
    CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, "dir", P9_REMOVE_DIRECTORY), 0);
    CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, "five", P9_REMOVE_DIRECTORY), ENOTDIR);
    /* Tremove removes the file that was walked to, not the one that has its name now. */
    CHECK_EQ(rig_clone(&rig, 33, 34), 0);
    CHECK(!unlinkat(rig.folder, "five", 0));
    rig_host_file(&rig, "five", "another");
    CHECK_EQ(CALL(P9_TREMOVE, "4", 33), ESTALE);
    CHECK_EQ(rig_clunk(&rig, 33), EBADF); /* gone in any case */
    CHECK_EQ(rig_walk(&rig, ROOT, 33, "five"), 0);
    CHECK_EQ(CALL(P9_TREMOVE, "4", 33), 0);
    CHECK(faccessat(rig.folder, "five", F_OK, 0) < 0);
    for (u32 fid = 30; fid <= 34; fid++)
        if (fid != 33) CHECK_EQ(rig_clunk(&rig, fid), 0);
}

static void test_status(void)
{
    CHECK_EQ(rig_create(&rig, 40, "status", 0600), 0);
    CHECK_EQ(rig_write(&rig, 40, 0, "12345", 5), 0);
    CHECK_EQ(
        CALL(P9_TSETATTR, "4444488888", 40, P9_SET_MODE, S_IFREG | 0712, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull),
        0);
    CHECK_EQ(host_status("status").st_mode, S_IFREG | 0712);
    u32 times = P9_SET_ATIME | P9_SET_ATIME_TO | P9_SET_MTIME | P9_SET_MTIME_TO;
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 40, times, 0, 0, 0, 0ull, 1000ull, 5ull, 2000ull, 6ull), 0);
    CHECK_EQ(host_status("status").st_atime, 1000);
    CHECK_EQ(host_status("status").st_mtim.tv_nsec, 6);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 40, P9_SET_MTIME, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), 0);
    CHECK(host_status("status").st_mtime > 1000000);
    CHECK_EQ(host_status("status").st_atime, 1000);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 40, P9_SET_CTIME, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), 0);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 40, P9_SET_SIZE, 0, 0, 0, 3ull, 0ull, 0ull, 0ull, 0ull), 0);
    CHECK_EQ(host_status("status").st_size, 3);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", ROOT, P9_SET_SIZE, 0, 0, 0, 3ull, 0ull, 0ull, 0ull, 0ull),
             EISDIR);
    /* security_model=none: the host's refusal to give files away is not the guest's concern. */
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 40, P9_SET_UID | P9_SET_GID, 0, 12345, 12345, 0ull, 0ull, 0ull,
                  0ull, 0ull),
             0);
    CHECK_EQ(CALL(P9_TGETATTR, "48", 40, P9_GETATTR_BASIC), 0);
    struct stat status = host_status("status");
    u8 type;
    CHECK_EQ(read64(&rig.in), P9_GETATTR_BASIC);
    CHECK_EQ(qid_path(&rig.in, &type), status.st_ino);
    CHECK_EQ(read32(&rig.in), status.st_mode);
    CHECK_EQ(read32(&rig.in), status.st_uid);
    CHECK_EQ(read32(&rig.in), status.st_gid);
    CHECK_EQ(read64(&rig.in), 1);
    read64(&rig.in);
    CHECK_EQ(read64(&rig.in), 3);
    CHECK_EQ(read64(&rig.in) % 512, 0);
    CHECK_EQ(read64(&rig.in), status.st_blocks);
    CHECK_EQ(read64(&rig.in), 1000);
    CHECK_EQ(CALL(P9_TSTATFS, "4", 40), 0);
    CHECK(!rig.in.bad && rig.in.end - rig.in.at == 60);
    CHECK_EQ(rig_clunk(&rig, 40), 0);
}

/* Read a directory in pieces so small that an entry or two fit. */
static unsigned list(u32 fid, u32 count, u64 *inodes)
{
    unsigned entries = 0;
    for (u64 offset = 0;;) {
        CHECK_EQ(CALL(P9_TREADDIR, "484", fid, offset, count), 0);
        u32 bytes = read32(&rig.in);
        CHECK(bytes <= count && bytes == (u32)(rig.in.end - rig.in.at));
        if (!bytes) return entries;
        while (rig.in.at < rig.in.end) {
            char name[NAME_MAX + 1];
            u8 type;
            inodes[entries++] = qid_path(&rig.in, &type);
            offset = read64(&rig.in);
            read8(&rig.in);
            read_string(&rig.in, name, sizeof(name));
            CHECK(!rig.in.bad && (strncmp(name, "entry-", 6) == 0 || name[0] == '.'));
        }
    }
}

static void test_readdir(void)
{
    static u64 first[2000], second[2000];
    CHECK(!mkdirat(rig.folder, "many", 0755));
    for (unsigned n = 0; n < 1000; n++) {
        char name[64];
        snprintf(name, sizeof(name), "many/entry-%u", n);
        rig_host_file(&rig, name, "");
    }
    CHECK_EQ(rig_walk(&rig, ROOT, 50, "many"), 0);
    CHECK_EQ(CALL(P9_TREADDIR, "484", 50, 0ull, 4000), EBADF);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 50, O_RDONLY | O_DIRECTORY), 0);
    CHECK_EQ(list(50, 60, first), 1002);
    CHECK_EQ(list(50, 1u << 30, second), 1002);
    CHECK(!memcmp(first, second, 1002 * sizeof(*first)));
    CHECK_EQ(CALL(P9_TREADDIR, "484", 50, 0ull, 10), EINVAL); /* no entry fits */
    CHECK_EQ(rig_clunk(&rig, 50), 0);
    /* ".." of the folder is the folder: nothing is said of what is above. */
    CHECK_EQ(rig_clone(&rig, ROOT, 51), 0);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 51, O_RDONLY), 0);
    CHECK_EQ(CALL(P9_TREADDIR, "484", 51, 0ull, 8000), 0);
    read32(&rig.in);
    unsigned same = 0;
    while (rig.in.at < rig.in.end) {
        char name[NAME_MAX + 1];
        u8 type;
        u64 inode = qid_path(&rig.in, &type);
        read64(&rig.in);
        read8(&rig.in);
        read_string(&rig.in, name, sizeof(name));
        if (!strcmp(name, ".") || !strcmp(name, "..")) same += inode == rig.server.root->inode;
    }
    CHECK_EQ(same, 2);
    CHECK_EQ(rig_clunk(&rig, 51), 0);
}

static void test_attributes(void)
{
    CHECK_EQ(rig_create(&rig, 60, "tagged", 0600), 0);
    CHECK_EQ(rig_clone(&rig, 60, 61), 0);
    int failed = CALL(P9_TXATTRCREATE, "4s84", 61, "user.color", 4ull, 0);
    CHECK_EQ(failed, 0);
    CHECK_EQ(rig_write(&rig, 61, 0, "bl", 2), 0);
    CHECK_EQ(rig_write(&rig, 61, 2, "ue", 2), 0);
    rig.message_bytes = 0;
    failed = rig_clunk(&rig, 61);
    if (failed == EOPNOTSUPP) {
        printf("the host's /tmp has no extended attributes: not tested\n");
        return;
    }
    CHECK_EQ(failed, 0);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 60, 62, "user.color"), 0);
    CHECK_EQ(read64(&rig.in), 4);
    CHECK_EQ(rig_read(&rig, 62, 0, 100), 4);
    CHECK(!memcmp(rig.in.at, "blue", 4));
    CHECK_EQ(rig_read(&rig, 62, 3, 100), 1);
    CHECK_EQ(rig_read(&rig, 62, 9, 100), 0);
    CHECK_EQ(rig_clunk(&rig, 62), 0);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 60, 62, ""), 0); /* the list */
    CHECK_EQ(read64(&rig.in), 11);
    CHECK_EQ(rig_read(&rig, 62, 0, 100), 11);
    CHECK(!memcmp(rig.in.at, "user.color", 11));
    CHECK_EQ(rig_clunk(&rig, 62), 0);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 60, 62, "user.none"), ENODATA);
    /* Less data than announced; more; too much. */
    CHECK_EQ(rig_clone(&rig, 60, 61), 0);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 61, "user.color", 4ull, 0), 0);
    CHECK_EQ(rig_write(&rig, 61, 0, "red", 3), 0);
    CHECK_EQ(rig_write(&rig, 61, 3, "re", 2), ENOSPC);
    CHECK_EQ(rig_clunk(&rig, 61), EINVAL);
    CHECK_EQ(rig_clone(&rig, 60, 61), 0);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 61, "user.color", 1ull << 40, 0), E2BIG);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 61, "user.color", 1ull, XATTR_CREATE), 0);
    CHECK_EQ(rig_write(&rig, 61, 0, "x", 1), 0);
    CHECK_EQ(rig_clunk(&rig, 61), EEXIST);
    CHECK_EQ(rig_clone(&rig, 60, 61), 0);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 61, "user.color", 0ull, 0), 0);
    CHECK_EQ(rig_clunk(&rig, 61), 0);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 60, 62, "user.color"), ENODATA);
    CHECK_EQ(rig_clunk(&rig, 60), 0);
}

static void test_locks(void)
{
    CHECK_EQ(rig_create(&rig, 70, "locked", 0600), 0);
    CHECK_EQ(rig_walk(&rig, ROOT, 71, "locked"), 0);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 71, P9_LOCK_WRITE, 0, 0ull, 0ull, 5, "guest"), EBADF); /* not open */
    CHECK_EQ(CALL(P9_TLOPEN, "44", 71, O_RDWR), 0);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 70, P9_LOCK_WRITE, 1, 10ull, 10ull, 5, "guest"), 0);
    CHECK_EQ(read8(&rig.in), P9_LOCKED);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 71, P9_LOCK_READ, 1, 15ull, 1ull, 6, "guest"), 0);
    CHECK_EQ(read8(&rig.in), P9_LOCK_BLOCKED);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 71, P9_LOCK_READ, 0, 20ull, 0ull, 6, "guest"), 0);
    CHECK_EQ(read8(&rig.in), P9_LOCKED);
    CHECK_EQ(CALL(P9_TGETLOCK, "41884s", 71, P9_LOCK_WRITE, 0ull, 0ull, 6, "guest"), 0);
    CHECK_EQ(read8(&rig.in), P9_LOCK_WRITE);
    CHECK_EQ(read64(&rig.in), 10);
    CHECK_EQ(read64(&rig.in), 10);
    /* Programs of the host are excluded, too. */
    int fd = openat(rig.folder, "locked", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1};
    CHECK(fcntl(fd, F_OFD_SETLK, &lock) < 0);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 70, P9_LOCK_NONE, 0, 0ull, 0ull, 5, "guest"), 0);
    CHECK(!fcntl(fd, F_OFD_SETLK, &lock));
    close(fd);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 70, 9, 0, 0ull, 0ull, 5, "guest"), EINVAL);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 70, P9_LOCK_READ, 0, ~0ull, 0ull, 5, "guest"), EINVAL);
    /* A lock goes with its fid. */
    CHECK_EQ(rig_clunk(&rig, 71), 0);
    CHECK_EQ(CALL(P9_TLOCK, "414884s", 70, P9_LOCK_WRITE, 0, 0ull, 0ull, 5, "guest"), 0);
    CHECK_EQ(read8(&rig.in), P9_LOCKED);
    CHECK_EQ(rig_clunk(&rig, 70), 0);
}

static void test_read_only(void)
{
    struct share_options options = {.read_only = true};
    rig_host_file(&rig, "kept", "kept");
    rig_restart(&rig, &options, 1000);
    CHECK_EQ(rig_walk(&rig, ROOT, 10, "kept"), 0);
    for (u32 flags = 0; flags < 3; flags++)
        CHECK_EQ(CALL(P9_TLOPEN, "44", 10, flags | (flags ? 0 : O_TRUNC)), EROFS);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 10, O_RDONLY), 0);
    CHECK_EQ(rig_read(&rig, 10, 0, 10), 4);
    CHECK_EQ(rig_write(&rig, 10, 0, "x", 1), EROFS);
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 10, P9_SET_SIZE, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), EROFS);
    CHECK_EQ(CALL(P9_TUNLINKAT, "4s4", ROOT, "kept", 0), EROFS);
    CHECK_EQ(CALL(P9_TRENAMEAT, "4s4s", ROOT, "kept", ROOT, "other"), EROFS);
    CHECK_EQ(CALL(P9_TRENAME, "44s", 10, ROOT, "other"), EROFS);
    CHECK_EQ(CALL(P9_TLINK, "44s", ROOT, 10, "other"), EROFS);
    CHECK_EQ(CALL(P9_TMKDIR, "4s44", ROOT, "other", 0755, 0), EROFS);
    CHECK_EQ(CALL(P9_TMKNOD, "4s4444", ROOT, "other", S_IFIFO | 0600, 0, 0, 0), EROFS);
    CHECK_EQ(CALL(P9_TSYMLINK, "4ss4", ROOT, "other", "kept", 0), EROFS);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 10, "user.x", 1ull, 0), EROFS);
    CHECK_EQ(rig_clone(&rig, ROOT, 11), 0);
    CHECK_EQ(CALL(P9_TLCREATE, "4s444", 11, "other", O_RDWR, 0644, 0), EROFS);
    CHECK_EQ(CALL(P9_TREMOVE, "4", 10), EROFS);
    CHECK(faccessat(rig.folder, "other", F_OK, 0) < 0);
    CHECK_EQ(host_status("kept").st_size, 4);
    rig_restart(&rig, &plain, 1000);
}

int main(void)
{
    umask(022);
    rig_init(&rig, &plain);
    test_version();
    test_walk();
    test_data();
    test_create();
    test_names();
    test_status();
    test_readdir();
    test_attributes();
    test_locks();
    test_read_only();
    rig_destroy(&rig);
    return check_report();
}
