#include "firmware_file.h"

#include "base/host_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROM_MAX_BYTES (1u << 20)

static const char *const usual_directories[] = {"/usr/share/seabios", "/usr/lib/ipxe/qemu",
                                                "/usr/share/qemu"};

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

/* An expansion ROM has a power of two bytes. */
static u8 *read_rom(int fd, u32 *bytes)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) return NULL;
    if (!S_ISREG(status.st_mode) || !status.st_size || status.st_size > ROM_MAX_BYTES) {
        errno = EFBIG;
        return NULL;
    }
    *bytes = PAGE_SIZE;
    while (*bytes < status.st_size)
        *bytes *= 2;
    u8 *rom = aligned_alloc(PAGE_SIZE, *bytes);
    if (!rom) return NULL;
    memset(rom, 0xff, *bytes);
    if (read(fd, rom, (size_t)status.st_size) == status.st_size) return rom;
    free(rom);
    return NULL;
}

u8 *firmware_load_rom(const char *path, u32 *bytes, char *error, size_t error_bytes)
{
    int fd = host_open(path, O_RDONLY, 0);
    u8 *rom = read_rom(fd, bytes);
    if (!rom && errno == EFBIG)
        snprintf(error, error_bytes, "the ROM '%s' is not a file of 1 byte to 1 MB", path);
    else if (!rom)
        snprintf(error, error_bytes, "cannot read the ROM '%s': %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return rom;
}
