#include "firmware_file.h"

#include <stdio.h>
#include <unistd.h>

static const char *const usual_directories[] = {"/usr/share/seabios", "/usr/share/qemu"};

bool firmware_find(const char *directory, const char *name, char path[FIRMWARE_PATH_BYTES])
{
    const char *const *list = directory ? &directory : usual_directories;
    unsigned count = directory ? 1 : ARRAY_SIZE(usual_directories);
    for (unsigned n = 0; n < count; n++) {
        snprintf(path, FIRMWARE_PATH_BYTES, "%s/%s", list[n], name);
        if (!access(path, R_OK)) return true;
    }
    snprintf(path, FIRMWARE_PATH_BYTES, "%s/%s", list[0], name);
    return false;
}
