/*
 * --block-log: writes the log of block executions (cache/block_log.h).
 */
#ifndef RINGER_OBSERVE_BLOCK_LOG_FILE_H
#define RINGER_OBSERVE_BLOCK_LOG_FILE_H

#include "cpu/vcpu.h"

#include <stddef.h>

struct block_log_file;

/* Attaches the log to the vCPU's translator, which has translated nothing yet. NULL with one sentence in `error`. */
struct block_log_file *block_log_open(struct vcpu *v, const char *path, char *error, size_t error_bytes);
/* Returns 0 or -errno: the file is not whole. */
int block_log_close(struct block_log_file *file, struct vcpu *v);

#endif
