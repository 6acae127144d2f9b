/*
 * picture FILE.png FILE.ppm: compares two pictures. Status 0: they are equal; 1: they differ, and the first
 * differences are printed. Machines may round colours with few bits differently, so each component may differ by 7.
 */
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct picture {
    unsigned width, height;
    unsigned char *rgb;
};

static void fail(const char *path, const char *why)
{
    fprintf(stderr, "picture: %s: %s\n", path, why);
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

static struct picture read_png(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path)) fail(path, image.message);
    image.format = PNG_FORMAT_RGB;
    struct picture p = {image.width, image.height, malloc(PNG_IMAGE_SIZE(image))};
    if (!p.rgb) fail(path, "is too much");
    if (!png_image_finish_read(&image, NULL, p.rgb, 0, NULL)) fail(path, image.message);
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
