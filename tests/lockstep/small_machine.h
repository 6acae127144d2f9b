/*
 * A minimal guest: one vCPU, 8 MB of RAM, flat 32-bit segments with the host's user selectors, paging off. Code runs at
 * CPL 3. Its end (a fault, INT 81h) goes through the IDT to a HLT at CPL 0. Each vector has its own HLT, and the frame
 * on the inner stack has the rest.
 */
#ifndef RINGER_LOCKSTEP_SMALL_MACHINE_H
#define RINGER_LOCKSTEP_SMALL_MACHINE_H

#include "state.h"
#include "translator/translator.h"

struct small_machine;

/* With a config the translator runs the code, without one the interpreter. NULL, and a message, if the machine cannot
 * be made. */
struct small_machine *small_machine_create(const struct translator_config *config);
/* CR4.OSXSAVE and XCR0, as far as the CPU model goes. False, and nothing is changed, if it has no AVX. */
bool small_machine_enable_avx(struct small_machine *m);
void small_machine_destroy(struct small_machine *m);

/* The scratch area's bytes. */
u8 *small_machine_scratch(struct small_machine *m);
struct vcpu *small_machine_vcpu(struct small_machine *m);

/* Puts `bytes` of code and INT 81h at in->eip and runs it from the state *in. False if it does not end within
 * `instructions`. */
bool small_machine_run(struct small_machine *m, const u8 *code, unsigned bytes, const struct state *in,
                       struct state *out, u64 instructions);

#endif
