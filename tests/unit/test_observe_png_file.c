/*
 * Screenshots as PNG: libpng reads the pixels that were given (hazards: red and blue exchanged, the unused byte
 * of a pixel in the picture, lines that run into each other at odd widths).
 */
#include "observe/png_file.h"

#include "check.h"

#include <png.h>
#include <stdlib.h>

static void test_picture(u32 width, u32 height)
{
    size_t count = (size_t)width * height, bytes = 0;
    u32 *pixel = malloc(count * sizeof(*pixel));
    u8 *sample = malloc(count * 3);
    if (!pixel || !sample) abort();
    for (size_t n = 0; n < count; n++)
        pixel[n] = (u32)n * 2654435761u; /* the high byte means nothing */
    u8 *file = png_encode(pixel, width, height, &bytes);
    png_image image = {.version = PNG_IMAGE_VERSION};
    CHECK(file && png_image_begin_read_from_memory(&image, file, bytes));
    CHECK_EQ(image.width, width);
    CHECK_EQ(image.height, height);
    image.format = PNG_FORMAT_RGB;
    CHECK(png_image_finish_read(&image, NULL, sample, 0, NULL));
    unsigned wrong = 0;
    for (size_t n = 0; n < count; n++)
        wrong +=
            ((u32)sample[3 * n] << 16 | sample[3 * n + 1] << 8 | sample[3 * n + 2]) != (pixel[n] & 0xffffff);
    CHECK_EQ(wrong, 0);
    free(file);
    free(sample);
    free(pixel);
}

int main(void)
{
    size_t bytes;
    test_picture(1, 1);
    test_picture(3, 2);
    test_picture(721, 401);
    test_picture(2560, 1600);
    CHECK(!png_encode(NULL, 0, 0, &bytes)); /* PNG has no empty pictures */
    return check_report();
}
