/*
 * What the host's CPU does where CPUs differ and neither the manuals nor CPUID tell. Translated code runs the host's
 * instructions, so the interpreter must do the same. The CPU itself is asked, once, before main().
 */
#ifndef RINGER_CPU_HOST_PROBE_H
#define RINGER_CPU_HOST_PROBE_H

#include <stdbool.h>

/* Does CVTPI2PS of memory raise a pending x87 exception? */
bool host_cvtpi2ps_waits(void);
/* Do the SHA instructions, which the host has, raise #GP if their memory operand is misaligned? */
bool host_sha_is_aligned(void);
/* Do the aligned moves of AVX-512, which the host has, raise #GP if their memory operand is misaligned and their
 * writemask selects nothing of it? */
bool host_unused_is_aligned(void);

#endif
