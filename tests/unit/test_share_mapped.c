/*
 * security_model=mapped-xattr: owners, modes, links and devices in extended attributes, bit for bit as QEMU's 9pfs
 * keeps them (hw/9pfs/9p-local.c, local_set_xattrat()), so a folder can go from one to the other.
 */
#include "share_rig.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

static struct share_rig rig;
static const struct share_options mapped = {
    .security = SHARE_MAPPED, .file_mode = 0600, .directory_mode = 0700};

static u64 attribute(const char *file, const char *name, unsigned bytes)
{
    char path[PATH_MAX];
    u64 value = 0;
    snprintf(path, sizeof(path), "%s/%s", rig.path, file);
    CHECK_EQ(lgetxattr(path, name, &value, 8), bytes);
    return value;
}

static struct stat host_status(const char *name)
{
    struct stat status = {0};
    CHECK(!fstatat(rig.folder, name, &status, AT_SYMLINK_NOFOLLOW));
    return status;
}

/* The guest's view of the file. */
static struct stat guest_status(u32 fid)
{
    struct stat status = {0};
    CHECK_EQ(CALL(P9_TGETATTR, "48", fid, P9_GETATTR_BASIC), 0);
    read64(&rig.in);
    read_number(&rig.in, 1);
    read32(&rig.in);
    read64(&rig.in);
    status.st_mode = read32(&rig.in);
    status.st_uid = read32(&rig.in);
    status.st_gid = read32(&rig.in);
    read64(&rig.in);
    status.st_rdev = read64(&rig.in);
    return status;
}

static void test_files(void)
{
    CHECK_EQ(rig_create(&rig, 10, "file", 04755), 0);
    CHECK_EQ(host_status("file").st_mode, S_IFREG | 0600);
    CHECK_EQ(attribute("file", "user.virtfs.uid", 4), 1000); /* of Tattach */
    CHECK_EQ(attribute("file", "user.virtfs.gid", 4), 1000);
    CHECK_EQ(attribute("file", "user.virtfs.mode", 4), S_IFREG | 04755);
    CHECK_EQ(guest_status(10).st_mode, S_IFREG | 04755);
    u32 what = P9_SET_UID | P9_SET_MODE;
    CHECK_EQ(CALL(P9_TSETATTR, "4444488888", 10, what, 0111, 7, 0, 0ull, 0ull, 0ull, 0ull, 0ull), 0);
    CHECK_EQ(attribute("file", "user.virtfs.uid", 4), 7);
    CHECK_EQ(attribute("file", "user.virtfs.gid", 4), 1000);
    CHECK_EQ(attribute("file", "user.virtfs.mode", 4), S_IFREG | 0111);
    CHECK_EQ(host_status("file").st_mode, S_IFREG | 0600);
    CHECK_EQ(CALL(P9_TMKDIR, "4s44", ROOT, "dir", 0777, 5), 0);
    CHECK_EQ(host_status("dir").st_mode, S_IFDIR | 0700);
    CHECK_EQ(attribute("dir", "user.virtfs.mode", 4), S_IFDIR | 0777);
    CHECK_EQ(attribute("dir", "user.virtfs.gid", 4), 5);
    CHECK_EQ(rig_clunk(&rig, 10), 0);
    /* A file of the host, without attributes, is as it is. */
    rig_host_file(&rig, "plain", "x");
    CHECK_EQ(rig_walk(&rig, ROOT, 11, "plain"), 0);
    CHECK_EQ(guest_status(11).st_mode, host_status("plain").st_mode);
    CHECK_EQ(guest_status(11).st_uid, host_status("plain").st_uid);
    CHECK_EQ(rig_clunk(&rig, 11), 0);
}

