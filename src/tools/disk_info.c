#include "disk_info.h"

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
                f->backing.format[0] ? f->backing.format : "format not said");
    if (h->incompatible & QCOW2_DIRTY) fprintf(out, "%-16s %s\n", "state", "was not closed properly");
    if (h->incompatible & QCOW2_CORRUPT) fprintf(out, "%-16s %s\n", "state", "damaged");
}

/* --- for programs --- */

static void print_string(const char *name, const char *value, FILE *out)
{
    fprintf(out, ",\n    \"%s\": \"", name);
    for (const char *at = value; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if ((u8)*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            putc(*at, out);
    }
    putc('"', out);
}

static void print_json(const struct facts *f, FILE *out)
{
    const struct qcow2_header *h = &f->header;
    fprintf(out, "{\n    \"virtual-size\": %" PRIu64 ",\n    \"actual-size\": %" PRIu64, f->bytes,
            f->on_host);
    print_string("filename", f->path, out);
    print_string("format", f->is_qcow2 ? "qcow2" : "raw", out);
    if (f->is_qcow2) {
        print_string("compat", h->version == 2 ? "0.10" : "1.1", out);
        print_string("compression-type", h->compression ? "zstd" : "zlib", out);
        fprintf(out,
                ",\n    \"cluster-size\": %" PRIu64 ",\n    \"refcount-bits\": %u,\n    \"snapshots\": %u",
                (u64)1 << h->cluster_bits, 1u << h->refcount_order, h->snapshots);
        fprintf(out, ",\n    \"dirty-flag\": %s,\n    \"corrupt\": %s",
                h->incompatible & QCOW2_DIRTY ? "true" : "false",
                h->incompatible & QCOW2_CORRUPT ? "true" : "false");
    }
    if (f->backing.path[0]) print_string("backing-filename", f->backing.path, out);
    if (f->backing.format[0]) print_string("backing-filename-format", f->backing.format, out);
    fputs("\n}\n", out);
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
