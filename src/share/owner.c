#include "owner.h"

#include "confined.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PREFIX     "user.virtfs."
#define ACL_PREFIX "system.posix_acl_"

static bool is_mapped(const struct server *server)
{
    return server->options.security == SHARE_MAPPED;
}

/* --- attributes --- */

/* Returns false if there is no such attribute, or not of this size. */
static bool get(const char *link, const char *name, void *value, size_t bytes)
{
    return getxattr(link, name, value, bytes) == (ssize_t)bytes;
}

static int put(const char *link, const char *name, const void *value, size_t bytes)
{
    return setxattr(link, name, value, bytes, 0) < 0 ? -errno : 0;
}

void owner_read(const struct server *server, int fd, struct stat *status)
{
    char link[CONFINED_LINK_BYTES];
    u32 number;
    u64 device;
    if (!is_mapped(server) || S_ISLNK(status->st_mode)) return;
    confined_link(fd, link);
    if (get(link, PREFIX "uid", &number, sizeof(number))) status->st_uid = number;
    if (get(link, PREFIX "gid", &number, sizeof(number))) status->st_gid = number;
    if (get(link, PREFIX "mode", &number, sizeof(number))) status->st_mode = number;
    if (get(link, PREFIX "rdev", &device, sizeof(device))) status->st_rdev = device;
}

static int put_owner(const char *link, uid_t uid, gid_t gid)
{
    u32 user = uid, group = gid;
    int failed = uid != (uid_t)-1 ? put(link, PREFIX "uid", &user, sizeof(user)) : 0;
    if (!failed && gid != (gid_t)-1) failed = put(link, PREFIX "gid", &group, sizeof(group));
    return failed;
}

/* --- setting --- */

mode_t owner_host_mode(const struct server *server, mode_t mode)
{
    if (!is_mapped(server)) return mode & 07777;
    return S_ISDIR(mode) ? server->options.directory_mode : server->options.file_mode;
}

int owner_set_owner(const struct server *server, int fd, uid_t uid, gid_t gid)
{
    char link[CONFINED_LINK_BYTES];
    if (is_mapped(server)) return put_owner(confined_link(fd, link), uid, gid);
    int failed = fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
    return server->options.security == SHARE_NONE && failed == -EPERM ? 0 : failed;
}

int owner_set_mode(const struct server *server, const struct node *node, mode_t mode)
{
    char link[CONFINED_LINK_BYTES];
    struct stat status;
    confined_link(node->fd, link);
    if (!is_mapped(server)) return chmod(link, mode & 07777) < 0 ? -errno : 0;
    int failed = server_status(server, node, &status);
    u32 mapped = (status.st_mode & S_IFMT) | (mode & 07777);
    return failed ? failed : put(link, PREFIX "mode", &mapped, sizeof(mapped));
}

int owner_give(const struct server *server, int fd, uid_t uid, gid_t gid, mode_t mode, dev_t device)
{
    char link[CONFINED_LINK_BYTES];
    confined_link(fd, link);
    if (is_mapped(server)) {
        u32 mapped = mode;
        u64 number = device;
        int failed = put_owner(link, uid, gid);
        if (!failed) failed = put(link, PREFIX "mode", &mapped, sizeof(mapped));
        if (!failed && device) failed = put(link, PREFIX "rdev", &number, sizeof(number));
        return failed;
    }
    bool same = uid == geteuid() && gid == getegid();
    int failed = same ? 0 : owner_set_owner(server, fd, uid, gid);
    if (failed || S_ISLNK(mode)) return failed;
    /* Restores the bits that the process's umask has withheld, and those that the host clears when a file changes its
     * owner. */
    if (!(mode & (server->umask | S_ISUID | S_ISGID))) return 0;
    return chmod(link, mode & 07777) < 0 ? -errno : 0;
}

/* --- names of attributes --- */

/* The host would apply access control lists to the process itself, so the guest's are kept under another name. */
const char *owner_attribute(const struct server *server, const char *name, char *buffer, size_t bytes)
{
    if (!is_mapped(server)) return name;
    if (!strncmp(name, PREFIX, strlen(PREFIX))) return NULL;
    if (strncmp(name, ACL_PREFIX, strlen(ACL_PREFIX))) return name;
    if (strlen(name) + sizeof(PREFIX) > bytes) return NULL;
    stpcpy(stpcpy(buffer, PREFIX), name);
    return buffer;
}

const char *owner_attribute_seen(const struct server *server, const char *name)
{
    if (!is_mapped(server)) return name;
    if (!strncmp(name, ACL_PREFIX, strlen(ACL_PREFIX))) return NULL;
    if (strncmp(name, PREFIX, strlen(PREFIX))) return name;
    name += strlen(PREFIX);
    return strncmp(name, ACL_PREFIX, strlen(ACL_PREFIX)) ? NULL : name;
}