static void test_special(void)
{
    char target[64], text[64] = "";
    CHECK_EQ(CALL(P9_TSYMLINK, "4ss4", ROOT, "link", "/etc/passwd", 5), 0);
    CHECK_EQ(read8(&rig.in), P9_QID_LINK);
    CHECK_EQ(host_status("link").st_mode, S_IFREG | 0600);
    CHECK_EQ(attribute("link", "user.virtfs.mode", 4), S_IFLNK | 0777);
    int fd = openat(rig.folder, "link", O_RDONLY);
    CHECK_EQ(read(fd, text, sizeof(text)), 11);
    CHECK(!strcmp(text, "/etc/passwd"));
    close(fd);
    CHECK_EQ(rig_walk(&rig, ROOT, 20, "link"), 0);
    CHECK_EQ(guest_status(20).st_mode, S_IFLNK | 0777);
    CHECK_EQ(CALL(P9_TREADLINK, "4", 20), 0);
    read_string(&rig.in, target, sizeof(target));
    CHECK(!strcmp(target, "/etc/passwd"));
    CHECK_EQ(rig_clunk(&rig, 20), 0);
    CHECK_EQ(CALL(P9_TMKNOD, "4s4444", ROOT, "null", S_IFCHR | 0666, 1, 3, 0), 0);
    CHECK_EQ(host_status("null").st_mode, S_IFREG | 0600);
    CHECK_EQ(attribute("null", "user.virtfs.rdev", 8), makedev(1, 3));
    CHECK_EQ(rig_walk(&rig, ROOT, 21, "null"), 0);
    CHECK_EQ(guest_status(21).st_mode, S_IFCHR | 0666);
    CHECK_EQ(guest_status(21).st_rdev, makedev(1, 3));
    CHECK_EQ(rig_clunk(&rig, 21), 0);
    /* A link of the host's is one, and is not followed by anything here. */
    CHECK(!symlinkat("/etc/passwd", rig.folder, "host-link"));
    CHECK_EQ(rig_walk(&rig, ROOT, 22, "host-link"), 0);
    CHECK(S_ISLNK(guest_status(22).st_mode));
    CHECK_EQ(CALL(P9_TREADLINK, "4", 22), 0);
    CHECK_EQ(CALL(P9_TLOPEN, "44", 22, O_RDONLY), ENXIO);
    CHECK_EQ(rig_clunk(&rig, 22), 0);
}

/* The attributes that hold all this are not the guest's. */
static void test_attributes(void)
{
    CHECK_EQ(rig_walk(&rig, ROOT, 30, "file"), 0);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 30, 31, "user.virtfs.uid"), ENODATA);
    CHECK_EQ(rig_clone(&rig, 30, 31), 0);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 31, "user.virtfs.uid", 4ull, 0), EACCES);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 31, "user.mine", 1ull, 0), 0);
    CHECK_EQ(rig_write(&rig, 31, 0, "x", 1), 0);
    CHECK_EQ(rig_clunk(&rig, 31), 0);
    CHECK_EQ(rig_clone(&rig, 30, 31), 0);
    CHECK_EQ(CALL(P9_TXATTRCREATE, "4s84", 31, "system.posix_acl_access", 3ull, 0), 0);
    CHECK_EQ(rig_write(&rig, 31, 0, "acl", 3), 0);
    CHECK_EQ(rig_clunk(&rig, 31), 0);
    CHECK_EQ(attribute("file", "user.virtfs.system.posix_acl_access", 3), 'a' | 'c' << 8 | 'l' << 16);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 30, 31, ""), 0);
    u64 bytes = read64(&rig.in);
    CHECK_EQ(bytes, sizeof("user.mine") + sizeof("system.posix_acl_access"));
    CHECK_EQ(rig_read(&rig, 31, 0, 1000), bytes);
    for (const u8 *name = rig.in.at; name < rig.in.end; name += strlen((const char *)name) + 1)
        CHECK(!strstr((const char *)name, "virtfs"));
    CHECK_EQ(rig_clunk(&rig, 31), 0);
    CHECK_EQ(CALL(P9_TXATTRWALK, "44s", 30, 31, "system.posix_acl_access"), 0);
    CHECK_EQ(rig_read(&rig, 31, 0, 1000), 3);
    CHECK_EQ(rig_clunk(&rig, 31), 0);
}

int main(void)
{
    umask(022);
    rig_init(&rig, &mapped);
    if (setxattr(rig.path, "user.probe", "1", 1, 0) < 0) {
        printf("the host's /tmp has no extended attributes: not tested\n");
        rig_destroy(&rig);
        return 0;
    }
    test_files();
    test_special();
    test_attributes();
    rig_destroy(&rig);
    return check_report();
}
