/*
 * --screen-dump: the file is written whole or not at all. A path that cannot be written is reported at the start.
 */
#include "observe/screen.h"

#include "check.h"
#include "devices/video/vga.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned files_in(const char *directory)
{
    unsigned count = 0;
    DIR *dir = opendir(directory);
    while (dir && readdir(dir))
        count++;
    if (dir) closedir(dir);
    return count - 2; /* . and .. */
}

static u64 no_time(const struct clock *clock)
{
    return 0;
}

static u8 memory[VGA_MEMORY_BYTES];
static void map(void *machine, bool mapped, u32 offset) {}
static void collect(void *machine, u64 *pages) {}

/* A PNG file by its signature, header and end; that its pixels are right a boot test sees. */
static void test_screenshot(struct vga *vga, const char *path)
{
    static u8 png[65536];
    CHECK_EQ(screen_shot(&vga->display, path), 0);
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(png, 1, sizeof(png), file) : 0;
    if (file) fclose(file);
    CHECK(bytes > 57 && bytes < sizeof(png));
    static const u8 start[] = {0x89, 'P', 'N', 'G', 13, 10, 26,  10, 0, 0, 0,   13, 'I',
                               'H',  'D', 'R', 0,   0,  2,  208, 0,  0, 1, 144, 8,  2}; /* 720 x 400 */
    static const u8 end[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    CHECK(!memcmp(png, start, sizeof(start)));
    CHECK(!memcmp(png + bytes - sizeof(end), end, sizeof(end)));
    CHECK(screen_shot(&vga->display, "/nonexistent/shot") < 0);
    CHECK(!vga->display.viewers);
}

int main(void)
{
    static const struct clock clock = {.now_ns = no_time};
    static struct vga video;
    struct vga *vga = &video;
    char directory[] = "/tmp/ringer-screen-XXXXXX", path[64], error[256], text[4096];
    if (!mkdtemp(directory)) abort();
    vga_init(vga, &(struct vga_wiring){.clock = &clock, .memory = memory, .map = map, .collect = collect});
    const char *hello = "hello";
    for (unsigned i = 0; hello[i]; i++) /* text is in plane 0, attributes in plane 1: through B8000h */
        vga_memory_ops.write(vga, 0x18000 + 2 * i, 1, (u8)hello[i]);

    snprintf(path, sizeof(path), "%s/screen", directory);
    CHECK(screen_dump_check(path, error, sizeof(error)));
    CHECK_EQ(files_in(directory), 0);
    CHECK_EQ(screen_dump(vga, path), 0);
    CHECK_EQ(screen_dump(vga, path), 0);
    CHECK_EQ(files_in(directory), 1);
    FILE *file = fopen(path, "r");
    CHECK_EQ(file ? fread(text, 1, sizeof(text), file) : 0, 5 + 25); /* 25 lines */
    CHECK(!memcmp(text, "hello\n", 6));
    if (file) fclose(file);

    CHECK(!screen_dump_check("/nonexistent/screen", error, sizeof(error)));
    CHECK(strstr(error, "/nonexistent/screen") != NULL);
    CHECK(!screen_dump_check(directory, error, sizeof(error)));
    CHECK(screen_dump(vga, "/nonexistent/screen") < 0);
    /* Something that is not a regular file is not replaced (hazard: a run as root replaces /dev/null). */
    char link[80];
    struct stat status;
    snprintf(link, sizeof(link), "%s/link", directory);
    CHECK(symlink(path, link) == 0 && screen_dump_check(link, error, sizeof(error)));
    CHECK_EQ(screen_dump(vga, link), 0);
    CHECK(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(stat(link, &status) == 0 && status.st_size == 5 + 25);
    unlink(link);
    test_screenshot(vga, path);
    unlink(path);
    rmdir(directory);
    vga_destroy(vga);
    return check_report();
}
