/*
 * The emitters by their identifiers in the instruction table (cpu/isa.h). The program links only if each has its
 * two functions.
 */
#include "build.h"

const struct emitter_row emitter_rows[EMITTER_COUNT] = {
#define X(name) [EMITTER_##name] = {can_##name, emit_##name},
    ISA_EMITTERS(X)
#undef X
};

#define X(name) +1
_Static_assert(1 ISA_EMITTERS(X) == EMITTER_COUNT && EMITTER_NONE == 0, "every emitter but NONE has a row");
#undef X
