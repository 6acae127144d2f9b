#include "disk_info.h"

#include "base/json.h"
#include "block/host_file.h"
#include "block/qcow2_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct facts {
    const char *path;
    u64 bytes, on_host;
    bool is_qcow2;
    struct qcow2_header header;
    struct qcow2_backing backing;
};

static bool gather(struct facts *f, struct store *store, char *error, size_t error_bytes)
{
    u32 magic = 0;
    char why[400];
    int failed = store_get(store, 0, &magic, sizeof(magic)); /* STORE_SHORT: it is raw in any case */
    if (failed >= 0) failed = store->ops->size(store, &f->bytes);
    if (failed) {
        snprintf(error, error_bytes, "cannot read %s: %s", f->path, strerror(-failed));
        return false;
    }
    f->is_qcow2 = be32toh(magic) == QCOW2_MAGIC;
    if (!f->is_qcow2) return true;
    if (qcow2_read_header(store, true, &f->header, why, sizeof(why)) &&
        qcow2_read_backing(store, &f->header, &f->backing, why, sizeof(why))) {
        f->bytes = f->header.bytes;
        return true;
    }
    snprintf(error, error_bytes, "%s: %s", f->path, why);
    return false;
}

/* --- for people --- */

static void print_size(const char *what, u64 bytes, FILE *out)
{
    static const char units[] = "BKMGTP";
    unsigned unit = 0;
    u64 tenths = bytes * 10;
    for (; tenths >= 10240 && unit + 2 < sizeof(units); unit++)
        tenths = (tenths + 512) / 1024;
    fprintf(out, "%-16s %" PRIu64 ".%" PRIu64 " %c%s (%" PRIu64 " bytes)\n", what, tenths / 10, tenths % 10,
            units[unit], unit ? "iB" : "", bytes);
}

static void print_lines(const struct facts *f, FILE *out)
{
    const struct qcow2_header *h = &f->header;
    fprintf(out, "%-16s %s\n%-16s %s\n", "image", f->path, "format", f->is_qcow2 ? "qcow2" : "raw");
    print_size("size", f->bytes, out);
    print_size("on the host", f->on_host, out);
    if (!f->is_qcow2) return;
    fprintf(out, "%-16s %s\n", "compatible with", h->version == 2 ? "0.10" : "1.1");
    fprintf(out, "%-16s %" PRIu64 " bytes\n", "clusters", (u64)1 << h->cluster_bits);
    fprintf(out, "%-16s %u bits\n", "refcounts", 1u << h->refcount_order);
    if (h->version >= 3) fprintf(out, "%-16s %s\n", "compression", h->compression ? "zstd" : "deflate");
    if (h->snapshots) fprintf(out, "%-16s %u\n", "snapshots", h->snapshots);
    if (f->backing.path[0])
        fprintf(out, "%-16s %s (%s)\n", "based on", f->backing.path,
                f->backing.format[0] ? f->backing.format : "format not given");
    if (h->incompatible & QCOW2_DIRTY) fprintf(out, "%-16s %s\n", "state", "was not closed properly");
    if (h->incompatible & QCOW2_CORRUPT) fprintf(out, "%-16s %s\n", "state", "damaged");
}

/* --- for programs --- */

/* The names are those of qemu-img info --output=json. */
static void print_json(const struct facts *f, FILE *out)
{
    const struct qcow2_header *h = &f->header;
    struct json_object *object = json_object_new_object();
    json_add_number(object, "virtual-size", f->bytes);
    json_add_number(object, "actual-size", f->on_host);
    json_add_text(object, "filename", f->path);
    json_add_text(object, "format", f->is_qcow2 ? "qcow2" : "raw");
    if (f->is_qcow2) {
        json_add_text(object, "compat", h->version == 2 ? "0.10" : "1.1");
        json_add_text(object, "compression-type", h->compression ? "zstd" : "zlib");
        json_add_number(object, "cluster-size", (u64)1 << h->cluster_bits);
        json_add_number(object, "refcount-bits", 1u << h->refcount_order);
        json_add_number(object, "snapshots", h->snapshots);
        json_add_flag(object, "dirty-flag", h->incompatible & QCOW2_DIRTY);
        json_add_flag(object, "corrupt", h->incompatible & QCOW2_CORRUPT);
    }
    if (f->backing.path[0]) json_add_text(object, "backing-filename", f->backing.path);
    if (f->backing.format[0]) json_add_text(object, "backing-filename-format", f->backing.format);
    fprintf(out, "%s\n",
            json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

bool disk_info(const char *path, bool json, FILE *out, char *error, size_t error_bytes)
{
    struct facts f = {.path = path};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct store *store = NULL;
    if (fd >= 0 && !fstat(fd, &status)) {
        f.on_host = (u64)status.st_blocks * 512;
        if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) store = host_file_of(fd, path);
        errno = EINVAL;
    }
    if (!store) {
        snprintf(error, error_bytes, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    bool good = gather(&f, store, error, error_bytes);
    store->ops->close(store);
    if (good) (json ? print_json : print_lines)(&f, out);
    return good;
}
