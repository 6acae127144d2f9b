/*
 * The event log of --trace (base/events.h): a line for each event of the chosen categories, and one for each
 * instruction when these are among them:
 *
 *     TIME instruction ICOUNT CS:EIP  BYTES  INSTRUCTION  ; what changed
 *
 * docs/EVENTS.md describes the lines, which other programs may rely on.
 */
#ifndef RINGER_OBSERVE_EVENT_LOG_H
#define RINGER_OBSERVE_EVENT_LOG_H

#include "base/device.h"
#include "cpu/vcpu.h"

#include <stdio.h>

struct event_log;
struct event_log_options;

/* The options must outlive the log. NULL with one sentence in error. */
struct event_log *event_log_open(const struct event_log_options *options, char *error, size_t error_bytes);
/* From now on the machine reports its events. The clock is the guest's. */
void event_log_attach(struct event_log *log, struct vcpu *v, const struct clock *clock);
/* Warns if the log could not be written whole. */
void event_log_close(struct event_log *log);

/* Are instructions logged? Then the machine must run one at a time. */
bool event_log_instructions(const struct event_log *log);
/* Call these before and after one instruction of the interpreter. Call event_log_after() only if event_log_before()
 * has returned true, which means that the instruction is logged. */
bool event_log_before(struct event_log *log, struct vcpu *v);
void event_log_after(struct event_log *log, struct vcpu *v);

/* Print the instruction at CS:EIP (bytes and text, no end of line). Touches no accessed bits. */
void event_log_print_instruction(struct vcpu *v, FILE *out);

/* Print the CPU's state, without FPU and system details. */
void event_log_print_state(struct vcpu *v, FILE *out);

#endif
