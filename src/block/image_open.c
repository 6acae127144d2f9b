#include "host_file.h"
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct disk_image *disk_image_open(const char *path, const struct disk_image_how *how, char *error,
                                   size_t error_bytes)
{
    char why[400] = "";
    struct store *store = host_file_open(path, how->read_only, error, error_bytes);
    if (!store) return NULL;
    struct disk_image *image = raw_open(store, how->read_only, !how->format, why, sizeof(why));
    if (image) return image;
    snprintf(error, error_bytes, "%s: %s", path, why);
    store->ops->close(store);
    return NULL;
}
