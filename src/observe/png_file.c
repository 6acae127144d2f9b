#include "png_file.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>

enum { RED, GREEN, BLUE, SAMPLES };

/* libpng knows no pixels of 32 bits without an alpha channel. */
static u8 *samples_of(const u32 *pixel, size_t count)
{
    u8 *sample = malloc(count * SAMPLES + 1);
    for (size_t n = 0; sample && n < count; n++) {
        sample[n * SAMPLES + RED] = (u8)(pixel[n] >> 16);
        sample[n * SAMPLES + GREEN] = (u8)(pixel[n] >> 8);
        sample[n * SAMPLES + BLUE] = (u8)pixel[n];
    }
    return sample;
}

u8 *png_encode(const u32 *pixel, u32 width, u32 height, size_t *bytes)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = width,
                       .height = height,
                       .format = PNG_FORMAT_RGB,
                       .flags = PNG_IMAGE_FLAG_FAST};
    char *file = NULL;
    u8 *sample = samples_of(pixel, (size_t)width * height);
    FILE *out = sample ? open_memstream(&file, bytes) : NULL;
    bool good = out && png_image_write_to_stdio(&image, out, 0, sample, 0, NULL);
    if (out && fclose(out)) good = false;
    free(sample);
    if (good) return (u8 *)file;
    free(file);
    return NULL;
}
