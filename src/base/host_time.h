/*
 * The host's clock, for waiting, pacing and time limits. Devices never use it: they see guest time (device.h).
 */
#ifndef RINGER_BASE_HOST_TIME_H
#define RINGER_BASE_HOST_TIME_H

#include "types.h"

/* CLOCK_MONOTONIC in nanoseconds. */
u64 host_now_ns(void);
/* Signals do not end the sleep. */
void host_sleep_ns(u64 ns);

#endif
