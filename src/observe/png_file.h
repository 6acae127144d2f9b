/*
 * A picture as a PNG file (ISO/IEC 15948): true colour, eight bits a sample.
 */
#ifndef RINGER_OBSERVE_PNG_FILE_H
#define RINGER_OBSERVE_PNG_FILE_H

#include "base/types.h"

/* Pixels are 00RRGGBBh, row after row. Returns the file's bytes, to be freed, or NULL: out of memory. */
u8 *png_encode(const u32 *pixel, u32 width, u32 height, size_t *bytes);

#endif
