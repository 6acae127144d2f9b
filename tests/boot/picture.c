/*
 * picture FILE.png FILE.ppm: are these the same picture? Status 0: yes; 1: no, with the first differences.
 * Two machines may round colours of few bits differently: each component may differ by 7.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct picture {
    unsigned width, height;
    unsigned char *rgb;
};

static void fail(const char *path, const char *why)
{
    fprintf(stderr, "picture: %s %s\n", path, why);
    exit(2);
}

static unsigned char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail(path, "cannot be opened");
    size_t room = 64u << 20;
    unsigned char *data = malloc(room);
    if (!data) fail(path, "is too much");
    *bytes = fread(data, 1, room, file);
    fclose(file);
    return data;
}

static unsigned number(const unsigned char *at)
{
    return (unsigned)at[0] << 24 | (unsigned)at[1] << 16 | (unsigned)at[2] << 8 | at[3];
}

/* As Ringer writes them: true colour, one IDAT, each line as differences to the one above. */
static struct picture read_png(const char *path)
{
    size_t bytes;
    unsigned char *file = read_file(path, &bytes);
    if (bytes < 57 || memcmp(file + 12, "IHDR", 4) || memcmp(file + 37, "IDAT", 4))
        fail(path, "is no such PNG");
    struct picture p = {.width = number(file + 16), .height = number(file + 20)};
    uLongf size = (p.width * 3ul + 1) * p.height;
    unsigned char *raw = malloc(size);
    p.rgb = calloc(p.width * 3ul, p.height);
    if (!raw || !p.rgb || uncompress(raw, &size, file + 41, number(file + 33)) != Z_OK)
        fail(path, "is damaged");
    for (unsigned y = 0; y < p.height; y++)
        for (unsigned x = 0; x < p.width * 3; x++) {
            unsigned char *at = p.rgb + y * p.width * 3ul + x;
            *at = (unsigned char)(raw[y * (p.width * 3ul + 1) + 1 + x] + (y ? at[-(long)p.width * 3] : 0));
        }
    free(raw);
    free(file);
    return p;
}

static struct picture read_ppm(const char *path)
{
    size_t bytes;
    struct picture p;
    char head[64] = {0};
    unsigned depth;
    p.rgb = read_file(path, &bytes);
    memcpy(head, p.rgb, bytes < 63 ? bytes : 63);
    if (sscanf(head, "P6 %u %u %u", &p.width, &p.height, &depth) != 3 || bytes < p.width * 3ul * p.height)
        fail(path, "is no PPM");
    p.rgb += bytes - p.width * 3ul * p.height;
    return p;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    struct picture a = read_png(argv[1]), b = read_ppm(argv[2]);
    if (a.width != b.width || a.height != b.height) {
        printf("%ux%u and %ux%u\n", a.width, a.height, b.width, b.height);
        return 1;
    }
    unsigned differences = 0;
    for (size_t n = 0; n < a.width * 3ul * a.height; n++) {
        if (abs(a.rgb[n] - b.rgb[n]) <= 7) continue;
        if (differences++ < 5)
            printf("x %zu, y %zu, component %zu: %02x and %02x\n", n / 3 % a.width, n / 3 / a.width, n % 3,
                   a.rgb[n], b.rgb[n]);
    }
    if (differences) printf("%u differences\n", differences);
    return differences != 0;
}
