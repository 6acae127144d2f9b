/*
 * --screen-dump: the text screen as a file; --screenshot: the picture as a PNG file. Written beside it and
 * renamed, so a reader never sees half a screen; what is no file (/dev/stdout) is written to.
 */
#ifndef RINGER_OBSERVE_SCREEN_H
#define RINGER_OBSERVE_SCREEN_H

#include "base/types.h"

struct vm;

/* Can `path` be written? If not: one sentence in error. Leaves nothing behind. */
bool screen_dump_check(const char *path, char *error, size_t error_bytes);
/* Both return 0 or -errno, -ENODEV without a video card. The vCPU thread's. */
int screen_dump(struct vm *vm, const char *path);
int screen_shot(struct vm *vm, const char *path);

#endif
