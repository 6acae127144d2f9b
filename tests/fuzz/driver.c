/*
 * Runs fuzz targets without libFuzzer: with every file of a directory, and then with random mutations of it, which are
 * the same every time.
 */
#include "base/types.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

#define INPUT_MAX (1u << 20)
#define MUTATIONS 300

static u64 seed = 88172645463325252ull;

static u64 next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static size_t mutate(u8 *data, size_t bytes)
{
    static const u8 odd[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe};
    for (u64 n = next_random() % 8 + 1; n && bytes; n--) {
        size_t at = next_random() % bytes;
        switch (next_random() % 5) {
        case 0: data[at] ^= (u8)(1 << next_random() % 8); break;
        case 1: data[at] = (u8)next_random(); break;
        case 2: data[at] = odd[next_random() % sizeof(odd)]; break;
        case 3: bytes = at + 1; break;
        default:
            memmove(data + at, data + next_random() % bytes, (bytes - at) / 2 < 16 ? (bytes - at) / 2 : 16);
        }
    }
    return bytes;
}

static int run_file(const char *directory, const char *name)
{
    static u8 file[INPUT_MAX], data[INPUT_MAX];
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *in = fopen(path, "r");
    size_t bytes = in ? fread(file, 1, sizeof(file), in) : 0;
    if (!in) return 1;
    fclose(in);
    LLVMFuzzerTestOneInput(file, bytes);
    for (unsigned n = 0; n < MUTATIONS; n++) {
        memcpy(data, file, bytes);
        size_t left = mutate(data, bytes);
        /* A copy of just that size, so that a sanitizer sees reads beyond its end. */
        u8 *exact = malloc(left ? left : 1);
        memcpy(exact, data, left);
        LLVMFuzzerTestOneInput(exact, left);
        free(exact);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **files;
    int count = argc > 1 ? scandir(argv[1], &files, NULL, alphasort) : -1;
    int failed = count < 0;
    for (int n = 0; n < count; n++) {
        if (files[n]->d_name[0] != '.') failed |= run_file(argv[1], files[n]->d_name);
        free(files[n]);
    }
    if (count >= 0) free(files);
    return failed;
}
