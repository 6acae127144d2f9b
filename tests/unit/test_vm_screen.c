/*
 * --screen-dump: whole or not at all, and said at the start if it cannot be.
 */
#include "vm/screen.h"

#include "check.h"
#include "vm/vm.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
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

int main(void)
{
    static const struct clock clock = {.now_ns = no_time};
    struct vm *vm = aligned_alloc(_Alignof(struct vm), sizeof(*vm));
    char directory[] = "/tmp/ringer-screen-XXXXXX", path[64], error[256], text[4096];
    if (!vm || !mkdtemp(directory)) abort();
    vga_init(&vm->chipset.vga, &clock);
    const char *hello = "hello";
    for (unsigned i = 0; hello[i]; i++) /* text is in plane 0, attributes in plane 1: through B8000h */
        vga_memory_ops.write(&vm->chipset.vga, 0x18000 + 2 * i, 1, (u8)hello[i]);

    snprintf(path, sizeof(path), "%s/screen", directory);
    CHECK(screen_dump_check(path, error, sizeof(error)));
    CHECK_EQ(files_in(directory), 0);
    CHECK_EQ(screen_dump(vm, path), 0);
    CHECK_EQ(screen_dump(vm, path), 0);
    CHECK_EQ(files_in(directory), 1);
    FILE *file = fopen(path, "r");
    CHECK_EQ(file ? fread(text, 1, sizeof(text), file) : 0, 5 + 25); /* 25 lines */
    CHECK(!memcmp(text, "hello\n", 6));
    if (file) fclose(file);

    CHECK(!screen_dump_check("/nonexistent/screen", error, sizeof(error)));
    CHECK(strstr(error, "/nonexistent/screen") != NULL);
    CHECK(!screen_dump_check(directory, error, sizeof(error)));
    CHECK(screen_dump(vm, "/nonexistent/screen") < 0);
    unlink(path);
    rmdir(directory);
    free(vm);
    return check_report();
}
