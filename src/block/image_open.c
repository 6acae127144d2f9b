/*
 * Opening an image and its backing images.
 */
#include "host_file.h"
#include "qcow2_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A longer chain of backing images most likely refers to itself. */
#define CHAIN_MAX 64

static struct disk_image *open_chain(const char *path, const struct disk_image_how *how, unsigned depth,
                                     char *error, size_t error_bytes);

static bool looks_like_qcow2(struct store *store)
{
    u32 magic = 0;
    return store_get(store, 0, &magic, sizeof(magic)) == 0 && be32toh(magic) == QCOW2_MAGIC;
}

void disk_image_beside(const char *image, const char *path, char *result, size_t result_bytes)
{
    const char *slash = strrchr(image, '/');
    if (path[0] == '/' || !slash)
        snprintf(result, result_bytes, "%s", path);
    else
        snprintf(result, result_bytes, "%.*s/%s", (int)(slash - image), image, path);
}

static struct disk_image *open_qcow2(struct store *store, const char *path, const struct disk_image_how *how,
                                     unsigned depth, char *error, size_t error_bytes)
{
    char why[700] = "", beside[4096];
    struct qcow2_header header;
    struct qcow2_backing named;
    struct disk_image *backing = NULL, *image = NULL;
    bool good = qcow2_read_header(store, how->read_only, &header, why, sizeof(why)) &&
                qcow2_read_backing(store, &header, &named, why, sizeof(why));
    if (good && named.path[0] && !how->no_backing) {
        const struct disk_image_how below = {.format = named.format[0] ? named.format : NULL,
                                             .read_only = true};
        disk_image_beside(path, named.path, beside, sizeof(beside));
        backing = open_chain(beside, &below, depth + 1, why, sizeof(why));
        good = backing;
    }
    if (good) image = qcow2_open(store, path, how->read_only, backing, why, sizeof(why));
    if (!image) {
        snprintf(error, error_bytes, "%s: %s", path, why);
        disk_image_close(backing);
        store->ops->close(store);
    }
    return image;
}

static struct disk_image *open_chain(const char *path, const struct disk_image_how *how, unsigned depth,
                                     char *error, size_t error_bytes)
{
    if (depth > CHAIN_MAX) {
        snprintf(error, error_bytes,
                 "more than %u images are based on one another; perhaps one refers to itself", CHAIN_MAX);
        return NULL;
    }
    if (how->format && strcmp(how->format, "raw") && strcmp(how->format, "qcow2")) {
        snprintf(error, error_bytes, "%s: there is no format \"%s\"; there are raw and qcow2", path,
                 how->format);
        return NULL;
    }
    struct store *store = host_file_open(path, how->read_only, error, error_bytes);
    if (!store) return NULL;
    if (how->format ? !strcmp(how->format, "qcow2") : looks_like_qcow2(store))
        return open_qcow2(store, path, how, depth, error, error_bytes);
    char why[400] = "";
    struct disk_image *image = raw_open(store, how->read_only, !how->format, why, sizeof(why));
    if (image) return image;
    snprintf(error, error_bytes, "%s: %s", path, why);
    store->ops->close(store);
    return NULL;
}

struct disk_image *disk_image_open(const char *path, const struct disk_image_how *how, char *error,
                                   size_t error_bytes)
{
    return open_chain(path, how, 0, error, error_bytes);
}
