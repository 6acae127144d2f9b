/*
 * --trace: one line an instruction.
 *
 *     icount cs:eip  bytes  instruction  ; what changed
 */
#ifndef RINGER_OBSERVE_TRACE_H
#define RINGER_OBSERVE_TRACE_H

#include "vm/vm.h"

#include <stdio.h>

struct trace;

/* `path` may be "stderr". Begins at icount `from`. Returns NULL when the file cannot be written, with one
 * sentence in error. */
struct trace *trace_open(const char *path, u64 from, char *error, size_t error_bytes);
void trace_close(struct trace *trace);

/* One instruction of vm, printed. The engine when vm->trace is set. */
enum exit_reason trace_step(struct vm *vm);

/* Print the instruction at CS:EIP (bytes and text, no end of line). Touches no accessed bits. */
void trace_print_instruction(struct vcpu *v, FILE *out);

/* All of the CPU's state that fits a screen. */
void trace_print_state(struct vcpu *v, FILE *out);

#endif
