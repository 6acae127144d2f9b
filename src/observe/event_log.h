/*
 * The event log of --trace: one line an instruction.
 *
 *     icount cs:eip  bytes  instruction  ; what changed
 */
#ifndef RINGER_OBSERVE_EVENT_LOG_H
#define RINGER_OBSERVE_EVENT_LOG_H

#include "cpu/vcpu.h"

#include <stdio.h>

struct event_log;

/* `path` may be "stderr". The log begins at icount `from`. NULL with one sentence in error. */
struct event_log *event_log_open(const char *path, u64 from, char *error, size_t error_bytes);
void event_log_close(struct event_log *log);

/* Call these before and after one instruction of the interpreter. Call event_log_after() only if event_log_before()
 * has returned true, which means that the log has begun. */
bool event_log_before(struct event_log *log, struct vcpu *v);
void event_log_after(struct event_log *log, struct vcpu *v);

/* Print the instruction at CS:EIP (bytes and text, no end of line). Touches no accessed bits. */
void event_log_print_instruction(struct vcpu *v, FILE *out);

/* Print the CPU's state, without FPU and system details. */
void event_log_print_state(struct vcpu *v, FILE *out);

#endif
