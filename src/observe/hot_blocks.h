/*
 * Hot blocks: which translated blocks run, by samples. --hot-blocks writes them at the end of a run, and the control
 * socket's x-ringer-hot reads them from a running machine. Nothing is emitted for it.
 *
 * A host timer signals the vCPU thread, about 500 times a second for --hot-blocks and 100 times for readers of a
 * running machine. The handler looks the block up, and counts it in a table. That takes less than 1% of the guest's
 * processor time (bench/watch), and nothing while the guest sleeps: the signal then waits, and the timer with it, until
 * the sleep is over. Unlike a profile (profile.h), it does not look into Ringer's own code.
 *
 * Only the vCPU thread calls this, and the signal interrupts only that thread.
 */
#ifndef RINGER_OBSERVE_HOT_BLOCKS_H
#define RINGER_OBSERVE_HOT_BLOCKS_H

#include "cpu/vcpu.h"

struct hot_blocks;
struct json_object;

/* NULL: out of memory. */
struct hot_blocks *hot_blocks_open(struct vcpu *v);
/* Stops the timer. May be NULL. */
void hot_blocks_close(struct hot_blocks *hot);

/* The times between two samples. They are not in step with other timers. */
#define HOT_RUN_PERIOD_NS    1973000 /* of a run's own file */
#define HOT_READER_PERIOD_NS 9973000 /* for readers of a running machine */

/* Sample from now on: for this long after the last call; 0: always. Returns 0 or -errno. */
int hot_blocks_start(struct hot_blocks *hot, u64 patience_ns, long period_ns);
void hot_blocks_stop(struct hot_blocks *hot);

/* What was counted since the last call, the hottest `most` blocks first:
 *     {"seconds", "samples", "translated", "windowed", "outside", "halted", "lost",
 *      "blocks": [{"address", "gpa", "cpl", "bits", "samples", "code"}]}
 * `code` is the guest's bytes in hexadecimal. NULL: out of memory. */
struct json_object *hot_blocks_take(struct hot_blocks *hot, unsigned most);

#endif
