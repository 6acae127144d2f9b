/*
 * Reads a log of block executions (cache/block_log.h).
 */
#ifndef RINGER_STUDY_BLOCK_LOG_READER_H
#define RINGER_STUDY_BLOCK_LOG_READER_H

#include "cache/block_log.h"

#include <stddef.h>

struct block_log_reader;

enum block_log_record { LOG_END, LOG_RAN, LOG_MADE, LOG_DAMAGED };

/* NULL with one sentence in `error`. */
struct block_log_reader *block_log_read(const char *path, char *error, size_t error_bytes);
void block_log_read_end(struct block_log_reader *reader);
/* The room that the translator wanted before a translation. */
u32 block_log_room(const struct block_log_reader *reader);
/* The next record: its block, and of LOG_MADE its sizes. */
enum block_log_record block_log_next(struct block_log_reader *reader, u32 *id, struct block_made *made);

#endif
